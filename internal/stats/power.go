package stats

import "math"

// power is the probability with which a change of the detectable size is found.
const power = 0.8

// rankEfficiency is that of the rank-sum and the signed-rank test beside the t test on
// normal values (Lehmann 1975): they need so many more.
const rankEfficiency = 3 / math.Pi

// exactPower is the number of values, of both samples together, up to which the
// level that a rank test attains is counted out. Above it it is what was asked
// for, to two digits.
const exactPower = 40

// Detectable returns the smallest change of a mean that a two-sided rank-sum test
// at significance alpha finds with a probability of about 80 %, with n values
// before and m after whose standard deviation is sd. It is infinite where so few
// values can't be significant whatever they are. On logarithms the change is that
// of a ratio: exp(d) - 1.
func Detectable(sd float64, n, m int, alpha float64) float64 {
	if n < 1 || m < 1 || SmallestP(n, m) > alpha*(1+1e-9) {
		return math.Inf(1)
	}
	if n+m <= exactPower {
		_, confidence := pairsOutside(n, m, 1-alpha)
		alpha = 1 - confidence
	}
	degrees := n + m - 2
	return (studentQuantile(1-alpha/2, degrees) + studentQuantile(power, degrees)) * sd * math.Sqrt((1/float64(n)+1/float64(m))/rankEfficiency)
}

// DetectablePaired is Detectable for the two-sided signed-rank test on n pairs, whose
// differences have the standard deviation sd.
func DetectablePaired(sd float64, n int, alpha float64) float64 {
	if n < 1 || SmallestPairedP(n) > alpha*(1+1e-9) {
		return math.Inf(1)
	}
	if 2*n <= exactPower {
		_, confidence := averagesOutside(n, 1-alpha)
		alpha = 1 - confidence
	}
	return (studentQuantile(1-alpha/2, n-1) + studentQuantile(power, n-1)) * sd / math.Sqrt(float64(n)*rankEfficiency)
}

// SmallestPairedP returns the two-sided p-value of a signed-rank test of n pairs whose
// differences are all of one sign: with fewer pairs none is smaller.
func SmallestPairedP(n int) float64 { return min(1, math.Ldexp(1, 1-n)) }

// SmallestP returns the two-sided p-value of a rank-sum test of n against m values
// that don't overlap at all: with fewer values none is smaller.
func SmallestP(n, m int) float64 {
	return min(1, 2*math.Exp(-logChoose(int64(n+m), int64(n))))
}

// StandardDeviation returns the sample standard deviation; NaN for fewer than
// two values.
func StandardDeviation(xs []float64) float64 {
	if len(xs) < 2 {
		return math.NaN()
	}
	center, sum := mean(xs), 0.0
	for _, x := range xs {
		sum += (x - center) * (x - center)
	}
	return math.Sqrt(sum / float64(len(xs)-1))
}

func mean(xs []float64) float64 {
	mean := 0.0
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	return mean
}
