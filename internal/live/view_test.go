package live

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"scaleproof/loadgen"
)

func second(i int) loadgen.Second {
	return loadgen.Second{Offset: float64(i), Length: 1, Requests: int64(1000 + 10*i), P50: .0012, P99: .0034, Max: .01}
}

// screen plays the output of a view on a terminal of endless height.
func screen(t *testing.T, output string) []string {
	t.Helper()
	var lines []string
	row := 0
	for output != "" {
		if up, ok := strings.CutPrefix(output, "\x1b[3A"); ok {
			row -= 3
			output = up
			continue
		}
		if rest, ok := strings.CutPrefix(output, "\x1b[J"); ok {
			lines = lines[:row]
			output = rest
			continue
		}
		line, rest, ok := strings.Cut(output, "\n")
		if !ok || row < 0 {
			t.Fatalf("%q ends within a line, or above the first", output)
		}
		line = strings.TrimSuffix(line, "\x1b[K")
		if row == len(lines) {
			lines = append(lines, "")
		}
		lines[row] = line
		row++
		output = rest
	}
	return lines
}

func TestATerminalShowsTheLastSecondInPlace(t *testing.T) {
	var b bytes.Buffer
	v := New(&b, 80, 10*time.Second, "of 1,000/s")
	v.Second(loadgen.Second{Offset: -1, Length: 1})
	for i := range 5 {
		v.Second(second(i))
	}
	got := screen(t, b.String())
	want := []string{
		"[===============               ] 5 of 10 s",
		"1,040/s of 1,000/s   p50 1.20 ms   p99 3.40 ms   max 10 ms   no errors",
		Sparkline([]float64{0, 1000, 1010, 1020, 1030, 1040}),
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the screen shows\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	v.Note("done")
	if got := screen(t, b.String()); len(got) != 1 || got[0] != "done" {
		t.Errorf("after a note the screen shows %q", got)
	}
}

func TestNoLineWraps(t *testing.T) {
	for width := 1; width < 120; width++ {
		var b bytes.Buffer
		v := New(&b, width, 0, "of 1,000/s")
		s := second(3)
		s.Errors = 7
		for range 100 {
			v.Second(s)
		}
		for _, line := range screen(t, b.String()) {
			if n := utf8.RuneCountInString(line); n >= width {
				t.Fatalf("%d columns on a terminal of %d: %q", n, width, line)
			}
		}
	}
}

func TestElsewhereThereArePlainLines(t *testing.T) {
	var b bytes.Buffer
	v := New(&b, 0, 20*time.Second, "of 1,000/s")
	for i := range 12 {
		s := second(i)
		if i == 3 {
			s.P99, s.Errors = .5, 5
		}
		v.Second(s)
	}
	want := "5 of 20 s: 1,040/s of 1,000/s, p50 1.20 ms, p99 500 ms, 5 errors (0.0980 %)\n10 of 20 s: 1,090/s of 1,000/s, p50 1.20 ms, p99 3.40 ms, 5 errors (0.0478 %)\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestSparkline(t *testing.T) {
	if got := Sparkline([]float64{0, 1, 4, 8, math.NaN(), math.Inf(-1)}); got != "▁▂▅█▁▁" {
		t.Error(got)
	}
	if got := Sparkline(nil); got != "" {
		t.Errorf("%q", got)
	}
}

type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, errors.New("the terminal is gone") }

func TestATerminalThatIsGoneEndsNothing(*testing.T) {
	v := New(gone{}, 80, time.Second, "")
	v.Second(second(0))
}

// A frame must cost no more than 100 µs of the load's time.
func BenchmarkFrame(b *testing.B) {
	v := New(io.Discard, 100, time.Hour, "of 1,000/s")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v.Second(second(i % 3600))
	}
}

// Errors of one probe are not those of the next.
func TestANoteBeginsAnew(t *testing.T) {
	var b bytes.Buffer
	v := New(&b, 80, 0, "")
	v.Second(loadgen.Second{Length: 1, Requests: 10, Errors: 5})
	v.Note("failed")
	b.Reset()
	v.Second(loadgen.Second{Length: 1, Requests: 10})
	if got := b.String(); !strings.Contains(got, "no errors") {
		t.Errorf("%q", got)
	}
}
