package reports

import (
	"fmt"
	"math"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// compareValues compares one value per trial, as ratios where all are positive.
func (row *Row) compareValues() {
	defer row.tellLacking()
	before, after := row.values()
	logBefore, positiveBefore := logs(before)
	logAfter, positiveAfter := logs(after)
	if !positiveBefore || !positiveAfter {
		row.compareWithZeros(before, after)
		return
	}
	wide := exp(row.shift(logBefore, logAfter, changeConfidence))
	if len(before) > 0 {
		row.Ratio = &wide
	}
	if few := row.tooFew(len(before), len(after)); few != "" {
		row.Change, row.Reason = Inconclusive, few
		return
	}
	row.test(logBefore, logAfter)
	row.decide(wide, exp(row.shift(logBefore, logAfter, sameConfidence)))
	row.spread(logBefore, logAfter)
}

// spread compares how much the trials vary, and says so where that changed. Its test
// is that of two samples for pairs too: what both share makes it see less, not more.
func (row *Row) spread(logBefore, logAfter []float64) {
	before, after, p := stats.Spread(logBefore, logAfter)
	row.Spread = &Spread{Before: before, After: after, P: p}
	if row.Paired {
		ratios := make([]float64, len(logBefore))
		for i := range ratios {
			ratios[i] = logAfter[i] - logBefore[i]
		}
		row.Spread.Pairs = stats.StandardDeviation(ratios)
	}
	if p <= 1-changeConfidence && before != after {
		word := "more"
		if after < before {
			word = "less"
		}
		row.Reason += fmt.Sprintf("; it varies %s from trial to trial than before (by %s, and by %s then)", word, percent(after), percent(before))
	}
}

// compareWithZeros compares values of which some are zero, or negative, and have no
// ratio. What matters is still a part of what was before: what is after is held
// against that much more, and that much less, of each value before.
func (row *Row) compareWithZeros(before, after []float64) {
	if few := row.tooFew(len(before), len(after)); few != "" {
		row.Change, row.Reason = Inconclusive, few
		return
	}
	if constant(before) && constant(after) && before[0] == after[0] {
		row.Change, row.Reason = Equivalent, fmt.Sprintf("%s in every trial, before and after", unit.Format(before[0], row.Unit))
		return
	}
	row.test(before, after)
	more, less := make([]float64, len(before)), make([]float64, len(before))
	for i, x := range before {
		more[i], less[i] = x+math.Abs(x)*row.MinChange, x-math.Abs(x)*row.MinChange/(1+row.MinChange)
	}
	wide, narrow := row.shift(before, after, changeConfidence), row.shift(before, after, sameConfidence)
	text := func(i stats.Interval) string {
		return fmt.Sprintf("it went from %s to %s, a difference of %s to %s %s", sideText(row.Before, row.Unit), sideText(row.After, row.Unit),
			unit.Format(i.Low, row.Unit), unit.Format(i.High, row.Unit), row.at(i.Confidence))
	}
	matters := percent(row.MinChange)
	switch {
	case row.shift(more, after, changeConfidence).Low > 0:
		row.Change, row.Reason = row.change(true), fmt.Sprintf("%s, beyond the %s that matters", text(wide), matters)
	case row.shift(less, after, changeConfidence).High < 0:
		row.Change, row.Reason = row.change(false), fmt.Sprintf("%s, beyond the %s that matters", text(wide), matters)
	case row.shift(more, after, sameConfidence).High <= 0 && row.shift(less, after, sameConfidence).Low >= 0:
		row.Change, row.Reason = Equivalent, fmt.Sprintf("%s, within the %s that does not matter", text(narrow), matters)
	default:
		row.Change, row.Reason = Inconclusive, fmt.Sprintf("%s: neither clearly beyond nor clearly within the %s that matters", text(wide), matters)
	}
}

// decide gives the verdict on a ratio: wide is its interval for a change, narrow
// that for sameness.
func (row *Row) decide(wide, narrow Interval) {
	low, high := 1/(1+row.MinChange), 1+row.MinChange
	text := row.changeText(wide)
	matters := percent(row.MinChange)
	switch {
	case wide.Low > high:
		row.Change = row.change(true)
		row.Reason = fmt.Sprintf("%s, beyond the %s that matters", text, matters)
	case wide.High < low:
		row.Change = row.change(false)
		row.Reason = fmt.Sprintf("%s, beyond the %s that matters", text, matters)
	case narrow.Low > low && narrow.High < high:
		row.Change, row.Same = Equivalent, &narrow
		row.Reason = fmt.Sprintf("%s, within the %s that does not matter", row.changeText(narrow), matters)
	default:
		row.Change = Inconclusive
		row.Reason = fmt.Sprintf("%s: neither clearly beyond nor clearly within the %s that matters", text, matters)
	}
}

// change says what a clear rise, or else fall, is.
func (row *Row) change(rise bool) Change {
	switch {
	case row.Better == snapshot.Neutral:
		return Changed
	case rise == (row.Better == snapshot.Higher):
		return Improved
	}
	return Regressed
}

// changeText says a ratio's interval in words, with its confidence: "31 % lower (29 %
// to 34 % at 95.9 %)".
func (row *Row) changeText(i Interval) string {
	at := " " + row.at(i.Confidence)
	if i.Value >= 2 || i.Value <= 0.5 {
		return fmt.Sprintf("%s times what it was (%s to %s%s)", times(i.Value), times(i.Low), times(i.High), at)
	}
	if i.Low == 1 && i.High == 1 {
		return "the same in every trial"
	}
	value := sided(i.Value)
	if i.Low >= 1 || i.High <= 1 {
		near, far := min(math.Abs(i.Low-1), math.Abs(i.High-1)), max(math.Abs(i.Low-1), math.Abs(i.High-1))
		return fmt.Sprintf("%s (%s to %s%s)", value, percent(near), percent(far), at)
	}
	return fmt.Sprintf("%s (%s to %s%s)", value, sided(i.Low), sided(i.High), at)
}

// sided says a ratio as a change with its direction.
func sided(ratio float64) string {
	switch change := percent(math.Abs(ratio - 1)); {
	case change == percent(0):
		return "unchanged"
	case ratio < 1:
		return change + " lower"
	default:
		return change + " higher"
	}
}

func times(x float64) string {
	if math.IsInf(x, 1) {
		return "any number of"
	}
	return unit.Format(x, unit.Count)
}

func percent(x float64) string { return unit.Format(math.Round(x*1000)/1000, unit.Ratio) }

func exp(i stats.Interval) Interval {
	return Interval{math.Exp(i.Value), math.Exp(i.Low), math.Exp(i.High), i.Confidence}
}

func constant(xs []float64) bool {
	for _, x := range xs {
		if x != xs[0] {
			return false
		}
	}
	return true
}
