package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say what fleet a coordinator waits for.
type Options struct {
	// Workers is how many there are, with indices from 0.
	Workers int
	// Secret is what the workers must know.
	Secret []byte
	// Build names this program.
	Build string
	// Now is this machine's clock; nil: time.Now.
	Now func() time.Time
	// MaxSkew is how far the clock of a worker may be off, and MaxDoubt how far
	// the measured offset may be wrong, or change during a run: beyond it, the run
	// is invalid. 0: one second, and 50 ms.
	MaxSkew, MaxDoubt time.Duration
}

// A Coordinator waits for workers, and makes loads with them: it is a
// loadgen.Fleet. Runs come one after the other, by any goroutine.
type Coordinator struct {
	Options
	listener    net.Listener
	certificate tls.Certificate
	serving     sync.WaitGroup
	running     sync.Mutex // held by the run that is on
	runs        int64      // so far

	mu      sync.Mutex
	members []*member     // that have been welcomed
	taken   []bool        // indices that a worker has come for
	joined  chan struct{} // closed, and made anew, when a worker joins
	active  *activeRun
	refused string // the last refusal, for whoever waits in vain
	closed  bool
}

// An activeRun is where events of the run that is on go to.
type activeRun struct {
	run    int64
	events chan event
	over   chan struct{}
}

// Serve returns a coordinator that takes workers from listener until Close.
func Serve(listener net.Listener, opts Options) (*Coordinator, error) {
	if opts.Workers < 1 || len(opts.Secret) < 16 {
		return nil, errors.New("a fleet needs a worker, and a secret of 16 bytes or more")
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.MaxSkew == 0 {
		opts.MaxSkew = time.Second
	}
	if opts.MaxDoubt == 0 {
		opts.MaxDoubt = 50 * time.Millisecond
	}
	certificate, err := newCertificate()
	if err != nil {
		return nil, err
	}
	c := &Coordinator{
		Options: opts, listener: listener, certificate: certificate,
		members: make([]*member, opts.Workers), taken: make([]bool, opts.Workers), joined: make(chan struct{}),
	}
	c.serving.Go(c.accept)
	return c, nil
}

func (c *Coordinator) accept() {
	accept(c.listener, func(raw net.Conn) {
		c.serving.Go(func() {
			if err := c.welcome(raw); err != nil {
				raw.Close()
			}
		})
	})
}

// welcome lets a worker in, and serves it until it is lost.
func (c *Coordinator) welcome(raw net.Conn) error {
	_ = raw.SetDeadline(time.Now().Add(handshakeTimeout))
	m := &member{now: c.Now, deliver: c.deliver, pongs: make(chan reading, exchanges), gone: make(chan struct{})}
	m.conn = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{c.certificate}, MinVersion: tls.VersionTLS13})
	_, err := admit(m.conn, c.Secret, func(h hello) string {
		m.hello = h
		return c.seat(m)
	})
	if err != nil {
		var refused *RefusedError
		if errors.As(err, &refused) {
			c.mu.Lock()
			c.refused = refused.Reason
			c.mu.Unlock()
			// After it is noted: whoever hears of it finds it told by Await, too.
			return errors.Join(err, writeMessage(m.conn, kindRefusal, refusal{refused.Reason}))
		}
		return err
	}
	_ = raw.SetDeadline(time.Time{})
	if err := c.join(m); err != nil {
		return err
	}
	c.serving.Go(m.keepAlive)
	m.serve()
	return nil
}

// join makes a worker that was welcomed a member, unless Close has looked for them
// meanwhile: it would wait for one that nobody has let go.
func (c *Coordinator) join(m *member) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.members[m.Index] = m
	close(c.joined)
	c.joined = make(chan struct{})
	return nil
}

// seat gives a worker the place of its index, or says why not.
func (c *Coordinator) seat(m *member) (refusal string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return "the run is over"
	case m.Index < 0 || m.Index >= c.Workers:
		return fmt.Sprintf("there is no worker %d among %d", m.Index, c.Workers)
	case c.taken[m.Index]:
		return fmt.Sprintf("worker %d is here already: each worker needs an index of its own", m.Index)
	}
	c.taken[m.Index] = true
	return ""
}

// deliver hands an event to the run that it is of, which it awaits. A loss is of
// whatever run is on.
func (c *Coordinator) deliver(run int64, e event) {
	c.mu.Lock()
	a := c.active
	c.mu.Unlock()
	if a == nil || e.kind != kindLost && run != a.run {
		return
	}
	select {
	case a.events <- e:
	case <-a.over:
	}
}

// Await returns once all workers are here. Where ctx ends before, its error names
// those that are not.
func (c *Coordinator) Await(ctx context.Context) error {
	for {
		c.mu.Lock()
		joined, missing := c.joined, c.missing()
		c.mu.Unlock()
		if missing == "" {
			return nil
		}
		select {
		case <-joined:
		case <-ctx.Done():
			c.mu.Lock()
			refused := c.refused // perhaps since the wait began
			c.mu.Unlock()
			if refused != "" {
				missing += " (one was refused: " + refused + ")"
			}
			return fmt.Errorf("waiting for the workers: %s: %w", missing, context.Cause(ctx))
		}
	}
}

// maxNamed is how many workers an error names.
const maxNamed = 10

// missing names the workers that are not here, "" where all are.
func (c *Coordinator) missing() string {
	var names []string
	n := 0
	for i, m := range c.members {
		if m == nil {
			if n++; n <= maxNamed {
				names = append(names, fmt.Sprint(i))
			}
		}
	}
	if n == 0 {
		return ""
	}
	if n > maxNamed {
		names = append(names, "...")
	}
	return fmt.Sprintf("%d of %d have not come: %s", n, c.Workers, strings.Join(names, ", "))
}

// all returns the members of a fleet that is complete.
func (c *Coordinator) all() ([]*member, error) {
	c.mu.Lock()
	members, missing := slices.Clone(c.members), c.missing()
	c.mu.Unlock()
	if missing != "" {
		return nil, errors.New(missing)
	}
	for i, m := range members {
		if reason, lost := m.lost(); lost {
			return nil, fmt.Errorf("worker %d: %s", i, reason)
		}
	}
	return members, nil
}

// Lost reports whether a worker was here and is gone.
func (c *Coordinator) Lost() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.members, func(m *member) bool {
		if m == nil {
			return false
		}
		_, lost := m.lost()
		return lost
	})
}

// Ways returns the addresses by which the workers that are here have come, in
// alphabetical order.
func (c *Coordinator) Ways() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ways []string
	for _, m := range c.members {
		if m != nil && m.Way != "" {
			ways = append(ways, m.Way)
		}
	}
	slices.Sort(ways)
	return slices.Compact(ways)
}

// Close lets the workers go, and takes no more of them.
func (c *Coordinator) Close() error {
	c.mu.Lock()
	c.closed = true
	members := slices.Clone(c.members)
	c.mu.Unlock()
	err := c.listener.Close()
	for _, m := range members {
		if m != nil {
			m.send(kindBye, nil)
			_ = m.conn.Close()
		}
	}
	c.serving.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
