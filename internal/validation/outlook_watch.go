package validation

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

// watch looks closely at the most urgent limits: how the projection of a month ago
// did, what the night has changed, and what the plan's scenarios would.
func (w *outlookWork) watch(ctx context.Context, all []capacity.ProjectJob) error {
	byName := map[string]capacity.ProjectJob{}
	for _, job := range all {
		byName[job.Series.Name] = job
	}
	var jobs []capacity.ProjectJob
	var take []func(*capacity.Projection)
	add := func(job capacity.ProjectJob, use func(*capacity.Projection)) {
		jobs, take = append(jobs, job), append(take, use)
	}
	for _, d := range w.result.Limits[:min(len(w.result.Limits), closelyWatched)] {
		job := byName[d.Series]
		add(known(job, w.past.last.Add(-aMonth)), func(p *capacity.Projection) { scorePast(d, p) })
		add(known(job, w.past.last.Add(-12*time.Hour)), func(p *capacity.Projection) { w.compareNights(d, p) })
		for _, rule := range w.config.Scenarios {
			if rule.Applies(d.Series, d.Unit) {
				job := job
				job.Options.Scenario = rule.Scenario()
				add(job, func(p *capacity.Projection) { d.Scenarios = append(d.Scenarios, p) })
			}
		}
	}
	projections, err := w.project(ctx, jobs)
	if err != nil {
		return err
	}
	for i, p := range projections {
		if p != nil {
			take[i](p)
		}
	}
	for _, d := range w.result.Growing {
		w.unusualGrowth(d)
	}
	w.compareLimits()
	return nil
}

// known is a job as it would have been at a time.
func known(job capacity.ProjectJob, at time.Time) capacity.ProjectJob {
	job.Series = before(job.Series, at)
	job.Options.Now = at
	return job
}

// scorePast compares the projection of a month ago with what came.
func scorePast(d *reports.Dated, past *capacity.Projection) {
	if past.Status != capacity.Projected {
		return
	}
	score, err := capacity.ScoreProjection(past, d.History)
	if err != nil {
		return // nothing was measured since
	}
	d.Past, d.Score = past, score
}

func (w *outlookWork) changed(series, format string, args ...any) {
	w.result.Changes = append(w.result.Changes, reports.NightChange{Series: series, Text: fmt.Sprintf(format, args...)})
}

// compareNights says what the newest night has changed in the date of a limit.
func (w *outlookWork) compareNights(d *reports.Dated, then *capacity.Projection) {
	now := d.Limit
	switch {
	case then.Status != capacity.Projected || then.Limit == nil:
		w.changed(d.Series, "can be dated since tonight: %s", now)
	case then.Limit.Status != now.Status:
		w.changed(d.Series, "%s; the night before: %s", now, then.Limit)
	case now.P50 != nil && then.Limit.P50 != nil && now.Status == capacity.Expected:
		moved := now.P50.Sub(*then.Limit.P50)
		left := now.P50.Sub(w.opts.Now)
		if math.Abs(moved.Hours()) >= max(72, 0.1*left.Hours()) {
			w.changed(d.Series, "%s: %s %s than the night before", now, unit.Format(math.Abs(moved.Seconds()), unit.Seconds), sooner(moved))
		}
	}
	w.unusualGrowth(d)
}

func sooner(moved time.Duration) string {
	if moved < 0 {
		return "sooner"
	}
	return "later"
}

// How unusual growth must be to be told: so many times the high end of what is
// usual, and such a part of the whole.
const (
	unusualTimes = 3
	unusualPart  = 0.02
)

// unusualGrowth says that a series jumped in the newest night.
func (w *outlookWork) unusualGrowth(d *reports.Dated) {
	if d.Kind != capacity.Size || d.To == nil || w.past.last.Sub(*d.To) > 12*time.Hour {
		return
	}
	usual := max(math.Abs(d.Growth.High), math.Abs(d.Growth.Low)) * d.Step.Std().Hours() / 24
	if change := d.LastChange; math.Abs(change) > unusualTimes*usual && math.Abs(change) > unusualPart*math.Abs(d.Last) {
		verb := "grew"
		if change < 0 {
			verb = "shrank"
		}
		w.changed(d.Series, "%s by %s in one night, to %s", verb, unit.Format(math.Abs(change), d.Unit), unit.Format(d.Last, d.Unit))
	}
}

// compareLimits says which limits have other values than at the time before, and
// what appeared or went away.
func (w *outlookWork) compareLimits() {
	for _, name := range w.past.names {
		s := w.past.series[name]
		n := len(s.Values)
		fresh := w.past.last.Sub(s.Times[n-1]) < 12*time.Hour
		subject, limits := strings.CutSuffix(name, capacity.LimitSuffix)
		switch {
		case limits && fresh && n > 1 && s.Values[n-2] != s.Values[n-1]:
			w.changed(subject, "its limit went from %s to %s", unit.Format(s.Values[n-2], s.Unit), unit.Format(s.Values[n-1], s.Unit))
		case !appears(name):
		case fresh && n == 1 && w.past.nights > 1:
			w.changed(name, "is new, with %s", unit.Format(s.Values[0], s.Unit))
		case !fresh && w.past.before.Sub(s.Times[n-1]).Abs() < 12*time.Hour:
			w.changed(name, "is not there any more")
		}
	}
}

// appears tells whether it is news that a metric comes or goes.
func appears(name string) bool {
	return strings.Contains(name, ".size.table.") || strings.Contains(name, ".size.index.") || strings.Contains(name, "host.filesystem.") || strings.HasPrefix(name, "k8s.") && strings.HasSuffix(name, ".pods")
}
