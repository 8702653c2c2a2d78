package validation

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/dbbench"
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
		job, end := byName[d.Series], w.projected[d.Series].end()
		if !w.scoreAnnounced(d) {
			add(known(job, end.Add(-aMonth)), func(p *capacity.Projection) { scorePast(d, p) })
		}
		add(known(job, end.Add(-sameNight)), func(p *capacity.Projection) { w.compareNights(d, p) })
		for _, rule := range w.config.Scenarios {
			if rule.Applies(d.Series, d.Unit, d.Kind) {
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

// scoreAnnounced compares what was announced of a limit a month ago with what came,
// and reports whether there is such.
func (w *outlookWork) scoreAnnounced(d *reports.Dated) bool {
	for _, past := range w.opts.Announced {
		if past.Series == d.Series && past.Unit == d.Unit && past.Kind == d.Kind {
			d.Announced = scorePast(d, past)
		}
	}
	return d.Announced
}

// scorePast compares the projection of a month ago with what came, and reports
// whether anything did.
func scorePast(d *reports.Dated, past *capacity.Projection) bool {
	if past.Status != capacity.Projected {
		return false
	}
	score, err := capacity.ScoreProjection(past, d.History)
	if err != nil {
		return false // nothing was measured since
	}
	d.Past, d.Score = past, score
	return true
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
	if d.Kind != capacity.Size || !w.projected[d.Series].fresh() {
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

// sameNight is how far apart what belongs to one night may be.
const sameNight = 12 * time.Hour

// fresh tells whether the newest collection of the source has a series.
func (s *metricSeries) fresh() bool { return s.source.last.Sub(s.end()) < sameNight }

// compareLimits says which limits have other values than at the time before, and
// what appeared or went away.
func (w *outlookWork) compareLimits() {
	tonight, earlier := w.listed(true), w.listed(false)
	for _, s := range w.past.series {
		switch {
		case strings.HasSuffix(s.metric, capacity.LimitSuffix):
			then := before(s.Series, s.source.before.Add(1)).Values
			if s.fresh() && len(then) > 0 && then[len(then)-1] != s.newest() {
				w.changed(strings.Replace(s.Name, capacity.LimitSuffix, "", 1), "its limit went from %s to %s", unit.Format(then[len(then)-1], s.Unit), unit.Format(s.newest(), s.Unit))
			}
		case !appears(s.metric):
		case s.fresh() && !s.source.before.IsZero() && s.Times[0].After(s.source.before):
			if earlier[listOf(s)] < dbbench.LargestTables {
				w.changed(s.Name, "is new, with %s", unit.Format(s.newest(), s.Unit))
			} else {
				w.changed(s.Name, "is new, or new among the %d largest, with %s", dbbench.LargestTables, unit.Format(s.newest(), s.Unit))
			}
		case !s.fresh() && s.source.before.Sub(s.end()).Abs() < sameNight:
			if tonight[listOf(s)] < dbbench.LargestTables {
				w.changed(s.Name, "is not there any more")
			} else {
				w.changed(s.Name, "is not among the %d largest any more, or not there", dbbench.LargestTables)
			}
		}
	}
}

// A sizeList is the tables or the indexes of a node, of which a collection lists
// the largest only.
type sizeList struct {
	source *metricSource
	prefix string // empty for what is listed whole
}

func listOf(s *metricSeries) sizeList {
	for _, list := range []string{".size.table.", ".size.index."} {
		if node, _, found := strings.Cut(s.metric, list); found {
			return sizeList{s.source, node + list}
		}
	}
	return sizeList{}
}

// listed counts what the lists had tonight, or the night before.
func (w *outlookWork) listed(tonight bool) map[sizeList]int {
	counts := map[sizeList]int{}
	for _, s := range w.past.series {
		list, at := listOf(s), s.source.last
		if !tonight {
			at = s.source.before
		}
		if list.prefix == "" {
			continue
		}
		if _, there := slices.BinarySearchFunc(s.Times, at, time.Time.Compare); there {
			counts[list]++
		}
	}
	return counts
}

// appears tells whether it is news that a metric comes or goes.
func appears(name string) bool {
	return strings.Contains(name, ".size.table.") || strings.Contains(name, ".size.index.") || strings.Contains(name, "host.filesystem.") || strings.HasPrefix(name, "k8s.") && strings.HasSuffix(name, ".pods")
}
