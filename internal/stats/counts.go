package stats

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Fisher returns the two-sided p-value of Fisher's exact test that events occur
// equally often in two samples: a of n against b of m. All tables with the same
// margins that are no more probable than this one count.
func Fisher(a, n, b, m int64) float64 {
	if n == 0 || m == 0 {
		return math.NaN()
	}
	events := a + b
	lowest, highest := max(0, events-m), min(events, n)
	observed := logHypergeometric(a, n, events, n+m)
	sum := 0.0
	for k := lowest; k <= highest; k++ {
		// Tables that are equal but for rounding count as equal.
		if p := logHypergeometric(k, n, events, n+m); p <= observed+1e-7 {
			sum += math.Exp(p)
		}
	}
	return min(sum, 1)
}

// logHypergeometric is the logarithm of the probability of k of the events among
// n of all.
func logHypergeometric(k, n, events, all int64) float64 {
	return logChoose(events, k) + logChoose(all-events, n-k) - logChoose(all, n)
}

func logChoose(n, k int64) float64 {
	if k < 0 || k > n {
		return math.Inf(-1)
	}
	lgamma := func(x int64) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	return lgamma(n) - lgamma(k) - lgamma(n-k)
}

// Rate returns the part of n that were events with its exact interval (Clopper and
// Pearson 1934). It has NaN where n is 0.
func Rate(events, n int64, confidence float64) Interval {
	if n == 0 {
		nan := math.NaN()
		return Interval{nan, nan, nan, 0}
	}
	tail := (1 - confidence) / 2
	low, high := 0.0, 1.0
	if events > 0 {
		low = distuv.Beta{Alpha: float64(events), Beta: float64(n-events) + 1}.Quantile(tail)
	}
	if events < n {
		high = distuv.Beta{Alpha: float64(events) + 1, Beta: float64(n - events)}.Quantile(1 - tail)
	}
	return Interval{float64(events) / float64(n), low, high, confidence}
}

// RateRatio returns how many times as often events occur in the second sample (b
// of m) as in the first (a of n), with the exact conditional interval: given how
// many there were in all, those of the second are binomial (Clopper and Pearson
// 1934). Without any event it has NaN; without one in the first, High is
// infinite.
func RateRatio(a, n, b, m int64, confidence float64) Interval {
	if n == 0 || m == 0 || a+b == 0 {
		nan := math.NaN()
		return Interval{nan, nan, nan, 0}
	}
	exposure := float64(n) / float64(m)
	ratio := func(share float64) float64 { return share / (1 - share) * exposure }
	tail := (1 - confidence) / 2
	low, high := 0.0, 1.0
	if b > 0 {
		low = distuv.Beta{Alpha: float64(b), Beta: float64(a) + 1}.Quantile(tail)
	}
	if a > 0 {
		high = distuv.Beta{Alpha: float64(b) + 1, Beta: float64(a)}.Quantile(1 - tail)
	}
	return Interval{ratio(float64(b) / float64(a+b)), ratio(low), ratio(high), confidence}
}
