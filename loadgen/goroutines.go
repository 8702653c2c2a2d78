package loadgen

import (
	"net"
	"sync"
	"time"
)

// goroutineEngine has one goroutine per connection. It serves whatever gives
// a net.Conn: TLS, Unix sockets, connections that the caller dials, and
// systems without epoll.
type goroutineEngine struct{ dial *dialer }

func (goroutineEngine) name() string { return "http/1.1 on goroutines" }

// A shard is a recorder that several goroutines share.
type shard struct {
	mu       sync.Mutex
	recorder *recorder
}

func (s *shard) record(x *sample) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Another goroutine may have recorded a later end.
	return s.recorder.record(x)
}

// connSet holds the open connections of an engine, so that they can be cut.
type connSet struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	cut   bool
}

// add reports false, and closes conn, when all have been cut already.
func (s *connSet) add(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		conn.Close()
		return false
	}
	s.conns[conn] = struct{}{}
	return true
}

func (s *connSet) remove(conn net.Conn) {
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	conn.Close()
}

// cutAll makes what waits on the connections fail now.
func (s *connSet) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = true
	for conn := range s.conns {
		_ = conn.SetDeadline(time.Unix(1, 0))
	}
}

// putOff gives conn another deadline, unless all have been cut.
func (s *connSet) putOff(conn net.Conn, deadline time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.cut && conn.SetDeadline(deadline) == nil
}

// closeAll closes what is left of them.
func (s *connSet) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		conn.Close()
	}
	clear(s.conns)
}

func (e goroutineEngine) run(r *run, recorders []*recorder) error {
	open := &connSet{conns: map[net.Conn]struct{}{}}
	var shared *linkPool
	if len(r.endpoints) > 1 {
		shared = newLinkPool(len(r.endpoints), r.limit)
	}
	runWorkers(r, recorders, func() exchanger { return newConnWorker(r, e.dial, open, shared) }, open.cutAll)
	open.closeAll()
	return nil
}

// runWorkers makes the load of a run with goroutines, each with an exchanger of
// its own, and returns when all have ended. cut makes what is in flight fail.
func runWorkers(r *run, recorders []*recorder, newExchanger func() exchanger, cut func()) {
	shards := make([]*shard, len(recorders))
	for i, rec := range recorders {
		shards[i] = &shard{recorder: rec}
	}
	d := &dispatcher{run: r, schedule: r.schedule(0, 1), limit: r.limit, timer: time.NewTimer(time.Hour)}
	var workers sync.WaitGroup
	started := 0
	d.grow = func() {
		w := newWorker(r, shards[started%len(shards)], started, newExchanger())
		started++
		workers.Go(func() { w.loop(d) })
	}
	done := make(chan struct{})
	var keeping sync.WaitGroup
	keeping.Go(func() { keepTime(r, shards, cut, done) })
	if d.schedule != nil {
		d.turn.Lock()
		d.size = 1
		d.grow()
		d.turn.Unlock()
	} else {
		for range d.limit {
			d.grow()
		}
	}
	workers.Wait()
	close(done)
	keeping.Wait()
}

// keepTime hands over the seconds of shards without requests, and cuts what is
// in flight when it is to be given up.
func keepTime(r *run, shards []*shard, cut func(), done <-chan struct{}) {
	ended := r.ended
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var halt <-chan time.Time
	for {
		select {
		case <-done:
			return
		case <-ended:
			ended, halt = nil, time.After(time.Duration(r.span.halt.Load()-r.clock.now()))
		case <-halt:
			halt = nil
			cut()
		case <-tick.C:
			for _, s := range shards {
				s.mu.Lock()
				s.recorder.advance(r.clock.now())
				s.mu.Unlock()
			}
		}
	}
}
