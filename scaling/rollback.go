package scaling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Rollback undoes what an outcome of this executor has applied, in reverse
// order, and restarts last. A step that fails does not keep it from the others. Each undo is
// verified by reading the state again, and what a third party has changed
// meanwhile is reported and left alone. ctx should outlive the run's own.
func (x *Executor) Rollback(ctx context.Context, o *Outcome, reason string) *Rollback {
	r := &Rollback{Reason: x.clean(reason), StartedAt: x.env.Now(), Verified: true}
	if err := x.journal.write(Record{At: r.StartedAt, Event: eventRollback, Error: r.Reason}); err != nil {
		r.Verified = false // and it goes on: to undo counts for more than to have it written
		r.Differences = append(r.Differences, x.clean(err.Error()))
	}
	for _, i := range x.undoOrder(o) {
		undone := x.undoStep(ctx, i, &o.Steps[i])
		if undone.Status != RolledBack {
			r.Verified = false
			r.Differences = append(r.Differences, undone.Name+": "+undone.Error)
		}
		r.Steps = append(r.Steps, undone)
	}
	r.FinishedAt = x.env.Now()
	o.Status = RolledBack
	if !r.Verified {
		o.Status = Unverified
	}
	return r
}

// undoOrder returns the steps that are to be undone, the last first. Those that are
// made again come after all others, in their own order.
func (x *Executor) undoOrder(o *Outcome) []int {
	var order, again []int
	for i, s := range o.Steps {
		if s.Status != Applied && s.Status != Failed {
			continue
		}
		if x.again[i] = x.steps[i].Restart != nil && x.goesBackUnseen(o, i); x.again[i] {
			again = append(again, i)
		} else {
			order = append(order, i)
		}
	}
	slices.Reverse(order)
	return append(order, again...)
}

// goesBackUnseen reports whether a step before another one goes back, or has, in what
// pods read at their start.
func (x *Executor) goesBackUnseen(o *Outcome, index int) bool {
	for i, s := range o.Steps[:index] {
		undone := s.Status == RolledBack && !x.steps[i].MayFail // by a rollback that was cut short
		was := x.states[i]
		changed := was.before != was.after || was.before == ""
		if x.steps[i].atStart() && changed && (undone || s.Status == Applied || s.Status == Failed) {
			return true
		}
	}
	return false
}

func (x *Executor) undoStep(ctx context.Context, index int, done *StepOutcome) StepOutcome {
	c := x.steps[index].change(x.marked(markUndo))
	undone := StepOutcome{
		Name: done.Name, Kind: done.Kind, Summary: x.clean(c.undoes()), StartedAt: x.env.Now(), Before: done.After, Attempts: 1,
	}
	ctx, cancel := context.WithTimeout(ctx, x.steps[index].timeout())
	defer cancel()
	err := x.undo(ctx, c, index, done.Status, &undone)
	undone.FinishedAt = x.env.Now()
	undone.Status = RolledBack
	if err != nil {
		undone.Status, undone.Error = Unverified, x.clean(err.Error())
	}
	record := Record{At: undone.FinishedAt, Event: string(undone.Status), Step: index, Name: done.Name, Error: undone.Error}
	record.LeftAlone = errors.As(err, new(leftAlone))
	if err := x.journal.write(record); err != nil {
		undone.Status, undone.Error = Unverified, err.Error()
	}
	x.tell(done.Name, undone.Status, undone.Error)
	return undone
}

// leftAlone says why a step was not undone at all: its state is someone else's by now.
type leftAlone string

func (e leftAlone) Error() string { return string(e) }

// errUnread is that an undo has worked by its own account alone.
var errUnread = errors.New("undone, but that can't be verified: the step has no read")

// undo goes back from three states: the prior one, what the step made of it, and
// what is there now.
func (x *Executor) undo(ctx context.Context, c change, index int, status Status, undone *StepOutcome) error {
	if c.undoes() == "" {
		return errors.New("the step can't be undone")
	}
	if r, ok := c.(repeated); ok && x.again[index] {
		return r.again(ctx)
	}
	f, isFielded := c.(fielded)
	if isFielded {
		if err := f.recall(x.states[index].before); err != nil {
			return err
		}
	}
	now, readable, err := c.read(ctx)
	if err != nil {
		return fmt.Errorf("reading the state before undoing: %w", err)
	}
	x.compareSealed(index, now)
	if err := x.errSealed(index); err != nil {
		return err
	}
	was := x.states[index]
	if isFielded {
		return x.undoFields(ctx, f, was, now, undone)
	}
	switch {
	case readable && now == was.before:
		undone.After = x.clean(now)
		return nil // it never changed, or has been changed back
	case readable && status == Applied && now != was.after:
		return leftAlone(fmt.Sprintf("someone has changed the state from %q to %q meanwhile: it was left alone, and was %q before the action", was.after, now, was.before))
	}
	output, err := c.undo(ctx, was.before)
	undone.Output = x.clean(output)
	switch {
	case err != nil:
		return err
	case x.steps[index].Unread():
		return errUnread
	case !readable:
		return nil // it leaves nothing that could be read
	}
	return x.awaitState(ctx, c, was.before, undone)
}

// undoFields goes back field by field.
func (x *Executor) undoFields(ctx context.Context, c fielded, was states, now string, undone *StepOutcome) error {
	want, conflicts, err := c.merge(was.before, was.after, now)
	if err != nil {
		return err
	}
	faults := make([]error, 0, len(conflicts)+1)
	for _, conflict := range conflicts {
		faults = append(faults, errors.New(conflict))
	}
	if want != now {
		output, err := c.undo(ctx, want)
		undone.Output = x.clean(output)
		if err != nil {
			return errors.Join(append(faults, err)...)
		}
	}
	return errors.Join(append(faults, x.awaitState(ctx, c, want, undone))...)
}

// settleTime is how long a state may take to become the prior one again: a
// control plane may answer before it has acted.
const settleTime = 5 * time.Second

// awaitState reads the state until it is the wanted one. A read that is slow is not
// cut short: what counts is what it says.
func (x *Executor) awaitState(ctx context.Context, c change, want string, undone *StepOutcome) error {
	began := time.Now()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		state, _, err := c.read(ctx)
		if err == nil {
			if undone.After = x.clean(state); state == want {
				return nil
			}
			err = fmt.Errorf("the state is %q and was %q before the action", state, want)
		}
		if time.Since(began) > settleTime {
			return fmt.Errorf("verifying: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("verifying: %w", errors.Join(context.Cause(ctx), err))
		case <-ticker.C:
		}
	}
}
