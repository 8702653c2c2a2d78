package reports

import (
	"fmt"
	"slices"

	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/scaling"
)

// Facts are what a verdict depends on beside the measurements.
type Facts struct {
	Guardrails []ConditionResult
	// ActionError and MeasureError say why the action, or the measurement after
	// it, did not come to its end.
	ActionError, MeasureError string
	Interrupted               bool
}

// Judge says whether each condition held, and gives the verdict of a report
// whose Comparison, Before and After are set. It sets the report's Design.
func Judge(r *Report, c Criteria, f Facts) ([]ConditionResult, Verdict) {
	var results []ConditionResult
	q := queriesOf(r.Before, r.After)
	trusted := &trust{report: r}
	for _, o := range c.Objectives {
		results = append(results, trusted.objective(o, withSameResult(q, o.Metric, judgeObjective(r, o))))
	}
	for _, g := range c.Gates {
		if result, ok := judgeCase(&r.Comparison, q, g.Metric); ok {
			results = append(results, result)
			continue
		}
		results = append(results, trusted.changed(g.Metric, withSameResult(q, g.Metric, judgeGate(r, g))))
	}
	for _, g := range c.Controls {
		results = append(results, trusted.changed(g.Metric, judgeControl(r, g)))
	}
	for _, back := range judgeReturn(r, c) {
		results = append(results, trusted.changed(back.Text, back))
	}
	trusted.guardrails(f.Guardrails)
	results = append(results, f.Guardrails...)
	r.Design = designOf(r, c)
	return results, verdictOf(r, results, f, trusted.faults)
}

// verdictOf gives the word by precedence: a measurement that failed can't pass,
// and what failed weighs more than what is not known. untrusted says which loads
// measured their generator.
func verdictOf(r *Report, results []ConditionResult, f Facts, untrusted []string) Verdict {
	failed, unsure := reasonsOf(results, Fail), reasonsOf(results, Unsure)
	switch {
	case f.Interrupted:
		return newVerdict(Interrupted, "The run was interrupted.", failed)
	case f.ActionError != "":
		return ActionFailed(Verdict{Reasons: failed}, f.ActionError)
	case len(reasonsOf(f.Guardrails, Fail)) > 0:
		return newVerdict(Fail, "The action was stopped: a guardrail broke.", failed)
	case f.MeasureError != "":
		return newVerdict(Broken, "The measurement after the action failed.", []string{f.MeasureError})
	case r.Comparison.Refused != "":
		return newVerdict(Broken, "The snapshots can't be compared.", []string{r.Comparison.Refused})
	case len(failed) > 0:
		return newVerdict(Fail, fmt.Sprintf("%s failed.", countConditions(len(failed), len(results))), failed)
	case len(untrusted) > 0:
		return newVerdict(Broken, "The measurement failed: the generator of the load was the limit, not the target.", untrusted)
	case len(unsure) > 0:
		return newVerdict(Unsure, fmt.Sprintf("%s could not be decided.", countConditions(len(unsure), len(results))), unsure)
	case len(results) == 0:
		return newVerdict(Pass, "Measured; there are no conditions to judge by.", nil)
	}
	return newVerdict(Pass, fmt.Sprintf("It worked: %s held.", allConditions(len(results))), reasonsOf(results, Pass))
}

func newVerdict(w Word, headline string, reasons []string) Verdict {
	return Verdict{Word: w, ExitCode: w.ExitCode(), Headline: headline, Reasons: reasons}
}

func countConditions(n, of int) string {
	if of == 1 {
		return "The only condition"
	}
	return fmt.Sprintf("%d of %d conditions", n, of)
}

func allConditions(n int) string {
	if n == 1 {
		return "the only condition"
	}
	return fmt.Sprintf("all %d conditions", n)
}

func reasonsOf(results []ConditionResult, outcome Word) []string {
	var reasons []string
	for _, r := range results {
		if r.Outcome == outcome {
			reasons = append(reasons, fmt.Sprintf("%s %s: %s", r.Kind, r.Text, r.Reason))
		}
	}
	return reasons
}

// ActionFailed returns the verdict where the action did not come to its end.
func ActionFailed(v Verdict, reason string) Verdict {
	return newVerdict(Fail, "The action failed: "+reason+".", append([]string{reason}, v.Reasons...))
}

// AfterRollback returns the verdict once an action has been undone.
func AfterRollback(v Verdict, r *scaling.Rollback) Verdict {
	if r.Verified {
		v.Headline += " The action was undone, and the prior state is verified."
		return v
	}
	v.Word = RollbackFailed
	v.ExitCode = v.Word.ExitCode()
	v.Headline += " The rollback failed, or could not be verified: look at the differences."
	v.Reasons = slices.Concat(r.Differences, v.Reasons)
	return v
}

func judgeGate(r *Report, g GateSpec) ConditionResult {
	result := ConditionResult{Kind: Gate, Text: g.Metric, Outcome: Unsure, Reason: "it was not measured"}
	row := r.Comparison.row(g.Metric)
	if row == nil {
		return result
	}
	result.Reason = row.Reason
	switch row.Change {
	case Improved, Equivalent:
		result.Outcome = Pass
	case Regressed:
		result.Outcome = Fail
	case Changed:
		result.Reason = "it has no better direction, so that it can't gate: " + row.Reason
	}
	return result
}

func judgeObjective(r *Report, c expr.Condition) ConditionResult {
	result := ConditionResult{Kind: Objective, Text: c.Text, Outcome: Unsure}
	if c.Relative {
		judgeRelative(&result, r, c)
	} else {
		judgeAbsolute(&result, r, c)
	}
	return result
}

// judgeAbsolute holds a bound against the interval of the median after.
func judgeAbsolute(result *ConditionResult, r *Report, c expr.Condition) {
	var m *snapshot.Metric
	if r.After != nil {
		m = r.After.Metric(c.Metric)
	}
	if m == nil {
		result.Reason = "it was not measured after"
		return
	}
	if err := c.Fits(m.Unit); err != nil {
		result.Reason = err.Error()
		return
	}
	observed := m.Values.Observed()
	i := stats.MedianInterval(observed, changeConfidence)
	switch {
	case len(observed) == 0:
		result.Reason = "it was not measured after"
	case len(observed) < leastTrials:
		result.Reason = fmt.Sprintf("it is %s, but of %d trials: fewer than %d show nothing", unit.Format(i.Value, m.Unit), len(observed), leastTrials)
	default:
		result.Outcome = hold(c, i.Low, i.High)
		result.Reason = fmt.Sprintf("it is %s (%s to %s at %s)", unit.Format(i.Value, m.Unit), unit.Format(i.Low, m.Unit),
			unit.Format(i.High, m.Unit), percent(i.Confidence))
	}
}

// hold is Pass where the whole interval satisfies c, and Fail where none of it does.
func hold(c expr.Condition, low, high float64) Word {
	within := c.Op == expr.Equal && low <= c.Value && c.Value <= high
	switch holdsLow, holdsHigh := c.Holds(low), c.Holds(high); {
	case holdsLow && holdsHigh:
		return Pass
	case !holdsLow && !holdsHigh && !within:
		return Fail
	}
	return Unsure
}
