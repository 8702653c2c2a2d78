package loadgen

import (
	"time"

	"scaleproof/loadgen/internal/http1"
)

// A worker is a goroutine that makes one request after the other.
type worker struct {
	run    *run
	shard  *shard
	number int
	out    []byte // what sources write
	via    exchanger

	// The request that is made, which would else be allocated anew each time.
	s       sample
	request Request
}

// An exchanger makes the requests of one worker.
type exchanger interface {
	// exchange makes a request and puts what became of it into s. Where it leaves
	// the end open, that is the time of its return.
	exchange(s *sample, request *Request) error
	// kept is the copy of the last answer, nil where none is kept.
	kept() *http1.Kept
	close()
}

func newWorker(r *run, s *shard, number int, via exchanger) *worker {
	return &worker{run: r, shard: s, number: number, out: make([]byte, 0, 4<<10), via: via}
}

func (w *worker) loop(d *dispatcher) {
	defer w.via.close()
	for {
		t, ok := d.next()
		if !ok {
			return
		}
		w.serve(t)
	}
}

// serve makes one request and records it.
func (w *worker) serve(t ticket) {
	s := &w.s
	*s = sample{seq: t.number, intended: t.intended, starved: t.starved, backend: -1, sent: w.run.clock.now()}
	if w.run.stages == nil {
		s.intended = s.sent
	}
	var err error
	if w.request, err = w.run.source.Request(t.number, w.out); err != nil {
		s.kind = kindRequest
	} else {
		s.target = int32(w.request.Target)
		err = w.via.exchange(s, &w.request)
	}
	if s.end == 0 {
		s.end = w.run.clock.now()
	}
	if s.backend < 0 && w.run.stages == nil {
		defer w.rest()
	}
	if err != nil && s.kind == kindNone {
		s.kind = kindOf(err)
	}
	if w.shard.record(s) && w.run.opts.OnHit != nil {
		w.run.opts.OnHit(w.run.hit(s, w.number, w.request.Wire, w.via.kept()))
	}
}

// rest keeps the closed model from spinning on a target that can't be
// connected to.
func (w *worker) rest() {
	left := w.run.span.end.Load() - w.run.clock.now()
	time.Sleep(min(connectBackoff, time.Duration(max(left, 0))))
}
