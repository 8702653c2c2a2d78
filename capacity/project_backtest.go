package capacity

import "math"

// A Backtest tells how the method would have done on the series itself: at each
// origin it saw only what came before, and its forecasts of the steps after are
// compared with what came. Level shifts are taken out first: that a table will
// be truncated no method foresees.
type Backtest struct {
	Origins int `json:"origins"`
	Steps   int `json:"steps"` // the furthest ahead that was tested
	// MASE is the mean absolute error in units of that of the naive method over
	// the same origins and steps: at 1 the naive method does as well.
	MASE     float64 `json:"mase"`
	MAE      float64 `json:"mae"`       // in the series' unit
	NaiveMAE float64 `json:"naive_mae"` // in the series' unit
	Accuracy
	Naive Accuracy `json:"naive"`
}

// Accuracy tells how well intervals did: the fractions of values that fell into
// those of 80 and 95 %, and the interval scores in the series' unit, the width
// plus a penalty for each miss, of which less is better (Gneiting and Raftery
// 2007, 6.2).
type Accuracy struct {
	Coverage80 float64 `json:"coverage_80"`
	Coverage95 float64 `json:"coverage_95"`
	Score80    float64 `json:"interval_score_80"`
	Score95    float64 `json:"interval_score_95"`
}

// A trial collects how one candidate did over the origins.
type trial struct {
	errors [][]float64 // by origin and step, standardised
	sums   []float64   // by step, of those known by now
	counts []float64
	widen  bool // never narrower than the trends' own spread
	tested int
	error  float64 // sum of the absolute errors
	tally  Accuracy
}

func newTrial(steps int, widen bool) *trial {
	return &trial{sums: make([]float64, steps), counts: make([]float64, steps), widen: widen}
}

// How many independent errors the spread of the trends counts for, beside the
// errors that were made. An interval that is too narrow does more harm than one
// that is too wide, so that more is needed to narrow it.
const (
	priorToWiden  = 4
	priorToNarrow = 16
)

// calibration is by how much the errors at step h (from 0) were larger than the
// trends' spread said. Errors of overlapping forecasts are not independent: they
// count for about one in h/2.
func (t *trial) calibration(h int) float64 {
	h = min(h, len(t.sums)-1)
	if h < 0 || t.counts[h] == 0 {
		return 1
	}
	const meanAbsolute = 0.7978845608 // of a standard normal variable
	ratio := t.sums[h] / t.counts[h] / meanAbsolute
	independent := t.counts[h] / (1 + float64(h)/2)
	switch {
	case ratio > 1:
		return (priorToWiden + independent*ratio) / (priorToWiden + independent)
	case t.widen:
		return 1
	}
	return (priorToNarrow + independent*ratio) / (priorToNarrow + independent)
}

// know takes in the errors that the value after the newest origin reveals.
func (t *trial) know() {
	newest := len(t.errors) - 1
	for h := range min(len(t.sums), newest+1) {
		if errors := t.errors[newest-h]; h < len(errors) {
			t.sums[h] += errors[h]
			t.counts[h]++
		}
	}
}

// judge compares the forecasts of one origin with what came.
func (t *trial) judge(forecast, came []float64, spread spreadCurve, nu float64) {
	q80, q95 := tQuantile(0.90, nu), tQuantile(0.975, nu)
	errors := make([]float64, len(came))
	for h, y := range came {
		e := math.Abs(y - forecast[h])
		sd := spread.sd(h + 1)
		if sd > 0 {
			errors[h] = e / sd
		}
		sd *= t.calibration(h)
		t.tally.add(e, q80*sd, q95*sd)
		t.error += e
	}
	t.tested += len(came)
	t.errors = append(t.errors, errors)
}

// add counts an absolute error against the half widths of two intervals.
func (a *Accuracy) add(e, half80, half95 float64) {
	a.Score80 += 2*half80 + 2/0.20*max(0, e-half80)
	a.Score95 += 2*half95 + 2/0.05*max(0, e-half95)
	if e <= half80 {
		a.Coverage80++
	}
	if e <= half95 {
		a.Coverage95++
	}
}

// mean divides by how many were added; the scores are in units of scale.
func (a Accuracy) mean(n int, scale float64) Accuracy {
	f := 1 / float64(n)
	return Accuracy{a.Coverage80 * f, a.Coverage95 * f, a.Score80 * f * scale, a.Score95 * f * scale}
}

// tQuantile is the quantile of Student's t, by the expansion of Cornish and
// Fisher (Abramowitz and Stegun 26.7.5), good to three digits from 5 degrees of
// freedom on.
func tQuantile(p, nu float64) float64 {
	z := math.Sqrt2 * math.Erfinv(2*p-1)
	z3, z5, z7 := math.Pow(z, 3), math.Pow(z, 5), math.Pow(z, 7)
	return z + (z3+z)/(4*nu) + (5*z5+16*z3+3*z)/(96*nu*nu) + (3*z7+19*z5+17*z3-15*z)/(384*nu*nu*nu)
}
