package capacity

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// A ProjectJob is a series with what to project of it.
type ProjectJob struct {
	Series  Series
	Options ProjectOptions
}

// ProjectAll projects many series, on all CPUs. The projections are in the order
// of the jobs and do not depend on how the work was shared out; one that failed
// is nil, and its error is among those joined. It stops when ctx ends.
func ProjectAll(ctx context.Context, jobs []ProjectJob) ([]*Projection, error) {
	projections := make([]*Projection, len(jobs))
	errs := make([]error, len(jobs))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(len(jobs), runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(jobs) {
					return
				}
				if errs[i] = ctx.Err(); errs[i] == nil {
					projections[i], errs[i] = Project(jobs[i].Series, jobs[i].Options)
				}
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return projections, err
	}
	return projections, errors.Join(errs...)
}
