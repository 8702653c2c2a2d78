// Package workers starts the workers of a fleet, as processes of this machine or
// as pods of an Indexed Job, and removes them whatever happens.
package workers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"scaleproof/loadgen/fleet"
)

// A Fleet is a coordinator with its workers: a loadgen.Fleet.
type Fleet struct {
	*fleet.Coordinator
	// end removes the workers, which have been told to go.
	end func() error
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
	f := &Fleet{c, end}
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
