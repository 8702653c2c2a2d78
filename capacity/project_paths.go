package capacity

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// project forecasts a history that varies. The methods see it in units of its
// largest change, measured from its newest value, so that their sums neither
// overflow nor lose digits.
func (p *Projection) project(h *history, opts ProjectOptions) {
	now, scale := h.current(), 0.0
	for i := 1; i < len(h.values); i++ {
		scale = max(scale, math.Abs(h.values[i]-h.values[i-1]))
	}
	scaled := make([]float64, len(h.values))
	for i, v := range h.values {
		scaled[i] = (v - now) / scale
	}
	steps := p.horizon(h, opts)
	if m := seasonLength(h.step); h.observed >= longHistory && seasonTest(scaled, m) {
		p.Season = m
	}
	r := roll(scaled, h.observed, steps, p.Season, p.Kind)
	c := r.best()
	p.Method = methodName(c, h.observed, p.Season)
	p.Backtest = r.backtest(c, scale)
	p.Confidence = p.confidence(c)
	perDay := scale * 24 / h.step.Hours()
	low, slope, high := r.fit.growth(c)
	p.Growth = Range{slope * perDay, low * perDay, high * perDay}
	p.explain(c, h)
	paths := r.simulation(c, steps, h.drops(), scale).paths(opts.Paths, source(opts.Seed, p.Series))
	for _, step := range paths {
		for i := range step {
			step[i] = now + scale*step[i]
		}
	}
	p.conclude(paths, h, opts, low > 0 || high < 0)
}

// explain warns of what a reader must know to judge the projection.
func (p *Projection) explain(c candidate, h *history) {
	if c == naive {
		p.warnf("no method beat the naive forecast in the backtest: it is taken instead, and knows no growth")
	}
	if p.Points < shortHistory {
		p.warnf("%s of history: the confidence is low, and a weekly season cannot be known", count(p.Points, "point", "points"))
		first, last := h.values[0], h.current()
		if (last-first)*p.Growth.Value < 0 {
			p.warnf("the first and the last value alone tell the opposite direction")
		}
	}
	if p.Points < shortHistory || h.step.Hours() < 24 {
		return
	}
	p.warnf("no yearly season is known: %d days of history cannot tell one", int(float64(len(h.values))*h.step.Hours()/24))
	if n := len(h.drops()); n > 0 {
		p.warnf("%d drops in the history: the projection expects as many again", n)
	}
}

// simulation prepares the drawing of futures that spread around candidate c.
func (r *rolled) simulation(c candidate, steps int, drops []float64, scale float64) *simulation {
	s := &simulation{centre: make([]float64, steps), calibration: make([]float64, steps), posterior: r.fit.posterior}
	r.fit.forecast(c, s.centre)
	for i := range s.calibration {
		s.calibration[i] = r.trials[c].calibration(i) * fewPointsWiden(r.fit.points)
	}
	if r.fit.points >= longHistory {
		s.shocks = r.fit.shocks()
	}
	for _, d := range drops {
		s.drops = append(s.drops, d/scale)
	}
	s.dropRate = float64(len(drops)) / float64(len(r.fit.values))
	return s
}

// fewPointsWiden is by how much the spread of a history that is too short for a
// backtest is widened: the few points look more alike than what will come, as
// BenchmarkCoverage measures.
func fewPointsWiden(points int) float64 {
	const enough, perPoint = 9, 0.08
	return 1 + perPoint*float64(max(0, enough-points))
}

// source returns random numbers that belong to the seed and the name, whatever
// else is drawn beside them.
func source(seed uint64, name string) *rand.Rand {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, hash.Sum64()))
}

// conclude turns paths into steps and the passage of the limit. grows tells that
// growth or decline is beyond what chance gives.
func (p *Projection) conclude(paths [][]float64, h *history, opts ProjectOptions, grows bool) {
	opts.Scenario.apply(paths, h)
	if h.nonNegative {
		for _, step := range paths {
			for i := range step {
				step[i] = max(0, step[i])
			}
		}
	}
	if opts.Limit != nil {
		p.Limit = passage(paths, h, *opts.Limit, opts.Below, grows || opts.Scenario.changes())
	}
	p.Steps = make([]Step, len(paths))
	for i, values := range paths {
		p.Steps[i] = quantiles(values)
		p.Steps[i].Time = h.at(len(h.values) + i)
	}
}

// quantiles orders values in part, each time within what the last one left.
func quantiles(values []float64) Step {
	n := len(values)
	at := func(q float64) int { return int(math.Round(q * float64(n-1))) }
	var s Step
	s.Median = medianInPlace(values)
	i10, i90 := at(0.1), at(0.9)
	s.Low80 = selectInPlace(values[:n/2+1], i10)
	s.Low95 = selectInPlace(values[:i10+1], at(0.025))
	s.High80 = selectInPlace(values[n/2:], i90-n/2)
	s.High95 = selectInPlace(values[i90:], at(0.975)-i90)
	return s
}
