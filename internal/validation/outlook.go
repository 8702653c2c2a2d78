package validation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/expr"
	"scaleproof/internal/history"
	"scaleproof/internal/plan"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

// OutlookOptions say what to look at and how far.
type OutlookOptions struct {
	// Plan has limits, scenarios and the environment of recommended plans; nil
	// for none.
	Plan *plan.Plan
	// PlanName bounds the report to what this plan has measured; empty: all.
	PlanName string
	Horizon  time.Duration
	Seed     uint64
	Now      time.Time
	FailIf   []expr.Condition
	// Warnings are those of the newest snapshot: what it could not read.
	Warnings []string
}

const (
	// lapsed is how much older than the newest snapshot a metric may be: what is
	// older has been dropped, or is not measured any more.
	lapsed = 7 * 24 * time.Hour
	// aMonth is how far back the past projection is made.
	aMonth = 30 * 24 * time.Hour
	// closelyWatched is of how many limits, the most urgent ones, the past
	// projection, the night before and scenarios are computed as well.
	closelyWatched = 200
)

// Outlook projects every metric of a history that has a limit, and the sizes of
// tables and indexes. Its error is the context's.
func Outlook(ctx context.Context, entries []history.Entry, o OutlookOptions) (*reports.Outlook, error) {
	entries = slices.DeleteFunc(slices.Clone(entries), func(e history.Entry) bool { return o.PlanName != "" && e.Plan != o.PlanName })
	result := &reports.Outlook{SchemaVersion: reports.SchemaVersion, GeneratedAt: o.Now, Nights: len(entries), Warnings: o.Warnings}
	w := &outlookWork{result: result, past: newPastMetrics(entries), opts: o}
	if o.Plan != nil {
		w.config = o.Plan.Capacity
	}
	jobs := w.jobs()
	projections, err := w.project(ctx, jobs)
	if err != nil {
		return nil, err
	}
	for i, p := range projections {
		switch d := (&reports.Dated{Projection: p, History: recent(jobs[i].Series)}); {
		case p == nil:
		case p.Status == capacity.InsufficientHistory:
			result.Unknown = append(result.Unknown, &reports.Undated{Projection: p, LimitValue: jobs[i].Options.Limit})
		case p.Limit != nil:
			result.Limits = append(result.Limits, d)
		default:
			result.Growing = append(result.Growing, d)
		}
	}
	result.Order()
	if err := w.watch(ctx, jobs); err != nil {
		return nil, err
	}
	w.noteMissing()
	result.Recommendations = recommend(w)
	result.Trim()
	result.Judge(o.FailIf)
	return result, nil
}

// outlookWork is what making an outlook needs.
type outlookWork struct {
	result *reports.Outlook
	past   *pastMetrics
	opts   OutlookOptions
	config capacity.Config
	gone   int // series that would be projected, and have lapsed
}

// project projects; what can't be is a warning. Its error is the context's.
func (w *outlookWork) project(ctx context.Context, jobs []capacity.ProjectJob) ([]*capacity.Projection, error) {
	projections, err := capacity.ProjectAll(ctx, jobs)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		w.result.Warnings = append(w.result.Warnings, strings.Split(err.Error(), "\n")...)
	}
	return projections, nil
}

// jobs lists what to project: all that has a limit, or is a size.
func (w *outlookWork) jobs() []capacity.ProjectJob {
	var jobs []capacity.ProjectJob
	for _, name := range w.past.names {
		s := w.past.series[name]
		limit, below, limited := w.limitOf(s)
		switch {
		case !limited && !grows(name):
			continue
		case w.past.lapsed(s):
			w.gone++
			continue
		}
		s.Kind = w.kindOf(name)
		opts := capacity.ProjectOptions{Horizon: w.opts.Horizon, Seed: w.opts.Seed, Now: w.opts.Now, Below: below}
		if limited {
			opts.Limit = &limit
		}
		jobs = append(jobs, capacity.ProjectJob{Series: *s, Options: opts})
	}
	return jobs
}

// grows tells whether a metric without a limit is projected: what takes space.
func grows(name string) bool {
	return strings.Contains(name, ".size.") || strings.HasPrefix(name, "pg.") && strings.HasSuffix(name, ".wal")
}

// limitOf returns what a metric must not reach: what the plan says, what was
// measured beside it, or all of what is a share.
func (w *outlookWork) limitOf(s *capacity.Series) (limit float64, below, limited bool) {
	if strings.HasSuffix(s.Name, capacity.LimitSuffix) {
		return 0, false, false
	}
	for _, rule := range w.config.Limits {
		if !capacity.Named(s.Name, rule.Metric) {
			continue
		}
		if from, ok := w.past.newest(rule.From); ok {
			return from, rule.Below, true
		}
		if rule.Value != nil && rule.Value.Fits(s.Unit) {
			return rule.Value.Value, rule.Below, true
		}
	}
	if limit, ok := w.past.newest(s.Name + capacity.LimitSuffix); ok {
		return limit, false, true
	}
	if s.Unit == unit.Ratio && (s.Name == "host.cpu" || strings.Contains(s.Name, ".sequence.")) {
		return 1, false, true
	}
	return 0, false, false
}

// kindOf tells how a metric goes on: by what the plan says of a query of
// Prometheus, else by its name.
func (w *outlookWork) kindOf(name string) capacity.Kind {
	for _, q := range w.config.Prometheus {
		if q.Kind != "" && (name == "prom."+q.Name || strings.HasPrefix(name, "prom."+q.Name+".")) {
			return q.Kind
		}
	}
	for _, accumulates := range []string{".size.", ".rows.", ".filesystem.", ".sequence.", ".transaction_ids", ".wal"} {
		if strings.Contains(name, accumulates) {
			return capacity.Size
		}
	}
	return capacity.Gauge
}

// noteMissing warns of limits that could not be found, of what is not measured any
// more, and of a history that ends in the past.
func (w *outlookWork) noteMissing() {
	warn := func(format string, args ...any) {
		w.result.Warnings = append(w.result.Warnings, fmt.Sprintf(format, args...))
	}
	if age := w.opts.Now.Sub(w.past.last); len(w.past.names) > 0 && age > 3*24*time.Hour {
		warn("the newest snapshot is %s old: nothing is known since", unit.Format(age.Seconds(), unit.Seconds))
	}
	for _, rule := range w.config.Limits {
		found := slices.ContainsFunc(w.past.names, func(name string) bool { return capacity.Named(name, rule.Metric) })
		_, known := w.past.newest(rule.From)
		switch {
		case !found:
			warn("the plan limits %s, of which the history knows nothing", rule.Metric)
		case rule.From != "" && !known:
			warn("the limit of %s is to be %s, of which the history knows nothing: add the snapshot of a run by capacity collect --add", rule.Metric, rule.From)
		}
	}
	if w.gone > 0 {
		warn("not measured for a week, as those of a table that was dropped, and left out: %s", unit.Format(float64(w.gone), unit.Count)+" of the metrics")
	}
}
