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
// same, is its plan, and did it touch, read, spill, estimate and take as much. Of
// other work nothing can be asked.
func caseSteps(c *Comparison, before, after *dbbench.CaseResult) []caseStep {
	if words := otherWork(before, after); words != "" {
		return []caseStep{{"work", Inconclusive, words}}
	}
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

// otherWork says why a query was other work after than before, or returns nothing.
func otherWork(before, after *dbbench.CaseResult) string {
	switch {
	case before.SQL != after.SQL:
		return "its statement is another one than before, so that nothing of it compares"
	case !slices.Equal(before.Args, after.Args) || !slices.Equal(before.Nulls, after.Nulls):
		return fmt.Sprintf("it ran with the arguments (%s), and before with (%s), so that nothing of it compares: draw them from what does not change, or give them",
			strings.Join(after.Args, ", "), strings.Join(before.Args, ", "))
	}
	return ""
}

// failure says on which side a query failed, and why; nothing where it did not.
func failure(before, after *dbbench.CaseResult) string {
	switch {
	case after.Error != "":
		return "it could not be measured after: " + after.Error
	case before.Error != "":
		return "it could not be measured before: " + before.Error
	}
	return ""
}

// leaveOut takes the figures of queries out of a comparison that were other work
// after than before, and says of those that have none on a side why.
func (c *Comparison) leaveOut(before, after *snapshot.Snapshot) {
	all, err := cases(before)
	if err != nil {
		return // what needs the section says so
	}
	others, err := cases(after)
	if err != nil {
		return
	}
	for i := range all {
		k := slices.IndexFunc(others, func(o dbbench.CaseResult) bool { return o.Name == all[i].Name })
		if k < 0 {
			continue
		}
		other, failed := otherWork(&all[i], &others[k]), failure(&all[i], &others[k])
		for j := range c.Rows {
			row := &c.Rows[j]
			switch {
			case !strings.HasPrefix(row.Metric, "db."+all[i].Name+"."):
			case other != "":
				row.Change, row.Reason, row.Ratio, row.Same, row.P = Inconclusive, other, nil, nil, nil
			case failed != "" && (row.Before.Median == nil || row.After.Median == nil):
				row.Reason = failed
			}
		}
	}
}

func resultStep(before, after *dbbench.CaseResult) caseStep {
	step := caseStep{Question: "result"}
	was, is := before.Results(), after.Results()
	switch step.Change = changeOf(was, is); {
	case before.Error != "" || after.Error != "":
		step.Change, step.Words = Inconclusive, failure(before, after)
	case len(was) == 0 || len(is) == 0:
		step.Change, step.Words = Inconclusive, "the rows were not hashed"
	case len(was) > 1:
		step.Change, step.Words = Inconclusive, fmt.Sprintf("the rows differed from trial to trial before already: %d results, and %d after", len(was), len(is))
	case step.Change == Equivalent:
		step.Words = "the rows are the same"
	case len(is) > 1:
		step.Words = fmt.Sprintf("the rows differ, and do so from trial to trial: %d results, before one", len(is))
	case before.Rows == after.Rows:
		step.Words = fmt.Sprintf("the rows differ, and are %.0f before and after", after.Rows)
	default:
		step.Words = fmt.Sprintf("the rows differ: %.0f before, %.0f after", before.Rows, after.Rows)
	}
	return step
}

func planStep(before, after *dbbench.CaseResult) caseStep {
	step := caseStep{Question: "plan"}
	was, is := before.Shapes(), after.Shapes()
	switch step.Change = changeOf(was, is); {
	case before.Error != "" || after.Error != "":
		step.Change, step.Words = Inconclusive, failure(before, after)
	case len(was) == 0 || len(is) == 0:
		step.Change, step.Words = Inconclusive, "there is no plan"
	case step.Change == Equivalent:
		step.Words = "its shape is the same"
	case step.Change == Inconclusive:
		step.Words = fmt.Sprintf("its shape differed from run to run before already: %d shapes, and %d of them after", len(was), len(is))
	default:
		step.Words = "it has another shape"
		if before.Plan != nil && after.Plan != nil {
			step.Words = firstOf(strings.Join(dbbench.DiffPlans(before.Plan, after.Plan), "; "), step.Words)
		}
		if len(is) > 1 || len(was) > 1 {
			step.Words = fmt.Sprintf("it differs from run to run, %d shapes before and %d after, one of them new: %s", len(was), len(is), step.Words)
		}
	}
	return step
}

// changeOf compares what was seen over all trials of both sides: something that is
// new is a change; what was one of several before tells nothing.
func changeOf(before, after []string) Change {
	switch {
	case slices.ContainsFunc(after, func(a string) bool { return !slices.Contains(before, a) }):
		return Changed
	case len(before) > 1:
		return Inconclusive
	}
	return Equivalent
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
func judgeCase(c *Comparison, q queries, metric string) (result ConditionResult, ok bool) {
	name, part, ok := CaseGate(metric)
	if !ok {
		return result, false
	}
	result = ConditionResult{Kind: Gate, Text: metric, Outcome: Unsure, Reason: "it was not measured"}
	before, after := q.pair(name)
	if before == nil || after == nil {
		return result, true
	}
	steps := caseSteps(c, before, after)
	switch {
	case otherWork(before, after) != "":
	case part == "result":
		steps = steps[:1]
	case part == "plan":
		steps = steps[1:2]
	case len(before.Shapes()) > 0 && len(after.Shapes()) > 0:
		// Another plan is what an index is made for: what it costs is what counts
		// here.
		steps[1].Change = Equivalent
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
// rows, or was other work: what does less is faster.
func withSameResult(q queries, metric string, result ConditionResult) ConditionResult {
	name, _, _ := strings.Cut(strings.TrimPrefix(metric, "db."), ".")
	if result.Outcome != Pass || !strings.HasPrefix(metric, "db.") {
		return result
	}
	before, after := q.pair(name)
	if before == nil || after == nil {
		return result
	}
	if words := otherWork(before, after); words != "" {
		result.Outcome, result.Reason = Unsure, words
	} else if step := resultStep(before, after); step.Change == Changed {
		result.Outcome = Unsure
		result.Reason = step.Words + ", so that its figures do not compare; " + result.Reason
	}
	return result
}

// queries are those of both sides of a report, decoded once.
type queries struct{ before, after []dbbench.CaseResult }

// queriesOf leaves out what can't be decoded: what needs it says so.
func queriesOf(before, after *snapshot.Snapshot) (q queries) {
	q.before, _ = cases(before)
	q.after, _ = cases(after)
	return q
}

// pair returns a query of both sides, nil where a side has none of that name.
func (q queries) pair(name string) (before, after *dbbench.CaseResult) {
	find := func(all []dbbench.CaseResult) *dbbench.CaseResult {
		i := slices.IndexFunc(all, func(c dbbench.CaseResult) bool { return c.Name == name })
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	return find(q.before), find(q.after)
}
