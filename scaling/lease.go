package scaling

import (
	"context"
	"errors"
	"fmt"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/nap"
)

// A LeaseConfig says which lock is taken, by whom.
type LeaseConfig struct {
	Name   string // of the Lease object, in the client's namespace
	Holder string // unique to this run
	// Duration is how long the lock outlives its last renewal, in whole
	// seconds; it is renewed three times in it. Zero: 45 s, so that an API server
	// that is away for half a minute ends no run.
	Duration time.Duration
	// Resumes says that the holder of the same name is known to be dead, so that
	// its lock is taken over at once.
	Resumes bool
	Now     func() time.Time
}

// A Lease is a lock of a namespace: a Lease object, taken and renewed by compare
// and swap on its resource version. It is not safe for concurrent use, but for
// what Keep runs.
type Lease struct {
	client *kubectl.Client
	config LeaseConfig
	object kubectl.Object
}

// microTime is how Kubernetes writes the times of a Lease.
const microTime = "2006-01-02T15:04:05.000000Z07:00"

// AcquireLease takes the lock, or returns a *LockedError. A lock that looks
// forsaken is watched for its duration and taken over only where nobody renews it
// meanwhile: clocks differ between machines.
func AcquireLease(ctx context.Context, client *kubectl.Client, config LeaseConfig) (*Lease, error) {
	if config.Duration == 0 {
		config.Duration = 45 * time.Second
	}
	l := &Lease{client: client, config: config}
	made, err := client.Create(ctx, l.with(kubectl.Object{
		"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": map[string]any{"name": config.Name},
	}), false)
	if err == nil {
		l.object = made
		return l, nil
	}
	if kubectl.ReasonOf(err) != kubectl.AlreadyExists {
		return nil, fmt.Errorf("taking the lock of namespace %s: %w", client.Namespace, err)
	}
	if err := l.takeOver(ctx); err != nil {
		return nil, fmt.Errorf("taking the lock of namespace %s: %w", client.Namespace, err)
	}
	return l, nil
}

// takeOver takes a lock that is there already, if its holder has forsaken it.
func (l *Lease) takeOver(ctx context.Context) error {
	found, err := l.client.Get(ctx, l.target())
	if err != nil {
		return err
	}
	locked := &LockedError{
		Holder: found.Text("spec", "holderIdentity"), Target: "namespace " + l.client.Namespace, Renewed: found.Text("spec", "renewTime"),
	}
	if l.config.Resumes && locked.Holder == l.config.Holder {
		return l.swap(ctx, found, locked)
	}
	seconds, _ := found.Int("spec", "leaseDurationSeconds")
	duration := time.Duration(seconds) * time.Second
	if renewed, err := time.Parse(time.RFC3339, locked.Renewed); err == nil && l.config.Now().Sub(renewed) < duration {
		return locked
	}
	if !nap.Pause(ctx, duration) {
		return context.Cause(ctx)
	}
	return l.swap(ctx, found, locked)
}

// swap takes the lock, unless its holder has renewed it since it was found, which
// changes its version.
func (l *Lease) swap(ctx context.Context, found kubectl.Object, locked *LockedError) (err error) {
	l.object, err = l.client.Replace(ctx, l.with(found))
	if kubectl.ReasonOf(err) == kubectl.Conflict || kubectl.ReasonOf(err) == kubectl.NotFound {
		return locked
	}
	return err
}

func (l *Lease) target() string { return "lease/" + l.config.Name }

// with is an object with this holder and the time now.
func (l *Lease) with(o kubectl.Object) kubectl.Object {
	now := l.config.Now().UTC().Format(microTime)
	held := kubectl.Object{}
	for key, value := range o {
		held[key] = value
	}
	spec := map[string]any{
		"holderIdentity": l.config.Holder, "leaseDurationSeconds": int(l.config.Duration / time.Second),
		"acquireTime": now, "renewTime": now,
	}
	if acquired := o.Text("spec", "acquireTime"); o.Text("spec", "holderIdentity") == l.config.Holder && acquired != "" {
		spec["acquireTime"] = acquired
	}
	held["spec"] = spec
	return held
}

// Renew says that the holder is alive. Its error wraps ErrLockLost where another
// has taken the lock.
func (l *Lease) Renew(ctx context.Context) error {
	renewed, err := l.client.Replace(ctx, l.with(l.object))
	switch kubectl.ReasonOf(err) {
	case "":
	case kubectl.NotFound:
		return fmt.Errorf("renewing the lock: %w: %w", ErrLockLost, err)
	case kubectl.Conflict:
		return l.reread(ctx)
	}
	if err != nil {
		return fmt.Errorf("renewing the lock: %w", err)
	}
	l.object = renewed
	return nil
}

// reread finds out who has changed the lock: this holder, by a renewal whose
// answer was lost, or another.
func (l *Lease) reread(ctx context.Context) error {
	found, err := l.client.Get(ctx, l.target())
	if err != nil {
		return fmt.Errorf("renewing the lock: %w", err)
	}
	if holder := found.Text("spec", "holderIdentity"); holder != l.config.Holder {
		return fmt.Errorf("renewing the lock: %w (%s)", ErrLockLost, holder)
	}
	l.object = found
	return nil
}

// renewRetry is the time until a renewal that failed is tried again.
const renewRetry = time.Second

// Keep renews the lock until ctx ends or stop is called, which waits for the last
// renewal. Once the lock is lost, or its duration has passed without a renewal,
// the returned context ends with a cause that wraps ErrLockLost.
func (l *Lease) Keep(ctx context.Context) (kept context.Context, stop func()) {
	kept, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		timer := time.NewTimer(l.config.Duration / 3)
		defer timer.Stop()
		last := time.Now()
		for {
			select {
			case <-done:
				return
			case <-timer.C:
			}
			// The renewal goes on when ctx ends, since a rollback still needs the lock, and
			// not beyond the lock's own end: a server that does not answer ends it, too.
			began := time.Now()
			attempt, end := context.WithDeadline(context.WithoutCancel(ctx), last.Add(l.config.Duration))
			err := l.Renew(attempt)
			end()
			timer.Reset(min(renewRetry, l.config.Duration/3))
			switch {
			case err == nil:
				last = began
				timer.Reset(l.config.Duration / 3)
			case errors.Is(err, ErrLockLost):
				cancel(err)
				return
			case time.Since(last) > l.config.Duration:
				cancel(fmt.Errorf("%w: %w", ErrLockLost, err))
				return
			}
		}
	}()
	return kept, func() {
		close(done)
		<-ended
		cancel(nil)
	}
}

// Release gives the lock up, unless another has taken it over.
func (l *Lease) Release(ctx context.Context) error {
	err := l.client.Delete(ctx, l.object)
	if reason := kubectl.ReasonOf(err); err == nil || reason == kubectl.NotFound || reason == kubectl.Conflict {
		return nil
	}
	return fmt.Errorf("releasing the lock: %w", err)
}
