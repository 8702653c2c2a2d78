package loadgen

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"scaleproof/loadgen/internal/http1"
)

// A link is an open connection.
type link struct {
	conn     net.Conn
	backend  int32
	requests int   // so far
	opened   int64 // when, from the run's start
	until    int64 // its deadline, from the run's start
	exact    bool  // no wait may end before its deadline: it can't be taken up again
}

// A connWorker makes requests on one connection at a time: its own where there is
// one endpoint, else one of those that all workers share.
type connWorker struct {
	run    *run
	dial   *dialer
	open   *connSet
	shared *linkPool // nil where there is one endpoint
	link   link      // conn is nil where there is none
	parser http1.Parser
	in     []byte
	held   int // bytes of in that await more
}

func newConnWorker(r *run, d *dialer, open *connSet, shared *linkPool) *connWorker {
	w := &connWorker{run: r, dial: d, open: open, shared: shared, in: make([]byte, 4<<10)}
	w.parser.Keep = r.kept()
	return w
}

func (w *connWorker) kept() *http1.Kept { return w.parser.Keep }

func (w *connWorker) close() { w.hangUp(&w.link) }

// exchange sends a request and reads its answer into s. A connection that the
// server has closed while it was idle says nothing about the request: it is
// made once more, on a new one (RFC 9110, 9.2.2). One that must not be made twice
// is not sent where the end can be seen before.
func (w *connWorker) exchange(s *sample, request *Request) error {
	deadline := s.sent + int64(w.run.cfg.RequestTimeout())
	l, endpoint := &w.link, w.run.endpointOf[request.Target]
	if w.shared != nil {
		*l = w.shared.take(endpoint, w.hangUp)
		defer func() {
			w.shared.put(endpoint, *l)
			*l = link{}
		}()
	}
	if l.conn != nil && !idempotent(request.Wire) && ended(l.conn) {
		w.hangUp(l)
	}
	reused := l.conn != nil
	err := w.once(s, l, request, deadline)
	if err != nil && reused && s.firstByte == 0 && isStale(err) && idempotent(request.Wire) {
		err = w.once(s, l, request, deadline)
	}
	return err
}

func isStale(err error) bool {
	k := kindOf(err)
	return k == kindReset || k == kindClosed
}

// once makes a request on l, which it opens if need be and closes after an
// error.
func (w *connWorker) once(s *sample, l *link, request *Request, deadline int64) (err error) {
	if l.conn == nil {
		if err := w.connect(l, request.Target, w.at(deadline)); err != nil {
			return err
		}
	}
	keep := false
	defer func() {
		if !keep {
			w.hangUp(l)
		}
	}()
	s.backend = l.backend
	// To set a deadline for each request takes a fortieth of all the CPU time: an
	// earlier one that is still far does, and is put off if it comes.
	if l.exact || l.until-s.sent < int64(w.run.cfg.RequestTimeout())/2 {
		l.until = deadline
		if err := l.conn.SetDeadline(w.at(deadline)); err != nil {
			return err
		}
	}
	if err := w.write(s, l, request.Wire, deadline); err != nil {
		return err
	}
	l.requests++
	w.parser.Reset(request.Head)
	if err := w.read(s, l, deadline); err != nil {
		return err
	}
	s.status = int16(w.parser.Status())
	s.kind = w.run.judgeParsed(&w.parser)
	keep = w.parser.KeepAlive() && w.held == 0 && !w.run.worn(l.requests, l.opened, s.sent)
	return nil
}

// at is a time of the run's clock.
func (w *connWorker) at(t int64) time.Time { return w.run.clock.base.Add(time.Duration(t)) }

// putOff reports whether a wait on l that has failed may go on until deadline: it
// ended at the deadline of an earlier request.
func (w *connWorker) putOff(l *link, err error, deadline int64) bool {
	if l.until >= deadline || !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	l.until = deadline
	return w.open.putOff(l.conn, w.at(deadline))
}

// write sends a request.
func (w *connWorker) write(s *sample, l *link, wire []byte, deadline int64) error {
	for {
		n, err := l.conn.Write(wire)
		s.bytesOut += int64(n)
		if err == nil || !w.putOff(l, err, deadline) {
			return err
		}
		wire = wire[n:]
	}
}

// read reads one answer, whose last bytes end the request.
func (w *connWorker) read(s *sample, l *link, deadline int64) error {
	for w.held = 0; !w.parser.Done(); {
		if w.held == len(w.in) {
			w.in = append(w.in, make([]byte, len(w.in))...)
		}
		n, err := l.conn.Read(w.in[w.held:])
		now := w.run.clock.now()
		s.bytesIn += int64(n)
		if n > 0 && s.firstByte == 0 {
			s.firstByte = now
		}
		used, fault := w.parser.Feed(w.in[:w.held+n])
		if fault != nil {
			return fault
		}
		w.held = copy(w.in, w.in[used:w.held+n])
		if w.parser.Done() {
			s.end = now
			return nil
		}
		if err == nil || w.putOff(l, err, deadline) {
			continue
		}
		if k := kindOf(err); k == kindClosed {
			return w.parser.Close()
		}
		return err
	}
	return nil
}

func (w *connWorker) connect(l *link, target int, deadline time.Time) error {
	if w.run.clock.now() >= w.run.span.halt.Load() {
		return os.ErrDeadlineExceeded
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	conn, err := w.dial.dial(ctx, w.run.endpoints[w.run.endpointOf[target]])
	if err != nil {
		return err
	}
	if !w.open.add(conn) {
		return os.ErrDeadlineExceeded
	}
	w.run.opened.Add(1)
	*l = link{conn: conn, opened: w.run.clock.now(), exact: !isSocket(conn), backend: w.run.backends.indexOf(conn.RemoteAddr().String())}
	w.run.backends.connected(l.backend, l.opened)
	return nil
}

// isSocket reports whether what a deadline has cut can be taken up again, as it can't
// be where TLS was writing.
func isSocket(conn net.Conn) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

func (w *connWorker) hangUp(l *link) {
	if l.conn != nil {
		w.open.remove(l.conn)
		l.conn = nil
	}
}
