package reports

// judgeControl holds a metric that the action can't touch: where it moved, or is
// not shown to have stayed, the difference can't be put on the action.
func judgeControl(r *Report, g GateSpec) ConditionResult {
	result := ConditionResult{Kind: Control, Text: g.Metric, Outcome: Unsure, Reason: "it was not measured"}
	row := r.Comparison.row(g.Metric)
	if row == nil {
		return result
	}
	result.Reason = row.Reason
	switch row.Change {
	case Equivalent:
		result.Outcome = Pass
	case Improved, Regressed, Changed:
		result.Reason = "something else than the action has changed: " + row.Reason
	case Inconclusive:
		result.Reason = "it is not shown to have stayed as it was: " + row.Reason
	}
	return result
}

// row returns the row of a metric, or nil.
func (c Comparison) row(metric string) *Row {
	for i := range c.Rows {
		if c.Rows[i].Metric == metric {
			return &c.Rows[i]
		}
	}
	return nil
}

// designOf says what guards a report against other causes than its action.
func designOf(r *Report, c Criteria) Design {
	switch {
	case r.Return != nil:
		return ABA
	case interleaved(r.Before, r.After):
		return Interleaved
	case len(c.Controls) > 0:
		return Controlled
	}
	return Uncontrolled
}
