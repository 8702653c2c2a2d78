package capacity

// rolled is the outcome of rolling the origin of forecasts through a history.
type rolled struct {
	fit     *fit // after the last value
	trials  [candidates]*trial
	origins int
	steps   int
}

// roll goes through values and, from two weeks of them on, forecasts at every
// origin up to steps ahead. m is the length of the season, 0 for none; of points
// values that were measured fewer than a short history leave no backtest.
func roll(values []float64, points, steps, m int, kind Kind) *rolled {
	n := len(values)
	s := newSeason(m)
	warm := min(3*m, n)
	for t := range warm {
		s.learn(values, t)
	}
	first := max(10, n/4, warm)
	r := &rolled{fit: newFit(values, points, kind, s)}
	if points >= shortHistory {
		r.steps = max(0, min(steps, n-first))
	}
	for i := range r.trials {
		r.trials[i] = newTrial(r.steps, points < longHistory)
	}
	forecast := make([]float64, r.steps)
	for t := 2; t < n; t++ {
		if k := min(r.steps, n-t); t >= first && k > 0 {
			r.fit.posterior.weigh()
			r.judge(forecast[:k], values[t:t+k])
		}
		r.fit.update(t >= warm)
	}
	if m > 0 {
		r.fit = refit(values, points, kind, s)
	}
	r.fit.posterior.weigh()
	return r
}

// judge tests all candidates at the present origin.
func (r *rolled) judge(forecast, came []float64) {
	spread, nu := r.fit.posterior.spread(), r.fit.posterior.freedom()
	for c, t := range r.trials {
		r.fit.forecast(candidate(c), forecast)
		t.judge(forecast, came, spread, nu)
		t.know()
	}
	r.origins++
}

// refit goes through the values again with the season as it is known at the end.
func refit(values []float64, points int, kind Kind, s *season) *fit {
	f := newFit(values, points, kind, s)
	for range values[2:] {
		f.update(false)
	}
	return f
}

// clearlyBetter is the part of the trends' error below which the combination is
// preferred: a smaller difference is luck.
const clearlyBetter = 0.85

// best picks the candidate: the local linear trends unless the combination has
// clearly done better, and the naive method where neither beats it. Without a
// backtest it is the combination.
func (r *rolled) best() candidate {
	if r.origins == 0 {
		return combined
	}
	best := trend
	if r.trials[combined].error < clearlyBetter*r.trials[trend].error {
		best = combined
	}
	if r.trials[best].error >= r.trials[naive].error {
		best = naive
	}
	return best
}

// backtest sums up how candidate c did, nil if there was no origin. The values
// were in units of scale.
func (r *rolled) backtest(c candidate, scale float64) *Backtest {
	if r.origins == 0 {
		return nil
	}
	did, plain := r.trials[c], r.trials[naive]
	b := &Backtest{
		Origins: r.origins, Steps: r.steps,
		MAE:      did.error / float64(did.tested) * scale,
		NaiveMAE: plain.error / float64(plain.tested) * scale,
		Accuracy: did.tally.mean(did.tested, scale),
		Naive:    plain.tally.mean(plain.tested, scale),
	}
	if plain.error > 0 {
		b.MASE = did.error / plain.error
	}
	return b
}
