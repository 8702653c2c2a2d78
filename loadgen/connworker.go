package loadgen

import (
	"context"
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
// made once more, on a new one (RFC 9110, 9.2.2).
func (w *connWorker) exchange(s *sample, request *Request) error {
	deadline := w.run.clock.base.Add(time.Duration(s.sent) + w.run.cfg.RequestTimeout())
	l, endpoint := &w.link, w.run.endpointOf[request.Target]
	if w.shared != nil {
		*l = w.shared.take(endpoint, w.hangUp)
		defer func() {
			w.shared.put(endpoint, *l)
			*l = link{}
		}()
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
func (w *connWorker) once(s *sample, l *link, request *Request, deadline time.Time) (err error) {
	if l.conn == nil {
		if err := w.connect(l, request.Target, deadline); err != nil {
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
	if err := l.conn.SetDeadline(deadline); err != nil {
		return err
	}
	n, err := l.conn.Write(request.Wire)
	s.bytesOut += int64(n)
	if err != nil {
		return err
	}
	l.requests++
	w.parser.Reset(request.Head)
	if err := w.read(s, l.conn); err != nil {
		return err
	}
	s.status = int16(w.parser.Status())
	s.kind = w.run.judgeParsed(&w.parser)
	keep = w.parser.KeepAlive() && w.held == 0 && !w.run.worn(l.requests, l.opened, s.sent)
	return nil
}

// read reads one answer.
func (w *connWorker) read(s *sample, conn net.Conn) error {
	for w.held = 0; !w.parser.Done(); {
		if w.held == len(w.in) {
			w.in = append(w.in, make([]byte, len(w.in))...)
		}
		n, err := conn.Read(w.in[w.held:])
		s.bytesIn += int64(n)
		if n > 0 && s.firstByte == 0 {
			s.firstByte = w.run.clock.now()
		}
		used, fault := w.parser.Feed(w.in[:w.held+n])
		if fault != nil {
			return fault
		}
		w.held = copy(w.in, w.in[used:w.held+n])
		if err == nil || w.parser.Done() {
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
	*l = link{conn: conn, opened: w.run.clock.now(), backend: w.run.backends.indexOf(conn.RemoteAddr().String())}
	w.run.backends.connected(l.backend, l.opened)
	return nil
}

func (w *connWorker) hangUp(l *link) {
	if l.conn != nil {
		w.open.remove(l.conn)
		l.conn = nil
	}
}
