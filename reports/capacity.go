package reports

import (
	"fmt"
	"io"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/unit"
)

// WriteProjections writes how series go on, for a terminal: first what is reached
// first.
func WriteProjections(w io.Writer, projections []*capacity.Projection, style TerminalStyle) error {
	t := newTerminal(w, style)
	if first := firstLimit(projections); first != nil {
		t.printf("  %s %s: %s\n", t.paint(bold, "first"), plain(first.Series), t.paint(yellow, first.Limit.String()))
	}
	for _, p := range projections {
		t.projection(p)
	}
	return t.out.Flush()
}

// firstLimit returns the projection whose limit is reached first, by the median
// and then by the early date; nil where none is within reach.
func firstLimit(projections []*capacity.Projection) *capacity.Projection {
	var first *capacity.Projection
	for _, p := range projections {
		if p.Limit == nil || p.Limit.P10 == nil && p.Limit.Status != capacity.Exceeded {
			continue
		}
		if first == nil || urgency(p.Limit).Before(urgency(first.Limit)) {
			first = p
		}
	}
	return first
}

// urgency is the date by which a limit is ordered.
func urgency(p *capacity.Passage) time.Time {
	switch {
	case p.Status == capacity.Exceeded:
		return time.Time{}
	case p.P50 != nil:
		return *p.P50
	}
	return p.Horizon.Add(p.P10.Sub(p.Horizon) / 2) // after all that is expected before the horizon's half
}

func (t *terminal) projection(p *capacity.Projection) {
	t.heading(plain(p.Series))
	if p.Scenario != "" {
		t.printf("  scenario %s\n", plain(p.Scenario))
	}
	if p.Status == capacity.InsufficientHistory {
		t.printf("  %s\n", unknownText(&Undated{Projection: p}))
		t.notes(p.Warnings)
		return
	}
	t.printf("  now %s, growing by %s a day (%s to %s)\n", unit.Format(p.Last, p.Unit), unit.Format(p.Growth.Value, p.Unit), unit.Format(p.Growth.Low, p.Unit), unit.Format(p.Growth.High, p.Unit))
	if n := len(p.Steps); n > 0 {
		last := p.Steps[n-1]
		t.printf("  on %s %s (%s to %s in four of five futures)\n", last.Time.Format(time.DateOnly), unit.Format(last.Median, p.Unit), unit.Format(last.Low80, p.Unit), unit.Format(last.High80, p.Unit))
	}
	if p.Limit != nil {
		t.printf("  %s at %s: %s\n", t.paint(bold, "limit"), unit.Format(p.Limit.Limit, p.Unit), p.Limit)
		if p.Limit.Reason != "" {
			t.wrapped(plain(p.Limit.Reason), 4)
		}
	}
	t.printf("  %s from %d points by %s, %s confidence%s\n", t.paint(dim, "projected"), p.Points, plain(p.Method), p.Confidence, backtestText(p.Backtest))
	t.notes(p.Warnings)
}

func backtestText(b *capacity.Backtest) string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("; in the backtest %s of what came lay in the 80 %% interval, MASE %.2f", unit.Format(b.Coverage80, unit.Ratio), b.MASE)
}

// WriteUSL writes a scalability law for a terminal. at are concurrencies to
// predict.
func WriteUSL(w io.Writer, u *capacity.USL, at []float64, style TerminalStyle) error {
	t := newTerminal(w, style)
	coefficient := func(name string, c capacity.Coefficient, meaning string) {
		t.printf("  %-6s %12.6g  (%.6g to %.6g at 95 %%)  %s\n", name, c.Value, c.Low, c.High, t.paint(dim, meaning))
	}
	coefficient("alpha", u.Alpha, "contention: what can't be done in parallel")
	coefficient("beta", u.Beta, "coherence: what keeping in agreement costs")
	coefficient("gamma", u.Gamma, "throughput of one")
	t.printf("\n")
	switch {
	case u.Peak != nil:
		t.printf("  throughput is highest at %s (%s to %s): %s\n", unit.Format(u.Peak.Value, unit.Count), unit.Format(u.Peak.Low, unit.Count), unit.Format(u.Peak.High, unit.Count), unit.Format(u.PeakThroughput, unit.Count))
	case u.Alpha.Value > 1:
		t.printf("  throughput falls from one on: more of them bring less\n")
	case u.Limit > 0:
		t.printf("  throughput has no peak, and approaches %s\n", unit.Format(u.Limit, unit.Count))
	default:
		t.printf("  throughput grows linearly as far as was measured\n")
	}
	if u.Knee > 1 && (u.Peak == nil || u.Knee < u.Peak.Value) { // beyond the peak more brings less
		t.printf("  the knee is at %s: beyond it more brings little\n", unit.Format(u.Knee, unit.Count))
	}
	for _, n := range at {
		p := u.Predict(n)
		t.printf("  at %s %s (%s to %s)\n", unit.Format(n, unit.Count), unit.Format(p.Value, unit.Count), unit.Format(p.Low, unit.Count), unit.Format(p.High, unit.Count))
	}
	for _, m := range u.More() {
		t.printf("  from %s to %s: %s times the throughput, %s of what in proportion it would be\n", unit.Format(m.From, unit.Count), unit.Format(m.To, unit.Count), unit.Format(m.Gain, unit.Count), unit.Format(m.Efficiency, unit.Ratio))
	}
	t.printf("  fitted to %d points, R² %.4f\n", u.Points, u.RSquared)
	t.notes(u.Warnings)
	return t.out.Flush()
}
