package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// A CutoverResult is what a cut-over, or a way back, has done.
type CutoverResult struct {
	State
	Epoch       int64         `json:"epoch"`    // of the routing
	Compared    int64         `json:"compared"` // rows, before the fence, when all were
	CopiedAgain int64         `json:"copied_again"`
	Checked     *Verification `json:"checked,omitempty"` // within the fence: what was written since
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
	// following is that the target still follows the writes of the source.
	following bool
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
		if err := p.check(r.Phase); err != nil && r.Phase != p.done {
			return err
		}
		c, err := j.catalog(ctx)
		if err != nil {
			return err
		}
		if r.Phase == p.done {
			routes, err := j.opts.Routing.Read(ctx)
			r.Epoch = routes.Epoch
			j.tidyUp(ctx, c, p)
			j.tracker(c, p.from, p.to).end(ctx)
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
		// Only the last word was missing. When the switch was is not known: it is
		// the longest that the fence can have lasted.
		return j.settle(ctx, c, p, routes, r, j.opts.Now().Sub(*r.FencedAt).Seconds())
	}
	if r.Phase == Closing && !p.toTarget && !routes.has(j.target.Name, c.organizations) {
		// Going back from a cut-over that never came to its switch.
		return j.abort(ctx, c, passage{from: p.to, to: p.from, aborted: Copied, toTarget: true})
	}
	if err := j.checkPartitions(ctx, c, p.from, p.to); err != nil {
		return err
	}
	if p.toTarget {
		if err := routes.movable(j.source.Name, c.organizations); err != nil {
			return err
		}
		if p.following, err = j.following(ctx); err != nil {
			return err
		}
		p.following = p.following || r.Phase == Following // which says so where the subscription is gone
		if p.following {
			// A worker that stands still holds the tables that triggers are made on.
			if err := j.catchUp(ctx, c); err != nil {
				return err
			}
		}
		err = j.inTime(ctx, "other sessions hold tables of "+j.target.Name+" for longer than the fence may last", recorder{j, c}.install)
	} else if err = j.dropReplication(ctx); err == nil { // a cut-over may have left it
		err = j.lost(ctx, c) // else going back would delete the only copy
	}
	if err != nil {
		return err
	}
	if r.Phase == p.closing {
		if err := j.fence(c, p.to, p.from.Name).shut(ctx); err != nil {
			return err
		}
	}
	// What can be done and seen before the fence is, so that the fence has the last of
	// it alone.
	track := j.tracker(c, p.from, p.to)
	defer track.end(ctx)
	if err := j.inTime(ctx, "transactions that write are open for longer than the fence may last", track.start); err != nil {
		return err
	}
	if p.following {
		if err := j.catchUp(ctx, c); err != nil {
			return err
		}
	}
	k, err := j.comparer(ctx, c, side{node: p.from}, side{node: p.to})
	if err != nil {
		return err
	}
	if r.Compared, r.CopiedAgain, err = track.approach(ctx, p, k); err != nil {
		return err
	}
	faults, err := j.obstacles(ctx, c, p)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return &FaultsError{j.target.Name, faults}
	}
	return j.behindFence(ctx, c, p, routes, track, k, r)
}

// obstacles says what is wrong on the target so that the rows can't be given to it or,
// since rows alone go back, with them.
func (j *Job) obstacles(ctx context.Context, c *Catalog, p passage) (faults []string, err error) {
	if p.toTarget {
		return j.integrity(ctx, c, j.source, j.target)
	}
	err = j.target.with(ctx, func(conn *pgx.Conn) error {
		faults, err = orphans(ctx, conn, c, nil)
		return err
	})
	return faults, err
}

// A FaultsError is that a node is not whole.
type FaultsError struct {
	Node   string
	Faults []string
}

func (e *FaultsError) Error() string {
	return e.Node + " is not whole, and nothing was switched or deleted:\n  " + strings.Join(e.Faults, "\n  ")
}

// behindFence does what must be done while nobody writes the range.
func (j *Job) behindFence(ctx context.Context, c *Catalog, p passage, routes Routes, track *tracker, k *comparer, r *CutoverResult) (err error) {
	limit := j.fenceLimit()
	fenced, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the fence has lasted for its limit of %v: raise shard.fence", limit))
	defer cancel()
	j.say("raising the fence on %s", p.from.Name)
	held, err := j.fence(c, p.from, p.to.Name).raise(fenced)
	if err != nil {
		return j.aborted(ctx, c, p, err)
	}
	defer held.release()
	j.say("the fence is up on %s", p.from.Name)
	switched, err := j.switchOver(fenced, c, p, routes, held, track, k, r)
	if err != nil && !switched {
		held.release()
		return j.aborted(ctx, c, p, err)
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

// inTime runs f, which waits for others, for as long as a fence may last. why is said
// where that is not enough.
func (j *Job) inTime(ctx context.Context, why string, f func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, j.fenceLimit())
	defer cancel()
	err := f(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return fmt.Errorf("%s (%v): %w", why, j.fenceLimit(), err)
	}
	return err
}

func (j *Job) fenceLimit() time.Duration { return orDefault(j.config.Fence.Std(), defaultFence) }

// aborted aborts, and says what came of it and why it was.
func (j *Job) aborted(ctx context.Context, c *Catalog, p passage, why error) error {
	if err := j.abort(ctx, c, p); err != nil {
		return fmt.Errorf("the cut-over failed, and whether the fence of %s is lifted is not known: run the command again: %w", p.from.Name, errors.Join(why, err))
	}
	return fmt.Errorf("the fence is lifted, and %s has the organisations as before: %w", p.from.Name, why)
}

// switchOver makes both sides equal and switches the routing. switched is that it
// is, or may be.
func (j *Job) switchOver(ctx context.Context, c *Catalog, p passage, routes Routes, held *heldFence, track *tracker, k *comparer, r *CutoverResult) (switched bool, err error) {
	if err := j.checkPartitions(ctx, c, p.from, p.to); err != nil { // made since it was looked at
		return false, err
	}
	if p.following {
		if err := j.catchUp(ctx, c); err != nil {
			return false, err
		}
	}
	var copied int64
	r.Checked, copied, err = j.equalise(ctx, c, p, track, k)
	if r.CopiedAgain += copied; err != nil {
		return false, err
	}
	if err := j.raiseSequences(ctx, c, p.from, p.to, p.headroom); err != nil {
		return false, err
	}
	set := "fenced_at = " + quote(held.raised.UTC().Format(time.RFC3339Nano))
	if p.toTarget {
		r.Routed = routes.has(j.source.Name, c.organizations)
		set += fmt.Sprintf(", routed = %t", r.Routed)
	}
	if err := j.target.with(ctx, func(conn *pgx.Conn) error { return j.setPhase(ctx, conn, p.closing, set) }); err != nil {
		return false, err
	}
	if err := held.close(ctx); err != nil {
		return false, err
	}
	if err := j.fence(c, p.to, p.from.Name).open(ctx); err != nil {
		return false, err
	}
	writeErr := j.opts.Routing.Write(ctx, routes.moved(p.from.Name, p.to.Name, c.organizations, p.toTarget || r.Routed))
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

// equalise makes both sides equal behind the fence, and proves it of all that was
// written since they were compared.
func (j *Job) equalise(ctx context.Context, c *Catalog, p passage, track *tracker, k *comparer) (*Verification, int64, error) {
	began := j.opts.Now()
	v := &Verification{}
	rows, err := track.take(ctx)
	if err != nil {
		return nil, 0, err
	}
	copied, err := j.repair(ctx, k, c.owned(), track.comparing(k, rows), func(r tableComparison) error {
		v.Tables = append(v.Tables, r.verification())
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	v.ChecksumSeconds = j.opts.Now().Sub(began).Seconds()
	// Rows that were written may refer to shared ones that did not come.
	if err := p.to.with(ctx, func(conn *pgx.Conn) (err error) {
		v.Faults, err = orphans(ctx, conn, c, func(t *Table) string {
			switch {
			case track.whole[t]:
				return "true"
			case rows[t] == 0:
				return "false"
			}
			return track.touched(t)
		})
		return err
	}); err != nil {
		return nil, copied, err
	}
	if len(v.Faults) > 0 {
		return v, copied, &FaultsError{p.to.Name, v.Faults}
	}
	v.Seconds = j.opts.Now().Sub(began).Seconds()
	v.IntegritySeconds = v.Seconds - v.ChecksumSeconds
	for _, t := range v.Tables {
		v.Rows += t.Source
		if t.Differing > 0 {
			return v, copied, fmt.Errorf("%s differs in %d of %d parts after its rows were copied again: is someone writing past the fence?", t.Table, t.Differing, t.Buckets)
		}
	}
	v.Equal = true
	return v, copied, nil
}

// settle writes down that the passage is done.
func (j *Job) settle(ctx context.Context, c *Catalog, p passage, routes Routes, r *CutoverResult, seconds float64) error {
	r.Epoch = routes.Epoch
	if err := j.fence(c, p.to, p.from.Name).open(ctx); err != nil {
		return err
	}
	if err := j.target.with(ctx, func(conn *pgx.Conn) error {
		cut := map[bool]string{true: "now()", false: "NULL"}[p.toTarget]
		return j.setPhase(ctx, conn, p.done, fmt.Sprintf("fence_seconds = %g, cut_at = %s, verified_at = NULL", seconds, cut))
	}); err != nil {
		return err
	}
	j.tidyUp(ctx, c, p)
	return nil
}

// tidyTimeout bounds taking things away that do no harm: it needs locks that other
// sessions may hold for long.
const tidyTimeout = 5 * time.Second

// tidyUp takes away what a passage that is done needs no more. What can't be yet
// is told; the same command takes it away later, and so do the next ones.
func (j *Job) tidyUp(ctx context.Context, c *Catalog, p passage) {
	things := []func(context.Context) error{j.fence(c, p.to, p.from.Name).lift}
	if p.toTarget {
		things = append(things, j.dropReplication)
	} else {
		things = append(things, recorder{j, c}.remove)
	}
	for _, take := range slices.Backward(things) {
		bounded, cancel := context.WithTimeoutCause(ctx, tidyTimeout, errors.New("other sessions hold its tables"))
		if err := take(bounded); err != nil {
			j.say("what has served its time could not be taken away: run the command again later: %v", err)
		}
		cancel()
	}
}

// abort lets from take writes again and to none, on a context of its own.
func (j *Job) abort(ctx context.Context, c *Catalog, p passage) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	from := j.fence(c, p.from, p.to.Name)
	err := errors.Join(j.fence(c, p.to, p.from.Name).shut(ctx), from.open(ctx))
	err = errors.Join(err, j.target.with(ctx, func(conn *pgx.Conn) error {
		aborted := p.aborted
		if p.toTarget {
			following, err := j.following(ctx)
			if err != nil {
				return err
			}
			if following {
				aborted = Following
			}
		}
		return j.setPhase(ctx, conn, aborted, "")
	}))
	tidy, cancel := context.WithTimeout(ctx, tidyTimeout)
	defer cancel()
	if liftErr := from.lift(tidy); liftErr != nil && err == nil {
		j.say("the triggers of the fence stay, and let all pass: %v", liftErr)
	}
	return err
}

// following reports whether the target still has a subscription to the writes of
// the source.
func (j *Job) following(ctx context.Context) (there bool, err error) {
	err = j.target.with(ctx, func(target *pgx.Conn) error {
		return target.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_subscription WHERE subname = $1 AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()))", j.slot()).Scan(&there)
	})
	if err != nil {
		return false, fmt.Errorf("looking for the subscription: %w", err)
	}
	return there, nil
}
