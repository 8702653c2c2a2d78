package capacity

import (
	"math"

	"scaleproof/internal/stats"
)

// The classes of history, by the number of points.
const (
	fewestPoints = 5
	shortHistory = 14
	longHistory  = 28
)

// A candidate is a way to forecast, of which the backtest picks one.
type candidate int

const (
	trend    candidate = iota // the local linear trends
	combined                  // the median of several methods
	naive                     // the last value, or the last season
	candidates
)

// A fit goes through the values once and knows, after each, what every method
// would forecast: one pass serves the forecast and each origin of a backtest.
type fit struct {
	values    []float64 // with season
	adjusted  []float64 // without
	season    *season
	points    int // of the whole history, which decides on the methods
	holt      *dampedHolt
	theta     *theta
	posterior *trendPosterior
	scratch   [4][]float64
}

// newFit starts after the first two of values, with what the season knows.
func newFit(values []float64, points int, kind Kind, s *season) *fit {
	f := &fit{values: values, adjusted: make([]float64, 2, len(values)), season: s, points: points}
	f.adjusted[0], f.adjusted[1] = values[0]-s.at(0), values[1]-s.at(1)
	y1, y2 := f.adjusted[0], f.adjusted[1]
	f.holt, f.theta, f.posterior = newDampedHolt(y1, y2), newTheta(y1), newTrendPosterior(kind, y1, y2, tinySquares(values))
	f.theta.update(y2)
	return f
}

// tinySquares is a sum of squares that is nothing beside the values' own.
func tinySquares(values []float64) float64 {
	largest := 0.0
	for _, v := range values {
		largest = max(largest, math.Abs(v-values[0]))
	}
	return 1e-24 * largest * largest
}

// update takes the next value in. learn tells whether the season learns from it.
func (f *fit) update(learn bool) {
	t := len(f.adjusted)
	y := f.values[t] - f.season.at(t)
	f.adjusted = append(f.adjusted, y)
	f.holt.update(y)
	f.theta.update(y)
	f.posterior.update(y)
	if learn {
		f.season.learn(f.values, t)
	}
}

// forecast fills out with the candidate's forecasts of the steps that follow.
// The posterior must have been weighed.
func (f *fit) forecast(c candidate, out []float64) {
	switch {
	case c == naive:
		f.naive(out)
		return
	case c == trend:
		f.posterior.line().forecast(out)
	case f.points < shortHistory:
		f.medianOf(out, theilSen(f.adjusted), drift(f.adjusted), f.posterior.line())
	case f.points < longHistory:
		f.medianOf(out, drift(f.adjusted), f.holt.line(), f.theta.line())
	default:
		f.medianOf(out, f.theta.line(), f.holt.line(), theilSen(f.adjusted))
	}
	n := len(f.adjusted)
	for h := range out {
		out[h] += f.season.at(n + h)
	}
}

// combination names what the candidate combined takes the median of.
func combination(points int) string {
	switch {
	case points < shortHistory:
		return "median of theil-sen, drift and local linear trend"
	case points < longHistory:
		return "median of drift, damped holt and theta"
	}
	return "median of theta, damped holt, theil-sen and seasonal naive"
}

// naive fills out with the last season, or without one the last value.
func (f *fit) naive(out []float64) {
	m := max(1, len(f.season.indices))
	n := len(f.adjusted)
	for h := range out {
		out[h] = f.values[n-m+h%m]
	}
}

// medianOf fills out with the median of three lines, or of a long history of
// these and the naive forecast, all without season.
func (f *fit) medianOf(out []float64, lines ...line) {
	for i := range f.scratch {
		if cap(f.scratch[i]) < len(out) {
			f.scratch[i] = make([]float64, len(out))
		}
		f.scratch[i] = f.scratch[i][:len(out)]
	}
	for i, l := range lines {
		l.forecast(f.scratch[i])
	}
	a, b, c, d := f.scratch[0], f.scratch[1], f.scratch[2], f.scratch[3]
	if f.points < longHistory {
		for h := range out {
			out[h] = max(min(a[h], b[h]), min(max(a[h], b[h]), c[h]))
		}
		return
	}
	f.naive(d)
	n := len(f.adjusted)
	for h := range out {
		d[h] -= f.season.at(n + h)
		sum := a[h] + b[h] + c[h] + d[h]
		out[h] = (sum - min(a[h], b[h], c[h], d[h]) - max(a[h], b[h], c[h], d[h])) / 2
	}
}

// growth returns the slope per step of the forecast centre, which is without its
// season, and its 80 % interval: that of the local linear trends, for a short
// history no narrower than Sen's.
func (f *fit) growth(c candidate) (low, slope, high float64) {
	if c == naive {
		return 0, 0, 0
	}
	const far = 64
	var out [far]float64
	f.forecast(c, out[:])
	n := len(f.adjusted)
	slope = (out[far-1] - f.season.at(n+far-1) - out[0] + f.season.at(n)) / (far - 1)
	half := tQuantile(0.9, f.posterior.freedom()) * f.posterior.slopeSD()
	low, high = slope-half, slope+half
	if f.points < shortHistory {
		ts := make([]float64, n)
		for i := range ts {
			ts[i] = float64(i)
		}
		sen := stats.TheilSen(ts, f.adjusted, 0.8)
		low, high = min(low, sen.Low), max(high, sen.High)
	}
	return low, slope, high
}

// shocks are the one-step errors of the likeliest trend, standardised: the shape
// of what is to come.
func (f *fit) shocks() []float64 {
	best := 0
	for k, w := range f.posterior.weights {
		if w > f.posterior.weights[best] {
			best = k
		}
	}
	m, values := f.posterior.models[best], f.adjusted
	sigma := math.Sqrt((f.posterior.states[best].squares + f.posterior.tiny) / float64(len(values)-2))
	state := m.start(values[0], values[1])
	shocks := make([]float64, 0, len(values)-2)
	for _, y := range values[2:] {
		shocks = append(shocks, m.step(&state, y)/sigma)
	}
	return shocks
}
