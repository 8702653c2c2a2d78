package reports

import (
	"fmt"
	"math"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// What counts are held against where their ratio tells nothing, as parts of all that
// could have been counted.
const (
	// noneBound must be excluded where nothing was counted on either side.
	noneBound = 0.01
	// sameRate is how far rates may lie apart and still be equivalent, whatever
	// their ratio: one error more in a million is no other system.
	sameRate = 0.001
)

// compareCounts compares events of requests, by exact tests of their own. The trials
// are added up, those of an interleaving too: the exact test of pairs (McNemar's) is of
// pairs of requests, and no request of one side belongs to one of the other.
func compareCounts(row *Row, before, after *snapshot.Metric) {
	row.Before.Events, row.Before.Of = sum(before.Events), sum(before.Of)
	row.After.Events, row.After.Of = sum(after.Events), sum(after.Of)
	a, n, b, m := row.Before.Events, row.Before.Of, row.After.Events, row.After.Of
	trialsBefore, trialsAfter := len(before.Values.Observed()), len(after.Values.Observed())
	counted := fmt.Sprintf("%d of %d before, %d of %d after: ", a, n, b, m)
	switch {
	case n == 0 || m == 0:
		row.Change, row.Reason = Inconclusive, "there was nothing to count on one side"
		return
	case min(trialsBefore, trialsAfter) < leastTrials:
		// What fails, fails in bursts: those of one trial are one observation.
		row.Change, row.Reason = Inconclusive, counted+row.tooFew(trialsBefore, trialsAfter)
		return
	}
	p := stats.Fisher(a, n, b, m)
	row.P = &p
	if a+b == 0 {
		row.none(n, m)
		return
	}
	wide := Interval(stats.RateRatio(a, n, b, m, changeConfidence))
	row.decide(wide, Interval(stats.RateRatio(a, n, b, m, sameConfidence)))
	row.Reason = counted + row.Reason
	if !math.IsInf(wide.High, 0) && !math.IsInf(wide.Value, 0) {
		row.Ratio = &wide
	} else {
		row.Same = nil
	}
	// Rates at 90 % each, so that both bounds hold at 90 % at least.
	first, second := stats.Rate(a, n, sameConfidence), stats.Rate(b, m, sameConfidence)
	if apart := max(second.High-first.Low, first.High-second.Low); row.Change == Inconclusive && apart < sameRate {
		row.Change = Equivalent
		row.Reason = fmt.Sprintf("%sless than %s of all apart at %s, which does not matter", counted, smallPart(apart), percent(sameConfidence))
	}
}

// none judges counts of nothing on either side: they are equivalent where there were
// enough to have shown a rate that matters.
func (row *Row) none(before, after int64) {
	bound := stats.Rate(0, min(before, after), sameConfidence).High
	text := fmt.Sprintf("none of %s before and none of %s after", unit.Format(float64(before), unit.Count), unit.Format(float64(after), unit.Count))
	if bound < noneBound {
		row.Change = Equivalent
		row.Reason = fmt.Sprintf("%s: a rate of %s is excluded at %s", text, smallPart(bound), percent(1-(1-sameConfidence)/2))
		return
	}
	needed := math.Ceil(math.Log((1-sameConfidence)/2) / math.Log1p(-noneBound))
	row.Change = Inconclusive
	row.Reason = fmt.Sprintf("%s: so few do not exclude a rate of %s; %s a side exclude one of %s", text, smallPart(bound), unit.Format(needed, unit.Count), percent(noneBound))
}

// smallPart writes a part of all that may be far below what percent rounds to.
func smallPart(x float64) string { return fmt.Sprintf("%.2g %%", 100*x) }

func sum(xs []int64) (total int64) {
	for _, x := range xs {
		total += x
	}
	return total
}
