package validation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"scaleproof/scaling"
)

// releaseTimeout bounds the release of the locks, which goes on when the run is
// interrupted.
const releaseTimeout = 30 * time.Second

// lock takes the locks of what the plan's steps act on. The returned context ends
// when one is lost. resumes says that the process that had begun this run is dead.
func (r *runner) lock(ctx context.Context, resumes bool) (kept context.Context, unlock func(), err error) {
	var locks []scaling.Lock
	var stops []func()
	unlock = func() {
		releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		for i, l := range slices.Backward(locks) {
			if i < len(stops) {
				stops[i]()
			}
			if err := l.Release(releasing); err != nil {
				r.event(Undoing, "%v", err)
			}
		}
	}
	for _, acquire := range r.lockers(resumes) {
		l, err := acquire(ctx)
		if err != nil {
			unlock()
			if ctx.Err() != nil {
				return nil, nil, ctx.Err()
			}
			return nil, nil, &EnvironmentError{errors.New(r.plan.Secrets.String(err.Error()))}
		}
		if l != nil {
			locks = append(locks, l)
		}
	}
	kept = ctx
	for _, l := range locks {
		var stop func()
		kept, stop = l.Keep(kept)
		stops = append(stops, stop)
	}
	return kept, unlock, nil
}

// lockLost says why a run whose context has ended lost its lock, and nothing where it
// has not.
func lockLost(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, scaling.ErrLockLost) {
		return cause
	}
	return nil
}

// lockFault is the error of a run that stops before it has changed anything: one that
// lost its lock was not interrupted.
func lockFault(ctx context.Context, err error) error {
	if lost := lockLost(ctx); lost != nil {
		return &EnvironmentError{fmt.Errorf("nothing was changed: %w", lost)}
	}
	return err
}

// A locker takes a lock, or none where this run has it already.
type locker func(context.Context) (scaling.Lock, error)

// lockers are what takes the plan's locks: that of the namespace or, without
// Kubernetes, of each database that a step writes; and on this machine those of
// what no server can lock.
func (r *runner) lockers(resumes bool) []locker {
	holder := fmt.Sprintf("scaleproof %s on %s", r.id, environment("").Host)
	steps := r.plan.Action.Steps
	var all []locker
	if slices.ContainsFunc(steps, scaling.Step.OnKubernetes) {
		client := r.kubernetes()
		client.Patience = 0
		all = append(all, func(ctx context.Context) (scaling.Lock, error) {
			return scaling.AcquireLease(ctx, client, scaling.LeaseConfig{Name: scaling.LeaseName, Holder: holder, Resumes: resumes, Now: r.opts.Now})
		})
	} else {
		var held []*scaling.AdvisoryLock
		for _, node := range r.plan.Environment.Postgres.All() {
			if !slices.ContainsFunc(steps, func(s scaling.Step) bool { return s.WritesNode(node.Name) }) {
				continue
			}
			all = append(all, func(ctx context.Context) (scaling.Lock, error) {
				l, err := scaling.AcquireAdvisoryLock(ctx, scaling.AdvisoryConfig{Node: node.Name, DSN: node.DSN, Holder: holder})
				switch {
				case slices.ContainsFunc(held, func(mine *scaling.AdvisoryLock) bool { return mine.InTheWay(err) }):
					return nil, nil // another node of the plan is the same database
				case err != nil:
					return nil, err
				}
				held = append(held, l)
				return l, nil
			})
		}
	}
	dir := locksFolder()
	for _, target := range r.localTargets() {
		all = append(all, func(context.Context) (scaling.Lock, error) { return scaling.AcquireFileLock(dir, target, holder) })
	}
	return all
}

// locksFolder is where the locks of this user are; a lock's file may outlive a
// process that was killed, the lock does not.
func locksFolder() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = filepath.Join(os.TempDir(), fmt.Sprintf("scaleproof-%d", os.Getuid())) // no home
	}
	return filepath.Join(cache, "scaleproof", "locks")
}

// localTargets names what the steps act on that has no lock of its own, in an
// order that all runs keep to: the URLs that they send to, and for commands, whose
// targets nobody can tell, the plan.
func (r *runner) localTargets() []string {
	var targets []string
	for _, s := range r.plan.Action.Steps {
		switch {
		case s.HTTP != nil:
			targets = append(targets, s.HTTP.URL)
		case s.Exec != nil:
			if path, err := filepath.Abs(r.plan.Path); err == nil {
				targets = append(targets, "the targets of "+path)
			}
		}
	}
	slices.Sort(targets)
	return slices.Compact(targets)
}
