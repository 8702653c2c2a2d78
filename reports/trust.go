package reports

import (
	"fmt"
	"slices"
	"strings"

	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/loadgen"
)

// trust says of which metrics there can be no verdict: those of loads whose
// figures are the generator's own. faults gathers why, once each.
type trust struct {
	report *Report
	faults []string
}

// of returns a condition's result, which is Unsure where the metric of one of the
// snapshots that it stands on is not the target's.
func (t *trust) of(metric string, result ConditionResult, snapshots ...*snapshot.Snapshot) ConditionResult {
	for _, s := range snapshots {
		if fault := generatorFault(s, metric); fault != "" {
			t.note(fault)
			result.Outcome, result.Reason = Unsure, fault
			return result
		}
	}
	return result
}

// changed is of for a condition on what has changed.
func (t *trust) changed(metric string, result ConditionResult) ConditionResult {
	return t.of(metric, result, t.report.Before, t.report.After, t.report.Return)
}

// objective is of for an objective, which looks at what was before where it is
// relative.
func (t *trust) objective(o expr.Condition, result ConditionResult) ConditionResult {
	if o.Relative {
		return t.changed(o.Metric, result)
	}
	return t.of(o.Metric, result, t.report.After)
}

// guardrails notes why guardrails could not be watched.
func (t *trust) guardrails(results []ConditionResult) {
	if t.report.Through == nil || !OfTheGenerator(t.report.Through.Validity) {
		return
	}
	for _, g := range results {
		if g.Outcome == Unsure {
			t.note(g.Reason)
		}
	}
}

func (t *trust) note(fault string) {
	if !slices.Contains(t.faults, fault) {
		t.faults = append(t.faults, fault)
	}
}

// OfTheGenerator reports whether the figures of a run are those of what made the
// load, and not of its target.
func OfTheGenerator(v loadgen.Validity) bool {
	return v == loadgen.GeneratorLimited || v == loadgen.Invalid
}

// SpeaksOfTarget reports whether the figures of a run are its target's: it was neither
// the generator's, nor without a figure.
func SpeaksOfTarget(v loadgen.Validity) bool {
	return !OfTheGenerator(v) && v != loadgen.Inconclusive
}

// generatorFault says why a metric of a snapshot is not the target's, or nothing.
func generatorFault(s *snapshot.Snapshot, metric string) string {
	family, rest, _ := strings.Cut(metric, ".")
	name, figure, _ := strings.Cut(rest, ".")
	if s == nil || family != "load" {
		return ""
	}
	var load struct {
		Validity       loadgen.Validity `json:"validity"`
		ValidityReason string           `json:"validity_reason"`
		Capacity       *struct {
			Limit string `json:"limit"`
		} `json:"capacity"`
	}
	if ok, err := s.Section("load."+name, &load); !ok || err != nil {
		return "" // a snapshot that something else has taken
	}
	switch {
	case figure == "capacity" && load.Capacity != nil && load.Capacity.Limit != "target":
		return fmt.Sprintf("load %s (%s): the search ended before the target was the limit: its capacity is not known, only that it is no less", name, s.Phase)
	case OfTheGenerator(load.Validity):
		return fmt.Sprintf("load %s (%s) is %s: %s", name, s.Phase, load.Validity, load.ValidityReason)
	}
	return ""
}

// GeneratorFaults says which of the metrics that a change is judged by can't be,
// since a snapshot's figures of them are the generator's.
func GeneratorFaults(s *snapshot.Snapshot, c Criteria) []string {
	t := &trust{}
	for _, o := range c.Objectives {
		if o.Relative {
			t.of(o.Metric, ConditionResult{}, s)
		}
	}
	for _, g := range slices.Concat(c.Gates, c.Controls) {
		t.of(g.Metric, ConditionResult{}, s)
	}
	return t.faults
}
