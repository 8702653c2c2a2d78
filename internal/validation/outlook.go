package validation

import (
	"context"
	"slices"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/expr"
	"scaleproof/internal/history"
	"scaleproof/internal/plan"
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
	// Announced are the projections that a report announced a month ago.
	Announced []*capacity.Projection
	// Warnings are those of the newest snapshot: what it could not read.
	Warnings []string
}

const (
	// lapsed is how much older than the newest snapshot a metric may be that is
	// measured nightly: what is older was dropped, or is not measured any more.
	lapsed = 7 * 24 * time.Hour
	// aMonth is how far back the past projection is made.
	aMonth = 30 * 24 * time.Hour
	// closelyWatched is of how many limits, the most urgent ones, the past
	// projection, the night before and scenarios are computed as well.
	closelyWatched = 200
)

// Outlook projects every metric of a history that has a limit, and the sizes of
// tables and indexes. It fails where ctx ends, and with a *plan.Error for a limit of
// the plan in a unit that its metric has not.
func Outlook(ctx context.Context, entries []history.Entry, o OutlookOptions) (*reports.Outlook, error) {
	entries = slices.DeleteFunc(slices.Clone(entries), func(e history.Entry) bool { return o.PlanName != "" && e.Plan != o.PlanName })
	result := &reports.Outlook{SchemaVersion: reports.SchemaVersion, GeneratedAt: o.Now, Warnings: o.Warnings}
	w := &outlookWork{result: result, past: newPastMetrics(entries, o.Now), opts: o}
	result.Nights = w.past.nights
	if o.Plan != nil {
		w.config = o.Plan.Capacity
	}
	if err := w.checkLimits(); err != nil {
		return nil, err
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
	// projected are the series of the jobs by their names.
	projected map[string]*metricSeries
	gone      int // series that would be projected, and have lapsed
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
	w.projected = map[string]*metricSeries{}
	var jobs []capacity.ProjectJob
	for _, s := range w.past.series {
		limit, below, limited := w.limitOf(s)
		switch {
		case !limited && !grows(s.metric), w.mirrored(s):
			continue
		case s.lapsedBy(w.past.last) && limited && w.past.silent(s):
			w.result.Unknown = append(w.result.Unknown, silentSince(s, limit))
			continue
		case s.lapsedBy(w.past.last):
			w.gone++
			continue
		}
		s.Kind = w.kindOf(s.metric)
		w.projected[s.Name] = s
		opts := capacity.ProjectOptions{Horizon: w.opts.Horizon, Seed: w.opts.Seed, Now: w.opts.Now, Below: below}
		if limited {
			opts.Limit = &limit
		}
		jobs = append(jobs, capacity.ProjectJob{Series: s.Series, Options: opts})
	}
	return jobs
}

// silentSince is what is known of a series of which nothing comes any more.
func silentSince(s *metricSeries, limit float64) *reports.Undated {
	end := s.end()
	return &reports.Undated{
		Projection: &capacity.Projection{Series: s.Name, Unit: s.Unit, Status: capacity.InsufficientHistory, Points: len(s.Values), To: &end, Last: s.newest()},
		LimitValue: &limit, Silent: true,
	}
}

// grows tells whether a metric without a limit is projected: what takes space.
func grows(name string) bool {
	return strings.Contains(name, ".size.") || strings.HasPrefix(name, "pg.") && strings.HasSuffix(name, ".wal")
}

// kindOf tells how a metric goes on: by what the plan says of a query of
// Prometheus, else by its name.
func (w *outlookWork) kindOf(name string) capacity.Kind {
	for _, q := range w.config.Prometheus {
		if q.Kind != "" && (name == "prom."+q.Name || strings.HasPrefix(name, "prom."+q.Name+".")) {
			return q.Kind
		}
	}
	return kindByName(name)
}

// kindByName tells how a metric that collect measures goes on.
func kindByName(name string) capacity.Kind {
	for _, accumulates := range []string{".size.", ".rows.", ".filesystem.", ".sequence.", ".transaction_ids", ".wal"} {
		if strings.Contains(name, accumulates) {
			return capacity.Size
		}
	}
	return capacity.Gauge
}
