package validation

import (
	"slices"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/history"
)

// pastMetrics are the metrics of a history as series.
type pastMetrics struct {
	names  []string // in the order in which they first appeared
	series map[string]*capacity.Series
	last   time.Time // of the newest entry
	nights int       // entries that collect made
	before time.Time // of the last but one of them
}

// newPastMetrics turns entries, in the order of time, into series.
func newPastMetrics(entries []history.Entry) *pastMetrics {
	p := &pastMetrics{series: map[string]*capacity.Series{}}
	p.nights, p.before = collections(entries)
	for i := range entries {
		e := &entries[i]
		p.last = e.StartedAt
		for _, f := range e.Metrics {
			s := p.series[f.Name]
			if s == nil {
				s = &capacity.Series{Name: f.Name}
				p.series[f.Name] = s
				p.names = append(p.names, f.Name)
			}
			s.Unit = f.Unit
			s.Times, s.Values = append(s.Times, e.StartedAt), append(s.Values, f.Median)
		}
	}
	return p
}

// newest returns the newest value of a metric, and whether there is one.
func (p *pastMetrics) newest(name string) (float64, bool) {
	s := p.series[name]
	if s == nil {
		return 0, false
	}
	return s.Values[len(s.Values)-1], true
}

// lapsed tells whether a series has ended a while before the history does.
func (p *pastMetrics) lapsed(s *capacity.Series) bool {
	return p.last.Sub(s.Times[len(s.Times)-1]) > lapsed
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

// collections counts the entries that collect made, and when the last but one was.
func collections(entries []history.Entry) (nights int, before time.Time) {
	var last time.Time
	for _, e := range entries {
		if e.Phase == string(Collecting) {
			nights, before, last = nights+1, last, e.StartedAt
		}
	}
	return nights, before
}
