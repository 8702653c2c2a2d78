package loadgen

import (
	"sync"
	"sync/atomic"
	"time"

	"scaleproof/internal/nap"
	"scaleproof/loadgen/internal/arrival"
)

// A dispatcher gives requests to goroutines, one by one. In the open model
// they take turns: the one whose turn it is waits for the next arrival, while
// the others wait for their turn. No request passes from one to another.
type dispatcher struct {
	run      *run
	schedule *arrival.Schedule // nil in the closed model
	grow     func()            // adds a goroutine; called with the turn
	limit    int               // of goroutines

	turn    sync.Mutex
	timer   *time.Timer
	waiting atomic.Int64 // for the turn, or in it
	size    int          // goroutines; belongs to the turn
	number  atomic.Int64 // of the next request in the closed model
}

// A ticket is one request to be made.
type ticket struct {
	number   int64
	intended int64
	starved  bool
}

// next waits for the next request that is due; ok is false when there is none
// left.
func (d *dispatcher) next() (t ticket, ok bool) {
	if d.schedule == nil {
		now := d.run.clock.now()
		if now >= d.run.span.end.Load() {
			return ticket{}, false
		}
		first, stride := d.run.opts.Share.stride(0, 1)
		return ticket{number: int64(first) + (d.number.Add(1)-1)*int64(stride), intended: now}, true
	}
	asked := d.run.clock.now()
	d.waiting.Add(1)
	d.turn.Lock()
	defer d.turn.Unlock()
	defer d.waiting.Add(-1)
	due, number, ok := d.schedule.Peek()
	if !ok || !d.sleepUntil(int64(due)) {
		return ticket{}, false
	}
	d.schedule.Pop()
	if d.waiting.Load() == 1 && d.size < d.limit {
		d.size++
		d.grow()
	}
	return ticket{number, int64(due), int64(due) < asked && d.size == d.limit}, true
}

// sleepUntil waits until due, and reports whether the run goes on then.
func (d *dispatcher) sleepUntil(due int64) bool {
	for {
		now := d.run.clock.now()
		if now >= d.run.span.end.Load() {
			return false
		}
		left := due - now
		if left <= 0 {
			return true
		}
		if left <= int64(fineWait) {
			nap.For(time.Duration(left))
			continue
		}
		d.timer.Reset(time.Duration(left) - fineWait)
		select {
		case <-d.timer.C:
		case <-d.run.ended:
			d.timer.Stop()
			return false
		}
	}
}

// fineWait is the end of a wait that the runtime's timers, which round to a
// millisecond, are too coarse for.
const fineWait = 1500 * time.Microsecond
