package reports

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
)

// The levels of the comparison.
const (
	// changeConfidence is that of the interval that must lie wholly beyond the
	// smallest change that matters for a metric to be improved or regressed.
	changeConfidence = 0.95
	// sameConfidence is that of the interval that must lie wholly within it for
	// a metric to be equivalent: two one-sided tests at 5 % (Schuirmann 1987).
	sameConfidence = 0.90
	// falseDiscovery is the rate of false discoveries over the gates.
	falseDiscovery = 0.05
	// leastTrials is how many values a side must have: with fewer no exact test
	// can find anything at 5 %.
	leastTrials = 4
	// DefaultMinChange is the smallest change that matters where nothing else
	// is said.
	DefaultMinChange = 0.05
)

// Compare compares every metric of two snapshots. It refuses snapshots of
// different workloads, or from environments that differ, unless the criteria
// allow them. Trials that were interleaved are compared as pairs. The verdicts of
// gates are corrected for their number.
func Compare(before, after *snapshot.Snapshot, c Criteria) Comparison {
	var comparison Comparison
	grave, slight := differences(before, after)
	comparison.Warnings = slight
	if len(grave) > 0 && !c.AllowDifferences {
		comparison.Refused = strings.Join(grave, "; ")
		return comparison
	}
	comparison.Warnings = append(grave, slight...)
	if broken := brokenInterleaving(before, after); broken != "" {
		comparison.Warnings = append(comparison.Warnings, broken)
	}
	paired := interleaved(before, after)
	for _, both := range bothSides(before, after) {
		comparison.Rows = append(comparison.Rows, both.row(c, paired))
	}
	comparison.leaveOut(before, after)
	comparison.Warnings = append(comparison.Warnings, movedQueries(queriesOf(before, after))...)
	gates := correctGates(comparison.Rows)
	for i := range comparison.Rows {
		comparison.Rows[i].tell(gates)
	}
	if warning := c.powerless(sight{before: before.Trials, after: after.Trials, paired: paired}); warning != "" {
		comparison.Warnings = append(comparison.Warnings, warning)
	}
	return comparison
}

// differences lists what makes two snapshots incomparable, and what only should
// be known: another version of the tool, or another machine of the same kind.
func differences(before, after *snapshot.Snapshot) (grave, slight []string) {
	if before.WorkloadHash != after.WorkloadHash {
		grave = append(grave, "the snapshots are of different workloads (load, queries or their parameters differ)")
	}
	a, b := before.Environment, after.Environment
	note := func(list *[]string, what, a, b string) {
		if a != b {
			*list = append(*list, fmt.Sprintf("the environments differ: %s was %q and is %q", what, a, b))
		}
	}
	note(&slight, "tool", a.Tool, b.Tool)
	note(&slight, "host", a.Host, b.Host)
	note(&grave, "system", a.OS, b.OS)
	note(&grave, "number of CPUs", fmt.Sprint(a.CPUs), fmt.Sprint(b.CPUs))
	names := slices.Concat(slices.Collect(maps.Keys(a.Facts)), slices.Collect(maps.Keys(b.Facts)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		note(&grave, name, a.Facts[name], b.Facts[name])
	}
	return grave, slight
}

// A measured is one metric of both snapshots; a side that lacks it is nil.
type measured struct {
	name          string
	before, after *snapshot.Metric
}

// bothSides lists the metrics of before, in its order, then those that after has
// beside them.
func bothSides(before, after *snapshot.Snapshot) []measured {
	var all []measured
	for i := range before.Metrics {
		m := &before.Metrics[i]
		all = append(all, measured{m.Name, m, after.Metric(m.Name)})
	}
	for i := range after.Metrics {
		if m := &after.Metrics[i]; before.Metric(m.Name) == nil {
			all = append(all, measured{m.Name, nil, m})
		}
	}
	return all
}

func side(m *snapshot.Metric) Side {
	if m == nil {
		return Side{}
	}
	s := Side{Values: m.Values}
	if observed := m.Values.Observed(); len(observed) > 0 {
		median := stats.Median(observed)
		s.Median = &median
	}
	return s
}

// row compares one metric, trial by trial where trials are paired.
func (m measured) row(c Criteria, paired bool) Row {
	known := m.after
	if known == nil {
		known = m.before
	}
	row := Row{
		Metric: m.name, Unit: known.Unit, Better: known.Better,
		Before: side(m.before), After: side(m.after), MinChange: c.SmallestChange(m.name),
	}
	named := func(g GateSpec) bool { return g.looksAt(m.name) }
	row.Gate, row.Control = slices.ContainsFunc(c.Gates, named), slices.ContainsFunc(c.Controls, named)
	switch {
	case m.before == nil || m.after == nil || row.Before.Median == nil || row.After.Median == nil:
		row.Change, row.Reason = Inconclusive, missing(row)
	case m.before.Unit != m.after.Unit || m.before.Better != m.after.Better:
		row.Change, row.Reason = Inconclusive, "it is measured in another unit or direction after than before"
	case len(m.before.Of) > 0 && len(m.after.Of) > 0:
		compareCounts(&row, m.before, m.after)
	default:
		row.Paired = paired
		row.compareValues()
	}
	return row
}

func missing(row Row) string {
	switch {
	case row.Before.Median == nil && row.After.Median == nil:
		return "it was measured neither before nor after"
	case row.Before.Median == nil:
		return "it was not measured before"
	}
	return "it was not measured after"
}

// SmallestChange returns the smallest change of a metric that matters, a fraction.
func (c Criteria) SmallestChange(metric string) float64 {
	for _, g := range slices.Concat(c.Gates, c.Controls) {
		if (g.Metric == metric || g.coversCase(metric)) && g.MinChange > 0 {
			return float64(g.MinChange)
		}
	}
	if c.MinChange > 0 {
		return float64(c.MinChange)
	}
	return DefaultMinChange
}

// correctGates takes back the changes of gates that do not survive the
// correction for the number of gates that were looked at, which it returns.
func correctGates(rows []Row) int {
	var gates []int
	var ps []float64
	for i, row := range rows {
		if row.Gate && row.P != nil {
			gates = append(gates, i)
			ps = append(ps, *row.P)
		}
	}
	for i, adjusted := range stats.BenjaminiHochberg(ps) {
		row := &rows[gates[i]]
		row.PAdjusted = &adjusted
		if (row.Change == Improved || row.Change == Regressed) && adjusted > falseDiscovery {
			row.Change = Inconclusive
			row.Reason += fmt.Sprintf("; but with %d gates looked at, chance gives as much (adjusted p %.3f)", len(gates), adjusted)
		}
	}
	return len(gates)
}

// logs returns the logarithms of positive values, or false.
func logs(xs []float64) ([]float64, bool) {
	out := make([]float64, len(xs))
	for i, x := range xs {
		if x <= 0 {
			return nil, false
		}
		out[i] = math.Log(x)
	}
	return out, true
}
