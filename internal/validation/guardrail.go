package validation

import (
	"fmt"
	"math"
	"strings"

	"scaleproof/internal/expr"
	"scaleproof/internal/plan"
	"scaleproof/internal/stats"
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
	window     []guardSecond
	broken     []reports.ConditionResult
	looked     map[string]bool // the conditions that there was a value for
}

// A guardSecond is a second with its latencies, by the names that guardrails have
// for them.
type guardSecond struct {
	loadgen.Second
	latencies map[string]float64
}

func newGuardSecond(s loadgen.Second, response *stats.Histogram) guardSecond {
	return guardSecond{s, map[string]float64{
		"response.p50": s.P50, "response.p90": response.Quantile(.9), "response.p95": response.Quantile(.95), "response.p99": s.P99,
		"response.p999": response.Quantile(.999), "response.mean": s.Mean, "response.max": s.Max, "service.p99": s.ServiceP99,
	}}
}

// see takes the next second and the response times of its successes, and returns why
// the action must stop, or nothing.
func (g *guard) see(s loadgen.Second, response *stats.Histogram) (reason string) {
	g.window = append(g.window, newGuardSecond(s, response))
	if len(g.window) > guardWindow {
		g.window = g.window[1:]
	}
	if len(g.window) < guardWindow || len(g.broken) > 0 {
		return ""
	}
	for _, c := range g.conditions {
		value, base, ok := measured(c, g.window)
		if !ok {
			continue
		}
		if g.looked == nil {
			g.looked = map[string]bool{}
		}
		g.looked[c.Text] = true
		if c.Holds(value) {
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
		if !g.looked[c.Text] {
			result.Outcome, result.Reason = reports.Unsure, fmt.Sprintf("the load through the action never had a value of it for %d s on end", guardWindow)
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
// added up, and of latencies the best second counts, so that a guardrail breaks
// only where all seconds break it. Where the generator was late, only errors are
// the target's.
func measured(c expr.Condition, window []guardSecond) (value float64, base unit.Base, ok bool) {
	_, name, _ := strings.Cut(strings.TrimPrefix(c.Metric, "load."), ".")
	base, ok = plan.GuardrailMetrics()[name]
	var requests, errors int64
	length, best, answered := 0.0, math.NaN(), 0
	for _, s := range window {
		if s.GeneratorLate() && name != "errors" {
			return 0, base, false
		}
		requests, errors, length = requests+s.Requests, errors+s.Errors, length+s.Length
		if s.Requests == s.Errors {
			continue // without a success there is no latency
		}
		answered++
		if x := s.latencies[name]; math.IsNaN(best) || c.Op.Upper() == (x < best) {
			best = x
		}
	}
	switch name {
	case "errors":
		return float64(errors) / float64(max(requests, 1)), base, ok && requests > 0
	case "throughput":
		return float64(requests-errors) / length, base, ok && length > 0
	}
	return best, base, ok && answered == len(window)
}
