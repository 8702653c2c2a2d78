package validation

import (
	"slices"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/history"
)

// A metricSeries is one metric as one source measured it. The series is called as
// the metric is, with the source behind where several measure it: host.cpu@db-1.
type metricSeries struct {
	capacity.Series
	metric string
	source *metricSource
}

// end is the time of the newest value.
func (s *metricSeries) end() time.Time { return s.Times[len(s.Times)-1] }

// newest is the newest value.
func (s *metricSeries) newest() float64 { return s.Values[len(s.Values)-1] }

// A metricSource is a machine or a plan, with its collections.
type metricSource struct {
	name string
	// last is the newest one, and before the newest of the night before; zero for
	// none.
	last, before time.Time
	all          []time.Time
}

// collected takes in a collection, which may be one of several in a night.
func (s *metricSource) collected(at time.Time) {
	s.last = at
	s.all = append(s.all, at)
	for _, t := range slices.Backward(s.all) {
		if at.Sub(t) >= sameNight {
			s.before = t
			return
		}
	}
}

// pastMetrics are the metrics of a history as series.
type pastMetrics struct {
	series []*metricSeries // in the order in which they first appeared
	byKey  map[metricKey]*metricSeries
	last   time.Time // of the newest entry
	nights int       // entries that count
	ahead  []string  // entries left out, since they come from the future
	// entries are all, the oldest first.
	entries []history.Entry
	// seen is when each part that can fail by itself was last measured.
	seen map[metricKey]time.Time
}

type metricKey struct{ metric, source string }

// clocksApart is how far ahead of the present the clock of a collector may be.
const clocksApart = 24 * time.Hour

// newPastMetrics turns entries, in the order of time, into series.
func newPastMetrics(entries []history.Entry, now time.Time) *pastMetrics {
	p := &pastMetrics{byKey: map[metricKey]*metricSeries{}, entries: entries, seen: map[metricKey]time.Time{}}
	sources := map[string]*metricSource{}
	host := onlyHost(entries)
	for i := range entries {
		e := &entries[i]
		if e.StartedAt.Sub(now) > clocksApart {
			p.ahead = append(p.ahead, e.ID)
			continue
		}
		p.last = e.StartedAt
		p.nights++
		night := map[*metricSource]bool{}
		for _, f := range e.Metrics {
			key, counts := sourceOf(e, f.Name, host)
			if !counts {
				continue
			}
			if sources[key] == nil {
				_, name, _ := strings.Cut(key, " ")
				sources[key] = &metricSource{name: name}
			}
			night[sources[key]] = e.Phase == string(Collecting)
			p.add(e, f, sources[key])
		}
		for source, collected := range night {
			if collected {
				source.collected(e.StartedAt)
			}
		}
	}
	p.tellApart()
	return p
}

// onlyHost returns the machine that entries without one are of: that which alone
// has collected.
func onlyHost(entries []history.Entry) string {
	host := ""
	for _, e := range entries {
		if e.Phase != string(Collecting) || e.Host == "" || e.Host == host {
			continue
		}
		if host != "" {
			return ""
		}
		host = e.Host
	}
	return host
}

// sourceOf names what a figure is of: of the machine that collected, for what is
// the machine's, else of the plan. What a run has measured of machines, databases
// and pods was under the load of its test and is no night's: it does not count.
func sourceOf(e *history.Entry, metric, unnamedHost string) (key string, counts bool) {
	family, _, _ := strings.Cut(metric, ".")
	machine := family == "host" || family == "proc"
	switch {
	case e.Phase != string(Collecting):
		return "plan " + e.Plan, !machine && family != "pg" && family != "k8s"
	case !machine:
		return "plan " + e.Plan, true
	case e.Host == "":
		return "host " + unnamedHost, true
	}
	return "host " + e.Host, true
}

func (p *pastMetrics) add(e *history.Entry, f history.Figure, source *metricSource) {
	key := metricKey{f.Name, source.name}
	s := p.byKey[key]
	if s == nil {
		s = &metricSeries{Series: capacity.Series{Name: f.Name}, metric: f.Name, source: source}
		p.byKey[key] = s
		p.series = append(p.series, s)
	}
	s.Unit = f.Unit
	p.seen[s.part()] = e.StartedAt
	s.Times, s.Values = append(s.Times, e.StartedAt), append(s.Values, f.Median)
}

// tellApart puts the source behind the names that several have.
func (p *pastMetrics) tellApart() {
	sources := map[string]int{}
	for _, s := range p.series {
		sources[s.metric]++
	}
	for _, s := range p.series {
		if sources[s.metric] > 1 && s.source.name != "" {
			s.Name += capacity.SourceMark + s.source.name
		}
	}
}

// beside returns a metric of the same source as a series, nil for none.
func (p *pastMetrics) beside(s *metricSeries, metric string) *metricSeries {
	return p.byKey[metricKey{metric, s.source.name}]
}

// anywhere returns a metric of the same source or, if that has none, of the source
// that measured it last; nil for none.
func (p *pastMetrics) anywhere(s *metricSeries, metric string) *metricSeries {
	found := p.beside(s, metric)
	if found != nil || metric == "" {
		return found
	}
	for _, other := range p.series {
		if other.metric == metric && (found == nil || other.end().After(found.end())) {
			found = other
		}
	}
	return found
}

// lapsedBy tells whether a series had ended a while before a time: a week, or
// three times the distance of its points where it is measured less often.
func (s *metricSeries) lapsedBy(t time.Time) bool {
	return t.Sub(s.end()) > max(lapsed, 3*s.spacing())
}

// spacing is the median distance of the newest points, 0 of a single one.
func (s *metricSeries) spacing() time.Duration {
	recent := s.Times[max(0, len(s.Times)-30):]
	var apart []time.Duration
	for i := 1; i < len(recent); i++ {
		apart = append(apart, recent[i].Sub(recent[i-1]))
	}
	if len(apart) == 0 {
		return 0
	}
	slices.Sort(apart)
	return apart[len(apart)/2]
}

// part is what a series is read with: a machine, a Postgres node, the pods, a query.
func (s *metricSeries) part() metricKey {
	parts := strings.SplitN(s.metric, ".", 3)
	if parts[0] == "pg" || parts[0] == "prom" {
		parts = parts[:min(2, len(parts))]
	} else {
		parts = parts[:1]
	}
	return metricKey{strings.Join(parts, "."), s.source.name}
}

// silent tells whether nothing has been measured any more of what a series that has
// lapsed is read with: a collector stopped, or a node does not answer. What has been
// silent for a month is taken to be gone.
func (p *pastMetrics) silent(s *metricSeries) bool {
	ago := p.last.Sub(p.seen[s.part()])
	return ago > lapsed && ago <= aMonth
}

// SeriesOf returns a metric of a history as series, one for each source that has
// measured it, with the kind that its name tells. A name with its source is that
// one. What comes from the future by now is left out.
func SeriesOf(entries []history.Entry, metric string, now time.Time) []capacity.Series {
	var all []capacity.Series
	for _, s := range newPastMetrics(entries, now).series {
		if s.metric == metric || s.Name == metric {
			s.Kind = kindByName(s.metric)
			all = append(all, s.Series)
		}
	}
	return all
}

// shownPoints is how much of a series a report holds.
const shownPoints = 400

// recent returns the end of a series.
func recent(s capacity.Series) capacity.Series {
	from := max(0, len(s.Times)-shownPoints)
	s.Times, s.Values = s.Times[from:], s.Values[from:]
	return s
}

// before returns a series as it was known at a time.
func before(s capacity.Series, t time.Time) capacity.Series {
	n, _ := slices.BinarySearchFunc(s.Times, t, func(a, b time.Time) int { return a.Compare(b) })
	s.Times, s.Values = s.Times[:n:n], s.Values[:n:n]
	return s
}
