// Package expr is the grammar of objectives, guardrails and service levels: one
// metric, one comparison, one quantity.
//
//	load.api.response.p99 < 80ms     an absolute bound
//	load.api.capacity >= 1.8x        a ratio to the value before
//	p99<50ms,errors<0.1%             a list, as flags take it
//
// A metric is a path of letters, digits, "_", "-" and ".".
package expr

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"scaleproof/internal/unit"
)

// Op is a comparison.
type Op string

// The comparisons.
const (
	Less           Op = "<"
	LessOrEqual    Op = "<="
	Greater        Op = ">"
	GreaterOrEqual Op = ">="
	Equal          Op = "=="
)

// Upper reports whether op bounds its metric from above.
func (op Op) Upper() bool { return op == Less || op == LessOrEqual }

// A Condition is one parsed comparison. The zero value is no condition.
type Condition struct {
	Metric string
	Op     Op
	// Value is in units of Base or, where Relative, a multiple of the metric's
	// value before.
	Value    float64
	Base     unit.Base
	Relative bool
	// Text is the condition as it was written.
	Text string
}

// Holds reports whether value, in the condition's unit (or as a ratio where the
// condition is relative), satisfies it. NaN never does.
func (c Condition) Holds(value float64) bool {
	switch c.Op {
	case Less:
		return value < c.Value
	case LessOrEqual:
		return value <= c.Value
	case Greater:
		return value > c.Value
	case GreaterOrEqual:
		return value >= c.Value
	case Equal:
		return value == c.Value
	}
	return false
}

// Fits says why the condition can't be applied to a metric kept in base, or
// returns nil. A bare number fits counts, ratios, cores and rates, but neither
// durations nor sizes, where it would leave the scale to be guessed.
func (c Condition) Fits(base unit.Base) error {
	switch {
	case c.Relative, c.Base == base:
		return nil
	case c.Base == unit.PerSecond && (base == unit.RequestsPerSecond || base == unit.BytesPerSecond):
		return nil
	case c.Base == unit.Count && base != unit.Seconds && base != unit.Bytes:
		return nil
	}
	if c.Base == unit.Count {
		return fmt.Errorf("%s is measured in %s, and the bound of %q has no unit: write it as 80ms or 4GiB", c.Metric, base, c.Text)
	}
	return fmt.Errorf("%s is measured in %s, but %q is compared with a value in %s", c.Metric, base, c.Text, c.Base)
}

func (c Condition) String() string { return c.Text }

// MarshalText encodes the condition as it was written.
func (c Condition) MarshalText() ([]byte, error) { return []byte(c.Text), nil }

// UnmarshalText decodes what Parse reads.
func (c *Condition) UnmarshalText(text []byte) (err error) {
	*c, err = Parse(string(text))
	return err
}

// UnmarshalYAML decodes a scalar; an error carries the line and the column of
// the fault within it.
func (c *Condition) UnmarshalYAML(node ast.Node) error {
	text, ok := node.(*ast.StringNode)
	if !ok {
		return &yaml.SyntaxError{Message: "expected a condition such as load.api.response.p99 < 80ms", Token: node.GetToken()}
	}
	parsed, err := Parse(text.Value)
	if err != nil {
		at := text.GetToken().Clone()
		position := *at.Position
		if fault, ok := err.(*SyntaxError); ok && !strings.Contains(text.Value, "\n") {
			position.Column += fault.Column - 1
		}
		at.Position = &position
		return &yaml.SyntaxError{Message: err.Error(), Token: at}
	}
	*c = parsed
	return nil
}

// A SyntaxError says what is wrong with a condition and where.
type SyntaxError struct {
	Text    string
	Column  int // in characters, from 1
	Message string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("in condition %q, column %d: %s", e.Text, e.Column, e.Message)
}

// Parse reads one condition. Its error is a *SyntaxError.
func Parse(text string) (Condition, error) {
	fail := func(at int, format string, args ...any) (Condition, error) {
		column := utf8.RuneCountInString(text[:at]) + 1
		return Condition{}, &SyntaxError{text, column, fmt.Sprintf(format, args...)}
	}
	metric, at := metricAt(text)
	if metric == "" {
		return fail(at, "expected the name of a metric")
	}
	end := skipSpace(text, at+len(metric))
	op := opAt(text[end:])
	if op == "" {
		return fail(end, "expected <, <=, >, >= or == after %s", metric)
	}
	start := skipSpace(text, end+len(op))
	quantity := strings.TrimSpace(text[start:])
	if quantity == "" {
		return fail(start, "expected a value such as 80ms, 0.1%% or 1.8x")
	}
	c := Condition{Metric: metric, Op: op, Text: strings.TrimSpace(text)}
	if ratio, ok := strings.CutSuffix(quantity, "x"); ok {
		quantity, c.Relative = ratio, true
	}
	var err error
	if c.Value, c.Base, err = unit.Parse(quantity); err != nil {
		return fail(start, "%v", err)
	}
	if c.Relative && (c.Base != unit.Count || c.Value <= 0) {
		return fail(start, "a multiple is a positive number such as 1.8x")
	}
	return c, nil
}

// ParseList reads conditions separated by commas; an empty text is an empty
// list. Its error is a *SyntaxError whose column counts from the list's start.
func ParseList(text string) ([]Condition, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var list []Condition
	offset := 0
	for part := range strings.SplitSeq(text, ",") {
		c, err := Parse(part)
		if fault, ok := err.(*SyntaxError); ok {
			return nil, &SyntaxError{text, offset + fault.Column, fault.Message}
		}
		list = append(list, c)
		offset += utf8.RuneCountInString(part) + 1
	}
	return list, nil
}

func metricAt(text string) (name string, at int) {
	at = skipSpace(text, 0)
	end := at
	for end < len(text) && isNameByte(text[end]) {
		end++
	}
	return text[at:end], at
}

func isNameByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '-' || b == '.'
}

func opAt(text string) Op {
	for _, op := range []Op{LessOrEqual, GreaterOrEqual, Equal, Less, Greater} {
		if strings.HasPrefix(text, string(op)) {
			return op
		}
	}
	return ""
}

func skipSpace(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}
