package reports

import (
	"math"
	"slices"

	"scaleproof/internal/snapshot"
)

// CompareReturn compares in the design A-B-A: after with the trials before the
// action and those after it was undone together.
func CompareReturn(before, after, returned *snapshot.Snapshot, c Criteria) Comparison {
	return Compare(joined(before, returned), after, c)
}

// joined has the trials of a, then those of b, which measured the same.
func joined(a, b *snapshot.Snapshot) *snapshot.Snapshot {
	both := *a
	both.Trials, both.Metrics, both.Interleaving = a.Trials+b.Trials, nil, ""
	for _, m := range a.Metrics {
		if more := b.Metric(m.Name); more != nil {
			m.Values = slices.Concat(m.Values, more.Values)
			m.Events, m.Of = slices.Concat(m.Events, more.Events), slices.Concat(m.Of, more.Of)
		}
		both.Metrics = append(both.Metrics, m)
	}
	return &both
}

// judgeReturn holds, in the design A-B-A, that what is judged came back once the
// action was undone: where it did not, the action is not what changed it.
func judgeReturn(r *Report, c Criteria) []ConditionResult {
	if r.Return == nil {
		return nil
	}
	comparison, q := Compare(r.Before, r.Return, c), queriesOf(r.Before, r.Return)
	var results []ConditionResult
	for _, metric := range judgedMetrics(c) {
		result := ConditionResult{Kind: Return, Text: metric, Outcome: Unsure, Reason: "it was not measured again"}
		row := comparison.row(metric)
		query, isQuery := judgeCase(&comparison, q, metric)
		switch {
		case comparison.Refused != "":
			result.Reason = comparison.Refused
		case isQuery:
			result.Outcome, result.Reason = query.Outcome, "compared with once the action was undone: "+query.Reason
			if query.Outcome == Fail {
				result.Outcome = Unsure
			}
		case row != nil && row.After.Median != nil && row.Before.Median != nil:
			result.Outcome, result.Reason = cameBack(row, r.Comparison.row(metric))
		}
		results = append(results, result)
	}
	return results
}

// cameBack judges a metric by its row of before against after the action was undone,
// and by that of the action.
func cameBack(row, acted *Row) (Word, string) {
	switch row.Change {
	case Improved, Regressed, Changed:
		return Unsure, "once the action was undone, it did not come back, so that something else changed it: " + row.Reason
	case Equivalent:
		return Pass, "once the action was undone, it came back: " + row.Reason
	}
	switch {
	case acted != nil && acted.Change == Equivalent:
		return Pass, "the action had not changed it; once it was undone: " + row.Reason
	case acted != nil && acted.Ratio != nil && row.Ratio != nil &&
		max(math.Abs(math.Log(row.Ratio.Low)), math.Abs(math.Log(row.Ratio.High))) < math.Abs(math.Log(acted.Ratio.Value))/2:
		return Pass, "once the action was undone, more than half of its change was gone: " + row.Reason
	}
	return Unsure, "once the action was undone, it was not shown to have come back: " + row.Reason
}

// judgedMetrics lists the metrics of objectives and gates, each once.
func judgedMetrics(c Criteria) []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, o := range c.Objectives {
		add(o.Metric)
	}
	for _, g := range c.Gates {
		add(g.Metric)
	}
	return names
}
