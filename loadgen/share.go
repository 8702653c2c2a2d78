package loadgen

import (
	"context"
	"fmt"
	"time"

	"scaleproof/internal/nap"
)

// A Share says which part of a run a process makes: arrivals Index, Index+Of,
// Index+2 Of ... of the one schedule, under the numbers that they have in it, and
// its part of the connections. The runs of all shares are together the same run,
// whatever Of is. The zero value is the whole.
type Share struct {
	Index, Of int
}

// stride returns the number of the first request of part, one of parts of the
// share, and the distance to the part's next.
func (s Share) stride(part, parts int) (first, stride int) {
	of := max(s.Of, 1)
	return s.Index + part*of, parts * of
}

// part returns how many of n things are those of part number of parts.
func part(n, number, parts int) int {
	share := n / parts
	if number < n%parts {
		share++
	}
	return share
}

// share returns the connections of a share: a part of those that c names, and in
// the open model the default for each process.
func (c *Config) share(s Share) (connections int, err error) {
	of := max(s.Of, 1)
	if s.Index < 0 || s.Index >= of {
		return 0, fmt.Errorf("there is no share %d of %d", s.Index, of)
	}
	if c.open() && c.Connections == 0 {
		return c.connections(), nil
	}
	if n := c.connections(); n < of {
		return 0, fmt.Errorf("%d workers can't share %d connections: give at least one to each", of, n)
	}
	return part(c.connections(), s.Index, of), nil
}

// begin starts the run's clock, now or when the others start theirs.
func (r *run) begin(ctx context.Context) (err error) {
	r.started = time.Now()
	if r.opts.Begin != nil {
		if r.started, err = r.opts.Begin(ctx); err != nil {
			return fmt.Errorf("waiting for the start: %w", err)
		}
	}
	r.clock = clock{r.started}
	if wait := time.Until(r.started) - fineWait; wait > 0 {
		nap.Pause(ctx, wait)
	}
	for ctx.Err() == nil && r.clock.now() < 0 {
		nap.For(time.Duration(-r.clock.now()))
	}
	return nil
}

// watchEnd ends the run at the time that Options.End gives, until stop is called.
func (r *run) watchEnd() (stop func()) {
	if r.opts.End == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		var at time.Time
		select {
		case at = <-r.opts.End:
		case <-done:
			return
		}
		// All learn of it beforehand, so that each takes the arrivals until then
		// and none after.
		r.endAt(int64(at.Sub(r.started)))
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		select {
		case <-timer.C:
			r.endNow()
		case <-done:
		}
	}()
	return func() { close(done) }
}

// endAt moves the end of the run forward. What ends in its warm-up has no measured
// window.
func (r *run) endAt(t int64) {
	if t < r.span.end.Load() {
		r.span.end.Store(max(t, 0))
	}
}
