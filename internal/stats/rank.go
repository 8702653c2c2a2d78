package stats

import (
	"math"
	"slices"
)

// exactLimit is the number of values, of both samples together, up to which the
// distribution of the rank sum is counted out. Above it the normal approximation
// is good to three digits.
const exactLimit = 120

// MannWhitney returns the U statistic of xs (the number of pairs in which x is
// larger, ties counting half) and the exact two-sided p-value: the probability,
// over all ways to share the values out between samples of these sizes, of a
// rank sum at least as far from its mean. Ties are exact too. It returns NaN
// where a sample is empty.
func MannWhitney(xs, ys []float64) (u, p float64) {
	n, m := len(xs), len(ys)
	if n == 0 || m == 0 {
		return math.NaN(), math.NaN()
	}
	ranks := doubledRanks(xs, ys)
	sum := 0
	for _, r := range ranks[:n] {
		sum += r
	}
	u = float64(sum)/2 - float64(n*(n+1))/2
	if n+m > exactLimit {
		return u, normalRankP(ranks, n, sum)
	}
	mean := n * (n + m + 1) // of the doubled rank sum
	far := abs(sum - mean)
	extreme, all := 0.0, 0.0
	for s, count := range rankSumCounts(ranks, n) {
		all += count
		if abs(s-mean) >= far {
			extreme += count
		}
	}
	return u, extreme / all
}

// doubledRanks returns twice the midrank of each value in xs, then in ys, so
// that midranks are whole numbers.
func doubledRanks(xs, ys []float64) []int {
	values := slices.Concat(xs, ys)
	order := make([]int, len(values))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	ranks := make([]int, len(values))
	for first := 0; first < len(order); {
		last := first
		for last+1 < len(order) && values[order[last+1]] == values[order[first]] {
			last++
		}
		for _, i := range order[first : last+1] {
			ranks[i] = first + last + 2
		}
		first = last + 1
	}
	return ranks
}

// rankSumCounts returns how many of the subsets of n ranks have each sum.
func rankSumCounts(ranks []int, n int) []float64 {
	ranks = slices.Sorted(slices.Values(ranks))
	lowest := make([]int, len(ranks)+1) // the sum of the k lowest
	for i, r := range ranks {
		lowest[i+1] = lowest[i] + r
	}
	counts := make([][]float64, n+1)
	for k := range counts {
		counts[k] = make([]float64, lowest[len(ranks)]+1)
	}
	counts[0][0] = 1
	for i, r := range ranks {
		// Subsets that the ranks to come can't fill up to n need no counting, nor do
		// sums that k of the ranks up to here can't have.
		for k := min(n, i+1); k >= max(1, n-(len(ranks)-1-i)); k-- {
			from, to := lowest[k-1]+r, lowest[i+1]-lowest[i+1-k]
			without := counts[k-1][from-r : to-r+1]
			for s, count := range without {
				counts[k][from+s] += count
			}
		}
	}
	return counts[n]
}

// normalRankP is the normal approximation, with the correction for ties.
func normalRankP(ranks []int, n, sum int) float64 {
	total := len(ranks)
	m := total - n
	tied := 0.0
	groups := map[int]int{}
	for _, r := range ranks {
		groups[r]++
	}
	for _, t := range groups {
		tied += math.Pow(float64(t), 3) - float64(t)
	}
	variance := float64(n*m) / 12 * (float64(total+1) - tied/float64(total*(total-1)))
	if variance == 0 {
		return 1
	}
	z := max(math.Abs(float64(sum)/2-float64(n*(total+1))/2)-0.5, 0) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

// Shift returns the Hodges-Lehmann estimate of how much larger ys are than xs
// (the median of all differences y - x) with the interval that inverts the exact
// rank-sum test. Its confidence is at least the one asked for where the samples
// are large enough, and else that of the whole range of differences: with 3
// against 3 values 90 %. It has NaN where a sample is empty. (Hodges and Lehmann
// 1963; the interval as in Hollander and Wolfe, 4.3.)
func Shift(xs, ys []float64, confidence float64) Interval {
	n, m := len(xs), len(ys)
	if n == 0 || m == 0 {
		nan := math.NaN()
		return Interval{nan, nan, nan, 0}
	}
	differences := make([]float64, 0, n*m)
	for _, y := range ys {
		for _, x := range xs {
			differences = append(differences, y-x)
		}
	}
	slices.Sort(differences)
	outside, achieved := pairsOutside(n, m, confidence)
	return Interval{Median(differences), differences[outside], differences[len(differences)-1-outside], achieved}
}

// pairsOutside returns how many of the ordered pairwise differences lie outside
// the interval at each end, and the confidence that this gives. It counts without
// ties, which makes the interval wider than it need be with them, never narrower.
func pairsOutside(n, m int, confidence float64) (outside int, achieved float64) {
	if n+m > exactLimit {
		mean, deviation := float64(n*m)/2, math.Sqrt(float64(n*m*(n+m+1))/12)
		z := math.Sqrt2 * math.Erfinv(confidence)
		return max(int(mean-z*deviation-0.5), 0), confidence
	}
	counts, all := lowUCounts(n, m)
	below := counts[0] / all
	for 1-2*(below+counts[outside+1]/all) >= confidence {
		outside++
		below += counts[outside] / all
	}
	return outside, 1 - 2*below
}

// lowUCounts returns in how many of all orders of n and m values without ties U is 0, 1
// and so on, up to the middle. They are the coefficients of the Gaussian binomial, the product
// over i up to n of (1 - q^(m+i)) / (1 - q^i), since a number of pairs is a partition
// into at most n parts of at most m.
func lowUCounts(n, m int) (counts []float64, all float64) {
	counts, all = make([]float64, n*m/2+2), 1
	counts[0] = 1
	for i := 1; i <= n; i++ {
		all = all * float64(m+i) / float64(i)
		for u := len(counts) - 1; u >= m+i; u-- {
			counts[u] -= counts[u-m-i]
		}
		for u := i; u < len(counts); u++ {
			counts[u] += counts[u-i]
		}
	}
	return counts, all
}

func abs(x int) int { return max(x, -x) }
