package loadgen

import "scaleproof/internal/stats"

// times are the distributions of some requests: response and service time of
// those that succeeded, the lateness of all, and the response time of those that
// failed.
type times struct {
	response, service, lateness, failures *stats.Histogram
}

func newTimes() times {
	return times{stats.NewHistogram(), stats.NewHistogram(), stats.NewHistogram(), stats.NewHistogram()}
}

func (t *times) add(s *sample) {
	t.lateness.RecordNanos(s.sent - s.intended)
	if s.kind != kindNone {
		t.failures.RecordNanos(s.end - s.intended)
		return
	}
	t.response.RecordNanos(s.end - s.intended)
	t.service.RecordNanos(s.end - s.sent)
}

func (t *times) histograms() []*stats.Histogram {
	return []*stats.Histogram{t.response, t.service, t.lateness, t.failures}
}

// result hands the histograms over.
func (t *times) result() *Histograms {
	return &Histograms{Response: t.response, Service: t.service, Lateness: t.lateness, Failures: t.failures}
}

// A group is a part of the requests of a window. Of many groups, which would
// take much memory, each has the response time alone.
type group struct {
	requests, failed int64
	times
	full bool
}

// maxFullGroups is the most groups that have all distributions: 16 take about
// 14 MB a window.
const maxFullGroups = 16

func newGroup(full bool) group {
	if full {
		return group{times: newTimes(), full: true}
	}
	return group{times: times{response: stats.NewHistogram()}}
}

func (g *group) add(s *sample) {
	g.requests++
	if s.kind != kindNone {
		g.failed++
	}
	switch {
	case g.full:
		g.times.add(s)
	case s.kind == kindNone:
		g.response.RecordNanos(s.end - s.intended)
	}
}

func (g *group) merge(o *group) {
	g.requests += o.requests
	g.failed += o.failed
	others := o.histograms()
	for i, h := range g.histograms() {
		h.Merge(others[i])
	}
}

func (g *group) histograms() []*stats.Histogram {
	if g.full {
		return g.times.histograms()
	}
	return []*stats.Histogram{g.response}
}

// mergeParts returns the parts of several runs, of each the same, together; nil
// where they are not the same, or not known.
func mergeParts(runs [][]TargetResult) (merged []TargetResult) {
	for i, part := range runs[len(runs)-1] {
		if part.group == nil {
			return nil
		}
		sum := newGroup(part.group.full)
		for _, parts := range runs {
			if len(parts) != len(runs[0]) || parts[i].group == nil || parts[i].Name != part.Name || parts[i].group.full != sum.full {
				return nil
			}
			sum.merge(parts[i].group)
		}
		merged = append(merged, sum.result(part.Name))
	}
	return merged
}

// result is the part of the run under a name.
func (g *group) result(name string) TargetResult {
	r := TargetResult{Name: name, Requests: g.requests, Failures: g.failed, ResponseTime: g.response.Summary(), group: g}
	if g.full {
		service, lateness, failures := g.service.Summary(), g.lateness.Summary(), g.failures.Summary()
		r.ServiceTime, r.Lateness, r.FailureTime = &service, &lateness, &failures
	}
	return r
}
