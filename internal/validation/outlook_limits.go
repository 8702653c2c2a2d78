package validation

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/plan"
	"scaleproof/internal/unit"
)

// oldLimit is how old a limit that another metric gave may be before it is told.
const oldLimit = 90 * 24 * time.Hour

// limitOf returns what a metric must not reach: what the plan says, what was
// measured beside it, or all of what is a share.
func (w *outlookWork) limitOf(s *metricSeries) (limit float64, below, limited bool) {
	if strings.HasSuffix(s.metric, capacity.LimitSuffix) {
		return 0, false, false
	}
	for _, rule := range w.config.Limits {
		if !capacity.Named(s.Name, rule.Metric) {
			continue
		}
		if from := w.past.anywhere(s, rule.From); from != nil {
			return from.newest(), rule.Below, true
		}
		if rule.Value != nil && rule.Value.Fits(s.Unit) {
			return rule.Value.Value, rule.Below, true
		}
	}
	if m := w.measuredLimit(s); m != nil && !m.lapsedBy(s.end()) {
		return m.newest(), false, true
	}
	if s.Unit == unit.Ratio && (s.metric == "host.cpu" || strings.Contains(s.metric, ".sequence.")) {
		return 1, false, true
	}
	return 0, false, false
}

// measuredLimit returns the limit that was measured beside a metric; of a query of
// Prometheus with several series it may be one for all. It is nil for none.
func (w *outlookWork) measuredLimit(s *metricSeries) *metricSeries {
	if limit := w.past.beside(s, s.metric+capacity.LimitSuffix); limit != nil {
		return limit
	}
	if parts := strings.Split(s.metric, "."); parts[0] == "prom" && len(parts) > 2 {
		return w.past.beside(s, "prom."+parts[1]+capacity.LimitSuffix)
	}
	return nil
}

// checkLimits refuses a limit of the plan whose unit none of its metrics has.
func (w *outlookWork) checkLimits() error {
	var problems []plan.Problem
	for _, rule := range w.config.Limits {
		wrong := (*metricSeries)(nil)
		for _, s := range w.past.series {
			if rule.Value == nil || strings.HasSuffix(s.metric, capacity.LimitSuffix) || !capacity.Named(s.Name, rule.Metric) {
				continue
			}
			if rule.Value.Fits(s.Unit) {
				wrong = nil
				break
			}
			wrong = s
		}
		if wrong != nil {
			problems = append(problems, plan.Problem{Message: fmt.Sprintf("capacity.limits: %s is measured in %s, and its limit is %s", wrong.metric, wrong.Unit, rule.Value)})
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return &plan.Error{Path: w.opts.Plan.Path, Problems: problems}
}

// mirrored tells whether a series of a standby is that of its primary once more:
// what is replicated, at the same value.
func (w *outlookWork) mirrored(s *metricSeries) bool {
	parts := strings.SplitN(s.metric, ".", 3)
	if parts[0] != "pg" || len(parts) < 3 || !w.standby(s, parts[1]) {
		return false
	}
	what, _, _ := strings.Cut(parts[2], ".")
	if !slices.Contains([]string{"size", "rows", "sequence", "transaction_ids"}, what) {
		return false
	}
	return slices.ContainsFunc(w.past.series, func(other *metricSeries) bool {
		node, same := strings.CutSuffix(strings.TrimPrefix(other.metric, "pg."), "."+parts[2])
		return same && node != parts[1] && other.source == s.source && !other.lapsedBy(w.past.last) && !w.standby(other, node) &&
			math.Abs(other.newest()-s.newest()) <= 0.01*math.Abs(s.newest())
	})
}

// standby tells whether a Postgres node of a series' source was one when it was
// last read.
func (w *outlookWork) standby(s *metricSeries, node string) bool {
	recovers := w.past.beside(s, "pg."+node+".standby")
	return recovers != nil && recovers.newest() == 1
}

// noteMissing warns of limits that could not be found or are old, of what is not
// measured any more, and of a history that ends in the past or comes from the
// future.
func (w *outlookWork) noteMissing() {
	warn := func(format string, args ...any) {
		w.result.Warnings = append(w.result.Warnings, fmt.Sprintf(format, args...))
	}
	if n := len(w.past.ahead); n > 0 {
		warn("%s of the history from the future, such as %s, and left out: a clock is wrong", are(n, "snapshot"), w.past.ahead[n-1])
	}
	if age := w.opts.Now.Sub(w.past.last); len(w.past.series) > 0 && age > 3*24*time.Hour {
		warn("the newest snapshot is %s old: nothing is known since", unit.Format(age.Seconds(), unit.Seconds))
	}
	for _, rule := range w.config.Limits {
		at := slices.IndexFunc(w.past.series, func(s *metricSeries) bool { return capacity.Named(s.Name, rule.Metric) })
		if at < 0 {
			warn("the plan limits %s, of which the history knows nothing", rule.Metric)
			continue
		}
		if rule.From == "" {
			continue
		}
		from := w.past.anywhere(w.past.series[at], rule.From)
		if from == nil {
			warn("the limit of %s is to be %s, of which the history knows nothing: add the snapshot of a run by capacity collect --add", rule.Metric, rule.From)
		} else if w.opts.Now.Sub(from.end()) > oldLimit {
			warn("the limit of %s is %s as it was measured on %s: measure it anew", rule.Metric, from.Name, from.end().Format(time.DateOnly))
		}
	}
	for _, s := range w.past.series {
		_, _, limited := w.limitOf(s)
		if m := w.measuredLimit(s); !limited && m != nil && !s.lapsedBy(w.past.last) {
			warn("the limit of %s was last measured on %s, and counts no more", s.Name, m.end().Format(time.DateOnly))
		}
	}
	w.noteUnlimited(warn)
	if w.gone > 0 {
		warn("not measured for a week, as those of a table that was dropped, and left out: %s", unit.Format(float64(w.gone), unit.Count)+" of the metrics")
	}
}

// noteUnlimited warns of queries of Prometheus whose limit is for none of their
// series.
func (w *outlookWork) noteUnlimited(warn func(format string, args ...any)) {
	for _, q := range w.config.Prometheus {
		without := 0
		example := ""
		for _, s := range w.past.series {
			if q.Limit == "" || strings.HasSuffix(s.metric, capacity.LimitSuffix) || s.lapsedBy(w.past.last) || s.metric != "prom."+q.Name && !strings.HasPrefix(s.metric, "prom."+q.Name+".") {
				continue
			}
			if _, _, limited := w.limitOf(s); !limited && w.measuredLimit(s) == nil {
				without, example = without+1, s.Name
			}
		}
		if without > 0 {
			warn("%s of the query %s without a limit, such as %s: let its limit be one number, or aggregate it by the same labels", are(without, "series"), q.Name, example)
		}
	}
}

// are counts a noun, with the verb that goes with it.
func are(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun + " is"
	case strings.HasSuffix(noun, "s"):
		return fmt.Sprintf("%d %s are", n, noun)
	}
	return fmt.Sprintf("%d %ss are", n, noun)
}
