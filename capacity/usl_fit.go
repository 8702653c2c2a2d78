package capacity

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// theta is alpha, beta, gamma.
func uslThroughput(theta [3]float64, n float64) float64 {
	return theta[2] * n / (1 + theta[0]*(n-1) + theta[1]*n*(n-1))
}

func uslGradient(theta [3]float64, n float64) [3]float64 {
	d := 1 + theta[0]*(n-1) + theta[1]*n*(n-1)
	x := theta[2] * n / d
	return [3]float64{-x * (n - 1) / d, -x * n * (n - 1) / d, n / d}
}

// uslSweep is what is fitted.
type uslSweep struct{ n, x []float64 }

// A uslSolution is a minimum of the squares with some coefficients held.
type uslSolution struct {
	theta   [3]float64
	free    [3]bool
	squares float64
}

func (s uslSweep) squares(theta [3]float64) float64 {
	sum := 0.0
	for i, n := range s.n {
		d := s.x[i] - uslThroughput(theta, n)
		sum += d * d
	}
	return sum
}

// best minimises the squares with alpha and beta at least 0: the best of the
// solutions with each set of them held at 0. The coefficient held, if it is not
// negative, has the value given instead.
func (s uslSweep) best(held int, value float64) uslSolution {
	best := uslSolution{squares: math.Inf(1)}
	for set := range 4 {
		free := [3]bool{set&1 == 0, set&2 == 0, true}
		start := [3]float64{}
		if held >= 0 {
			if !free[held] {
				continue
			}
			free[held], start[held] = false, value
		}
		for _, from := range s.starts() {
			for i := range from {
				if !free[i] {
					from[i] = start[i]
				}
			}
			found := s.descend(from, free)
			if found.theta[0] >= 0 && found.theta[1] >= 0 && found.theta[2] > 0 && found.squares < best.squares {
				best = found
			}
		}
	}
	return best
}

// starts are guesses: with the throughput of one taken from the lowest
// concurrency, the law is linear in alpha and beta.
func (s uslSweep) starts() [][3]float64 {
	lowest := 0
	for i, n := range s.n {
		if n < s.n[lowest] {
			lowest = i
		}
	}
	gamma := s.x[lowest] / s.n[lowest]
	starts := [][3]float64{{0.01, 1e-4, gamma}, {0.1, 1e-3, gamma}, {0.3, 1e-6, 2 * gamma}}
	rows := mat.NewDense(len(s.n), 2, nil)
	right := mat.NewVecDense(len(s.n), nil)
	for i, n := range s.n {
		rows.SetRow(i, []float64{n - 1, n * (n - 1)})
		right.SetVec(i, gamma*n/s.x[i]-1)
	}
	var linear mat.VecDense
	if err := linear.SolveVec(rows, right); err == nil {
		starts = append(starts, [3]float64{max(0, linear.AtVec(0)), max(0, linear.AtVec(1)), gamma})
	}
	return starts
}

// descend is the method of Levenberg and Marquardt over the free coefficients.
func (s uslSweep) descend(theta [3]float64, free [3]bool) uslSolution {
	squares, damping := s.squares(theta), 1e-3
	for range 500 {
		normal, toward := s.normal(theta, free)
		var step mat.VecDense
		damped := mat.DenseCopyOf(normal)
		for i := range 3 {
			damped.Set(i, i, normal.At(i, i)*(1+damping))
		}
		if err := step.SolveVec(damped, toward); err != nil && math.IsInf(step.Norm(2), 0) {
			break
		}
		next := theta
		for i := range next {
			next[i] += step.AtVec(i)
		}
		after := s.squares(next)
		if !(after < squares) {
			if damping *= 4; damping > 1e12 {
				break
			}
			continue
		}
		done := squares-after <= 1e-15*squares
		theta, squares, damping = next, after, max(damping/5, 1e-12)
		if done {
			break
		}
	}
	return uslSolution{theta, free, squares}
}

// normal returns the matrix J'J and the vector J'r of the normal equations. A
// coefficient that is held has 1 on the diagonal and 0 elsewhere.
func (s uslSweep) normal(theta [3]float64, free [3]bool) (*mat.SymDense, *mat.VecDense) {
	normal, toward := mat.NewSymDense(3, nil), mat.NewVecDense(3, nil)
	for k, n := range s.n {
		g := uslGradient(theta, n)
		r := s.x[k] - uslThroughput(theta, n)
		for i := range 3 {
			if !free[i] {
				continue
			}
			toward.SetVec(i, toward.AtVec(i)+g[i]*r)
			for j := i; j < 3; j++ {
				if free[j] {
					normal.SetSym(i, j, normal.At(i, j)+g[i]*g[j])
				}
			}
		}
	}
	for i := range 3 {
		if !free[i] {
			normal.SetSym(i, i, 1)
		}
	}
	return normal, toward
}

// covariance of the coefficients; 0 for those that are held.
func (s uslSweep) covariance(at uslSolution) *mat.SymDense {
	normal, _ := s.normal(at.theta, at.free)
	covariance := mat.NewSymDense(3, nil)
	// Columns of very different size: scaled, the matrix is far from singular.
	scale := [3]float64{}
	for i := range 3 {
		scale[i] = math.Sqrt(normal.At(i, i))
	}
	scaled := mat.NewSymDense(3, nil)
	for i := range 3 {
		for j := i; j < 3; j++ {
			scaled.SetSym(i, j, normal.At(i, j)/scale[i]/scale[j])
		}
	}
	var cholesky mat.Cholesky
	if !cholesky.Factorize(scaled) {
		return covariance
	}
	var inverse mat.SymDense
	if err := cholesky.InverseTo(&inverse); err != nil {
		return covariance
	}
	variance := at.squares / float64(len(s.n)-3)
	for i := range 3 {
		for j := i; j < 3; j++ {
			if at.free[i] && at.free[j] {
				covariance.SetSym(i, j, variance*inverse.At(i, j)/scale[i]/scale[j])
			}
		}
	}
	return covariance
}

// profile returns the largest value of coefficient i at which the squares, with
// the others fitted anew, stay within the bound.
func (s uslSweep) profile(i int, bound float64) float64 {
	low, high := 0.0, 1e-9
	for high < 1e3 && s.best(i, high).squares <= bound {
		low, high = high, 4*high
	}
	for range 40 {
		middle := (low + high) / 2
		if s.best(i, middle).squares <= bound {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}

func (s uslSweep) rSquared(squares float64) float64 {
	mean := 0.0
	for _, x := range s.x {
		mean += x / float64(len(s.x))
	}
	total := 0.0
	for _, x := range s.x {
		total += (x - mean) * (x - mean)
	}
	if total == 0 {
		return 0
	}
	return 1 - squares/total
}
