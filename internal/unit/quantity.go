package unit

import (
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// A Quantity is a number with its unit, for settings that take any: "1200/s",
// "20GiB", "80%".
type Quantity struct {
	Value float64
	Base  Base
}

// Fits reports whether q can stand for a value kept in base: it has the same
// unit, or is a bare number, or is a rate of what base counts per second.
func (q Quantity) Fits(base Base) bool {
	return q.Base == base || q.Base == Count || q.Base == PerSecond && (base == RequestsPerSecond || base == BytesPerSecond)
}

// String prints q so that Parse reads the same: in its base unit.
func (q Quantity) String() string {
	number := strconv.FormatFloat(q.Value, 'f', -1, 64)
	switch q.Base {
	case Seconds:
		return number + "s"
	case Bytes:
		return number + "B"
	case PerSecond, RequestsPerSecond, BytesPerSecond:
		return number + "/s"
	}
	return number
}

// MarshalText encodes q as String does.
func (q Quantity) MarshalText() ([]byte, error) { return []byte(q.String()), nil }

// UnmarshalText decodes what Parse reads.
func (q *Quantity) UnmarshalText(text []byte) (err error) {
	q.Value, q.Base, err = Parse(string(text))
	return err
}

// UnmarshalYAML decodes a scalar; an error carries its line and column.
func (q *Quantity) UnmarshalYAML(node ast.Node) error { return scalar(node, q.UnmarshalText) }
