package stats

import "math"

// studentQuantile returns the value that Student's t with nu degrees of freedom, a
// whole number of at least 1, stays below with probability p in (1/2, 1). It is found
// by Newton's method on the distribution function, whose finite sum for whole degrees
// takes a small part of the time of an incomplete beta function.
func studentQuantile(p float64, nu int) float64 {
	n := float64(nu)
	above, _ := math.Lgamma((n + 1) / 2)
	below, _ := math.Lgamma(n / 2)
	peak := math.Exp(above-below) / math.Sqrt(n*math.Pi) // the density at 0
	// The function is concave right of 0, so that steps from there never overshoot.
	t := 0.0
	for {
		step := (p - studentCDF(t, nu)) / (peak * math.Pow(1+t*t/n, -(n+1)/2))
		if t += step; step <= 1e-12*t {
			return t
		}
	}
}

// studentCDF is the distribution function for t of at least 0 (Abramowitz and Stegun
// 1964, 26.7.3 and 26.7.4).
func studentCDF(t float64, nu int) float64 {
	theta := math.Atan(t / math.Sqrt(float64(nu)))
	sin, cos := math.Sincos(theta)
	odd := nu % 2
	sum, term := 0.0, 1.0
	if odd == 1 {
		term = cos
	}
	for k := odd; k <= nu-2; k += 2 {
		sum += term
		term *= cos * cos * float64(k+1) / float64(k+2)
	}
	if odd == 1 {
		return 0.5 + (theta+sin*sum)/math.Pi
	}
	return 0.5 + sin*sum/2
}
