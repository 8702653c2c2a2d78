package reports

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// WriteLoad writes the result of one load for a terminal: first whether its
// figures can be trusted, then what they are.
func WriteLoad(w io.Writer, r *loadgen.Result, style TerminalStyle) error {
	if style.Width <= 0 {
		style.Width = 100
	}
	t := &terminal{out: bufio.NewWriter(w), style: style}
	t.loadVerdict(r)
	if c := r.Capacity; c != nil {
		t.capacity(c)
	}
	t.loadCounts(r)
	t.loadTimes(r)
	t.loadPlaces(r)
	for _, warning := range r.Warnings {
		t.printf("\n  %s\n", t.paint(yellow, "warning"))
		t.wrapped(plain(warning), 2)
	}
	return t.out.Flush()
}

func (t *terminal) loadVerdict(r *loadgen.Result) {
	color := map[loadgen.Validity]string{loadgen.Valid: green, loadgen.TargetLimited: yellow}[r.Validity]
	if color == "" {
		color = red
	}
	t.printf("  %s\n", t.paint(bold+";"+color, string(r.Validity)))
	t.wrapped(plain(r.ValidityReason), 2)
	t.printf("\n")
}

func (t *terminal) capacity(c *loadgen.Capacity) {
	why := map[string]string{"generator": ", where the generator became the limit: the target may do more", "bound": ", and no rate was tried that failed", "interrupted": " until the search was interrupted: the target may do more"}[c.Limit]
	t.printf("  %s  %s (%s to %s)%s\n\n", t.paint(bold, "capacity"), t.paint(bold, unit.Format(c.Rate, unit.RequestsPerSecond)),
		unit.Format(c.Low, unit.RequestsPerSecond), unit.Format(c.High, unit.RequestsPerSecond), why)
	t.printf("  %12s %12s %10s %10s %9s\n", "offered", "throughput", "p50", "p99", "errors")
	for _, p := range c.Curve {
		outcome := t.paint(green, "held")
		if !p.Held {
			outcome = t.paint(red, "failed") + " " + plain(p.Reason)
		}
		t.printf("  %12s %12s %10s %10s %9s  %s\n", unit.Format(p.Offered, unit.RequestsPerSecond), unit.Format(p.Throughput, unit.RequestsPerSecond),
			unit.Format(p.P50, unit.Seconds), unit.Format(p.P99, unit.Seconds), unit.Format(p.Errors, unit.Ratio), outcome)
	}
	t.printf("\n")
}

func (t *terminal) loadCounts(r *loadgen.Result) {
	offered := "as fast as the connections allow"
	if r.OfferedRate > 0 {
		offered = "of " + unit.Format(r.OfferedRate, unit.RequestsPerSecond) + " offered"
	}
	t.printf("  %-14s %s in %s\n", "requests", unit.Format(float64(r.Requests), unit.Count), unit.Format(r.DurationSeconds, unit.Seconds))
	t.printf("  %-14s %s %s\n", "rate", unit.Format(r.Rate, unit.RequestsPerSecond), offered)
	if len(r.Status) > 0 {
		t.printf("  %-14s %s\n", "status", counts(r.Status))
	}
	failed := r.Requests - r.Successes
	errors := "none"
	if failed > 0 {
		share := unit.Format(float64(failed)/float64(r.Requests), unit.Ratio)
		errors = t.paint(red, fmt.Sprintf("%s (%s): ", unit.Format(float64(failed), unit.Count), share)+counts(r.Errors))
	}
	t.printf("  %-14s %s\n", "errors", errors)
	for _, check := range slices.Sorted(maps.Keys(r.Checks)) {
		if n := r.Checks[check]; n > 0 {
			t.printf("  %-14s %s failed: %s\n", "", unit.Format(float64(n), unit.Count), plain(check))
		}
	}
	if n := r.Unsent + r.Unfinished; n > 0 {
		t.printf("  %-14s %s scheduled and never sent, %s sent and given up\n", "", unit.Format(float64(r.Unsent), unit.Count), unit.Format(float64(r.Unfinished), unit.Count))
	}
	t.printf("  %-14s %s received, %s sent\n\n", "bytes", unit.Format(float64(r.BytesIn), unit.Bytes), unit.Format(float64(r.BytesOut), unit.Bytes))
}

func (t *terminal) loadTimes(r *loadgen.Result) {
	t.quantileHead(quantileLabel)
	if r.Successes > 0 {
		t.quantiles(quantileLabel, "response time", r.ResponseTime)
		t.quantiles(quantileLabel, "service time", r.ServiceTime)
	}
	if r.OfferedRate > 0 {
		t.quantiles(quantileLabel, "lateness", r.Lateness)
	}
}

// quantileLabel is how wide the names of the clocks are.
const quantileLabel = 14

func (t *terminal) quantileHead(width int) {
	t.printf("  %-*s %9s %9s %9s %9s %9s %9s\n", width, "", "p50", "p90", "p95", "p99", "p99.9", "max")
}

func (t *terminal) quantiles(width int, name string, s stats.Summary) {
	t.printf("  %-*s", width, name)
	for _, v := range []float64{s.P50, s.P90, s.P95, s.P99, s.P999, s.Max} {
		t.printf(" %9s", unit.Format(v, unit.Seconds))
	}
	t.printf("\n")
}

func (t *terminal) loadPlaces(r *loadgen.Result) {
	t.printf("\n")
	for _, target := range r.Targets {
		t.loadPart("target", target)
	}
	for _, phase := range r.Phases {
		t.loadPart("phase", phase.TargetResult)
	}
	if len(r.Backends) > 0 {
		t.printf("  %-14s %s\n", "backends", counts(r.Backends))
	}
	t.printf("  %-14s %s, %s connections\n", "engine", r.Engine, unit.Format(float64(r.Connections), unit.Count))
}

// loadPart is a line for what one target or one phase had.
func (t *terminal) loadPart(what string, part loadgen.TargetResult) {
	p99 := ""
	if part.Failures < part.Requests {
		p99 = ", p99 " + unit.Format(part.ResponseTime.P99, unit.Seconds)
	}
	t.printf("  %-14s %s requests, %s failed%s: %s\n", what, unit.Format(float64(part.Requests), unit.Count),
		unit.Format(float64(part.Failures), unit.Count), p99, plain(part.Name))
}

// maxCounts is the most counts of one line.
const maxCounts = 8

// counts lists counts by name, the largest first.
func counts(m map[string]int64) string {
	names := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if m[a] != m[b] {
			return int(min(max(m[b]-m[a], -1), 1))
		}
		return strings.Compare(a, b)
	})
	var parts []string
	for i, name := range names {
		if i == maxCounts && len(names) > maxCounts+1 {
			parts = append(parts, fmt.Sprintf("%d more", len(names)-i))
			break
		}
		parts = append(parts, plain(name)+": "+unit.Format(float64(m[name]), unit.Count))
	}
	return strings.Join(parts, ", ")
}
