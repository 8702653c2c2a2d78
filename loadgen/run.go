package loadgen

import (
	"context"
	"crypto/tls"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"scaleproof/loadgen/internal/arrival"
)

// grace is what requests in flight are given when the context ends a run.
const grace = time.Second

// Run makes the load that cfg describes and returns what it measured. The end
// of ctx is a normal end once the load has begun: what was measured until then is
// returned, without an error. Requests in flight at the end of the duration are
// awaited, up to their timeout; at the end of ctx, up to a second. An error means
// that nothing was measured: cfg is invalid, no engine serves its targets, or a
// Fleet, Options.Begin or a search had not begun when ctx ended. With
// Config.FindCapacity the result is that of the highest rate that holds
// Config.SLO, and its Capacity is set.
func Run(ctx context.Context, cfg Config, opts Options) (*Result, error) {
	if opts.Source == nil {
		source, err := NewSource(cfg)
		if err != nil {
			return nil, err
		}
		opts.Source = source
	}
	if cfg.FindCapacity {
		return findCapacity(ctx, cfg, opts)
	}
	if opts.Fleet != nil {
		return opts.Fleet.Run(ctx, cfg, opts)
	}
	r, err := newRun(&cfg, &opts)
	if err != nil {
		return nil, err
	}
	return r.do(ctx)
}

// A run is the state that the workers of one run share.
type run struct {
	cfg     *Config
	opts    *Options
	source  Source
	targets []Target
	stages  []arrival.Stage // empty in the closed model
	clock   clock
	span    span
	// ended is closed when the context has ended and span says so: who learns
	// of the end from ended finds span as it then is.
	ended    chan struct{}
	ending   sync.Once
	workers  int
	limit    int // connections of this run's share
	backends backends
	tls      *tls.Config
	// checks judge answers; checkFailures counts how often each was the first
	// to fail, the warm-up included.
	checks        []check
	checksStatus  bool
	checkFailures []atomic.Int64
	// endpoints are what the targets share connections to; endpointOf tells
	// which is a target's.
	endpoints  []*endpoint
	endpointOf []int
	opened     atomic.Int64 // connections
	started    time.Time

	windows chan *window
	free    chan *window
}

// connectBackoff is how long a connection of the closed model rests after a
// failure to connect.
const connectBackoff = 10 * time.Millisecond

// An engine makes the load of a run with its workers' recorders.
type engine interface {
	// name is the engine's in the result.
	name() string
	// run returns when all requests have ended or been given up.
	run(r *run, recorders []*recorder) error
}

func newRun(cfg *Config, opts *Options) (*run, error) {
	r := &run{cfg: cfg, opts: opts, source: opts.Source, targets: opts.Source.Targets(), ended: make(chan struct{})}
	var err error
	if r.checks, err = parseChecks(cfg.Checks); err != nil {
		return nil, fmt.Errorf("reading the checks: %w", err)
	}
	if r.tls = opts.TLS; r.tls == nil {
		if r.tls, err = cfg.TLS.config(cfg.readFile); err != nil {
			return nil, err
		}
	}
	r.checksStatus, r.checkFailures = hasStatus(r.checks), make([]atomic.Int64, len(r.checks))
	r.stages = stagesOf(cfg)
	r.span.phases = r.phaseEnds()
	r.workers = opts.Workers
	if r.workers <= 0 {
		r.workers = runtime.GOMAXPROCS(0)
	}
	if r.limit, err = cfg.share(opts.Share); err != nil {
		return nil, err
	}
	r.workers = min(r.workers, r.limit)
	r.endpoints, r.endpointOf = newEndpoints(cfg, r.targets)
	r.windows = make(chan *window, 4*r.workers)
	r.free = make(chan *window, 4*r.workers)
	return r, nil
}

// stagesOf returns the schedule of the whole run, its warm-up included, in
// which the rate is that of the first stage.
func stagesOf(cfg *Config) (stages []arrival.Stage) {
	if !cfg.open() {
		return nil
	}
	if len(cfg.Stages) == 0 {
		length := arrival.Forever
		if cfg.Duration > 0 {
			length = cfg.Warmup.Std() + cfg.Duration.Std()
		}
		return []arrival.Stage{{From: float64(cfg.Rate), To: float64(cfg.Rate), Length: length}}
	}
	rate := float64(cfg.Stages[0].Rate)
	if cfg.Warmup > 0 {
		stages = append(stages, arrival.Stage{From: rate, To: rate, Length: cfg.Warmup.Std()})
	} else if cfg.Stages[0].Ramp > 0 {
		rate = 0 // nothing ran before: the ramp starts from nothing
	}
	for _, s := range cfg.Stages {
		to := float64(s.Rate)
		if s.Ramp > 0 {
			stages = append(stages, arrival.Stage{From: rate, To: to, Length: s.Ramp.Std()})
		}
		if s.Duration > 0 {
			stages = append(stages, arrival.Stage{From: to, To: to, Length: s.Duration.Std()})
		}
		rate = to
	}
	return stages
}

// length returns how long the measured window is, MaxInt64 where it has no end.
func (c *Config) length() int64 {
	total := int64(c.Duration)
	for _, s := range c.Stages {
		total += int64(s.Ramp) + int64(s.Duration)
	}
	if total == 0 {
		return math.MaxInt64 / 4
	}
	return total
}

// schedule returns a new walk over the arrivals of this run's share, or over
// part of them where several workers share them; nil in the closed model.
func (r *run) schedule(part, parts int) *arrival.Schedule {
	if len(r.stages) == 0 {
		return nil
	}
	first, stride := r.opts.Share.stride(part, parts)
	return arrival.NewShare(r.stages, r.cfg.Arrivals == "poisson", r.cfg.Seed, first, stride)
}

func (r *run) do(ctx context.Context) (*Result, error) {
	e, err := r.chooseEngine()
	if err != nil {
		return nil, err
	}
	if r.opts.Dial == nil {
		defer resolveAll(ctx, r.endpoints, r.opts, &r.backends)()
	}
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	before := readUsage()
	r.span.from = int64(r.cfg.Warmup)
	r.span.end.Store(r.span.from + r.cfg.length())
	r.span.halt.Store(math.MaxInt64)
	stop := context.AfterFunc(ctx, r.endNow)
	defer stop()
	defer r.watchEnd()()

	named := r.named()
	recorders := make([]*recorder, r.workers)
	for i := range recorders {
		recorders[i] = &recorder{worker: i, targets: named, span: &r.span, out: r.windows, free: r.free}
		recorders[i].open(0)
	}
	c := newCollector(&r.span, r.started, r.workers, named+len(r.span.phases), &r.backends)
	c.free, c.schedule, c.onSecond, c.onInterval = r.free, r.schedule(0, 1), r.opts.OnSecond, r.opts.OnInterval
	var collecting sync.WaitGroup
	collecting.Go(func() { c.run(r.windows) })
	err = e.run(r, recorders)
	for _, rec := range recorders {
		rec.advance(r.clock.now())
		rec.close()
	}
	close(r.windows)
	collecting.Wait()
	if err != nil {
		return nil, err
	}
	used := readUsage().since(before)
	return r.result(c, e.name(), Generator{r.workers, used.cpu.Seconds(), used.gc.Seconds()}), nil
}

// maxNamedTargets is the most targets that have figures of their own.
const maxNamedTargets = 64

// named returns how many targets have figures of their own.
func (r *run) named() int {
	if n := len(r.targets); n > 1 && n <= maxNamedTargets {
		return n
	}
	return 0
}

// endNow ends the measured window, and in a grace what is in flight. The first
// call counts.
func (r *run) endNow() {
	r.ending.Do(func() {
		now := r.clock.now()
		r.span.halt.Store(now + int64(grace))
		r.endAt(now)
		close(r.ended)
	})
}

// A usage is what the process has used of its computer.
type usage struct {
	cpu time.Duration
	gc  time.Duration // the garbage collector's pauses
}

func (u usage) since(before usage) usage {
	return usage{cpu: u.cpu - before.cpu, gc: u.gc - before.gc}
}

func readUsage() usage {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{cpu: processCPU(), gc: time.Duration(m.PauseTotalNs)}
}

func indexed(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
