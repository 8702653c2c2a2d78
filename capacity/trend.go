package capacity

import (
	"math"
)

// The local linear trend: a level that walks, a slope that walks, and noise on
// top. How much of each there is, nobody knows; a grid of them is weighed by how
// well each has predicted the series so far, and the variance of the series
// integrated out, which makes the spread of a forecast that of Student's t.
// (Harvey 1989, chapters 3 and 4; the diffuse start is the one by the first two
// values.)

// A trendModel holds the variances of one local linear trend, of which only the
// proportions matter.
type trendModel struct {
	noise, level, slope float64
	prior               float64 // logarithm of its probability before any value
}

// trendModels returns the grid. What accumulates walks: its increments are what
// varies, and there is hardly any noise that goes away again.
func trendModels(kind Kind) []trendModel {
	walks := []struct{ part, gauge, accumulated float64 }{
		{0, 0.20, 0.05}, {0.01, 0.10, 0.05}, {0.1, 0.15, 0.10}, {0.5, 0.20, 0.20}, {1, 0.35, 0.60},
	}
	bends := []struct{ variance, prior float64 }{
		{0, 0.40}, {1e-6, 0.15}, {1e-5, 0.15}, {1e-4, 0.15}, {1e-3, 0.15},
	}
	models := make([]trendModel, 0, len(walks)*len(bends))
	for _, walk := range walks {
		prior := walk.gauge
		if kind == Size || kind == Counter {
			prior = walk.accumulated
		}
		for _, bend := range bends {
			models = append(models, trendModel{1 - walk.part, walk.part, bend.variance, math.Log(prior * bend.prior)})
		}
	}
	return models
}

// A trendState is what one model knows after t values: the estimates of level
// and slope, their covariance in units of the unknown variance, and how well it
// has predicted.
type trendState struct {
	level, slope  float64
	p11, p12, p22 float64
	logF          float64 // sum of the logarithms of the predictions' variances
	squares       float64 // sum of the squared standardised errors
}

// start is the state after the first two values.
func (m trendModel) start(y1, y2 float64) trendState {
	return trendState{
		level: y2, slope: y2 - y1,
		p11: m.noise, p12: m.noise, p22: 2*m.noise + m.level + m.slope,
	}
}

// step takes the next value in (the Kalman filter) and returns by how much it was
// off, in units of the unknown standard deviation.
func (m trendModel) step(s *trendState, y float64) float64 {
	a11 := s.p11 + 2*s.p12 + s.p22 + m.level
	a12 := s.p12 + s.p22
	a22 := s.p22 + m.slope
	f := a11 + m.noise
	error := y - s.level - s.slope
	k1, k2 := a11/f, a12/f
	s.level += s.slope + k1*error
	s.slope += k2 * error
	s.p11, s.p12, s.p22 = a11-k1*a11, a12-k1*a12, a22-k2*a12
	s.logF += math.Log(f)
	s.squares += error * error / f
	return error / math.Sqrt(f)
}

// A spreadCurve is the variance of a forecast h steps ahead: a cubic in h.
type spreadCurve struct{ c0, c1, c2, c3 float64 }

func (c spreadCurve) sd(h int) float64 {
	x := float64(h)
	return math.Sqrt(c.c0 + x*(c.c1+x*(c.c2+x*c.c3)))
}

// A trendPosterior is the weighed knowledge of all models after t values.
type trendPosterior struct {
	models  []trendModel
	states  []trendState
	weights []float64 // sum to 1, once weighed
	values  int
	tiny    float64 // a sum of squares that is nothing, lest one divide by it
}

func newTrendPosterior(kind Kind, y1, y2, tiny float64) *trendPosterior {
	models := trendModels(kind)
	p := &trendPosterior{models: models, states: make([]trendState, len(models)), weights: make([]float64, len(models)), values: 2, tiny: tiny}
	for k, m := range models {
		p.states[k] = m.start(y1, y2)
	}
	return p
}

// update takes the next value in.
func (p *trendPosterior) update(y float64) {
	for k, m := range p.models {
		m.step(&p.states[k], y)
	}
	p.values++
}

// freedom is the degrees of freedom of Student's t.
func (p *trendPosterior) freedom() float64 { return float64(max(1, p.values-2)) }

// weigh sets the weights.
func (p *trendPosterior) weigh() {
	nu := p.freedom()
	best := math.Inf(-1)
	for k, s := range p.states {
		w := p.models[k].prior - 0.5*s.logF - 0.5*nu*math.Log(s.squares+p.tiny)
		p.weights[k] = w
		best = max(best, w)
	}
	total := 0.0
	for k, w := range p.weights {
		p.weights[k] = math.Exp(w - best)
		total += p.weights[k]
	}
	for k := range p.weights {
		p.weights[k] /= total
	}
}

// spread is the variance of the forecast errors, by the weights of the models.
func (p *trendPosterior) spread() spreadCurve {
	var c spreadCurve
	nu := p.freedom()
	for k, w := range p.weights {
		if w < 1e-4 {
			continue
		}
		s, m := &p.states[k], &p.models[k]
		w *= s.squares / nu
		c.c0 += w * (s.p11 + m.noise)
		c.c1 += w * (2*s.p12 + m.level + m.slope/6)
		c.c2 += w * (s.p22 - m.slope/2)
		c.c3 += w * m.slope / 3
	}
	return c
}

// line is the mean forecast.
func (p *trendPosterior) line() line {
	l := line{damping: 1}
	for k, w := range p.weights {
		l.level += w * p.states[k].level
		l.slope += w * p.states[k].slope
	}
	return l
}

// slopeSD is the standard deviation of the slope.
func (p *trendPosterior) slopeSD() float64 {
	mean, variance := p.line().slope, 0.0
	for k, w := range p.weights {
		s := &p.states[k]
		variance += w * ((s.slope-mean)*(s.slope-mean) + s.p22*s.squares/p.freedom())
	}
	return math.Sqrt(variance)
}
