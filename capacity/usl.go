package capacity

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"
)

// A Coefficient is an estimate with its 95 % interval.
type Coefficient struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	// Error is the standard error, 0 where the bound at 0 holds the coefficient.
	Error float64 `json:"standard_error"`
}

// USL is the Universal Scalability Law fitted to a load sweep: the throughput at
// concurrency (or with that many replicas) N is
//
//	X(N) = gamma N / (1 + alpha (N-1) + beta N (N-1))
//
// Alpha is contention, what cannot be done in parallel; beta is coherence, what
// keeping in agreement costs; gamma is the throughput of one. (Gunther 1993 and
// 2007.)
type USL struct {
	Alpha Coefficient `json:"alpha"`
	Beta  Coefficient `json:"beta"`
	Gamma Coefficient `json:"gamma"`
	// Peak is where throughput is highest, nil where it is never: with beta 0 it
	// approaches Limit, and with alpha above 1 it falls from one on.
	Peak *Coefficient `json:"peak"`
	// PeakThroughput is that at Peak.
	PeakThroughput float64 `json:"peak_throughput,omitempty"`
	// Limit is gamma/alpha, what contention alone would allow; 0 for no limit.
	Limit float64 `json:"limit,omitempty"`
	// Knee is 1/alpha, where linear growth would meet the limit; 0 for none.
	Knee     float64  `json:"knee,omitempty"`
	Points   int      `json:"points"`
	RSquared float64  `json:"r_squared"`
	Warnings []string `json:"warnings,omitempty"`

	highest    float64       // concurrency that was measured
	t          float64       // quantile for the intervals
	covariance *mat.SymDense // of alpha, beta and gamma
}

// FitUSL fits the law to throughputs x at concurrencies n by least squares, with
// alpha and beta bounded at 0. The intervals are those of Student's t with
// len(n)-3 degrees of freedom, by the delta method; that of a coefficient at its
// bound comes from the profile of the squares. It takes at least 4 points at 3
// different concurrencies of 1 or more, with throughputs above 0.
func FitUSL(n, x []float64) (*USL, error) {
	if err := checkSweep(n, x); err != nil {
		return nil, fmt.Errorf("fitting the scalability law: %w", err)
	}
	sweep := uslSweep{n: n, x: x}
	best := sweep.best(-1, 0)
	if math.IsInf(best.squares, 0) {
		return nil, errors.New("fitting the scalability law: no coefficients fit the sweep")
	}
	u := &USL{Points: len(n), t: distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(len(n) - 3)}.Quantile(0.975)}
	u.covariance = sweep.covariance(best)
	for i, c := range []*Coefficient{&u.Alpha, &u.Beta, &u.Gamma} {
		c.Value, c.Error = best.theta[i], math.Sqrt(u.covariance.At(i, i))
		c.Low, c.High = max(0, c.Value-u.t*c.Error), c.Value+u.t*c.Error
		if !best.free[i] {
			c.High = sweep.profile(i, best.squares*(1+u.t*u.t/float64(len(n)-3)))
		}
	}
	u.RSquared = sweep.rSquared(best.squares)
	u.conclude(n)
	return u, nil
}

func checkSweep(n, x []float64) error {
	if len(n) != len(x) {
		return fmt.Errorf("there are %d concurrencies and %d throughputs", len(n), len(x))
	}
	different := map[float64]bool{}
	for i := range n {
		if !(n[i] >= 1 && n[i] <= 1e7) || !(x[i] > 1e-30 && x[i] < 1e30) {
			return fmt.Errorf("point %d is (%v, %v): a concurrency is from 1 to 1e7, a throughput above 0", i+1, n[i], x[i])
		}
		different[n[i]] = true
	}
	if len(n) < 4 || len(different) < 3 {
		return errors.New("it takes at least 4 points at 3 different concurrencies; 6 or more make the intervals useful")
	}
	return nil
}

// conclude derives what follows from the coefficients.
func (u *USL) conclude(n []float64) {
	a, b := u.Alpha.Value, u.Beta.Value
	if a > 0 {
		u.Limit, u.Knee = u.Gamma.Value/a, 1/a
	} else {
		u.warnf("no contention was found: alpha is 0")
	}
	highest := slices.Max(n)
	u.highest = highest
	if b > 0 && a < 1 {
		peak := math.Sqrt((1 - a) / b)
		// The delta method on the logarithm keeps the interval above 0. Below one there
		// is nothing to be highest.
		gradient := []float64{-0.5 / (1 - a), -0.5 / b, 0}
		half := u.t * u.deltaError(gradient)
		u.Peak = &Coefficient{Value: max(1, peak), Low: max(1, peak*math.Exp(-half)), High: max(1, peak*math.Exp(min(half, 700))), Error: peak * half / u.t}
		u.PeakThroughput = u.at(u.Peak.Value)
		if peak > highest {
			u.warnf("the peak at %.4g lies beyond the highest concurrency that was measured, %g", peak, highest)
		}
	} else if a > 1 {
		u.warnf("no peak: alpha is above 1, and throughput falls from one on")
	} else if b == 0 {
		u.warnf("no peak: beta is 0")
	}
	if u.Points < 6 {
		u.warnf("%d points only: the intervals are wide", u.Points)
	}
}

func (u *USL) warnf(format string, args ...any) {
	u.Warnings = append(u.Warnings, fmt.Sprintf(format, args...))
}

// deltaError is the standard error of a function of the coefficients.
func (u *USL) deltaError(gradient []float64) float64 {
	g := mat.NewVecDense(3, gradient)
	return math.Sqrt(max(0, mat.Inner(g, u.covariance, g)))
}

func (u *USL) at(n float64) float64 {
	return uslThroughput([3]float64{u.Alpha.Value, u.Beta.Value, u.Gamma.Value}, n)
}

// Predict returns the throughput at concurrency n with the 95 % interval of the
// curve. It knows nothing of what lies beyond the measured concurrencies.
func (u *USL) Predict(n float64) Coefficient {
	theta := [3]float64{u.Alpha.Value, u.Beta.Value, u.Gamma.Value}
	x := uslThroughput(theta, n)
	se := 0.0
	if u.covariance != nil {
		g := uslGradient(theta, n)
		se = u.deltaError(g[:])
	}
	return Coefficient{Value: x, Low: max(0, x-u.t*se), High: x + u.t*se, Error: se}
}

// A ScaleUp tells what going from one concurrency to another brings.
type ScaleUp struct {
	From float64 `json:"from"`
	To   float64 `json:"to"`
	// Gain is how many times the throughput becomes.
	Gain float64 `json:"gain"`
	// Efficiency is the gain per replica added: the gain over To/From. 1 is
	// linear.
	Efficiency float64 `json:"efficiency"`
}

// ScaleUp returns what the law says of going from n1 to n2.
func (u *USL) ScaleUp(n1, n2 float64) ScaleUp {
	return MeasuredScaleUp(n1, u.at(n1), n2, u.at(n2))
}

// More returns what going on from the highest concurrency that was measured would
// bring: a fourth, a half, and as many again. It looks no further, where the law
// has no ground.
func (u *USL) More() []ScaleUp {
	var more []ScaleUp
	for _, factor := range []float64{1.25, 1.5, 2} {
		if to := math.Ceil(factor * u.highest); len(more) == 0 || to > more[len(more)-1].To {
			more = append(more, u.ScaleUp(u.highest, to))
		}
	}
	return more
}

// MeasuredScaleUp is that of an action whose throughputs x1 and x2 were measured.
func MeasuredScaleUp(n1, x1, n2, x2 float64) ScaleUp {
	return ScaleUp{From: n1, To: n2, Gain: x2 / x1, Efficiency: x2 / x1 / (n2 / n1)}
}

// ReadUSLCSV reads a load sweep with the columns n and throughput.
func ReadUSLCSV(r io.Reader) (n, x []float64, err error) {
	err = readTable(r, []string{"n", "throughput"}, nil, func(row map[string]string) error {
		for _, c := range []struct {
			name string
			to   *[]float64
		}{{"n", &n}, {"throughput", &x}} {
			v, err := parseNumber(c.name, row[c.name])
			if err != nil {
				return err
			}
			if math.IsNaN(v) {
				return fmt.Errorf("%s is empty", c.name)
			}
			*c.to = append(*c.to, v)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading a load sweep: %w", err)
	}
	return n, x, nil
}
