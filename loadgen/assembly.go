package loadgen

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// An Assembly makes one result of the intervals of several processes that share a
// run, as a process makes it of its own: counts are added up, histograms merged,
// and quantiles taken of the whole. It is not safe for concurrent use.
type Assembly struct {
	run       *run
	collector *collector
	workers   []assembled
	behind    int // workers that have not told the second that is next
	faults    []string
}

// assembled is what an Assembly knows of one worker.
type assembled struct {
	offered int64 // arrivals of the measured window, as the worker counted them
	drained bool  // its last interval is there
	lost    bool
	result  *Result
}

// NewAssembly returns the assembly of a run that workers share and that begins,
// its warm-up first, at started. Of opts it uses Source, which may be nil, and
// OnSecond, which it calls during Add and End.
func NewAssembly(cfg Config, opts Options, workers int, started time.Time) (*Assembly, error) {
	if opts.Source == nil {
		source, err := NewSource(cfg)
		if err != nil {
			return nil, err
		}
		opts.Source = source
	}
	if workers < 1 {
		return nil, fmt.Errorf("a run can't be shared by %d workers", workers)
	}
	if _, err := cfg.share(Share{0, workers}); err != nil {
		return nil, err
	}
	opts.Share = Share{}
	r, err := newRun(&cfg, &opts)
	if err != nil {
		return nil, err
	}
	r.started = started
	r.span.from = int64(cfg.Warmup)
	r.span.end.Store(r.span.from + cfg.length())
	c := newCollector(&r.span, started, workers, r.named()+len(r.span.phases), &r.backends)
	c.schedule, c.onSecond = r.schedule(0, 1), opts.OnSecond
	return &Assembly{run: r, collector: c, workers: make([]assembled, workers), behind: workers}, nil
}

// Until says that the run ends at that time, which must be what the workers' End
// gives, if it has not by then. It may be called from any goroutine.
func (a *Assembly) Until(at time.Time) { a.run.endAt(int64(at.Sub(a.run.started))) }

// Add adds an interval of a worker: what its Options.OnInterval was told, all of
// it and in that order. An error says that it is none, or not the next.
func (a *Assembly) Add(worker int, interval []byte) error {
	w, c := &a.workers[worker], a.collector
	if w.lost {
		return nil
	}
	in := intervalReader{data: interval}
	index, scheduled := in.index(), in.count(maxCount)
	switch next := c.passed[worker]; {
	case in.err != nil:
		return in.err
	case index == drained && !w.drained:
		w.drained = true
	case index != next || w.drained:
		return fmt.Errorf("second %d came where second %d was due", index, next)
	case index >= 0:
		w.offered += scheduled
	}
	if index != drained && index >= c.next+maxAhead {
		return fmt.Errorf("second %d came while second %d was not complete", index, c.next)
	}
	if err := c.pendingAt(index).addInterval(&in, c.backends); err != nil {
		return fmt.Errorf("reading second %d: %w", index, err)
	}
	a.advance(worker, index+1)
	return nil
}

// advance says that a worker has told all before a second. Once none is behind,
// seconds are complete: only then all are looked at.
func (a *Assembly) advance(worker int, to int64) {
	c := a.collector
	if c.passed[worker] == c.next {
		a.behind--
	}
	if c.passed[worker] = to; a.behind > 0 {
		return
	}
	c.emit(slices.Min(c.passed))
	a.behind = 0
	for _, passed := range c.passed {
		if passed == c.next {
			a.behind++
		}
	}
}

// maxAhead is how many seconds one worker may be ahead of another: it bounds the
// memory of an Assembly.
const maxAhead = 120

// End takes the result of a worker, whose intervals have all been added.
func (a *Assembly) End(worker int, r *Result) { a.workers[worker].result = r }

// Lose goes on without a worker. The result will be Invalid, for that reason.
func (a *Assembly) Lose(worker int, reason string) {
	if a.workers[worker].lost {
		return
	}
	a.workers[worker].lost = true
	a.Fault(fmt.Sprintf("worker %d: %s", worker, reason))
	a.advance(worker, math.MaxInt64)
}

// Fault makes the result Invalid, for a reason. The first one is told.
func (a *Assembly) Fault(reason string) { a.faults = append(a.faults, reason) }

// Result returns the result of the whole. It is Invalid where a worker was lost or
// was the limit, or where the workers' arrivals are not those of the schedule.
func (a *Assembly) Result() *Result {
	c := a.collector
	c.finish()
	a.checkArrivals()
	var used Generator
	engine := ""
	for i := range a.workers {
		r := a.workers[i].result
		if r == nil {
			continue
		}
		engine = r.Engine
		used.add(r.Generator)
		a.run.opened.Add(r.Connections)
		for k := range a.run.checks {
			a.run.checkFailures[k].Add(r.Checks[a.run.checks[k].text])
		}
	}
	res := a.run.result(c, engine, used)
	for i := range a.workers {
		if r := a.workers[i].result; r != nil {
			addEarliest(res.BackendsSince, r.BackendsSince)
		}
	}
	a.judgeWorkers(res)
	if len(a.faults) > 0 {
		res.Validity, res.ValidityReason = Invalid, firstOf(a.faults)
	}
	return res
}

// addEarliest adds times to those of others: of two the earlier one stays. All are
// from the one start.
func addEarliest(to, from map[string]float64) {
	for address, since := range from {
		if known, ok := to[address]; !ok || since < known {
			to[address] = since
		}
	}
}

// judgeWorkers makes the whole Invalid where one worker was the limit: its part of
// the schedule was not kept, whatever the others did.
func (a *Assembly) judgeWorkers(res *Result) {
	var limited []string
	for i := range a.workers {
		r := a.workers[i].result
		if r == nil {
			continue
		}
		res.Workers = append(res.Workers, Worker{
			Index: i, Requests: r.Requests, LatenessP99: r.Lateness.P99, Validity: r.Validity, Generator: r.Generator,
		})
		if r.Validity == GeneratorLimited {
			limited = append(limited, fmt.Sprintf("worker %d was the limit: %s", i, r.ValidityReason))
		}
	}
	if len(limited) > 0 {
		res.Validity, res.ValidityReason = Invalid, firstOf(limited)
	}
}

// firstOf is the first of some reasons, and how many more there are.
func firstOf(reasons []string) string {
	if more := len(reasons) - 1; more > 0 {
		return fmt.Sprintf("%s (and %d more like it)", reasons[0], more)
	}
	return reasons[0]
}

// checkArrivals holds what each worker says it had to send against its share of
// the schedule.
func (a *Assembly) checkArrivals() {
	c, n := a.collector, len(a.workers)
	for i := range a.workers {
		w := &a.workers[i]
		if w.lost {
			continue
		}
		if !w.drained || w.result == nil {
			a.Fault(fmt.Sprintf("worker %d: its last seconds are missing", i))
			continue
		}
		first, behind := int(c.early), int(c.early+c.scheduled)
		if due := int64(upTo(behind, i, n) - upTo(first, i, n)); c.schedule != nil && w.offered != due {
			a.Fault(fmt.Sprintf("worker %d: %d requests were its share of the schedule, and it had %d to send", i, due, w.offered))
		}
	}
}

// upTo counts the numbers below end that are those of part i of n.
func upTo(end, i, n int) int { return (end - i + n - 1) / n }
