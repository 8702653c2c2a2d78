package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// BlockLength returns the mean length of the blocks by which a stationary
// bootstrap should resample a series, at least 1: long enough to keep its
// autocorrelation (Politis and White 2004, as corrected by Patton, Politis and
// White 2009).
func BlockLength(xs []float64) float64 {
	n := float64(len(xs))
	if n < 4 || slices.Min(xs) == slices.Max(xs) {
		return 1
	}
	r := autocovariances(xs)
	bandwidth := 2 * significantLags(r, n)
	g, spectrum := 0.0, r[0]
	for k := 1; k < len(r) && k <= bandwidth; k++ {
		weight := min(1, 2*(1-float64(k)/float64(bandwidth))) // a flat top
		g += 2 * weight * float64(k) * r[k]
		spectrum += 2 * weight * r[k]
	}
	if spectrum == 0 {
		return 1
	}
	length := math.Cbrt(g*g/(spectrum*spectrum)) * math.Cbrt(n)
	return min(max(length, 1), math.Ceil(min(3*math.Sqrt(n), n/3)))
}

// autocovariances returns those of the lags that can matter.
func autocovariances(xs []float64) []float64 {
	n := len(xs)
	mean := 0.0
	for _, x := range xs {
		mean += x / float64(n)
	}
	r := make([]float64, min(n, 2*int(math.Ceil(math.Sqrt(float64(n))))+12))
	for k := range r {
		for i := k; i < n; i++ {
			r[k] += (xs[i] - mean) * (xs[i-k] - mean) / float64(n)
		}
	}
	return r
}

// significantLags returns the lag after which the next few autocorrelations are no
// larger than chance makes them.
func significantLags(r []float64, n float64) int {
	quiet := max(5, int(math.Ceil(math.Sqrt(math.Log10(n)))))
	limit := 2 * math.Sqrt(math.Log10(n)/n)
	most := int(math.Ceil(math.Sqrt(n)))
	for lag := 0; lag < most; lag++ {
		if !slices.ContainsFunc(r[min(lag+1, len(r)):min(lag+1+quiet, len(r))], func(x float64) bool { return math.Abs(x/r[0]) > limit }) {
			return max(lag, 1)
		}
	}
	return most
}

// resamples is how often a series is drawn anew.
const resamples = 499

// MeanOfSeries returns the mean of a series with its percentile interval by the
// stationary bootstrap (Politis and Romano 1994), which keeps the autocorrelation
// that one second has with the next. seed makes it reproducible. It describes one
// run: another one differs by more. It has NaN for no values.
func MeanOfSeries(xs []float64, confidence float64, seed uint64) Interval {
	n := len(xs)
	if n == 0 {
		nan := math.NaN()
		return Interval{nan, nan, nan, 0}
	}
	center := mean(xs)
	// before[i] is how much the i values before are above the mean, around the end of
	// the series too, so that a block is a difference.
	before := make([]float64, 2*n+1)
	for i := range 2 * n {
		before[i+1] = before[i] + xs[i%n] - center
	}
	length := BlockLength(xs)
	random := rand.New(rand.NewPCG(seed, 2))
	means := make([]float64, resamples)
	for i := range means {
		above := 0.0
		for left := n; left > 0; {
			at, block := random.IntN(n), min(geometric(random, length), left)
			above += before[at+block] - before[at]
			left -= block
		}
		means[i] = center + above/float64(n)
	}
	slices.Sort(means)
	tail := (1 - confidence) / 2
	return Interval{center, means[int(tail*resamples)], means[resamples-1-int(tail*resamples)], confidence}
}

// geometric draws a whole number of at least 1 from the geometric distribution of a
// mean of at least 1.
func geometric(random *rand.Rand, mean float64) int {
	if mean <= 1 {
		return 1
	}
	draw := math.Log(1-random.Float64()) / math.Log1p(-1/mean)
	return 1 + int(min(draw, math.MaxInt32))
}
