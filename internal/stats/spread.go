package stats

import "math"

// Spread compares how much two samples vary, whatever their level: before and
// after are their standard deviations, and p is that of the exact rank-sum test
// on the distances of the values from the median of their sample (Brown and
// Forsythe 1974, with ranks). A rank-sum test on the values themselves sees no
// change of variance. p is NaN with fewer than two values on a side.
func Spread(xs, ys []float64) (before, after, p float64) {
	before, after = StandardDeviation(xs), StandardDeviation(ys)
	if len(xs) < 2 || len(ys) < 2 {
		return before, after, math.NaN()
	}
	_, p = MannWhitney(distances(xs), distances(ys))
	return before, after, p
}

// distances returns how far each value is from the median.
func distances(xs []float64) []float64 {
	center := Median(xs)
	out := make([]float64, len(xs))
	for i, x := range xs {
		out[i] = math.Abs(x - center)
	}
	return out
}
