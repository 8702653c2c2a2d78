// Package workers starts the workers of a fleet, as processes of this machine or
// as pods of an Indexed Job, and removes them whatever happens.
package workers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"scaleproof/loadgen"
	"scaleproof/loadgen/fleet"
)

// A Fleet is a coordinator with its workers: a loadgen.Fleet.
type Fleet struct {
	*fleet.Coordinator
	// end removes the workers, which have been told to go.
	end func() error
	// watch returns why a worker has ended, or will never come.
	watch func(context.Context) error
	fate  sync.Once // of the workers that were lost
	why   error     // nil where it is not known
}

// telling is how long it may take until it is known what became of a worker: a
// kubelet looks at its containers every second or so.
const telling = 10 * time.Second

// Run makes a load, as a Coordinator does. Where a worker was lost, it tells why as
// far as whoever ran the worker knows: that it was killed for its memory, say.
func (f *Fleet) Run(ctx context.Context, cfg loadgen.Config, opts loadgen.Options) (*loadgen.Result, error) {
	r, err := f.Coordinator.Run(ctx, cfg, opts)
	if !f.Lost() || ctx.Err() != nil {
		return r, err
	}
	f.fate.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, telling)
		defer cancel()
		f.why = f.watch(ctx)
	})
	switch {
	case f.why == nil:
	case err != nil:
		err = fmt.Errorf("%w: %w", err, f.why)
	case r.Validity == loadgen.Invalid:
		r.ValidityReason += ": " + f.why.Error()
	}
	return r, err
}

// Close ends the workers and removes what was made for them.
func (f *Fleet) Close() error { return errors.Join(f.Coordinator.Close(), f.end()) }

// serve makes the coordinator of count workers on listener, and gives them its
// secret by start, which returns how to end them. It returns once all are here.
func serve(ctx context.Context, listener net.Listener, count int, build string, wait time.Duration, start func(secret []byte) (end func() error, err error), watch func(context.Context) error) (*Fleet, error) {
	secret := fleet.NewSecret()
	c, err := fleet.Serve(listener, fleet.Options{Workers: count, Secret: secret, Build: build})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	end, err := start(secret)
	f := &Fleet{Coordinator: c, end: end, watch: watch}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("after %s", wait))
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	go func() {
		if err := watch(ctx); err != nil {
			fail(err)
		}
	}()
	if err := c.Await(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
