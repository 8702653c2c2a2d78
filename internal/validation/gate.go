package validation

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/reports"
)

// criteria are what the plan judges by.
func (r *runner) criteria() reports.Criteria {
	return reports.Criteria{Objectives: r.plan.Objectives, Gates: r.plan.Gates, Controls: r.plan.Controls, MinChange: r.plan.MinChange}
}

// Gate measures what the plan measures, changes nothing, and judges it against a
// baseline. One of another workload or environment is refused unless differences
// are allowed. The report's After is what was measured.
func Gate(ctx context.Context, p *plan.Plan, baseline *snapshot.Snapshot, allowDifferences bool, opts Options) (*reports.Report, error) {
	r := newRunner(p, opts)
	defer r.endWorkers()
	if err := r.preflight(ctx); err != nil {
		return nil, err
	}
	report := r.newReport()
	now, err := r.measure(ctx, Gating)
	if err != nil {
		return nil, err
	}
	criteria := r.criteria()
	criteria.AllowDifferences = allowDifferences
	report.Before, report.After = baseline, now
	report.Comparison = reports.Compare(baseline, now, criteria)
	report.Conditions, report.Verdict = reports.Judge(report, criteria, reports.Facts{})
	report.FinishedAt, report.Events = r.now(), r.events
	r.event(Judging, "%s: %s", report.Verdict.Word, report.Verdict.Headline)
	return report, nil
}

// injected is how many times the smallest change that matters a self-test makes
// a metric worse.
const injected = 3

// BlindGates makes each gate's metric worse, in a copy of what was measured, and
// returns the gates that don't see it: a gate that can't fail proves nothing by
// passing.
func BlindGates(p *plan.Plan, report *reports.Report) (blind []string) {
	criteria := reports.Criteria{Gates: p.Gates, MinChange: p.MinChange, AllowDifferences: true}
	worse := *report.After
	worse.Metrics = nil
	changes := map[string]float64{}
	for _, row := range report.Comparison.Rows {
		changes[row.Metric] = row.MinChange
	}
	for _, m := range report.After.Metrics {
		worse.Metrics = append(worse.Metrics, degraded(m, report.Before.Metric(m.Name), 1+injected*changes[m.Name]))
	}
	for _, row := range reports.Compare(report.Before, &worse, criteria).Rows {
		if row.Gate && row.Change != reports.Regressed {
			blind = append(blind, fmt.Sprintf("%s: %s", row.Metric, row.Reason))
		}
	}
	return blind
}

// degraded is a metric made worse by a factor, from the level that the baseline
// has and with the spread that was measured.
func degraded(m snapshot.Metric, baseline *snapshot.Metric, factor float64) snapshot.Metric {
	if m.Better == snapshot.Higher {
		factor = 1 / factor
	}
	values := make(snapshot.Values, len(m.Values))
	level := 1.0
	if baseline != nil {
		if from := stats.Median(m.Values.Observed()); from != 0 {
			level = stats.Median(baseline.Values.Observed()) / from
		}
	}
	for i, v := range m.Values {
		values[i] = v * level * factor
	}
	m.Values = values
	if len(m.Of) > 0 {
		m.Events = append([]int64(nil), m.Events...)
		for i := range m.Events {
			m.Events[i] = min(m.Events[i]+m.Of[i]/2, m.Of[i]) // half of what was asked fails
		}
	}
	return m
}

// Calibrate measures the same thing twice.
func Calibrate(ctx context.Context, p *plan.Plan, opts Options) (*reports.Calibration, error) {
	r := newRunner(p, opts)
	defer r.endWorkers()
	if err := r.preflight(ctx); err != nil {
		return nil, err
	}
	first, err := r.measure(ctx, Before)
	if err != nil {
		return nil, err
	}
	r.before = first
	second, err := r.measure(ctx, After)
	if err != nil {
		return nil, err
	}
	return reports.Calibrate(first, second, r.criteria()), nil
}

// calibrationWarnings says which gates of the plan can't see what they look for.
func (r *runner) calibrationWarnings() ([]string, error) {
	if r.plan.Calibration == "" {
		return nil, nil
	}
	data, err := os.ReadFile(r.plan.Calibration)
	if err != nil {
		return nil, fmt.Errorf("reading the calibration: %w: scaleproof calibrate writes it", err)
	}
	var c reports.Calibration
	if err := json.Unmarshal(data, &c); err != nil || c.SchemaVersion != reports.SchemaVersion {
		return nil, fmt.Errorf("reading the calibration: %s is none that this version has written: run scaleproof calibrate again", r.plan.Calibration)
	}
	warnings := c.Blind(r.plan.Gates, orDefault(float64(r.plan.MinChange), reports.DefaultMinChange), orDefault(r.plan.Measure.Trials, defaultTrials))
	if c.WorkloadHash != workloadHash(r.plan.Measure) {
		warnings = append(warnings, "the calibration is of another workload: run scaleproof calibrate again")
	}
	return warnings, nil
}
