// Package live shows a load while it runs: in place on a terminal, as plain
// lines elsewhere.
package live

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// plainEvery is the time between lines where the output is no terminal.
const plainEvery = 5

// sparkWidth is how many seconds the sparkline shows.
const sparkWidth = 60

// A View shows the seconds of a load. Its methods belong to one goroutine.
type View struct {
	out      io.Writer
	terminal bool
	width    int           // columns of the terminal
	length   time.Duration // of the whole run, the warm-up left out; 0: no end
	offered  string        // what is asked for, in words
	lines    int           // of the frame on the terminal
	rates    []float64     // of the last seconds
	requests int64
	errors   int64
	worst    float64 // p99 since the last line
	since    int     // seconds since the last line
	frame    strings.Builder
}

// New returns a view of a load. width is the terminal's, 0 where out is none.
func New(out io.Writer, width int, length time.Duration, offered string) *View {
	return &View{out: out, terminal: width > 0, width: width, length: length, offered: offered}
}

// Second shows one more second.
func (v *View) Second(s loadgen.Second) {
	rate := 0.0
	if s.Length > 0 {
		rate = float64(s.Requests) / s.Length
	}
	if v.rates = append(v.rates, rate); len(v.rates) > sparkWidth {
		v.rates = v.rates[1:]
	}
	if s.Offset >= 0 {
		v.requests += s.Requests
		v.errors += s.Errors
	}
	v.worst = max(v.worst, s.P99)
	if v.since++; v.terminal {
		v.draw(s, rate)
	} else if v.since >= plainEvery {
		fmt.Fprintln(v.out, v.line(s, rate))
		v.since, v.worst = 0, 0
	}
}

// Note ends a part of a load, such as a probe, by a line that stays. What follows is
// counted anew.
func (v *View) Note(text string) {
	v.Clear()
	fmt.Fprintln(v.out, text)
	v.requests, v.errors, v.worst, v.since = 0, 0, 0, 0
}

// Clear removes the frame from the terminal.
func (v *View) Clear() {
	if v.lines > 0 {
		fmt.Fprintf(v.out, "\x1b[%dA\x1b[J", v.lines)
		v.lines = 0
	}
}

// at says how far the run is.
func (v *View) at(s loadgen.Second) string {
	done := s.Offset + s.Length
	switch {
	case s.Offset < 0:
		return "warm-up"
	case v.length > 0:
		return fmt.Sprintf("%.0f of %.0f s", done, v.length.Seconds())
	}
	return fmt.Sprintf("%.0f s", done)
}

func (v *View) line(s loadgen.Second, rate float64) string {
	return fmt.Sprintf("%s: %s %s, p50 %s, p99 %s, %s", v.at(s), unit.Format(math.Round(rate), unit.RequestsPerSecond), v.offered,
		unit.Format(s.P50, unit.Seconds), unit.Format(v.worst, unit.Seconds), v.errorText())
}

func (v *View) errorText() string {
	if v.errors == 0 {
		return "no errors"
	}
	return fmt.Sprintf("%s errors (%s)", unit.Format(float64(v.errors), unit.Count), unit.Format(float64(v.errors)/float64(max(v.requests, 1)), unit.Ratio))
}

// draw writes a frame over the last one, in one call.
func (v *View) draw(s loadgen.Second, rate float64) {
	v.frame.Reset()
	if v.lines > 0 {
		fmt.Fprintf(&v.frame, "\x1b[%dA", v.lines)
	}
	v.row(v.bar(s) + " " + v.at(s))
	v.row(fmt.Sprintf("%s %s   p50 %s   p99 %s   max %s   %s", unit.Format(math.Round(rate), unit.RequestsPerSecond), v.offered,
		unit.Format(s.P50, unit.Seconds), unit.Format(s.P99, unit.Seconds), unit.Format(s.Max, unit.Seconds), v.errorText()))
	v.row(Sparkline(v.rates))
	v.lines = 3
	_, _ = io.WriteString(v.out, v.frame.String()) // a terminal that is gone must not end the load
}

// row adds a line to the frame, cut to the terminal's width so that no line
// wraps, and clears what is left of the old one.
func (v *View) row(text string) {
	if utf8.RuneCountInString(text) >= v.width {
		text = string([]rune(text)[:max(v.width-1, 0)])
	}
	v.frame.WriteString(text)
	v.frame.WriteString("\x1b[K\n")
}

// bar shows the share of the run that is over.
func (v *View) bar(s loadgen.Second) string {
	const width = 30
	done := 0
	if v.length > 0 && s.Offset >= 0 {
		done = int(min((s.Offset+s.Length)/v.length.Seconds(), 1) * width)
	}
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", width-done) + "]"
}

// Sparkline draws values from 0 as blocks of eight heights. What is not a
// number is drawn as 0.
func Sparkline(values []float64) string {
	blocks := []rune("▁▂▃▄▅▆▇█")
	highest := 0.0
	for _, v := range values {
		if v > highest && !math.IsInf(v, 1) {
			highest = v
		}
	}
	var b strings.Builder
	for _, v := range values {
		i := 0
		if v > 0 && highest > 0 {
			i = min(int(v/highest*float64(len(blocks))), len(blocks)-1)
		}
		b.WriteRune(blocks[i])
	}
	return b.String()
}
