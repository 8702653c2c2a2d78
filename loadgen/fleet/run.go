package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// The times of a run.
const (
	// preparation is how long workers may take until they are ready to start.
	preparation = time.Minute
	// lead is the least time between telling a time and that time.
	lead = 300 * time.Millisecond
	// leadPerWorker is what telling one of them takes, generously.
	leadPerWorker = 100 * time.Microsecond
	// overtime is how long after its last request's timeout a worker may take to
	// tell its result.
	overtime = 30 * time.Second
)

// A run is one load, from its jobs to its result.
type run struct {
	*Coordinator
	*activeRun
	cfg      loadgen.Config
	members  []*member
	clocks   []reading // before the start, by worker
	start    time.Time
	assembly *loadgen.Assembly
	sent     []uint64 // intervals so far, by worker
	open     int      // workers that have not ended
	ended    []bool
	bounded  bool
}

// Run implements loadgen.Fleet.
func (c *Coordinator) Run(ctx context.Context, cfg loadgen.Config, opts loadgen.Options) (*loadgen.Result, error) {
	if opts.OnHit != nil {
		return nil, errors.New("single results stay with the workers: leave them out, or load from one process")
	}
	c.running.Lock()
	defer c.running.Unlock()
	bundle, err := cfg.Bundle()
	if err != nil {
		return nil, err
	}
	r := &run{Coordinator: c, cfg: cfg, bounded: cfg.Duration > 0 || len(cfg.Stages) > 0}
	defer r.activate()()
	if r.members, err = c.all(); err != nil {
		return nil, err
	}
	r.sent, r.ended, r.open = make([]uint64, c.Workers), make([]bool, c.Workers), c.Workers
	// Whatever is wrong with the configuration is known before any worker has it.
	if _, err := loadgen.NewAssembly(cfg, loadgen.Options{Source: opts.Source}, c.Workers, c.Now()); err != nil {
		return nil, err
	}
	if err := r.prepare(ctx, job{Run: r.run, Of: c.Workers, Load: bundle, Engine: opts.Engine, Loops: opts.Workers}); err != nil {
		r.broadcast(kindCancel, signal{Run: r.run})
		return nil, fmt.Errorf("preparing the workers: %w", err)
	}
	if err := r.begin(opts); err != nil {
		r.broadcast(kindCancel, signal{Run: r.run})
		return nil, err
	}
	r.follow(ctx)
	return r.result(), nil
}

// activate makes r the run that events go to, until stop is called.
func (r *run) activate() (stop func()) {
	r.runs++
	a := &activeRun{r.runs, make(chan event, 64), make(chan struct{})}
	r.activeRun = a
	r.mu.Lock()
	r.active = a
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		r.active = nil
		r.mu.Unlock()
		close(a.over)
	}
}

func (r *run) broadcast(k kind, message any) {
	body, err := encode(message)
	if err != nil {
		return // numbers always encode
	}
	r.each(func(_ int, m *member) { m.send(k, body) })
}

// each does something for all workers at once, and waits for it.
func (r *run) each(do func(i int, m *member)) {
	var doing sync.WaitGroup
	for i, m := range r.members {
		doing.Go(func() { do(i, m) })
	}
	doing.Wait()
}

// prepare gives the workers their parts, waits until all are ready, and compares
// the clocks.
func (r *run) prepare(ctx context.Context, j job) error {
	body, err := encode(j)
	if err != nil {
		return err
	}
	if len(body) > frameLimit {
		return fmt.Errorf("the load with its files is %s, and may be %s", unit.Format(float64(len(body)), unit.Bytes), unit.Format(frameLimit, unit.Bytes))
	}
	ctx, cancel := context.WithTimeout(ctx, preparation)
	defer cancel()
	go r.each(func(_ int, m *member) { m.send(kindJob, body) })
	for ready := 0; ready < r.Workers; {
		select {
		case e := <-r.events:
			switch e.kind {
			case kindReady:
				ready++
			case kindLost, kindFailed:
				return fmt.Errorf("worker %d: %s", e.member.Index, e.reason)
			}
		case <-ctx.Done():
			return fmt.Errorf("%d of %d are ready: %w", ready, r.Workers, ctx.Err())
		}
	}
	r.clocks = r.readClocks(ctx)
	return ctx.Err()
}

// readClocks compares the clocks of all workers with this one.
func (r *run) readClocks(ctx context.Context) []reading {
	clocks := make([]reading, r.Workers)
	r.each(func(i int, m *member) { clocks[i] = m.readClock(ctx) })
	return clocks
}

// ahead is how far in advance all workers can be told a time.
func (r *run) ahead() time.Duration {
	longest := time.Duration(0)
	for _, c := range r.clocks {
		if c != noReading {
			longest = max(longest, c.trip)
		}
	}
	return lead + 3*longest + time.Duration(r.Workers)*leadPerWorker
}

// begin tells all workers when to start.
func (r *run) begin(opts loadgen.Options) (err error) {
	r.start = r.Now().Add(r.ahead())
	opts.Fleet = nil
	if r.assembly, err = loadgen.NewAssembly(r.cfg, opts, r.Workers, r.start); err != nil {
		return err
	}
	r.tellTime(kindStart, r.start)
	return nil
}

// tellTime tells each worker a time, by its own clock.
func (r *run) tellTime(k kind, at time.Time) {
	r.each(func(i int, m *member) {
		_ = m.tell(k, signal{r.run, at.Add(r.clocks[i].offset).UnixNano()}) // numbers always encode
	})
}

// follow takes what the workers tell until all have ended.
func (r *run) follow(ctx context.Context) {
	stopping := ctx.Done()
	patience := time.NewTimer(time.Hour)
	patience.Stop()
	if length := r.length(); r.bounded {
		patience.Reset(time.Until(r.start) + length)
	}
	stop := func() {
		stopping = nil
		at := r.Now().Add(r.ahead())
		r.assembly.Until(at)
		r.tellTime(kindEnd, at)
		patience.Reset(time.Until(at) + r.afterwards())
	}
	for r.open > 0 {
		select {
		case e := <-r.events:
			// A measurement that can't become valid any more ends; a load that is
			// kept on for others goes on.
			if lost := r.take(e); lost && r.bounded && stopping != nil {
				stop()
			}
		case <-stopping:
			stop()
		case <-patience.C:
			for i := range r.members {
				r.lose(i, "it did not end in time")
			}
		}
	}
}

// length is how long a worker may take from its start to its result.
func (r *run) length() time.Duration {
	length := r.cfg.Warmup.Std() + r.cfg.Duration.Std()
	for _, s := range r.cfg.Stages {
		length += s.Ramp.Std() + s.Duration.Std()
	}
	return length + r.afterwards()
}

// afterwards is how long a worker may take from the end to its result.
func (r *run) afterwards() time.Duration { return r.cfg.RequestTimeout() + overtime }

// take takes one event, and reports whether it lost a worker.
func (r *run) take(e event) (lost bool) {
	i := e.member.Index
	if r.ended[i] {
		return false
	}
	switch e.kind {
	case kindInterval:
		if e.sequence != r.sent[i] {
			return r.lose(i, fmt.Sprintf("interval %d came where %d was due", e.sequence, r.sent[i]))
		}
		r.sent[i]++
		if err := r.assembly.Add(i, e.interval); err != nil {
			return r.lose(i, err.Error())
		}
	case kindDone:
		if e.done.Intervals != r.sent[i] {
			return r.lose(i, fmt.Sprintf("%d of its %d intervals came", r.sent[i], e.done.Intervals))
		}
		r.assembly.End(i, e.done.Result)
		r.close(i)
		r.checkStart(i, e.done.Late)
	case kindLost, kindFailed:
		return r.lose(i, e.reason)
	}
	return false
}

func (r *run) close(i int) {
	r.ended[i] = true
	r.open--
}

// lose goes on without a worker.
func (r *run) lose(i int, reason string) bool {
	if r.ended[i] {
		return false
	}
	r.close(i)
	r.assembly.Lose(i, reason)
	return true
}

// checkStart faults a worker that began late, or by a clock that can't be relied
// on.
func (r *run) checkStart(i int, late time.Duration) {
	clock := r.clocks[i]
	switch {
	case clock.offset.Abs() > r.MaxSkew:
		r.assembly.Fault(fmt.Sprintf("worker %d: its clock is %s, where %s is allowed: nobody keeps it, and it may jump", i, offsetText(clock.offset), r.MaxSkew))
	case clock.fault() > r.MaxDoubt:
		r.assembly.Fault(fmt.Sprintf("worker %d: its clock is known within %s only, where %s is allowed: the way to it is too slow for a common start", i, round(clock.fault()), r.MaxDoubt))
	case late > r.MaxDoubt:
		r.assembly.Fault(fmt.Sprintf("worker %d: it began %s late", i, round(late)))
	}
}

// offsetText says how far a clock is off.
func offsetText(d time.Duration) string {
	if d < 0 {
		return round(-d) + " behind"
	}
	return round(d) + " ahead"
}

func round(d time.Duration) string { return unit.Format(d.Seconds(), unit.Seconds) }

// result compares the clocks once more, and makes the result of the whole.
func (r *run) result() *loadgen.Result {
	ctx, cancel := context.WithTimeout(context.Background(), silence)
	defer cancel()
	after := r.readClocks(ctx)
	for i, before := range r.clocks {
		moved := (after[i].offset - before.offset).Abs()
		if after[i] != noReading && moved > r.MaxDoubt+before.fault()+after[i].fault() {
			r.assembly.Fault(fmt.Sprintf("worker %d: its clock moved by %s during the run", i, round(moved)))
		}
	}
	res := r.assembly.Result()
	for k := range res.Workers {
		w := &res.Workers[k]
		w.Host = r.members[w.Index].Host
		w.ClockOffset, w.ClockError = r.clocks[w.Index].offset.Seconds(), r.clocks[w.Index].fault().Seconds()
	}
	for i, m := range r.members {
		if m.Build != r.Build {
			res.Warnings = append(res.Warnings, fmt.Sprintf("worker %d runs scaleproof %s, and this is %s", i, m.Build, r.Build))
			break
		}
	}
	return res
}
