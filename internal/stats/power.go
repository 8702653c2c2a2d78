package stats

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// power is the probability with which a change of the detectable size is found.
const power = 0.8

// rankEfficiency is that of the rank-sum test beside the t test on normal values
// (Lehmann 1975): it needs so many more.
const rankEfficiency = 3 / math.Pi

// Detectable returns the smallest change of a mean that a two-sided rank-sum test
// at significance alpha finds with a probability of 80 %, with n values a side
// whose standard deviation is sd. It is infinite where n is below two. On
// logarithms the change is that of a ratio: exp(d) - 1.
func Detectable(sd float64, n int, alpha float64) float64 {
	if n < 2 {
		return math.Inf(1)
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(2*n - 2)}
	return (t.Quantile(1-alpha/2) + t.Quantile(power)) * sd * math.Sqrt(2/(rankEfficiency*float64(n)))
}

// TrialsNeeded returns how many values a side are needed to find a change of a
// mean as Detectable has it, limit at most; 0 where limit is not enough.
func TrialsNeeded(sd, change, alpha float64, limit int) int {
	const least = 4 // with fewer no exact rank test finds anything at 5 %
	more := sort.Search(max(limit-least+1, 0), func(i int) bool { return Detectable(sd, least+i, alpha) <= change })
	if least+more > limit {
		return 0
	}
	return least + more
}

// StandardDeviation returns the sample standard deviation; NaN for fewer than
// two values.
func StandardDeviation(xs []float64) float64 {
	if len(xs) < 2 {
		return math.NaN()
	}
	mean := 0.0
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	sum := 0.0
	for _, x := range xs {
		sum += (x - mean) * (x - mean)
	}
	return math.Sqrt(sum / float64(len(xs)-1))
}
