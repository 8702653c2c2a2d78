package stats

import (
	"math"
	"slices"
)

// Median returns the middle of the values, NaN for none. It does not change xs.
func Median(xs []float64) float64 {
	sorted := slices.Sorted(slices.Values(xs))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// An Interval is an estimate with its bounds. Confidence is the probability that
// an interval made in this way holds the true value: what was achieved, which
// with few values is not what was asked for.
type Interval struct {
	Value, Low, High float64
	Confidence       float64
}

// MedianInterval returns the median with the interval of order statistics whose
// confidence is the smallest that is at least the one asked for, or the whole
// range where there are too few values for that: below 6 values none has 95 %.
// (Conover, Practical Nonparametric Statistics, 3.2.) It has NaN for no values.
func MedianInterval(xs []float64, confidence float64) Interval {
	sorted := slices.Sorted(slices.Values(xs))
	n := len(sorted)
	if n == 0 {
		nan := math.NaN()
		return Interval{nan, nan, nan, 0}
	}
	// P(k of n values are below the median), Binomial(n, 1/2): by logarithms, since of
	// a thousand values the first ones are less than a number can be.
	probability := func(k int) float64 { return math.Exp(logChoose(int64(n), int64(k)) - float64(n)*math.Ln2) }
	below, k := probability(0), 0
	for k+1 < (n+1)/2 {
		next := below + probability(k+1)
		if 1-2*next < confidence {
			break
		}
		below = next
		k++
	}
	return Interval{Median(sorted), sorted[k], sorted[n-1-k], 1 - 2*below}
}
