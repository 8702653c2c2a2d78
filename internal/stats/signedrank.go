package stats

import (
	"math"
	"slices"
)

// SignedRank returns Wilcoxon's signed-rank statistic of the pairs (xs[i], ys[i]),
// which must be as many on both sides: the sum of the ranks of those differences
// y - x that are positive, among the sizes of all; and its exact two-sided p-value:
// the probability, over all 2^n ways to give the differences their signs, of a sum at
// least as far from its mean. Equal sizes have midranks, and the p-value is exact for
// these. Differences of zero are ranked with the others and then have no sign (Pratt
// 1959): they count neither for nor against, and where all are zero p is 1. Without
// pairs both are NaN. It takes time in the cube of the number of pairs. (Wilcoxon
// 1945; Hollander and Wolfe, 3.1.)
func SignedRank(xs, ys []float64) (w, p float64) {
	if len(xs) == 0 {
		return math.NaN(), math.NaN()
	}
	differences := pairDifferences(xs, ys)
	sizes := make([]float64, len(differences))
	for i, d := range differences {
		sizes[i] = math.Abs(d)
	}
	var signed []int // the doubled ranks of what is not zero
	positive, total := 0, 0
	for i, r := range doubledRanks(sizes, nil) {
		if differences[i] == 0 {
			continue
		}
		signed = append(signed, r)
		total += r
		if differences[i] > 0 {
			positive += r
		}
	}
	far := abs(2*positive - total)
	for sum, probability := range signedSums(signed) {
		if abs(2*sum-total) >= far {
			p += probability
		}
	}
	return float64(positive) / 2, min(p, 1)
}

// PairedShift returns the Hodges-Lehmann estimate of how much larger ys are than xs
// in the pairs (xs[i], ys[i]), which must be as many on both sides: the median of the
// Walsh averages, which are the means of two differences y - x, or of one with itself.
// Its interval inverts the exact signed-rank test. The confidence is at least the one
// asked for where there are enough pairs, and else that of the whole range of
// differences, 1 - 2/2^n: below 6 pairs none has 95 %. It counts without ties, which
// makes the interval wider than it need be with them, never narrower. It has NaN
// without pairs. (Hodges and Lehmann 1963; the interval, of Tukey, as in Hollander and
// Wolfe, 3.3.)
func PairedShift(xs, ys []float64, confidence float64) Interval {
	if len(xs) == 0 {
		nan := math.NaN()
		return Interval{nan, nan, nan, 0}
	}
	differences := pairDifferences(xs, ys)
	averages := make([]float64, 0, len(differences)*(len(differences)+1)/2)
	for i, d := range differences {
		for _, e := range differences[i:] {
			averages = append(averages, d/2+e/2)
		}
	}
	slices.Sort(averages)
	outside, achieved := averagesOutside(len(differences), confidence)
	return Interval{Median(averages), averages[outside], averages[len(averages)-1-outside], achieved}
}

func pairDifferences(xs, ys []float64) []float64 {
	differences := make([]float64, len(xs))
	for i, x := range xs {
		differences[i] = ys[i] - x
	}
	return differences
}

// averagesOutside returns how many of the ordered Walsh averages of n differences lie
// outside the interval at each end, and the confidence that this gives.
func averagesOutside(n int, confidence float64) (outside int, achieved float64) {
	ranks := make([]int, n)
	for i := range ranks {
		ranks[i] = i + 1
	}
	sums := signedSums(ranks)
	below := sums[0]
	for 1-2*(below+sums[outside+1]) >= confidence {
		outside++
		below += sums[outside]
	}
	return outside, 1 - 2*below
}

// signedSums returns the probability of each sum of those of the ranks that are
// positive, where each is with probability 1/2.
func signedSums(ranks []int) []float64 {
	total := 0
	for _, r := range ranks {
		total += r
	}
	sums := make([]float64, total+1)
	sums[0] = 1
	reached := 0
	for _, r := range ranks {
		for s := reached; s >= 0; s-- {
			half := sums[s] / 2
			sums[s] = half
			sums[s+r] += half
		}
		reached += r
	}
	return sums
}
