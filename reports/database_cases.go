package reports

import (
	"fmt"
	"slices"
	"strings"

	"scaleproof/dbbench"
	"scaleproof/internal/snapshot"
)

// A caseStep is one of the questions that are asked of a query, before beside
// after, and the answer.
type caseStep struct {
	Question string
	Change   Change
	Words    string
}

// caseMetrics are asked after the result and the plan, those first that depend
// least on what else the server does. Which blocks were in the cache is no
// question: it is the cache's state.
func caseMetrics() []struct{ question, metric string } {
	return []struct{ question, metric string }{
		{"blocks touched", "blocks"},
		{"rows read", "rows_read"},
		{"rows thrown away", "rows_removed"},
		{"temporary blocks", "temp_blocks"},
		{"q-error", "q_error"},
		{"time", "time.p50"},
	}
}

// notMeasured is what is said of a figure that there is none of.
const notMeasured = "it was not measured"

// caseSteps asks of a query, from the surest to the least sure: is its result the
// same, is its plan, and did it touch, read, spill, estimate and take as much.
func caseSteps(c *Comparison, before, after *dbbench.CaseResult) []caseStep {
	steps := []caseStep{resultStep(before, after), planStep(before, after)}
	for _, m := range caseMetrics() {
		step := caseStep{m.question, Inconclusive, notMeasured}
		if row := c.row("db." + before.Name + "." + m.metric); row != nil {
			step.Change, step.Words = row.Change, row.Reason
		}
		steps = append(steps, step)
	}
	return steps
}

func resultStep(before, after *dbbench.CaseResult) caseStep {
	step := caseStep{"result", Equivalent, "the rows are the same"}
	switch {
	case before.Error != "" || after.Error != "":
		step.Change, step.Words = Inconclusive, "it failed: "+firstOf(after.Error, before.Error)
	case before.ResultHash == "" || after.ResultHash == "":
		step.Change, step.Words = Inconclusive, "the rows were not hashed"
	case before.ResultHash != after.ResultHash:
		step.Change, step.Words = Changed, fmt.Sprintf("the rows differ: %.0f before, %.0f after", before.Rows, after.Rows)
		if before.Rows == after.Rows {
			step.Words = fmt.Sprintf("the rows differ, and are %.0f before and after", after.Rows)
		}
	}
	return step
}

func planStep(before, after *dbbench.CaseResult) caseStep {
	step := caseStep{"plan", Equivalent, "its shape is the same"}
	switch {
	case before.Fingerprint == "" || after.Fingerprint == "":
		step.Change, step.Words = Inconclusive, "there is no plan"
	case before.Fingerprint != after.Fingerprint:
		step.Change, step.Words = Changed, "it has another shape"
		if before.Plan != nil && after.Plan != nil {
			step.Words = firstOf(strings.Join(dbbench.DiffPlans(before.Plan, after.Plan), "; "), step.Words)
		}
	}
	return step
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

// CaseGate splits a gate on a query as a whole, db.<case>, or on its result or plan
// alone, db.<case>.result and db.<case>.plan. ok is false for other metrics.
func CaseGate(metric string) (name, part string, ok bool) {
	rest, ok := strings.CutPrefix(metric, "db.")
	name, part, _ = strings.Cut(rest, ".")
	return name, part, ok && (part == "" || part == "result" || part == "plan")
}

// judgeCase judges a gate on a query as a whole, db.<case>, or on its result or
// plan alone, db.<case>.result and db.<case>.plan. ok is false where the gate is on
// something else.
func judgeCase(r *Report, metric string) (result ConditionResult, ok bool) {
	name, part, ok := CaseGate(metric)
	if !ok {
		return result, false
	}
	result = ConditionResult{Kind: Gate, Text: metric, Outcome: Unsure, Reason: "it was not measured"}
	before, after := caseOf(r.Before, name), caseOf(r.After, name)
	if before == nil || after == nil {
		return result, true
	}
	steps := caseSteps(&r.Comparison, before, after)
	switch part {
	case "result":
		steps = steps[:1]
	case "plan":
		steps = steps[1:2]
	default:
		if steps[1].Change == Changed {
			// Another plan is what an index is made for: what it costs is what
			// counts here.
			steps[1].Change = Equivalent
		}
	}
	result.Outcome, result.Reason = judgeSteps(steps)
	return result, true
}

// coversCase tells whether the gate is on a query as a whole, and the metric one of
// those that its figures are.
func (g GateSpec) coversCase(metric string) bool {
	rest, ok := strings.CutPrefix(metric, g.Metric+".")
	return ok && strings.HasPrefix(g.Metric, "db.") && slices.ContainsFunc(caseMetrics(), func(m struct{ question, metric string }) bool { return m.metric == rest })
}

// looksAt tells whether chance could make the gate fail by a metric: it is the
// gate's own, or the time of its query. What else is asked of a query does not
// depend on chance.
func (g GateSpec) looksAt(metric string) bool {
	return g.Metric == metric || g.coversCase(metric) && strings.HasSuffix(metric, ".time.p50")
}

// judgeSteps stops at the first answer that is worse: what follows from it says
// nothing new. One that is not known leaves it open.
func judgeSteps(steps []caseStep) (outcome Word, reason string) {
	outcome = Pass
	var words []string
	for _, s := range steps {
		switch s.Change {
		case Regressed, Changed:
			return Fail, s.Question + ": " + s.Words
		case Inconclusive:
			if outcome == Pass {
				outcome, reason = Unsure, s.Question+": "+s.Words
			}
		}
		words = append(words, s.Question)
	}
	if outcome == Pass {
		reason = strings.Join(words, ", ") + ": no worse than before"
		if len(steps) == 1 {
			reason = steps[0].Words
		}
	}
	return outcome, reason
}

// withSameResult takes back a pass on a query's figures where the query gave other
// rows: what does less is faster.
func withSameResult(r *Report, metric string, result ConditionResult) ConditionResult {
	name, _, _ := strings.Cut(strings.TrimPrefix(metric, "db."), ".")
	if result.Outcome != Pass || !strings.HasPrefix(metric, "db.") {
		return result
	}
	before, after := caseOf(r.Before, name), caseOf(r.After, name)
	if before == nil || after == nil {
		return result
	}
	if step := resultStep(before, after); step.Change == Changed {
		result.Outcome = Unsure
		result.Reason = step.Words + ", so that its figures do not compare; " + result.Reason
	}
	return result
}

// caseOf returns a query of a snapshot, nil where it has none of that name.
func caseOf(s *snapshot.Snapshot, name string) *dbbench.CaseResult {
	all, err := cases(s)
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(all, func(c dbbench.CaseResult) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &all[i]
}
