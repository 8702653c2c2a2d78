package capacity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"scaleproof/internal/snapshot"
)

const promDay = 24 * time.Hour

// A PrometheusDay is what the 24 hours before End have brought.
type PrometheusDay struct {
	End     time.Time
	Samples []snapshot.Sample
}

// Days sums up queries over the days 24 hours each that end with to, the oldest
// first. A day of a series with fewer than half of its samples is left out, since
// its peak may be among those that lack: notes say how many were, and what else
// the server lacked. It fails if ctx ends, or if no query gave anything for the
// server's faults.
func (p *Prometheus) Days(ctx context.Context, queries []PrometheusQuery, to time.Time, days int) ([]PrometheusDay, []string, error) {
	all := make([]PrometheusDay, days)
	for i := range all {
		all[i].End = to.Add(-time.Duration(days-1-i) * promDay)
	}
	var notes []string
	var faults []error
	answered := false
	for _, q := range queries {
		q = q.withDefaults()
		tally := newPromTally(q, to, days)
		faults = append(faults, p.collect(ctx, q.Query, tally))
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		answered = answered || len(tally.series) > 0
		notes = append(notes, tally.put(all, "")...)
		if q.Limit != "" {
			limit := newPromTally(q, to, days)
			limit.q.Daily = DailyLast
			faults = append(faults, p.collect(ctx, q.Limit, limit))
			notes = append(notes, limit.put(all, LimitSuffix)...)
		}
	}
	if err := errors.Join(faults...); err != nil {
		if !answered {
			return nil, nil, fmt.Errorf("asking Prometheus: %w", err)
		}
		notes = append(notes, strings.Split(err.Error(), "\n")...)
	}
	return all, notes, nil
}

// collect asks for all days in pieces that the server can answer. A piece that it
// can't is in the error; the others are in the tally.
func (p *Prometheus) collect(ctx context.Context, query string, tally *promTally) error {
	step := tally.q.Step.Std()
	piece := max(promDay, min(longestQuery, (step*mostPointsPerQuery).Truncate(promDay)))
	var faults []error
	for from, to := range pieces(tally.from, tally.to, piece) {
		m, warnings, err := p.matrix(ctx, query, from, to, step)
		if err != nil {
			faults = append(faults, fmt.Errorf("query %s from %s to %s: %w", tally.q.Name, day(from), day(to), err))
		}
		for _, w := range warnings {
			tally.warnings[w] = true
		}
		for _, stream := range m {
			tally.add(stream)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(faults...)
}

// A promTally sorts the samples of a query's series into days.
type promTally struct {
	q        PrometheusQuery
	from, to time.Time
	days     int
	series   map[string][][]float64 // by the metric's name and the day
	owner    map[string]model.Fingerprint
	clashes  map[string]bool
	warnings map[string]bool
}

func newPromTally(q PrometheusQuery, to time.Time, days int) *promTally {
	return &promTally{
		q: q, from: to.Add(-time.Duration(days) * promDay), to: to, days: days,
		series: map[string][][]float64{}, owner: map[string]model.Fingerprint{}, clashes: map[string]bool{}, warnings: map[string]bool{},
	}
}

func (t *promTally) add(stream *model.SampleStream) {
	name := promName(t.q.Name, stream.Metric)
	switch owner, known := t.owner[name]; {
	case !known:
		t.owner[name] = stream.Metric.Fingerprint()
		t.series[name] = make([][]float64, t.days)
	case owner != stream.Metric.Fingerprint():
		t.clashes[name] = true
		return
	}
	for _, s := range stream.Values {
		v := float64(s.Value)
		// A day is open at its start, which is the end of the day before.
		i := int(math.Ceil(float64(s.Timestamp.Time().Sub(t.from))/float64(promDay))) - 1
		if i >= 0 && i < t.days && !math.IsNaN(v) && !math.IsInf(v, 0) {
			t.series[name][i] = append(t.series[name][i], v)
		}
	}
}

// put adds what stands for each day to the days, and says what is not there.
func (t *promTally) put(all []PrometheusDay, suffix string) []string {
	expected := int(promDay / t.q.Step.Std())
	name := t.q.Name + suffix
	partial, empty := map[int]bool{}, t.days
	for i := range all {
		found := false
		for _, metric := range slices.Sorted(maps.Keys(t.series)) {
			values := t.series[metric][i]
			found = found || len(values) > 0
			switch {
			case len(values) == 0:
			case 2*len(values) < expected && suffix == "":
				partial[i] = true
			default:
				all[i].Samples = append(all[i].Samples, snapshot.Sample{Name: metric + suffix, Unit: t.q.Unit, Better: snapshot.Neutral, Value: ofDay(values, t.q.Daily)})
			}
		}
		if found {
			empty--
		}
	}
	var notes []string
	note := func(format string, args ...any) {
		notes = append(notes, "query "+name+" "+fmt.Sprintf(format, args...))
	}
	if empty > 0 {
		note("has no samples on %d of %s", empty, count(t.days, "day", "days"))
	}
	if len(partial) > 0 {
		note("has fewer than half of its samples on %s, such as %s: left out", count(len(partial), "day", "days"), day(all[slices.Min(slices.Collect(maps.Keys(partial)))].End.Add(-promDay)))
	}
	for _, metric := range slices.Sorted(maps.Keys(t.clashes)) {
		note("gives several series of the name %s, of which the first is taken: aggregate by a label that tells them apart", metric)
	}
	for _, w := range slices.Sorted(maps.Keys(t.warnings)) {
		note("was answered with the warning %q", w)
	}
	return notes
}

// ofDay returns what stands for a day. The values are in the order of time, and
// are left in another one.
func ofDay(values []float64, daily Daily) float64 {
	// The smallest value that a part q of the others does not exceed.
	quantile := func(q float64) float64 {
		return selectInPlace(values, max(0, int(math.Ceil(q*float64(len(values))))-1))
	}
	switch daily {
	case DailyLow:
		return slices.Min(values)
	case DailyLast:
		return values[len(values)-1]
	case DailyP50:
		return quantile(0.50)
	case DailyP95:
		return quantile(0.95)
	case DailyP99:
		return quantile(0.99)
	case DailyMean:
		sum := 0.0
		for _, v := range values {
			sum += v / float64(len(values))
		}
		return sum
	}
	return slices.Max(values)
}

// promName makes a metric's path of a query's name and the values of a series'
// labels, in the order of the labels' names.
func promName(query string, metric model.Metric) string {
	parts := []string{"prom", query}
	for _, label := range slices.Sorted(maps.Keys(metric)) {
		if label != model.MetricNameLabel {
			parts = append(parts, metricPart(string(metric[label])))
		}
	}
	return strings.Join(parts, ".")
}

// metricPart makes text a part of a metric's name.
func metricPart(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, text)
}

// SourceMark parts a metric's name from the source that measured it, where several
// sources measure the same: host.cpu@db-1.
const SourceMark = "@"

// Named tells whether a pattern is a part of a metric's name, dot by dot, whatever
// its source; a pattern with a source is of that source alone. A disk is a file
// system.
func Named(metric, pattern string) bool {
	if !strings.Contains(pattern, SourceMark) {
		metric, _, _ = strings.Cut(metric, SourceMark)
	}
	if pattern == "disk" {
		pattern = "filesystem"
	}
	return pattern != "" && strings.Contains("."+metric+".", "."+pattern+".")
}
