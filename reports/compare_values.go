package reports

import (
	"fmt"
	"math"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// compareValues compares one value per trial, as ratios where all are positive.
func compareValues(row *Row, before, after []float64) {
	logBefore, positiveBefore := logs(before)
	logAfter, positiveAfter := logs(after)
	if !positiveBefore || !positiveAfter {
		compareWithZeros(row, before, after)
		return
	}
	wide := exp(stats.Shift(logBefore, logAfter, changeConfidence))
	row.Ratio = &wide
	if len(before) < leastTrials || len(after) < leastTrials {
		row.Change, row.Reason = Inconclusive, tooFew(len(before), len(after))
		return
	}
	_, p := stats.MannWhitney(logBefore, logAfter)
	row.P = &p
	row.decide(wide, exp(stats.Shift(logBefore, logAfter, sameConfidence)))
	row.spread(logBefore, logAfter)
}

// spread compares how much the trials vary, and says so where that changed.
func (row *Row) spread(logBefore, logAfter []float64) {
	before, after, p := stats.Spread(logBefore, logAfter)
	row.Spread = &Spread{before, after, p}
	if p <= 1-changeConfidence && before != after {
		word := "more"
		if after < before {
			word = "less"
		}
		row.Reason += fmt.Sprintf("; it varies %s from trial to trial than before (by %s, and by %s then)", word, percent(after), percent(before))
	}
}

// pooledDeviation is the standard deviation within the samples.
func pooledDeviation(a, b []float64) float64 {
	return math.Sqrt((math.Pow(stats.StandardDeviation(a), 2) + math.Pow(stats.StandardDeviation(b), 2)) / 2)
}

// compareCounts compares events of requests, by exact tests of their own. Trials
// are added up: events of one trial tell nothing about those of the next.
func compareCounts(row *Row, before, after *snapshot.Metric) {
	eventsBefore, ofBefore := sum(before.Events), sum(before.Of)
	eventsAfter, ofAfter := sum(after.Events), sum(after.Of)
	if ofBefore == 0 || ofAfter == 0 {
		row.Change, row.Reason = Inconclusive, "there was nothing to count on one side"
		return
	}
	p := stats.Fisher(eventsBefore, ofBefore, eventsAfter, ofAfter)
	row.P = &p
	if eventsBefore == eventsAfter && eventsBefore == 0 {
		row.Change = Equivalent
		row.Reason = fmt.Sprintf("none of %s before and none of %s after", unit.Format(float64(ofBefore), unit.Count), unit.Format(float64(ofAfter), unit.Count))
		return
	}
	wide := interval(stats.RateRatio(eventsBefore, ofBefore, eventsAfter, ofAfter, changeConfidence))
	narrow := interval(stats.RateRatio(eventsBefore, ofBefore, eventsAfter, ofAfter, sameConfidence))
	row.decide(wide, narrow)
	row.Reason = fmt.Sprintf("%d of %d before, %d of %d after: %s", eventsBefore, ofBefore, eventsAfter, ofAfter, row.Reason)
	if !math.IsInf(wide.High, 0) && !math.IsInf(wide.Value, 0) {
		row.Ratio = &wide
	}
}

// compareWithZeros compares values of which some are zero, or negative, and have
// no ratio: only a difference that is there at all can be shown.
func compareWithZeros(row *Row, before, after []float64) {
	if constant(before) && constant(after) && before[0] == after[0] {
		row.Change, row.Reason = Equivalent, fmt.Sprintf("%s in every trial, before and after", unit.Format(before[0], row.Unit))
		if len(before) < leastTrials || len(after) < leastTrials {
			row.Change, row.Reason = Inconclusive, tooFew(len(before), len(after))
		}
		return
	}
	if len(before) < leastTrials || len(after) < leastTrials {
		row.Change, row.Reason = Inconclusive, tooFew(len(before), len(after))
		return
	}
	_, p := stats.MannWhitney(before, after)
	row.P = &p
	shift := stats.Shift(before, after, changeConfidence)
	text := fmt.Sprintf("it went from %s to %s, a difference of %s to %s", unit.Format(*row.Before.Median, row.Unit),
		unit.Format(*row.After.Median, row.Unit), unit.Format(shift.Low, row.Unit), unit.Format(shift.High, row.Unit))
	switch {
	case shift.Low > 0:
		row.Change, row.Reason = row.change(true), text
	case shift.High < 0:
		row.Change, row.Reason = row.change(false), text
	default:
		row.Change, row.Reason = Inconclusive, text+", which may be none"
	}
}

// decide gives the verdict on a ratio: wide is its interval for a change, narrow
// that for sameness.
func (row *Row) decide(wide, narrow Interval) {
	low, high := 1/(1+row.MinChange), 1+row.MinChange
	text := changeText(wide)
	matters := percent(row.MinChange)
	switch {
	case wide.Low > high:
		row.Change = row.change(true)
		row.Reason = fmt.Sprintf("%s, beyond the %s that matters", text, matters)
	case wide.High < low:
		row.Change = row.change(false)
		row.Reason = fmt.Sprintf("%s, beyond the %s that matters", text, matters)
	case narrow.Low > low && narrow.High < high:
		row.Change = Equivalent
		row.Reason = fmt.Sprintf("%s, within the %s that does not matter", changeText(narrow), matters)
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

// changeText says a ratio's interval in words: "31 % lower (29 % to 34 %)".
func changeText(i Interval) string {
	if i.Value >= 2 || i.Value <= 0.5 {
		return fmt.Sprintf("%s times what it was (%s to %s)", times(i.Value), times(i.Low), times(i.High))
	}
	if i.Low == 1 && i.High == 1 {
		return "the same in every trial"
	}
	word := "higher"
	value, low, high := i.Value-1, i.Low-1, i.High-1
	if value < 0 {
		word, value, low, high = "lower", -value, -high, -low
	}
	return fmt.Sprintf("%s %s (%s to %s)", percent(value), word, percent(low), percent(high))
}

func times(x float64) string {
	if math.IsInf(x, 1) {
		return "any number of"
	}
	return unit.Format(x, unit.Count)
}

func percent(x float64) string { return unit.Format(math.Round(x*1000)/1000, unit.Ratio) }

func tooFew(before, after int) string {
	return fmt.Sprintf("%d trials before and %d after: with fewer than %d a side nothing can be shown", before, after, leastTrials)
}

func exp(i stats.Interval) Interval {
	return Interval{math.Exp(i.Value), math.Exp(i.Low), math.Exp(i.High), i.Confidence}
}

func interval(i stats.Interval) Interval { return Interval(i) }

func constant(xs []float64) bool {
	for _, x := range xs {
		if x != xs[0] {
			return false
		}
	}
	return true
}

func sum(xs []int64) (total int64) {
	for _, x := range xs {
		total += x
	}
	return total
}
