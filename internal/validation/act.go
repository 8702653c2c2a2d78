package validation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"scaleproof/internal/plan"
	"scaleproof/internal/stats"
	"scaleproof/loadgen"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// The load through an action starts before it and goes on until the target is
// steady again, so that the change from one steady state to the other can be told
// and the report shows it.
const (
	leadIn  = 4 * time.Second
	leadOut = 15 * time.Second // at most
	// settling is how many seconds tell a steady state.
	settling = 6
)

// An action is what became of a plan's steps and of the load on them.
type action struct {
	executor   *scaling.Executor
	outcome    *scaling.Outcome
	rehearsal  *scaling.Outcome // the first application, where it was rehearsed
	through    *loadgen.Result
	markers    []reports.Marker
	guardrails []reports.ConditionResult
	// err is why the action did not come to its end.
	err error
}

// changed reports whether any step began.
func (a *action) changed() bool {
	for _, s := range a.outcome.Steps {
		if s.Status == scaling.Applied || s.Status == scaling.Failed {
			return true
		}
	}
	return false
}

func eventText(e scaling.Event) string {
	switch {
	case e.Status == scaling.Pending:
		return e.Detail
	case e.Detail != "":
		return string(e.Status) + ": " + e.Detail
	}
	return string(e.Status)
}

// act runs the steps, with the load that the plan keeps on meanwhile: from the
// first, or from where the records of an earlier process leave off.
func (r *runner) act(ctx context.Context, journal *scaling.Journal, done []scaling.Record) *action {
	a := &action{}
	a.executor = r.executor(journal, func(e scaling.Event) {
		if e.Status != scaling.Pending && e.Status != scaling.Skipped {
			a.markers = append(a.markers, reports.Marker{At: e.At, Label: e.Step + " " + string(e.Status)})
		}
		r.event(Acting, "step %s: %s", e.Step, eventText(e))
	})
	load, through := r.plan.Load(r.plan.Action.LoadThrough)
	if !through {
		r.apply(ctx, a, done)
		return a
	}
	r.actUnderLoad(ctx, a, load, done)
	return a
}

// apply runs the steps, and rehearses the way back where the plan says so.
func (r *runner) apply(ctx context.Context, a *action, done []scaling.Record) {
	if done == nil {
		a.outcome, a.err = a.executor.Apply(ctx, r.id, r.plan.Action.Steps)
	} else if a.outcome, a.err = a.executor.Recall(r.id, r.plan.Action.Steps, done); a.err == nil {
		a.err = a.executor.Resume(ctx, a.outcome)
	}
	// A-B-A undoes and applies again in any case.
	if a.err == nil && r.plan.Rollback.Rehearse && r.plan.Measure.Design != plan.ABA {
		r.rehearse(ctx, a)
	}
}

// errGuardrail is the cause of a context that a guardrail has ended.
type errGuardrail string

func (e errGuardrail) Error() string { return string(e) }

// held is a load that goes on without an end, as an action needs it: at its rate,
// or at the highest of its stages.
func held(load loadgen.Config) loadgen.Config {
	load.Rate, load.Stages = load.PeakRate(), nil
	load.Duration, load.Warmup, load.FindCapacity = 0, 0, false
	return load
}

func (r *runner) actUnderLoad(ctx context.Context, a *action, load loadgen.Config, done []scaling.Record) {
	load = held(load)
	loadCtx, endLoad := context.WithCancel(context.WithoutCancel(ctx))
	defer endLoad()
	stepCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watch, tail := &guard{conditions: r.plan.Guardrails}, newSettling()
	options := loadgen.Options{OnSecond: func(s loadgen.Second, response *stats.Histogram) {
		tail.see(s)
		if reason := watch.see(s, response); reason != "" {
			stop(errGuardrail(reason))
		}
	}}
	if options.Fleet, a.err = r.fleet(ctx, load); a.err != nil {
		a.outcome, _ = a.executor.Recall(r.id, r.plan.Action.Steps, done)
		return
	}
	loaded := make(chan error, 1)
	go func() {
		var err error
		a.through, err = loadgen.Run(loadCtx, load, options)
		loaded <- err
	}()
	r.event(Acting, "load %s is on", load.Name)
	if a.err = leadsIn(stepCtx, loaded); a.err != nil {
		a.outcome, _ = a.executor.Recall(r.id, r.plan.Action.Steps, done)
		return
	}
	began := r.now()
	r.apply(stepCtx, a, done)
	over := r.now()
	if a.err == nil {
		r.event(Acting, "waiting for a steady state under load")
		tail.await(stepCtx, leadOut)
	}
	endLoad()
	if err := <-loaded; err != nil && a.err == nil {
		a.err = fmt.Errorf("load through the action: %w", err)
	}
	if cause := context.Cause(stepCtx); errors.As(cause, new(errGuardrail)) {
		a.err = cause
	}
	a.guardrails = watch.results(a.through)
	if a.through != nil {
		a.through.Transition = a.through.Through(began, over)
	}
}

// leadsIn waits until the load has shown the state before the action. Its error is
// why there is no load.
func leadsIn(ctx context.Context, loaded <-chan error) error {
	timer := time.NewTimer(leadIn)
	defer timer.Stop()
	select {
	case err := <-loaded:
		if err == nil {
			err = errors.New("it ended before the action began")
		}
		return fmt.Errorf("load through the action: %w", err)
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}
