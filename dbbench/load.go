package dbbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scaleproof/internal/invalid"
	"scaleproof/internal/nap"
	"scaleproof/internal/unit"
)

// LoadConfig says what load many clients make of a suite at the same time.
type LoadConfig struct {
	// Clients is the number of connections; zero: 1.
	Clients int `yaml:"clients" json:"clients,omitempty"`
	// Rate is the arrival rate of transactions. Zero, "max", is the closed
	// model: each client goes on as soon as it has its answer.
	Rate unit.Rate `yaml:"rate" json:"rate,omitempty"`
	// Duration is the length of the measured window; zero: 10 s. Warmup is load
	// before it that is not measured.
	Duration unit.Duration `yaml:"duration" json:"duration,omitempty"`
	Warmup   unit.Duration `yaml:"warmup" json:"warmup,omitempty"`
}

const (
	defaultLoadDuration = 10 * time.Second
	maxClients          = 10_000
	// cancelGrace is how long a server has to answer once it was asked to end a
	// statement, or should have ended it by itself.
	cancelGrace = 5 * time.Second
)

// Validate returns the faults of the configuration as joined
// *invalid.FieldErrors.
func (l LoadConfig) Validate() error {
	var faults []error
	if l.Clients < 0 || l.Clients > maxClients {
		faults = append(faults, invalid.Field("clients", "must be 1 to %d, and is %d", maxClients, l.Clients))
	}
	if l.Rate < 0 {
		faults = append(faults, invalid.Field("rate", "is negative"))
	}
	return errors.Join(faults...)
}

func (l LoadConfig) duration() time.Duration {
	if l.Duration == 0 {
		return defaultLoadDuration
	}
	return l.Duration.Std()
}

// RunLoad opens the suite on a node, and loads it. See Bench.Load.
func RunLoad(ctx context.Context, node Node, config Config, load LoadConfig) (*LoadResult, error) {
	if err := load.Validate(); err != nil {
		return nil, err
	}
	bench, err := Open(ctx, node, config)
	if err != nil {
		return nil, err
	}
	if err := bench.Close(); err != nil {
		return nil, err
	}
	return bench.Load(ctx, load)
}

// Load runs the bench's cases by many clients at the same time, in a random mix by
// their weights. Each client has a connection of its own, so that a bench that was
// closed will do, and prepares each query once, as pgbench -M prepared does. Nothing
// can write unless the configuration allows it, and then each transaction is rolled
// back.
//
// A statement that fails is counted; one that can't even be prepared fails as often
// as it is drawn, without being sent. A connection that breaks is made anew. Load
// fails where it can't begin, and with ctx's cause when that ends: the running
// statements are cancelled on the server then, and no connection stays behind.
func (b *Bench) Load(ctx context.Context, load LoadConfig) (*LoadResult, error) {
	if err := load.Validate(); err != nil {
		return nil, err
	}
	on := b.cases[0].on
	for _, c := range b.cases {
		if c.on != on {
			return nil, fmt.Errorf("a load's clients have one node, and the case %s is on %s, %s on %s", b.cases[0].name, on.node.Name, c.name, c.on.node.Name)
		}
	}
	r := &loadRun{node: on.node, config: b.config, load: load, cases: b.cases, ended: make(chan struct{})}
	defer r.closeClients()
	if err := r.openClients(ctx, max(load.Clients, 1)); err != nil {
		return nil, fmt.Errorf("opening the clients of the load: %w", errors.Join(context.Cause(ctx), err))
	}
	if r.canRun() {
		r.run(ctx)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("running the load: %w", err)
	}
	result := r.result()
	result.Version = on.version
	return result, nil
}

// canRun tells whether any case can. Where none can, each is counted as failed once.
func (r *loadRun) canRun() bool {
	first := r.clients[0]
	if slices.ContainsFunc(first.cases, func(cc clientCase) bool { return cc.fault == nil }) {
		return true
	}
	r.started = time.Now()
	r.from, r.end = r.started, r.started
	for i, cc := range first.cases {
		first.recorder.record(i, r.from, r.from, r.from, cc.fault)
	}
	return false
}

// A loadRun is one load while it runs.
type loadRun struct {
	node    Node
	config  Config
	load    LoadConfig
	cases   []benchCase
	clients []*loadClient
	shards  []*recorder

	started   time.Time // of the warm-up
	from, end time.Time // of the measured window
	ended     chan struct{}
	stopped   atomic.Bool
	indirect  bool // no connection can be used by a loop

	turn     sync.Mutex // for the next arrival
	arrivals int64      // belongs to turn
}

// openClients connects a few clients at a time: each connection costs the
// server a process.
func (r *loadRun) openClients(ctx context.Context, n int) error {
	r.shards = newRecorders(min(n, maxShards), len(r.cases))
	r.clients = make([]*loadClient, n)
	for i := range r.clients {
		r.clients[i] = r.newClient(i)
	}
	errs := make([]error, n)
	if errs[0] = r.openFirst(ctx); errs[0] != nil {
		return errs[0]
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i, c := range r.clients {
		if i == 0 {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = c.connect(ctx)
		})
	}
	wg.Wait()
	// One reason is enough: the clients are all alike.
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

func (r *loadRun) closeClients() {
	var wg sync.WaitGroup
	for _, c := range r.clients {
		wg.Go(c.close)
	}
	wg.Wait()
}

// run lets all clients work until the window or ctx ends.
func (r *loadRun) run(ctx context.Context) {
	r.started = time.Now()
	r.from = r.started.Add(r.load.Warmup.Std())
	r.end = r.from.Add(r.load.duration())
	done := make(chan struct{})
	var wg sync.WaitGroup
	if !r.runLoops(ctx, &wg) {
		for _, c := range r.clients {
			wg.Go(func() { c.work(ctx) })
		}
	}
	go func() {
		wg.Wait()
		close(done)
	}()
	window := time.NewTimer(time.Until(r.end))
	defer window.Stop()
	select {
	case <-window.C:
		r.stop()
		r.awaitEnd(ctx, done)
	case <-ctx.Done():
		r.stop()
		r.cancelAll()
	}
	<-done
}

// direct tells whether the clients may run in loops of their own: as fast as they
// can, a statement at a time, and on connections that are not encrypted.
func (r *loadRun) direct() bool { return r.load.Rate == 0 && !r.config.AllowWrites && !r.indirect }

// openFirst opens the first client, and learns from its connection how all can run.
func (r *loadRun) openFirst(ctx context.Context) error {
	c := r.clients[0]
	if err := c.connect(ctx); err != nil || !r.direct() || isDirect(c.conn.Conn()) {
		return err
	}
	c.close()
	r.indirect = true
	return c.connect(ctx)
}

func (r *loadRun) stop() {
	r.stopped.Store(true)
	close(r.ended)
}

// awaitEnd waits for the statements that run at the end of the window. The
// server ends each by its statement timeout; one that does not answer then is
// given up.
func (r *loadRun) awaitEnd(ctx context.Context, done <-chan struct{}) {
	for _, c := range r.clients {
		c.giveUpAfter(statementTimeout(r.config) + cancelGrace)
	}
	select {
	case <-done:
	case <-ctx.Done():
		r.cancelAll()
	}
}

func (r *loadRun) cancelAll() {
	for _, c := range r.clients {
		go c.cancel()
	}
}

// fineWait is from how long before an arrival on the wait is a precise one,
// which holds a thread.
const fineWait = 2 * time.Millisecond

// next waits for the next arrival of the open model, and returns when it was
// due; in the closed model that is now. The clients take turns: one waits, the
// others wait for their turn, and no arrival passes from hand to hand.
func (r *loadRun) next(now time.Time) (due time.Time, ok bool) {
	if r.load.Rate == 0 {
		return now, !r.stopped.Load()
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	due = r.started.Add(time.Duration(float64(r.arrivals) / float64(r.load.Rate) * 1e9))
	if due.After(r.end) {
		return due, false
	}
	for !r.stopped.Load() {
		left := time.Until(due)
		switch {
		case left <= 0:
			r.arrivals++
			return due, true
		case left <= fineWait:
			nap.For(left)
		default:
			timer := time.NewTimer(left - fineWait)
			select {
			case <-timer.C:
			case <-r.ended:
				timer.Stop()
			}
		}
	}
	return due, false
}

// newRand returns the randomness of one client.
func (r *loadRun) newRand(client int) *rand.Rand {
	return rand.New(rand.NewPCG(r.config.Seed, uint64(client)+0x10ad))
}
