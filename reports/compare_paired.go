package reports

import (
	"fmt"
	"math"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
)

// leastPairs is how many pairs of trials there must be: with fewer no interval of
// them has 95 %, and the exact test can find nothing at 5 %.
const leastPairs = 6

// interleaved reports whether trial i of one snapshot was measured side by side with
// trial i of the other.
func interleaved(before, after *snapshot.Snapshot) bool {
	return before != nil && after != nil && before.Interleaving != "" && before.Interleaving == after.Interleaving && before.Trials == after.Trials
}

// brokenInterleaving says why two snapshots of one interleaving can't be paired, or
// returns nothing.
func brokenInterleaving(before, after *snapshot.Snapshot) string {
	if before.Interleaving == "" || before.Interleaving != after.Interleaving || before.Trials == after.Trials {
		return ""
	}
	return fmt.Sprintf("the snapshots are of one interleaving, but have %d and %d trials: they are compared unpaired", before.Trials, after.Trials)
}

// pairs returns the values of the trials that both sides have, and how many pairs lack
// one on a side.
func pairs(before, after snapshot.Values) (a, b []float64, lacking int) {
	for i := range before {
		if math.IsNaN(before[i]) || math.IsNaN(after[i]) {
			lacking++
			continue
		}
		a, b = append(a, before[i]), append(b, after[i])
	}
	return a, b, lacking
}

// values returns what is compared of a row: all that was observed or, of pairs, what
// both sides have.
func (row *Row) values() (before, after []float64) {
	if row.Paired {
		before, after, _ = pairs(row.Before.Values, row.After.Values)
		return before, after
	}
	return row.Before.Values.Observed(), row.After.Values.Observed()
}

// shift estimates how much more there is after than before, by the row's method.
func (row *Row) shift(before, after []float64, confidence float64) stats.Interval {
	if row.Paired {
		return stats.PairedShift(before, after, confidence)
	}
	return stats.Shift(before, after, confidence)
}

// test sets the p-value of a difference, by the row's method.
func (row *Row) test(before, after []float64) {
	_, p := stats.MannWhitney(before, after)
	if row.Paired {
		_, p = stats.SignedRank(before, after)
	}
	row.P = &p
}

// tooFew says that there are too few values to show anything, or returns nothing.
func (row *Row) tooFew(before, after int) string {
	switch {
	case row.Paired && before < leastPairs:
		return fmt.Sprintf("%d pairs of trials: with fewer than %d nothing can be shown by pairs", before, leastPairs)
	case !row.Paired && min(before, after) < leastTrials:
		return fmt.Sprintf("%d trials before and %d after: with fewer than %d a side nothing can be shown", before, after, leastTrials)
	}
	return ""
}

// at says the confidence of an interval of the row, and the method where it is not the
// one of two samples.
func (row *Row) at(confidence float64) string {
	if row.Paired {
		return "at " + percent(confidence) + ", paired, signed rank"
	}
	return "at " + percent(confidence)
}

// tellLacking says which pairs were left out.
func (row *Row) tellLacking() {
	if !row.Paired {
		return
	}
	if _, _, lacking := pairs(row.Before.Values, row.After.Values); lacking > 0 {
		row.Reason += fmt.Sprintf("; left out: %d of %d pairs, which lack a value on a side", lacking, len(row.Before.Values))
	}
}

// LeastPairs returns how many pairs of trials it takes to find a regression of one
// among so many gates where the others show nothing.
func LeastPairs(gates int) int {
	return sight{paired: true}.fewest(func(n sight) bool { return n.smallestP() <= gateBound(gates) })
}
