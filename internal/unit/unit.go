// Package unit reads and prints quantities: durations, rates, sizes, fractions.
//
// Inside scaleproof every quantity is a float64 in its base unit (see Base);
// it is scaled only where a person reads or writes it. The types Duration,
// Rate, Size and Fraction carry a quantity through plans and flags: they decode
// from text such as "80ms", "500/s", "4GiB" and "0.1%", and encode to the same.
package unit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Base is the unit that a number is kept in.
type Base string

// The base units.
const (
	Seconds           Base = "seconds"
	Bytes             Base = "bytes"
	Ratio             Base = "ratio" // 1 is the whole: 0.01 prints as 1 %
	Count             Base = "count" // a plain number: requests, rows, blocks
	Cores             Base = "cores" // CPU seconds per second
	PerSecond         Base = "1/second"
	RequestsPerSecond Base = "requests/second"
	BytesPerSecond    Base = "bytes/second"
)

// Known reports whether b is one of the base units.
func (b Base) Known() bool {
	switch b {
	case Seconds, Bytes, Ratio, Count, Cores, PerSecond, RequestsPerSecond, BytesPerSecond:
		return true
	}
	return false
}

// A scale is one suffix that Parse understands.
type scale struct {
	suffix string
	base   Base
	factor float64
}

// scales is in the order of matching: a longer suffix stands before any suffix
// that it ends with ("ms" before "s").
func scales() []scale {
	return []scale{
		{"ns", Seconds, 1e-9},
		{"us", Seconds, 1e-6},
		{"µs", Seconds, 1e-6},
		{"ms", Seconds, 1e-3},
		{"/s", PerSecond, 1},
		{"/m", PerSecond, 1.0 / 60},
		{"/h", PerSecond, 1.0 / 3600},
		{"s", Seconds, 1},
		{"m", Seconds, 60},
		{"h", Seconds, 3600},
		{"d", Seconds, 86400},
		{"w", Seconds, 7 * 86400},
		{"KiB", Bytes, 1 << 10},
		{"MiB", Bytes, 1 << 20},
		{"GiB", Bytes, 1 << 30},
		{"TiB", Bytes, 1 << 40},
		{"kB", Bytes, 1e3},
		{"KB", Bytes, 1e3},
		{"MB", Bytes, 1e6},
		{"GB", Bytes, 1e9},
		{"TB", Bytes, 1e12},
		{"B", Bytes, 1},
		{"%", Ratio, 0.01},
	}
}

// Parse reads a number with an optional unit: "80ms", "1.5", "500/s", "4GiB",
// "0.1%". A bare number is a Count; the empty string, NaN and infinities are
// errors. A rate is a PerSecond: what is counted is for the caller to know.
func Parse(text string) (value float64, base Base, err error) {
	text = strings.TrimSpace(text)
	number, base, factor := text, Count, 1.0
	for _, s := range scales() {
		if rest, ok := strings.CutSuffix(text, s.suffix); ok {
			number, base, factor = strings.TrimSpace(rest), s.base, s.factor
			break
		}
	}
	value, err = strconv.ParseFloat(number, 64)
	if err != nil || !isDecimal(number) {
		return 0, "", fmt.Errorf("%q is not a number with a unit (such as 80ms, 500/s, 4GiB or 0.1%%)", text)
	}
	value *= factor
	if math.IsInf(value, 0) {
		return 0, "", fmt.Errorf("%q is too large", text)
	}
	return value, base, nil
}

// isDecimal refuses what ParseFloat takes beyond decimal numbers: NaN, Inf,
// hexadecimal and digits grouped by underscores.
func isDecimal(number string) bool {
	return number != "" && strings.Trim(number, "0123456789.eE+-") == ""
}

// parseAs reads text as a finite, non-negative quantity of the base unit want.
func parseAs(text string, want Base, example string) (float64, error) {
	value, base, err := Parse(text)
	switch {
	case err != nil:
		return 0, err
	case base != want:
		return 0, fmt.Errorf("%q is not a %s: write it as %s", text, noun(want), example)
	case value < 0:
		return 0, fmt.Errorf("%q is negative: a %s starts at 0", text, noun(want))
	}
	return value, nil
}

func noun(b Base) string {
	switch b {
	case Seconds:
		return "duration"
	case PerSecond:
		return "rate"
	case Bytes:
		return "size"
	case Ratio:
		return "fraction"
	}
	return string(b)
}
