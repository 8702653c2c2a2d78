package shard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A CutoverResult is what a cut-over, or a way back, has done.
type CutoverResult struct {
	State
	Epoch       int64         `json:"epoch"` // of the routing
	CopiedAgain int64         `json:"copied_again"`
	Checked     *Verification `json:"checked,omitempty"` // within the fence
}

// defaultFence is how long a fence may last where the plan names no bound.
const defaultFence = time.Minute

// abortTimeout bounds lifting the fence, which goes on when the run's own context
// has ended.
const abortTimeout = time.Minute

// A passage goes from one side to the other.
type passage struct {
	from, to Node
	closing  Phase // while the routing may or may not be switched
	done     Phase
	aborted  Phase // the phase after an abort
	toTarget bool
	headroom int64 // for the sequences of to
}

// Cutover gives the range to the target: it refuses writes of the range on the
// source, makes the target equal, proves it, and switches the routing. Where
// anything fails before the routing is switched, the fence is lifted and the
// source goes on.
func (j *Job) Cutover(ctx context.Context) (*CutoverResult, error) {
	return j.pass(ctx, passage{from: j.source, to: j.target, closing: Closing, done: Moved, aborted: Copied, toTarget: true, headroom: headroom})
}

// Back gives the range back to the source, with all that was written on the target
// since. It works until the source is cleaned up.
func (j *Job) Back(ctx context.Context) (*CutoverResult, error) {
	return j.pass(ctx, passage{from: j.target, to: j.source, closing: Returning, done: Copied, aborted: Moved})
}

func (j *Job) pass(ctx context.Context, p passage) (r *CutoverResult, err error) {
	r = &CutoverResult{}
	err = j.alone(ctx, func(ctx context.Context) error {
		if r.State, err = j.state(ctx); err != nil {
			return err
		}
		if r.Phase == p.done {
			routes, err := j.opts.Routing.Read(ctx)
			r.Epoch = routes.Epoch
			return err
		}
		if err := p.check(r.Phase); err != nil {
			return err
		}
		c, err := j.catalog(ctx)
		if err != nil {
			return err
		}
		if err := j.passOver(ctx, c, p, r); err != nil {
			return err
		}
		r.State, err = j.state(ctx)
		return err
	})
	return r, err
}

// check says why a move of a phase can't go this way.
func (p passage) check(phase Phase) error {
	switch phase {
	case None, Copying:
		return &PhaseError{phase, "copy the rows first: scaleproof shard move"}
	case Cleaning, Cleaned:
		return &PhaseError{phase, "the source has been cleaned up, and there is no way back"}
	case Returning:
		if p.toTarget {
			return &PhaseError{phase, "let the way back come to its end first: scaleproof shard cutover --back"}
		}
	case Closing: // both ways: to the end, or back to where nothing has happened
	case Moved:
		if p.toTarget {
			return &PhaseError{phase, "nothing to do"}
		}
	case Copied, Following:
		if !p.toTarget {
			return &PhaseError{phase, "the source has the organisations: there is nothing to go back from"}
		}
	}
	return nil
}

// passOver goes over. Each of its parts may have been done by a process that was
// killed.
func (j *Job) passOver(ctx context.Context, c *Catalog, p passage, r *CutoverResult) error {
	routes, err := j.opts.Routing.Read(ctx)
	if err != nil {
		return err
	}
	if r.Phase == p.closing && routes.has(j.target.Name, c.organizations) == p.toTarget {
		return j.settle(ctx, c, p, routes, r, r.FenceSeconds) // only the last word was missing
	}
	if r.Phase == Closing && !p.toTarget && !routes.has(j.target.Name, c.organizations) {
		// Going back from a cut-over that never came to its switch.
		return j.abort(ctx, c, passage{from: p.to, to: p.from, aborted: Copied, toTarget: true})
	}
	// What can be seen before is, so that the fence does not last for it.
	faults, err := j.integrity(ctx, c, j.source, j.target)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return &FaultsError{faults}
	}
	if p.toTarget {
		err = recorder{j, c}.install(ctx)
	} else {
		err = j.lost(ctx, c) // else going back would delete the only copy
	}
	if err != nil {
		return err
	}
	if r.Phase == Following {
		if err := j.catchUp(ctx); err != nil {
			return err
		}
	}
	if r.Phase == p.closing {
		if err := j.fence(c, p.to, p.from.Name).shut(ctx); err != nil {
			return err
		}
	}
	if r.Phase != Following {
		// What has changed since the copy is copied again before the fence, which
		// then has the last of it alone.
		if r.CopiedAgain, err = j.reconcile(ctx, c, side{node: p.from}, side{node: p.to}, c.owned()); err != nil {
			return err
		}
	}
	return j.behindFence(ctx, c, p, routes, r)
}

// A FaultsError is that the target is not whole.
type FaultsError struct{ Faults []string }

func (e *FaultsError) Error() string {
	return "the target is not whole, and nothing was switched:\n  " + strings.Join(e.Faults, "\n  ")
}

// behindFence does what must be done while nobody writes the range.
func (j *Job) behindFence(ctx context.Context, c *Catalog, p passage, routes Routes, r *CutoverResult) (err error) {
	limit := orDefault(j.config.Fence.Std(), defaultFence)
	fenced, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the fence has lasted for its limit of %v: raise shard.fence", limit))
	defer cancel()
	held, err := j.fence(c, p.from, p.to.Name).raise(fenced)
	if err != nil {
		return errors.Join(err, j.abort(ctx, c, p))
	}
	defer held.release()
	j.say("the fence is up on %s", p.from.Name)
	switched, err := j.switchOver(fenced, c, p, routes, held, r)
	if err != nil && !switched {
		held.release()
		return errors.Join(fmt.Errorf("the fence is lifted, and %s has the organisations as before: %w", p.from.Name, err), j.abort(ctx, c, p))
	}
	if err != nil {
		return err
	}
	seconds := j.opts.Now().Sub(held.raised).Seconds()
	j.say("the routing is switched: writes were refused for %.2f s", seconds)
	if routes, err = j.opts.Routing.Read(ctx); err != nil {
		return err
	}
	return j.settle(ctx, c, p, routes, r, seconds)
}

// switchOver makes both sides equal and switches the routing. switched is that it
// is, or may be.
func (j *Job) switchOver(ctx context.Context, c *Catalog, p passage, routes Routes, held *heldFence, r *CutoverResult) (switched bool, err error) {
	if r.Phase == Following {
		if err := j.catchUp(ctx); err != nil {
			return false, err
		}
	}
	var copied int64
	r.Checked, copied, err = j.equalise(ctx, c, p)
	if r.CopiedAgain += copied; err != nil {
		return false, err
	}
	if err := j.raiseSequences(ctx, c, p.from, p.to, p.headroom); err != nil {
		return false, err
	}
	if r.Phase == Following {
		if err := j.dropReplication(ctx); err != nil {
			return false, err
		}
	}
	if err := j.target.with(ctx, func(conn *pgx.Conn) error { return j.setPhase(ctx, conn, p.closing, "") }); err != nil {
		return false, err
	}
	if err := held.close(ctx); err != nil {
		return false, err
	}
	if err := j.fence(c, p.to, p.from.Name).lift(ctx); err != nil {
		return false, err
	}
	writeErr := j.opts.Routing.Write(ctx, routes.with(j.target.Name, c.organizations, p.toTarget))
	if writeErr == nil {
		return true, nil
	}
	// A write that failed may have worked.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	now, err := j.opts.Routing.Read(ctx)
	switch {
	case err != nil:
		return true, fmt.Errorf("nobody knows whether the routing is switched, and both sides refuse writes of the range until this command is run again: %w", errors.Join(writeErr, err, j.fence(c, p.to, p.from.Name).shut(ctx)))
	case now.has(j.target.Name, c.organizations) == p.toTarget:
		return true, nil
	}
	return false, writeErr
}

// equalise makes both sides equal, and proves it.
func (j *Job) equalise(ctx context.Context, c *Catalog, p passage) (*Verification, int64, error) {
	began := j.opts.Now()
	v := &Verification{}
	k, err := j.comparer(ctx, c, side{node: p.from}, side{node: p.to})
	if err != nil {
		return nil, 0, err
	}
	copied, err := j.repair(ctx, k, c.owned(), v)
	if err != nil {
		return nil, 0, err
	}
	v.Seconds = j.opts.Now().Sub(began).Seconds()
	v.ChecksumSeconds = v.Seconds
	for _, t := range v.Tables {
		v.Rows += t.Source
		if t.Differing > 0 {
			return v, copied, fmt.Errorf("%s differs in %d of %d buckets after its rows were copied again: is someone writing past the fence?", t.Table, t.Differing, t.Buckets)
		}
	}
	v.Equal = true
	return v, copied, nil
}

// settle writes down that the passage is done.
func (j *Job) settle(ctx context.Context, c *Catalog, p passage, routes Routes, r *CutoverResult, seconds float64) error {
	r.Epoch = routes.Epoch
	if err := j.fence(c, p.to, p.from.Name).lift(ctx); err != nil {
		return err
	}
	if !p.toTarget {
		if err := (recorder{j, c}).remove(ctx); err != nil {
			return err
		}
	}
	return j.target.with(ctx, func(conn *pgx.Conn) error {
		set := fmt.Sprintf("fence_seconds = %g, cut_at = now(), verified_at = NULL", seconds)
		if !p.toTarget {
			set = fmt.Sprintf("fence_seconds = %g, cut_at = NULL, verified_at = NULL", seconds)
		}
		return j.setPhase(ctx, conn, p.done, set)
	})
}

// abort lets from take writes again and to none, on a context of its own.
func (j *Job) abort(ctx context.Context, c *Catalog, p passage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	err := j.fence(c, p.to, p.from.Name).shut(ctx)
	err = errors.Join(err, j.fence(c, p.from, p.to.Name).lift(ctx))
	return errors.Join(err, j.target.with(ctx, func(conn *pgx.Conn) error {
		aborted := p.aborted
		if p.toTarget {
			following, err := j.following(ctx, conn)
			if err != nil {
				return err
			}
			if following {
				aborted = Following
			}
		}
		return j.setPhase(ctx, conn, aborted, "")
	}))
}

// following reports whether the target still follows the source's writes.
func (j *Job) following(ctx context.Context, target *pgx.Conn) (there bool, err error) {
	err = target.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_subscription WHERE subname = $1 AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()))", j.slot()).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("looking for the subscription: %w", err)
	}
	return there, nil
}
