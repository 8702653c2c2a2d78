package validation

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"scaleproof/dbbench"
	"scaleproof/internal/expr"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/reports"
)

// injected is how many times the smallest change that matters a self-test makes
// a metric worse.
const injected = 3

// SelfTest makes what each gate and objective looks at worse, one after the other
// and each alone, in a copy of the baseline with the spread that was measured, and
// returns those that do not fail: what can't fail proves nothing by passing.
func SelfTest(p *plan.Plan, report *reports.Report) (blind []string) {
	criteria := criteriaOf(p)
	criteria.AllowDifferences = true
	try := func(kind reports.ConditionKind, text string, worse *snapshot.Snapshot) {
		r := &reports.Report{Before: report.Before, After: worse, Comparison: reports.Compare(report.Before, worse, criteria)}
		conditions, _ := reports.Judge(r, criteria, reports.Facts{})
		for _, c := range conditions {
			if c.Kind == kind && c.Text == text && c.Outcome != reports.Fail {
				blind = append(blind, fmt.Sprintf("%s %s: %s", kind, text, c.Reason))
			}
		}
	}
	for _, g := range p.Gates {
		worse, err := worsened(report, g, criteria)
		if err != nil {
			blind = append(blind, fmt.Sprintf("gate %s: %v", g.Metric, err))
			continue
		}
		try(reports.Gate, g.Metric, worse)
	}
	for _, o := range p.Objectives {
		try(reports.Objective, o.Text, missed(report, o))
	}
	return blind
}

// still is the baseline as if it had been measured again and nothing had changed.
func still(report *reports.Report) *snapshot.Snapshot {
	s := *report.Before
	s.Metrics = slices.Clone(s.Metrics)
	s.Sections = maps.Clone(s.Sections)
	return &s
}

// worsened is the baseline with what one gate looks at made worse.
func worsened(report *reports.Report, g reports.GateSpec, c reports.Criteria) (*snapshot.Snapshot, error) {
	s := still(report)
	metric := g.Metric
	if name, part, ok := reports.CaseGate(metric); ok {
		if part != "" {
			return s, spoil(s, name, part)
		}
		metric += ".time.p50" // what a query has of chance
	}
	for i, m := range s.Metrics {
		if m.Name == metric {
			s.Metrics[i] = degraded(m, report.After.Metric(metric), injected*c.SmallestChange(metric))
		}
	}
	return s, nil
}

// spoil gives a query other rows, or another plan.
func spoil(s *snapshot.Snapshot, name, part string) error {
	var result dbbench.Result
	if _, err := s.Section("db", &result); err != nil {
		return err
	}
	for i := range result.Cases {
		if c := &result.Cases[i]; c.Name == name && part == "result" && c.ResultHash != "" {
			c.ResultHash += "-other"
		} else if c.Name == name && part == "plan" && c.Fingerprint != "" {
			c.Fingerprint += "-other"
		}
	}
	return s.PutSection("db", result)
}

// degraded is a metric of the baseline made worse by a fraction, with the spread of
// what was measured, nil for nothing. Of what is counted half fails.
func degraded(m snapshot.Metric, measured *snapshot.Metric, by float64) snapshot.Metric {
	level := stats.Median(m.Values.Observed())
	switch {
	case m.Better == snapshot.Higher:
		level /= 1 + by
	case level == 0:
		level = 1 // any rise from nothing is beyond all that does not matter
	default:
		level *= 1 + by
	}
	return atLevel(m, measured, level)
}

// missed is the baseline with the metric of an objective clearly on its wrong side.
func missed(report *reports.Report, o expr.Condition) *snapshot.Snapshot {
	s := still(report)
	for i, m := range s.Metrics {
		if m.Name != o.Metric {
			continue
		}
		bound := o.Value
		if o.Relative {
			bound *= stats.Median(m.Values.Observed())
		}
		level := bound / 2
		if o.Op.Upper() || o.Op == expr.Equal {
			level = 2 * bound
			if bound == 0 {
				level = 1
			}
		}
		s.Metrics[i] = atLevel(m, report.After.Metric(m.Name), level)
	}
	return s
}

// atLevel has the values that were measured, moved so that their median is level.
func atLevel(m snapshot.Metric, measured *snapshot.Metric, level float64) snapshot.Metric {
	if measured == nil || len(measured.Values.Observed()) == 0 {
		measured = &m
	}
	from := stats.Median(measured.Values.Observed())
	m.Values = slices.Clone(measured.Values)
	for i, v := range m.Values {
		switch {
		case math.IsNaN(v):
		case from > 0:
			m.Values[i] = v * level / from
		default:
			m.Values[i] = level
		}
	}
	if len(m.Of) == 0 {
		return m
	}
	m.Events, m.Of = slices.Clone(m.Events), slices.Clone(m.Of)
	for i, of := range m.Of {
		m.Events[i] = int64(math.Round(min(level, 1) * float64(of)))
		if m.Better == snapshot.Lower {
			m.Events[i] = max(m.Events[i], of/2)
		}
	}
	return m
}
