package reports

import (
	"fmt"

	"scaleproof/internal/expr"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// judgeRelative holds a multiple against what the metric was before.
func judgeRelative(result *ConditionResult, r *Report, c expr.Condition) {
	result.Reason = "it was not measured"
	row := r.Comparison.row(c.Metric)
	switch {
	case row == nil:
	case row.P == nil && row.Change != Equivalent: // too little to tell anything
		result.Reason = row.Reason
	case row.isZero():
		result.Reason = "it is 0 before and after, which has no ratio: " + row.Reason
		if c.Op == expr.LessOrEqual && row.Change == Equivalent {
			result.Outcome, result.Reason = Pass, "it is 0 before and after: "+row.Reason
		}
	case row.Before.Of > 0:
		judgeRatio(result, c, row, Interval(stats.RateRatio(row.Before.Events, row.Before.Of, row.After.Events, row.After.Of, changeConfidence)))
	case row.Ratio != nil:
		judgeRatio(result, c, row, *row.Ratio)
	default:
		judgeWithZeros(result, c, row)
	}
}

// isZero reports whether nothing was counted, or every value was 0, on both sides.
func (row *Row) isZero() bool {
	if row.Before.Of > 0 {
		return row.Before.Events+row.After.Events == 0
	}
	for _, values := range [][]float64{row.Before.Values.Observed(), row.After.Values.Observed()} {
		for _, v := range values {
			if v != 0 {
				return false
			}
		}
	}
	return true
}

func judgeRatio(result *ConditionResult, c expr.Condition, row *Row, i Interval) {
	result.Outcome = hold(c, i.Low, i.High)
	result.Reason = fmt.Sprintf("it is %s times what it was (%s to %s %s)", times(i.Value), times(i.Low), times(i.High), row.at(i.Confidence))
}

// judgeWithZeros holds a multiple of values of which some are 0: what is after
// against the multiple of what was before, as a difference.
func judgeWithZeros(result *ConditionResult, c expr.Condition, row *Row) {
	scaled, after := row.values()
	for i := range scaled {
		scaled[i] *= c.Value
	}
	d := row.shift(scaled, after, changeConfidence)
	beyond := c
	beyond.Value = 0
	result.Outcome = hold(beyond, d.Low, d.High)
	result.Reason = fmt.Sprintf("it is %s, and was %s: the difference to %s times that is %s to %s %s", sideText(row.After, row.Unit), sideText(row.Before, row.Unit),
		unit.Format(c.Value, unit.Count), unit.Format(d.Low, row.Unit), unit.Format(d.High, row.Unit), row.at(d.Confidence))
}
