package stats

import (
	"math"
	"slices"
)

// exactKendall is the number of points up to which the distribution of Kendall's
// statistic is counted out. Above it the normal approximation is good to three
// digits.
const exactKendall = 40

// TheilSen returns the median of the slopes between all pairs of the points
// (ts[i], ys[i]) with Sen's interval: order statistics of the slopes, whose
// confidence is the smallest that is at least the one asked for, or the whole
// range of slopes where there are too few points for that. Pairs at the same t
// have no slope and are left out; without any pair it has NaN. It takes time and
// memory in the square of the number of points. (Theil 1950, Sen 1968; Hollander
// and Wolfe, 9.3.)
func TheilSen(ts, ys []float64, confidence float64) Interval {
	var slopes []float64
	for i := range ts {
		for j := i + 1; j < len(ts); j++ {
			if ts[i] != ts[j] {
				slopes = append(slopes, (ys[j]-ys[i])/(ts[j]-ts[i]))
			}
		}
	}
	if len(slopes) == 0 {
		nan := math.NaN()
		return Interval{nan, nan, nan, 0}
	}
	slices.Sort(slopes)
	outside, achieved := kendallOutside(len(ts), confidence)
	outside = min(outside, (len(slopes)-1)/2)
	return Interval{Median(slopes), slopes[outside], slopes[len(slopes)-1-outside], achieved}
}

// kendallOutside returns how many of the slopes between n points lie outside the
// interval at each end, and the confidence that this gives. The true slope lies
// below the k-th slope if fewer than k pairs are discordant with it, which has
// the distribution of the inversions of a random permutation. As Sen did, it
// goes one slope further out than that, which is on the safe side and agrees
// with other tools.
func kendallOutside(n int, confidence float64) (outside int, achieved float64) {
	if n > exactKendall {
		pairs := float64(n) * float64(n-1)
		z := math.Sqrt2 * math.Erfinv(confidence)
		sd := math.Sqrt(pairs * float64(2*n+5) / 72)
		return max(0, int(math.Floor(pairs/4-z*sd))-1), confidence
	}
	counts := inversionCounts(n)
	below := counts[0]
	for outside+2 < len(counts)/2 && 1-2*(below+counts[outside+1]+counts[outside+2]) >= confidence {
		outside++
		below += counts[outside]
	}
	return outside, 1 - 2*below
}

// inversionCounts returns the probability of each number of inversions in a
// random permutation of n.
func inversionCounts(n int) []float64 {
	counts := []float64{1}
	for k := 2; k <= n; k++ {
		next := make([]float64, len(counts)+k-1)
		window := 0.0 // the sum of the last k counts: the k-th has 0 to k-1 of its own
		for i := range next {
			if i < len(counts) {
				window += counts[i]
			}
			if i >= k {
				window -= counts[i-k]
			}
			next[i] = window / float64(k)
		}
		counts = next
	}
	return counts
}
