package validation

import (
	"context"
	"errors"
	"fmt"

	"scaleproof/reports"
	"scaleproof/scaling"
)

// Returning is the phase in which the design A-B-A measures again.
const Returning Phase = "return"

// errNotBack is that an undo could not be verified.
var errNotBack = errors.New("the prior state could not be verified after undoing")

// rehearse undoes an action that has just been applied, and applies it again: a
// rollback that nobody has tried is a hope. The first application is kept.
func (r *runner) rehearse(ctx context.Context, a *action) {
	r.event(Acting, "rehearsing the rollback")
	r.undo(a.executor, a.outcome, "a rehearsal")
	a.rehearsal = a.outcome
	if !a.outcome.Rollback.Verified {
		a.err = fmt.Errorf("the rehearsal failed: %w", errNotBack)
		return
	}
	r.event(Acting, "the prior state is verified; applying again")
	a.outcome, a.err = a.executor.Apply(ctx, r.id, r.plan.Action.Steps)
}

// comeBack undoes the action and measures once more, for the design A-B-A.
func (r *runner) comeBack(ctx context.Context, report *reports.Report, act *action) error {
	r.undo(act.executor, act.outcome, "the design A-B-A measures without the action again")
	if !act.outcome.Rollback.Verified {
		return errNotBack
	}
	var err error
	report.Return, err = r.measure(ctx, Returning)
	return err
}

// applyAgain ends a run of the design A-B-A that passed with the action in place.
func (r *runner) applyAgain(ctx context.Context, report *reports.Report, act *action) {
	r.event(Acting, "applying again")
	report.Rehearsal = act.outcome
	act.outcome, act.err = act.executor.Apply(ctx, r.id, r.plan.Action.Steps)
	report.Action = act.outcome
	if act.err == nil {
		return
	}
	report.Verdict = reports.ActionFailed(report.Verdict, "applying it again: "+r.failure(act.outcome, act.err))
	if act.changed() {
		r.rollBack(report, act, act.err.Error())
	}
}

// isBack reports whether the action was undone already, and that is verified.
func (a *action) isBack() bool {
	return a.outcome.Rollback != nil && a.outcome.Status == scaling.RolledBack
}
