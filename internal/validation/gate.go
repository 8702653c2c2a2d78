package validation

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/reports"
)

// criteria are what the plan judges by.
func (r *runner) criteria() reports.Criteria { return criteriaOf(r.plan) }

func criteriaOf(p *plan.Plan) reports.Criteria {
	return reports.Criteria{Objectives: p.Objectives, Gates: p.Gates, Controls: p.Controls, MinChange: p.MinChange}
}

// Gate measures what the plan measures, changes nothing, and judges it against a
// baseline. One of another workload or environment is refused unless differences
// are allowed. The report's After is what was measured.
func Gate(ctx context.Context, p *plan.Plan, baseline *snapshot.Snapshot, allowDifferences bool, opts Options) (*reports.Report, error) {
	r := newRunner(p, opts)
	defer r.endWorkers()
	if err := r.settled(); err != nil {
		return nil, err
	}
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

// A PlanError is that a plan is sound, and not made for what was asked.
type PlanError struct{ reason string }

func (e *PlanError) Error() string { return e.reason }

// settled refuses a plan whose queries go elsewhere after its action than before: a
// gate does not know on which side of it the service is.
func (r *runner) settled() error {
	if r.plan.Measure.Database == nil {
		return nil
	}
	queries, err := r.plan.Measure.Database.AllQueries()
	if err != nil {
		return &EnvironmentError{err}
	}
	for _, q := range queries {
		if q.Node.Moves() {
			return &PlanError{fmt.Sprintf("the query %s is on %s the action, and a gate has none: gate by a plan that names one node", q.Name, q.Node)}
		}
	}
	return nil
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
	if faults := slices.Concat(reports.GeneratorFaults(first, r.criteria()), reports.GeneratorFaults(second, r.criteria())); len(faults) > 0 {
		return nil, &EnvironmentError{fmt.Errorf("the noise is the generator's: %s", strings.Join(faults, "; "))}
	}
	return reports.Calibrate(first, second, r.criteria()), nil
}

// sightWarnings says which gates of the plan can't see what they look for: by the
// number of trials and gates and, where the plan names one, by the calibration.
func (r *runner) sightWarnings() (warnings []string, err error) {
	before, after := r.sides()
	if warning := r.criteria().Powerless(before, after); warning != "" {
		warnings = append(warnings, warning)
	}
	if r.plan.Calibration == "" {
		return warnings, nil
	}
	data, err := os.ReadFile(r.plan.Calibration)
	if err != nil {
		return nil, fmt.Errorf("reading the calibration: %w: scaleproof calibrate writes it", err)
	}
	var c reports.Calibration
	if err := json.Unmarshal(data, &c); err != nil || c.SchemaVersion != reports.SchemaVersion {
		return nil, fmt.Errorf("reading the calibration: %s is none that this version has written: run scaleproof calibrate again", r.plan.Calibration)
	}
	warnings = append(warnings, c.Blind(r.criteria(), before, after)...)
	if c.WorkloadHash != workloadHash(r.plan.Measure) {
		warnings = append(warnings, "the calibration is of another workload: run scaleproof calibrate again")
	}
	return warnings, nil
}
