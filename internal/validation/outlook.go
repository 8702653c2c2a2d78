package validation

import (
	"context"
	"slices"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/expr"
	"scaleproof/internal/history"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

// OutlookOptions say what to look at and how far.
type OutlookOptions struct {
	Plan    string // only what this plan has measured; empty: all
	Horizon time.Duration
	Seed    uint64
	Now     time.Time
	FailIf  []expr.Condition
}

// Outlook projects every metric of a history that has a limit, and the sizes of
// tables and indexes. Its error is the context's.
func Outlook(ctx context.Context, entries []history.Entry, o OutlookOptions) (*reports.Outlook, error) {
	entries = slices.DeleteFunc(slices.Clone(entries), func(e history.Entry) bool { return o.Plan != "" && e.Plan != o.Plan })
	result := &reports.Outlook{SchemaVersion: reports.SchemaVersion, GeneratedAt: o.Now, Nights: len(entries)}
	if len(entries) == 0 {
		result.Judge(o.FailIf)
		return result, nil
	}
	latest := &entries[len(entries)-1]
	jobs := outlookJobs(entries, latest, o)
	projections, err := capacity.ProjectAll(ctx, jobs)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		result.Warnings = append(result.Warnings, strings.Split(err.Error(), "\n")...)
	}
	for _, p := range projections {
		switch {
		case p == nil:
		case p.Status == capacity.InsufficientHistory:
			result.Unknown = append(result.Unknown, p)
		case p.Limit != nil:
			result.Limits = append(result.Limits, p)
		default:
			result.Growing = append(result.Growing, p)
		}
	}
	result.Order()
	result.Judge(o.FailIf)
	return result, nil
}

// outlookJobs lists what to project: all of the latest entry that has a limit or
// is a size.
func outlookJobs(entries []history.Entry, latest *history.Entry, o OutlookOptions) []capacity.ProjectJob {
	var jobs []capacity.ProjectJob
	for _, f := range latest.Metrics {
		limit, limited := limitOf(latest, f)
		if !limited && !strings.Contains(f.Name, ".size.") {
			continue
		}
		s := capacity.Series{Name: f.Name, Unit: f.Unit, Kind: kindOf(f.Name)}
		for i := range entries {
			if point, ok := entries[i].Figure(f.Name); ok {
				s.Times, s.Values = append(s.Times, entries[i].StartedAt), append(s.Values, point.Median)
			}
		}
		opts := capacity.ProjectOptions{Horizon: o.Horizon, Seed: o.Seed, Now: o.Now}
		if limited {
			opts.Limit = &limit
		}
		jobs = append(jobs, capacity.ProjectJob{Series: s, Options: opts})
	}
	return jobs
}

// limitOf returns what a metric must not reach: what was measured beside it, or
// all of what is a share.
func limitOf(latest *history.Entry, f history.Figure) (float64, bool) {
	if strings.HasSuffix(f.Name, capacity.LimitSuffix) {
		return 0, false
	}
	if limit, ok := latest.Figure(f.Name + capacity.LimitSuffix); ok {
		return limit.Median, true
	}
	if f.Unit == unit.Ratio && (f.Name == "host.cpu" || strings.Contains(f.Name, ".sequence.")) {
		return 1, true
	}
	return 0, false
}

// kindOf tells how a metric of the history goes on from its name.
func kindOf(name string) capacity.Kind {
	for _, accumulates := range []string{".size.", ".rows.", ".filesystem.", ".sequence.", ".transaction_ids"} {
		if strings.Contains(name, accumulates) {
			return capacity.Size
		}
	}
	return capacity.Gauge
}
