package reports

import (
	"fmt"
	"math"
	"slices"
	"sort"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
)

// mostTrials is how many trials are thought of when it is said how many it takes.
const mostTrials = 100

// A sight is what decides, beside the noise, which changes a comparison can see.
type sight struct {
	before, after int     // trials
	paired        bool    // trials are compared as pairs, as many as there are before
	minChange     float64 // the smallest change that matters, a fraction
	gates         int     // over which false discoveries are controlled; 0 for what is no gate
}

// detectable returns the smallest true change, a fraction, that is called improved
// or regressed four times of five at a standard deviation from trial to trial or, of
// pairs, from pair to pair (of logarithms). It is what the verdict asks for: the whole interval beyond minChange
// and, among several gates, a p-value that is small enough where the others found
// nothing. Infinite where so few trials never call anything.
func (s sight) detectable(deviation float64) float64 {
	beyond := math.Log1p(s.minChange) + s.significant(deviation, 1-changeConfidence)
	return math.Expm1(max(beyond, s.significant(deviation, gateBound(s.gates))))
}

// significant returns the smallest true difference that the test of a change finds
// four times of five.
func (s sight) significant(deviation, alpha float64) float64 {
	if s.paired {
		return stats.DetectablePaired(deviation, s.before, alpha)
	}
	return stats.Detectable(deviation, s.before, s.after, alpha)
}

// smallestP is the smallest p-value that so many trials can give.
func (s sight) smallestP() float64 {
	if s.paired {
		return stats.SmallestPairedP(s.before)
	}
	return stats.SmallestP(s.before, s.after)
}

// gateBound is how small the p-value of one gate must be where the others find nothing.
func gateBound(gates int) float64 { return falseDiscovery / float64(max(gates, 1)) }

// told is what trials are counted for: a change that is beyond minChange by as much
// again. One of just minChange is on the border, and no number of trials tells it.
func (s sight) told() float64 { return math.Expm1(2 * math.Log1p(s.minChange)) }

// needed returns how many trials a side, or pairs of them, call a change of told, mostTrials at most; 0
// where those are not enough.
func (s sight) needed(deviation float64) int {
	return s.fewest(func(n sight) bool { return n.detectable(deviation) <= n.told() })
}

// fewest returns the fewest trials a side that are enough, 0 where mostTrials aren't.
func (s sight) fewest(enough func(sight) bool) int {
	least := s.least()
	more := sort.Search(mostTrials-least+1, func(i int) bool {
		s.before, s.after = least+i, least+i
		return enough(s)
	})
	if least+more > mostTrials {
		return 0
	}
	return least + more
}

// least is how many trials a side there must be to show anything.
func (s sight) least() int {
	if s.paired {
		return leastPairs
	}
	return leastTrials
}

// trialsText says the result of needed.
func (s sight) trialsText(trials int) string {
	of := "trials a side"
	if s.paired {
		of = "pairs of trials"
	}
	if trials == 0 {
		return fmt.Sprintf("more than %d %s", mostTrials, of)
	}
	return fmt.Sprintf("%d %s", trials, of)
}

// sightOf is that of a metric with these criteria.
func (c Criteria) sightOf(metric string, before, after int) sight {
	s := sight{before: before, after: after, minChange: c.SmallestChange(metric)}
	if slices.ContainsFunc(c.Gates, func(g GateSpec) bool { return g.looksAt(metric) }) {
		s.gates = len(c.tested())
	}
	return s
}

// tested are the gates that chance could make fail, and that are corrected for
// their number.
func (c Criteria) tested() (gates []GateSpec) {
	for _, g := range c.Gates {
		if _, part, ok := CaseGate(g.Metric); !ok || part == "" {
			gates = append(gates, g)
		}
	}
	return gates
}

// Powerless says why nothing can be found, whatever so many trials a side measure, or
// returns nothing.
func (c Criteria) Powerless(before, after int) string {
	return c.powerless(sight{before: before, after: after})
}

func (c Criteria) powerless(s sight) string {
	gates := len(c.tested())
	if gates+len(c.Objectives) == 0 {
		return ""
	}
	trials := fmt.Sprintf("%d trials", s.after)
	switch {
	case s.paired:
		trials = fmt.Sprintf("%d pairs of trials", s.before)
	case s.before != s.after:
		trials = fmt.Sprintf("%d trials against %d", s.after, s.before)
	}
	least, bound := s.smallestP(), gateBound(gates)
	needed := s.fewest(func(n sight) bool { return n.smallestP() <= bound })
	switch {
	case min(s.before, s.after) < s.least():
		return fmt.Sprintf("with %s nothing can be found: it takes %s", trials, s.trialsText(needed))
	case least > bound:
		return fmt.Sprintf("with %d gates and %s a regression of one gate alone can't be found but by counts, such as errors: the smallest p of its exact test is %.2g, and %d gates need %.2g: it takes %s, or fewer gates",
			gates, trials, least, gates, bound, s.trialsText(needed))
	}
	return ""
}

// blind says why trials of a side can't show what a gate or a control looks for, or
// returns nothing.
func (s sight) blind(metric string, deviation float64) string {
	seen := s.detectable(deviation)
	if seen <= s.told() {
		return ""
	}
	can := "none can be seen"
	if !math.IsInf(seen, 0) {
		can = fmt.Sprintf("only one of %s is found four times of five", percent(seen))
	}
	return fmt.Sprintf("%s looks for a change beyond %s, and with %d trials %s: it takes %s to find one of %s",
		metric, percent(s.minChange), s.after, can, s.trialsText(s.needed(deviation)), percent(s.told()))
}

// tell sets what the trials of a row could have shown and, where they showed nothing,
// says it. gates is how many there are.
func (row *Row) tell(gates int) {
	if row.Spread == nil || row.P == nil {
		return // too few trials, values without a ratio, or what is not compared
	}
	before, after := row.values()
	s := sight{before: len(before), after: len(after), paired: row.Paired, minChange: row.MinChange}
	if row.Gate {
		s.gates = gates
	}
	deviation, of := math.Hypot(row.Spread.Before, row.Spread.After)/math.Sqrt2, "a side"
	if row.Paired {
		deviation, of = row.Spread.Pairs, "pairs"
	}
	seen := s.detectable(deviation)
	text := "; these trials can't show a change of one gate alone"
	if !math.IsInf(seen, 0) {
		row.Detectable = &seen
		text = fmt.Sprintf("; these trials find a change of %s four times of five", percent(seen))
	}
	if row.Change != Inconclusive {
		return
	}
	switch needed := s.needed(deviation); {
	case needed == 0:
		text += fmt.Sprintf(", and with this noise not even %d %s would find one of %s: longer trials, or a quieter metric, might", mostTrials, of, percent(s.told()))
	case needed > min(s.before, s.after):
		text += fmt.Sprintf(", and with this noise %d %s would find one of %s", needed, of, percent(s.told()))
	default:
		text += "; a few more, or longer ones, would tell"
	}
	row.Reason += text
}

// Foresee says, from the noise of the first snapshot, which gates and controls
// look for smaller changes than so many trials can show. It is asked before anything
// is changed.
func Foresee(first *snapshot.Snapshot, c Criteria, before, after int) (warnings []string) {
	for _, m := range first.Metrics {
		looks := func(g GateSpec) bool { return g.looksAt(m.Name) }
		if len(m.Of) > 0 || !slices.ContainsFunc(slices.Concat(c.Gates, c.Controls), looks) {
			continue // counts have an exact test of their own
		}
		values, positive := logs(m.Values.Observed())
		if !positive || len(values) < 2 {
			continue
		}
		if warning := c.sightOf(m.Name, before, after).blind(m.Name, stats.StandardDeviation(values)); warning != "" {
			warnings = append(warnings, "by the noise of the first trials, "+warning)
		}
	}
	return warnings
}
