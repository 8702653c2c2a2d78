package loadgen

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// A template is the wire form of a request in which some parts vary with the
// request's number. Between its literals stand placeholders:
//
//	{{seq}}  {{seq 1000}}     the request's number, from 0 or from a start
//	{{random 1 500}}          a whole number, both bounds included
//	{{pick a b c}}            one of the words
//	{{uuid}}                  a version 4 UUID
//	{{row.name}}              a column of the feeder's row
//
// All are drawn from the run's seed and the request's number, so that a run
// can be repeated.
type template struct {
	segments []segment
	// bodyAt is the first segment of the body; where there is none, it is
	// their number.
	bodyAt int
}

// A segment is a literal or, where value is not nil, a placeholder.
type segment struct {
	literal string
	value   valueFunc
	inURL   bool // the value is percent-encoded
	inHead  bool // the value must not hold a line break
	length  bool // the length of the body stands here
}

// A draw is what a value of request k depends on.
type draw struct {
	k      int64
	source *rand.PCG
	rand   *rand.Rand // on source
	row    []string
}

type valueFunc func(buf []byte, d *draw) []byte

// The marks that stand for placeholders while a request is put together: made
// of characters that no part of a request escapes.
const (
	mark       = "~scaleproof-"
	markEnd    = "~"
	markLength = mark + "length" + markEnd
)

// hasPlaceholder reports whether a text is a template.
func hasPlaceholder(text string) bool { return strings.Contains(text, "{{") }

// A templateParser turns the placeholders of a request's texts into marks.
type templateParser struct {
	columns []string // of the feeder
	values  []valueFunc
}

// mark replaces the placeholders of text.
func (p *templateParser) mark(text string) (string, error) {
	if strings.Contains(text, mark) {
		return "", fmt.Errorf("%q holds %q, which is reserved", text, mark)
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "{{")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		inner, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return "", fmt.Errorf("the placeholder %q has no }}", "{{"+rest)
		}
		value, err := p.placeholder(strings.Fields(inner))
		if err != nil {
			return "", fmt.Errorf("placeholder {{%s}}: %w", inner, err)
		}
		b.WriteString(mark + strconv.Itoa(len(p.values)) + markEnd)
		p.values = append(p.values, value)
		text = after
	}
}

// placeholder reads what stands between the braces.
func (p *templateParser) placeholder(words []string) (valueFunc, error) {
	if len(words) == 0 {
		return nil, fmt.Errorf("it is empty: write seq, random LOW HIGH, pick WORD ..., uuid or row.COLUMN")
	}
	name, args := words[0], words[1:]
	if column, ok := strings.CutPrefix(name, "row."); ok && len(args) == 0 {
		return p.column(column)
	}
	switch {
	case name == "seq" && len(args) <= 1:
		return sequence(args)
	case name == "random" && len(args) == 2:
		return randomNumber(args[0], args[1])
	case name == "pick" && len(args) > 0:
		return func(buf []byte, d *draw) []byte { return append(buf, args[d.rand.IntN(len(args))]...) }, nil
	case name == "uuid" && len(args) == 0:
		return appendUUID, nil
	}
	return nil, fmt.Errorf("it is none of seq [START], random LOW HIGH, pick WORD ..., uuid and row.COLUMN")
}

func (p *templateParser) column(name string) (valueFunc, error) {
	for i, c := range p.columns {
		if c == name {
			return func(buf []byte, d *draw) []byte { return append(buf, d.row[i]...) }, nil
		}
	}
	if len(p.columns) == 0 {
		return nil, fmt.Errorf("there is no feeder to take a row from")
	}
	return nil, fmt.Errorf("the feeder has no column %q: it has %s", name, strings.Join(p.columns, ", "))
}

func sequence(args []string) (valueFunc, error) {
	var start int64
	if len(args) == 1 {
		var err error
		if start, err = strconv.ParseInt(args[0], 10, 64); err != nil {
			return nil, fmt.Errorf("%q is not a whole number", args[0])
		}
	}
	return func(buf []byte, d *draw) []byte { return strconv.AppendInt(buf, start+d.k, 10) }, nil
}

func randomNumber(low, high string) (valueFunc, error) {
	from, err := strconv.ParseInt(low, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", low)
	}
	to, err := strconv.ParseInt(high, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", high)
	}
	width := to - from
	if to < from || width < 0 || width+1 <= 0 {
		return nil, fmt.Errorf("%d to %d is not a range", from, to)
	}
	return func(buf []byte, d *draw) []byte { return strconv.AppendInt(buf, from+d.rand.Int64N(width+1), 10) }, nil
}

// appendUUID appends a UUID of version 4 (RFC 9562, section 5.4).
func appendUUID(buf []byte, d *draw) []byte {
	high, low := d.rand.Uint64(), d.rand.Uint64()
	high = high&^0xf000 | 0x4000
	low = low&^(3<<62) | 2<<62
	return fmt.Appendf(buf, "%08x-%04x-%04x-%04x-%012x", high>>32, high>>16&0xffff, high&0xffff, low>>48, low&(1<<48-1))
}

// compile cuts a request, whose placeholders are marks, into segments. Its
// body is the last bodySize bytes.
func (p *templateParser) compile(wire string, bodySize int) *template {
	requestLine := strings.Index(wire, "\r\n")
	body := len(wire) - bodySize
	t := &template{bodyAt: -1}
	for at := 0; at < len(wire); {
		if at >= body && t.bodyAt < 0 {
			t.bodyAt = len(t.segments)
		}
		end := strings.Index(wire[at:], mark)
		if end < 0 {
			end = len(wire) - at
		}
		if at < body {
			end = min(end, body-at)
		}
		if end > 0 {
			t.segments = append(t.segments, segment{literal: wire[at : at+end]})
			at += end
			continue
		}
		name, _, _ := strings.Cut(wire[at+len(mark):], markEnd)
		s := segment{inURL: at < requestLine, inHead: at < body, length: name == "length"}
		if n, err := strconv.Atoi(name); err == nil {
			s.value = p.values[n]
		}
		t.segments = append(t.segments, s)
		at += len(mark) + len(name) + len(markEnd)
	}
	if t.bodyAt < 0 {
		t.bodyAt = len(t.segments)
	}
	return t
}

// append appends the request of a draw to buf. The body comes first, since the
// head tells its length, and once more behind the head; the request is what
// stands behind the first.
func (t *template) append(buf []byte, d *draw) ([]byte, error) {
	start := len(buf)
	var err error
	for i := t.bodyAt; i < len(t.segments); i++ {
		if buf, err = t.segments[i].append(buf, d, 0); err != nil {
			return nil, err
		}
	}
	size := len(buf) - start
	for i := range t.bodyAt {
		if buf, err = t.segments[i].append(buf, d, size); err != nil {
			return nil, err
		}
	}
	buf = append(buf, buf[start:start+size]...)
	return buf[start+size:], nil
}

func (s *segment) append(buf []byte, d *draw, bodySize int) ([]byte, error) {
	switch {
	case s.length:
		return strconv.AppendInt(buf, int64(bodySize), 10), nil
	case s.value == nil:
		return append(buf, s.literal...), nil
	}
	start := len(buf)
	buf = s.value(buf, d)
	if s.inURL {
		return escapeFrom(buf, start), nil
	}
	if s.inHead {
		for _, b := range buf[start:] {
			if b == '\r' || b == '\n' {
				return nil, fmt.Errorf("a header's value holds a line break")
			}
		}
	}
	return buf, nil
}

// escapeFrom percent-encodes all but the unreserved characters (RFC 3986,
// section 2.3) of buf from start on.
func escapeFrom(buf []byte, start int) []byte {
	const hex = "0123456789ABCDEF"
	raw := buf[start:]
	clean := true
	for _, b := range raw {
		clean = clean && unreserved(b)
	}
	if clean {
		return buf
	}
	text := string(raw)
	buf = buf[:start]
	for i := range len(text) {
		if b := text[i]; unreserved(b) {
			buf = append(buf, b)
		} else {
			buf = append(buf, '%', hex[b>>4], hex[b&15])
		}
	}
	return buf
}

func unreserved(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '.' || b == '_' || b == '~'
}
