package validation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"scaleproof/scaling"
)

// releaseTimeout bounds the release of the lock, which goes on when the run is
// interrupted.
const releaseTimeout = 30 * time.Second

// lock takes the lock of the plan's namespace where a step acts on it. The
// returned context ends when the lock is lost.
func (r *runner) lock(ctx context.Context) (context.Context, func(), error) {
	if !slices.ContainsFunc(r.plan.Action.Steps, scaling.Step.OnKubernetes) {
		return ctx, func() {}, nil
	}
	holder := fmt.Sprintf("run %s on %s", r.id, environment("").Host)
	client := r.kubernetes()
	client.Patience = 0
	lease, err := scaling.AcquireLease(ctx, client, scaling.LeaseConfig{Name: scaling.LeaseName, Holder: holder, Now: r.opts.Now})
	if err != nil {
		return nil, nil, &EnvironmentError{err}
	}
	kept, stop := lease.Keep(ctx)
	return kept, func() {
		stop()
		releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		if err := lease.Release(releasing); err != nil {
			r.event(Undoing, "%v", err)
		}
	}, nil
}
