package unit

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Duration is a length of time that decodes from text such as "80ms", "5m" or
// "30d". It is never negative. The zero value is no time, which most settings
// take as "use the default".
type Duration time.Duration

// Std returns d as the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Seconds returns d in seconds.
func (d Duration) Seconds() float64 { return time.Duration(d).Seconds() }

// String prints d as Go does: "1m30s".
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText encodes d as Go does: "1m30s".
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText decodes what Parse reads as Seconds, and Go's own compound
// form ("1m30s").
func (d *Duration) UnmarshalText(text []byte) error {
	if std, err := time.ParseDuration(string(text)); err == nil && std >= 0 {
		*d = Duration(std)
		return nil
	}
	seconds, err := parseAs(string(text), Seconds, "80ms, 30s, 5m or 30d")
	if err != nil {
		return err
	}
	if seconds > math.MaxInt64/1e9 {
		*d = math.MaxInt64
		return nil
	}
	*d = Duration(math.Round(seconds * 1e9))
	return nil
}

// UnmarshalYAML decodes a scalar; an error carries its line and column.
func (d *Duration) UnmarshalYAML(node ast.Node) error { return scalar(node, d.UnmarshalText) }

// Set makes *Duration a flag value.
func (d *Duration) Set(text string) error { return d.UnmarshalText([]byte(text)) }

// Type names the flag value in help texts.
func (d *Duration) Type() string { return "duration" }

// Rate is a number of events per second that decodes from "500/s", "500",
// "30/m" or "max". It is never negative. The zero value, "max", sets no rate:
// the load is closed, as fast as its connections allow.
type Rate float64

// String prints r per second: "500/s", or "max".
func (r Rate) String() string {
	if r == 0 {
		return "max"
	}
	return strconv.FormatFloat(float64(r), 'f', -1, 64) + "/s"
}

// MarshalText encodes r as String does.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText decodes "max", a bare number, or what Parse reads as PerSecond.
func (r *Rate) UnmarshalText(text []byte) error {
	if string(text) == "max" {
		*r = 0
		return nil
	}
	value, base, err := Parse(string(text))
	if err == nil && base == Count && value >= 0 {
		*r = Rate(value)
		return nil
	}
	value, err = parseAs(string(text), PerSecond, "500/s, 30/m or max")
	*r = Rate(value)
	return err
}

// UnmarshalYAML decodes a scalar; an error carries its line and column.
func (r *Rate) UnmarshalYAML(node ast.Node) error { return scalar(node, r.UnmarshalText) }

// Set makes *Rate a flag value.
func (r *Rate) Set(text string) error { return r.UnmarshalText([]byte(text)) }

// Type names the flag value in help texts.
func (r *Rate) Type() string { return "rate" }

// Fraction is a part of a whole that decodes from "0.1%" or "0.001". It is
// never negative, and 1 is the whole.
type Fraction float64

// String prints f as a percentage: "0.1%".
func (f Fraction) String() string {
	return strconv.FormatFloat(float64(f)*100, 'g', 12, 64) + "%"
}

// MarshalText encodes f as String does.
func (f Fraction) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText decodes a percentage or a bare number, which 1 is the most of: who
// writes 10 means 10%.
func (f *Fraction) UnmarshalText(text []byte) error {
	value, base, err := Parse(string(text))
	if err == nil && base == Count && value > 1 {
		return fmt.Errorf("%q is more than the whole: write it as %s%%, or as %s", text, text, strconv.FormatFloat(value/100, 'g', 12, 64))
	}
	if err == nil && base == Count && value >= 0 {
		*f = Fraction(value)
		return nil
	}
	value, err = parseAs(string(text), Ratio, "0.1% or 0.001")
	*f = Fraction(value)
	return err
}

// UnmarshalYAML decodes a scalar; an error carries its line and column.
func (f *Fraction) UnmarshalYAML(node ast.Node) error { return scalar(node, f.UnmarshalText) }

// Set makes *Fraction a flag value.
func (f *Fraction) Set(text string) error { return f.UnmarshalText([]byte(text)) }

// Type names the flag value in help texts.
func (f *Fraction) Type() string { return "fraction" }

// Size is a number of bytes that decodes from "4GiB", "100MB" or "512".
type Size int64

// String prints z in bytes: "512B".
func (z Size) String() string { return strconv.FormatInt(int64(z), 10) + "B" }

// MarshalText encodes z as String does.
func (z Size) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

// UnmarshalText decodes a bare number or what Parse reads as Bytes.
func (z *Size) UnmarshalText(text []byte) error {
	value, base, err := Parse(string(text))
	if err != nil || base != Count || value < 0 {
		value, err = parseAs(string(text), Bytes, "4GiB, 100MB or 512")
	}
	*z = Size(min(value, math.MaxInt64/2))
	return err
}

// UnmarshalYAML decodes a scalar; an error carries its line and column.
func (z *Size) UnmarshalYAML(node ast.Node) error { return scalar(node, z.UnmarshalText) }

// Set makes *Size a flag value.
func (z *Size) Set(text string) error { return z.UnmarshalText([]byte(text)) }

// Type names the flag value in help texts.
func (z *Size) Type() string { return "size" }

// scalar hands a YAML scalar's text to unmarshal, and gives its error the
// scalar's place in the file.
func scalar(node ast.Node, unmarshal func([]byte) error) error {
	text := node.GetToken().Value
	if value, ok := node.(*ast.StringNode); ok {
		text = value.Value
	}
	if _, ok := node.(ast.ScalarNode); !ok {
		return &yaml.SyntaxError{Message: "expected a single value", Token: node.GetToken()}
	}
	if err := unmarshal([]byte(text)); err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: node.GetToken()}
	}
	return nil
}
