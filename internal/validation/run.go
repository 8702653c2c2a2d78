// Package validation joins the others: it takes a snapshot, runs the action
// under load, takes another snapshot, compares, judges, undoes what failed, and
// hands over the report.
package validation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"scaleproof/dbbench"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/workers"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// Options are what a validation needs of the process that it runs in.
type Options struct {
	Tool string // the name and version that stand in files
	ID   string // of the run; empty: NewID
	HTTP *http.Client
	Now  func() time.Time
	// Abandon ends a rollback, which goes on when the run's own context ends.
	Abandon context.Context
	// Consent allows what a run must be asked for twice: much load on hosts
	// that the plan's environment does not name, and steps that can't be undone.
	Consent bool
	// Ask asks a person at the terminal for a step's approval; nil: there is none.
	// An error leaves the question to others.
	Ask func(ctx context.Context, question string) (Answer, error)
	// ProbePods lets Doctor start one pod of each load that pods make, to see whether
	// it reaches this machine and the target.
	ProbePods bool
	// Program is this program's path, for workers on this machine.
	Program string
	// JournalDir is where the journal of the action is kept; empty keeps none.
	JournalDir string
	// OnEvent is told what the run is doing; it is never called by two
	// goroutines at once.
	OnEvent func(Event)
}

// A runner is one run of a plan.
type runner struct {
	plan *plan.Plan
	opts Options
	id   string
	// began is when this process took the plan up.
	began time.Time
	// probeFor bounds the probe of the service after a rollback.
	probeFor time.Duration
	// before is what the service was like before the action, once it is measured;
	// what is measured later is measured with the same arguments of queries.
	before *snapshot.Snapshot
	// acted is that the action has come to its end: what is measured after it is
	// measured where the action has put it.
	acted bool
	// serverUID is that of the plan's cluster, once it is reached and may be read.
	serverUID string
	// loadOnly leaves the database suite out of its load.
	loadOnly bool
	// events are what it has told, for the report; steps may tell at the same time.
	events  []reports.Event
	telling sync.Mutex
	// fleets are the workers of loads, by their names.
	fleets map[string]*workers.Fleet
}

func newRunner(p *plan.Plan, opts Options) *runner {
	now := opts.Now()
	return &runner{plan: p, opts: opts, id: orDefault(opts.ID, NewID(now)), began: now, probeFor: probeTimeout}
}

func (r *runner) now() time.Time { return r.opts.Now() }

func (r *runner) event(phase Phase, format string, args ...any) {
	e := Event{r.now(), phase, r.plan.Secrets.String(fmt.Sprintf(format, args...))}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.events = append(r.events, reports.Event{At: e.At, Phase: string(e.Phase), Text: e.Text})
	r.opts.OnEvent(e)
}

// Measure takes one snapshot and changes nothing. A target that can't be reached
// is an *EnvironmentError.
func Measure(ctx context.Context, p *plan.Plan, opts Options) (*snapshot.Snapshot, error) {
	r := newRunner(p, opts)
	defer r.endWorkers()
	if err := r.preflight(ctx); err != nil {
		return nil, err
	}
	return r.measure(ctx, Before)
}

// MeasureDatabaseLoad is Measure of a plan that loads its database by many clients,
// without the suite query by query.
func MeasureDatabaseLoad(ctx context.Context, p *plan.Plan, opts Options) (*snapshot.Snapshot, error) {
	r := newRunner(p, opts)
	defer r.endWorkers()
	if err := r.preflight(ctx); err != nil {
		return nil, err
	}
	r.loadOnly = true
	return r.measure(ctx, Before)
}

// Run runs a plan from its first snapshot to its report. Once the action has
// begun there is a report whatever happens, and its verdict says what did;
// before that, an error says why nothing was changed.
func Run(ctx context.Context, p *plan.Plan, opts Options) (*reports.Report, error) {
	r := newRunner(p, opts)
	defer r.endWorkers()
	if err := r.consented(); err != nil {
		return nil, err
	}
	if err := r.preflight(ctx); err != nil {
		return nil, err
	}
	if err := r.permitted(ctx); err != nil {
		return nil, err
	}
	ctx, unlock, err := r.lock(ctx, false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	journal, err := r.openJournal()
	if err != nil {
		return nil, err
	}
	defer journal.Close() // each record is synced, so that closing can lose none
	report := r.newReport()
	if report.Before, err = r.measure(ctx, Before); err != nil {
		return nil, lockFault(ctx, err)
	}
	r.before = report.Before
	if faults := reports.GeneratorFaults(report.Before, r.criteria()); len(faults) > 0 {
		return nil, &EnvironmentError{fmt.Errorf("nothing was changed, since what the plan judges by could not be measured: %s", strings.Join(faults, "; "))}
	}
	if err := r.keepBefore(report.Before); err != nil {
		return nil, err
	}
	return r.actAndJudge(ctx, report, journal, nil), nil
}

// actAndJudge does all of a run that follows the first snapshot. done is what an
// earlier process has done of the action, nil for nothing.
func (r *runner) actAndJudge(ctx context.Context, report *reports.Report, journal *scaling.Journal, done []scaling.Record) *reports.Report {
	r.foresee(report)
	act := r.act(ctx, journal, done)
	report.Action, report.Rehearsal, report.Through, report.Markers = act.outcome, act.rehearsal, act.through, act.markers
	if t := act.through; t != nil && !reports.SpeaksOfTarget(t.Validity) {
		report.Warnings = append(report.Warnings, fmt.Sprintf("load %s through the action is %s: %s", t.Name, t.Validity, t.ValidityReason))
	}
	r.finish(ctx, report, act)
	report.FinishedAt, report.Events = r.now(), r.events
	return report
}

// foresee warns, before anything is changed, of gates that can't see what they
// look for, and of queries that failed.
func (r *runner) foresee(report *reports.Report) {
	before, after := r.sides()
	for _, warning := range append(failedQueries(report.Before), reports.Foresee(report.Before, r.criteria(), before, after)...) {
		r.event(Before, "warning: %s", warning)
		report.Warnings = append(report.Warnings, warning)
	}
}

// failedQueries names the queries of a snapshot that could not be measured: what the
// plan asks of them can't hold.
func failedQueries(s *snapshot.Snapshot) (warnings []string) {
	var suite dbbench.Result
	if ok, err := s.Section("db", &suite); !ok || err != nil {
		return nil // there are no queries; a section that can't be read is told where it is judged
	}
	for _, c := range suite.Cases {
		if c.Error != "" {
			warnings = append(warnings, fmt.Sprintf("the query %s could not be measured before the action: %s", c.Name, c.Error))
		}
	}
	return warnings
}

// openJournal opens the journal before anything is measured: a folder that can't
// take it must be known before the action, not after.
func (r *runner) openJournal() (*scaling.Journal, error) {
	if r.opts.JournalDir == "" {
		return nil, nil
	}
	journal, err := scaling.OpenJournal(r.opts.JournalDir, "journal-"+r.id)
	if err != nil {
		return nil, &EnvironmentError{err}
	}
	return journal, nil
}

// finish measures again where the action worked, judges, and undoes the action
// where the plan says so.
func (r *runner) finish(ctx context.Context, report *reports.Report, act *action) {
	fault := act.err
	if fault == nil {
		r.acted = true
		report.After, fault = r.measure(ctx, After)
	}
	if fault == nil && r.plan.Measure.Design == plan.ABA {
		fault = r.comeBack(ctx, report, act)
	}
	r.judge(ctx, report, act, fault)
	reason := r.rollbackReason(ctx, report, act, fault)
	switch {
	case act.isBack() && reason == "":
		r.applyAgain(ctx, report, act)
	case act.isBack():
		report.Verdict = reports.AfterRollback(report.Verdict, report.Action.Rollback)
	case reason != "":
		r.rollBack(report, act, reason)
	}
	report.Checklist = r.checklist(ctx, report)
	r.event(Judging, "%s: %s", report.Verdict.Word, report.Verdict.Headline)
}

// judge fills the comparison and the verdict. fault is why there is no second
// snapshot.
func (r *runner) judge(ctx context.Context, report *reports.Report, act *action, fault error) {
	criteria := r.criteria()
	facts := reports.Facts{Guardrails: act.guardrails}
	switch {
	case fault != nil && lockLost(ctx) != nil:
		facts.ActionError = r.plan.Secrets.String(lockLost(ctx).Error())
	case errors.Is(fault, context.Canceled):
		facts.Interrupted = true
	case act.outcome.Status == scaling.Failed:
		facts.ActionError = r.failure(act.outcome, fault)
	case errors.Is(fault, errNotBack):
		facts.ActionError = fault.Error()
	case fault != nil:
		facts.MeasureError = r.plan.Secrets.String(fault.Error())
	}
	// What the action changes of the environment is what it is for.
	criteria.AllowDifferences = true
	switch {
	case report.Return != nil:
		report.Comparison = reports.CompareReturn(report.Before, report.After, report.Return, criteria)
	case report.After != nil:
		report.Comparison = reports.Compare(report.Before, report.After, criteria)
	}
	report.FindEfficiency()
	report.Conditions, report.Verdict = reports.Judge(report, criteria, facts)
}

// failure says which step failed or, where none had begun that did, why the action did.
func (r *runner) failure(o *scaling.Outcome, fault error) string {
	for _, s := range o.Steps {
		if s.Status == scaling.Failed {
			return fmt.Sprintf("step %s failed: %s", s.Name, s.Error)
		}
	}
	return r.plan.Secrets.String(fault.Error())
}

// rollbackReason says why the action is to be undone, or returns nothing.
func (r *runner) rollbackReason(ctx context.Context, report *reports.Report, act *action, fault error) string {
	when := orDefault(r.plan.Rollback.When, plan.ObjectiveFailed)
	switch {
	case when == plan.Never || !act.changed():
		return ""
	case lockLost(ctx) != nil:
		return lockLost(ctx).Error()
	case ctx.Err() != nil:
		return "the run was interrupted"
	case act.err != nil:
		return act.err.Error()
	case when == plan.Always:
		return "the plan undoes its action in any case"
	case fault != nil && !errors.As(fault, new(*generatorError)):
		return "the second measurement failed: " + fault.Error()
	case when == plan.ObjectiveFailed && report.Verdict.Word == reports.Fail:
		return report.Verdict.Headline
	}
	return ""
}

// defaultRollbackTimeout bounds a rollback where the plan does not.
const defaultRollbackTimeout = 5 * time.Minute

// rollBack undoes the action on a context of its own: an interrupted run must
// still go back.
func (r *runner) rollBack(report *reports.Report, act *action, reason string) {
	r.undo(act.executor, report.Action, reason)
	report.Verdict = reports.AfterRollback(report.Verdict, report.Action.Rollback)
}

func (r *runner) newReport() *reports.Report {
	return &reports.Report{
		SchemaVersion: reports.SchemaVersion, Tool: r.opts.Tool, ID: r.id, StartedAt: r.now(),
		Plan: reports.Plan{
			Name: r.plan.Name, Hypothesis: r.plan.Hypothesis, Hash: r.plan.Hash,
			Source: r.plan.Secrets.String(r.plan.Source),
		},
	}
}

// Compare judges one snapshot against another that something else may have
// taken.
func Compare(before, after *snapshot.Snapshot, criteria reports.Criteria, opts Options) *reports.Report {
	now := opts.Now()
	report := &reports.Report{
		SchemaVersion: reports.SchemaVersion, Tool: opts.Tool, ID: NewID(now), StartedAt: now, FinishedAt: now,
		Plan: reports.Plan{Name: orDefault(after.Plan, "comparison")}, Before: before, After: after,
	}
	report.Comparison = reports.Compare(before, after, criteria)
	report.Conditions, report.Verdict = reports.Judge(report, criteria, reports.Facts{})
	return report
}
