package validation

import (
	"context"
	"fmt"

	"scaleproof/internal/plan"
	"scaleproof/scaling"
)

// Apply runs the steps of a plan without measuring. Where one fails, those that
// worked are undone, unless the plan says never. The outcome is nil where an error
// says that nothing was begun.
func Apply(ctx context.Context, p *plan.Plan, opts Options) (*scaling.Outcome, error) {
	r := newRunner(p, opts)
	if err := r.consented(); err != nil {
		return nil, err
	}
	if err := r.reachKubernetes(ctx); err != nil {
		return nil, &EnvironmentError{err}
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
	x := r.executor(journal, r.tellStep)
	outcome, err := x.Apply(ctx, r.id, p.Action.Steps)
	if err != nil && orDefault(p.Rollback.When, plan.ObjectiveFailed) != plan.Never {
		r.undo(x, outcome, err.Error())
	}
	return outcome, nil
}

func (r *runner) tellStep(e scaling.Event) { r.event(Acting, "step %s: %s", e.Step, eventText(e)) }

// undo undoes an outcome on a context of its own, and probes the service.
func (r *runner) undo(x *scaling.Executor, o *scaling.Outcome, reason string) {
	ctx, cancel := context.WithTimeout(r.opts.Abandon, orDefault(r.plan.Rollback.Timeout.Std(), defaultRollbackTimeout))
	defer cancel()
	r.event(Undoing, "undoing the action: %s", reason)
	o.Rollback = x.Rollback(ctx, o, reason)
	r.probe(r.opts.Abandon, o)
}

// Undo undoes what another process has done of a plan, from its journal. One of other
// steps, or of another target, is refused: scaling.ErrOtherSteps, ErrOtherTarget.
func Undo(ctx context.Context, p *plan.Plan, journalPath string, opts Options) (*scaling.Outcome, error) {
	r := newRunner(p, opts)
	journal, records, err := reopenJournal(journalPath)
	if err != nil {
		return nil, err
	}
	defer journal.Close()
	if err := r.reachKubernetes(ctx); err != nil {
		return nil, &EnvironmentError{err}
	}
	x := r.executor(journal, r.tellStep)
	o, err := x.Recall(r.id, p.Action.Steps, records)
	if err != nil {
		return nil, err
	}
	if err := r.endLeftovers(ctx, x, o); err != nil {
		return nil, err
	}
	_, unlock, err := r.lock(ctx, true)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r.undo(x, o, "asked for")
	return o, nil
}

// A StepState is where a step of a plan stands.
type StepState struct {
	scaling.PreviewStep
	// Status and Before are from the journal; empty without one.
	Status scaling.Status `json:"status,omitempty"`
	Before string         `json:"before,omitempty"`
}

// Status tells where each step of a plan stands: what the journal says, where
// there is one, and what is there now. It changes nothing.
func Status(ctx context.Context, p *plan.Plan, journalPath string, opts Options) ([]StepState, error) {
	r := newRunner(p, opts)
	if err := r.reachKubernetes(ctx); err != nil {
		return nil, &EnvironmentError{err}
	}
	x := r.executor(nil, func(scaling.Event) {})
	states := make([]StepState, len(p.Action.Steps))
	if journalPath != "" {
		records, err := scaling.ReadJournal(journalPath)
		if err != nil {
			return nil, err
		}
		o, err := x.Recall(r.id, p.Action.Steps, records)
		if err != nil {
			return nil, err
		}
		for i, s := range o.Steps {
			states[i].Status, states[i].Before = s.Status, s.Before
		}
	}
	for i, preview := range x.Preview(ctx, p.Action.Steps) {
		states[i].PreviewStep = preview
		if journalPath == "" {
			continue
		}
		// A step that has worked would change nothing now: what it had is what counts.
		if state, ok, err := x.Current(ctx, i); err != nil {
			states[i].State = "can't be read: " + p.Secrets.String(err.Error())
		} else if ok {
			states[i].State = state
		}
	}
	return states, nil
}

// JournalName is the name of a run's journal in its folder.
func JournalName(id string) string { return fmt.Sprintf("journal-%s.jsonl", id) }
