package loadgen

import (
	"fmt"
	"math"
	"slices"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// The signs of a run that was not in a steady state.
const (
	steadySeconds = 15   // fewer can't tell
	steadyChange  = 0.2  // a smaller change matters to no one
	steadyP       = 0.01 // of the test
)

// unsteady compares the first third of a run with the last, second by second:
// where the median response time or the throughput of one is beyond the other's
// by more than chance and by more than a fifth, the run had not warmed up, or
// the target was degrading. It says so, or "".
func unsteady(series []Second) string {
	if len(series) < steadySeconds {
		return ""
	}
	third := len(series) / 3
	first, last := series[:third], series[len(series)-third:]
	for _, m := range []struct {
		name  string
		unit  unit.Base
		value func(Second) float64
	}{
		{"the median response time", unit.Seconds, func(s Second) float64 { return s.P50 }},
		{"the throughput", unit.RequestsPerSecond, func(s Second) float64 { return float64(s.Requests-s.Errors) / s.Length }},
	} {
		a, b := values(first, m.value), values(last, m.value)
		before, after := stats.Median(a), stats.Median(b)
		if before <= 0 || after <= 0 || math.Abs(math.Log(after/before)) < math.Log1p(steadyChange) {
			continue
		}
		if _, p := stats.MannWhitney(a, b); p < steadyP {
			return fmt.Sprintf("not steady: %s went from %s in the first third of the run to %s in the last: warm up longer, or find what degrades", m.name, unit.Format(before, m.unit), unit.Format(after, m.unit))
		}
	}
	return ""
}

func values(series []Second, value func(Second) float64) []float64 {
	out := make([]float64, len(series))
	for i, s := range series {
		out[i] = value(s)
	}
	slices.Sort(out)
	return out
}
