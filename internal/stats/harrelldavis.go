package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// HarrellDavis returns the estimate of a quantile, 0 to 1, that weighs all order
// statistics by how likely each is that quantile, a beta distribution (Harrell and
// Davis 1982): it varies less from sample to sample than the order statistic at q.
// It is in seconds, the middle of bins; NaN where there are no records.
func (h *Histogram) HarrellDavis(q float64) float64 {
	if h.total == 0 {
		return math.NaN()
	}
	n := float64(h.total)
	a, b := (n+1)*q, (n+1)*(1-q)
	switch {
	case a <= 0:
		return h.Min()
	case b <= 0:
		return h.Max()
	}
	estimate, seen, below := 0.0, int64(0), 0.0
	for _, bin := range h.Bins() {
		seen += bin.Count
		upTo := mathext.RegIncBeta(a, b, float64(seen)/n)
		estimate += (upTo - below) * (bin.Low + bin.High) / 2
		below = upTo
	}
	return estimate
}
