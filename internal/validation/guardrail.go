package validation

import (
	"fmt"
	"strings"

	"scaleproof/internal/expr"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/reports"
)

// guardWindow is over how many seconds a guardrail is watched: one bad second
// is no reason to abort an action, three are.
const guardWindow = 3

// A guard watches the load through an action. It is used by one goroutine.
type guard struct {
	conditions []expr.Condition
	window     []loadgen.Second
	broken     []reports.ConditionResult
}

// see takes the next second, and returns why the action must stop, or nothing.
func (g *guard) see(s loadgen.Second) (reason string) {
	g.window = append(g.window, s)
	if len(g.window) > guardWindow {
		g.window = g.window[1:]
	}
	if len(g.window) < guardWindow || len(g.broken) > 0 {
		return ""
	}
	for _, c := range g.conditions {
		value, base, ok := measured(c, g.window)
		if !ok || c.Holds(value) {
			continue
		}
		reason = fmt.Sprintf("guardrail %s broke: %s over %d s", c, unit.Format(value, base), guardWindow)
		g.broken = append(g.broken, reports.ConditionResult{Kind: reports.Guardrail, Text: c.Text, Outcome: reports.Fail, Reason: reason})
		return reason
	}
	return ""
}

// results returns one result per guardrail, of a load that came to its end as
// through, nil where there is none.
func (g *guard) results(through *loadgen.Result) []reports.ConditionResult {
	var all []reports.ConditionResult
	for _, c := range g.conditions {
		result := reports.ConditionResult{
			Kind: reports.Guardrail, Text: c.Text, Outcome: reports.Pass, Reason: "held through the action",
		}
		if len(g.window) < guardWindow {
			result.Outcome, result.Reason = reports.Unsure, "the load through the action was too short to watch it"
		}
		if through != nil && reports.OfTheGenerator(through.Validity) && (figureOf(c) != "errors" || through.Validity == loadgen.Invalid) {
			result.Outcome, result.Reason = reports.Unsure, fmt.Sprintf("the load through the action is %s: %s", through.Validity, through.ValidityReason)
		}
		for _, b := range g.broken {
			if b.Text == c.Text {
				result = b
			}
		}
		all = append(all, result)
	}
	return all
}

// figureOf is the last part of a guardrail's metric.
func figureOf(c expr.Condition) string { return c.Metric[strings.LastIndex(c.Metric, ".")+1:] }

// measured returns the value of a guardrail's metric over a window: counts are
// added up, and of quantiles the best second counts, so that a guardrail breaks
// only where all seconds break it. Where the generator was late, only errors are
// the target's.
func measured(c expr.Condition, window []loadgen.Second) (value float64, base unit.Base, ok bool) {
	name := figureOf(c)
	var requests, errors int64
	best := 0.0
	for i, s := range window {
		if s.GeneratorLate() && name != "errors" {
			return 0, "", false
		}
		requests, errors = requests+s.Requests, errors+s.Errors
		x := map[string]float64{"p50": s.P50, "p99": s.P99, "max": s.Max}[name]
		if i == 0 || c.Op.Upper() == (x < best) {
			best = x
		}
	}
	switch name {
	case "errors":
		return float64(errors) / float64(max(requests, 1)), unit.Ratio, requests > 0
	case "throughput":
		return float64(requests-errors) / float64(len(window)), unit.RequestsPerSecond, true
	case "p50", "p99", "max":
		return best, unit.Seconds, requests > errors
	}
	return 0, "", false
}
