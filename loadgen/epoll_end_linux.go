package loadgen

import (
	"golang.org/x/sys/unix"

	"scaleproof/loadgen/internal/http1"
)

// complete ends a request whose answer is there. clean says that the
// connection is where the next answer begins. One that the peer has ended would
// break the next request.
func (l *loop) complete(c *eventConn, now int64, clean bool) {
	c.s.end = now
	c.s.status = int16(c.parser.Status())
	c.s.kind = l.engine.judgeParsed(&c.parser)
	l.land(c)
	c.requests++
	l.report(&c.s, c.request, c.parser.Keep)
	if !clean || c.ended || !c.parser.KeepAlive() || l.engine.worn(int(c.requests), c.opened, now) {
		l.hangUp(c)
	} else {
		l.pushBack(&l.idle[c.endpoint], c.index)
	}
	// The closed model's next requests are written after all that is ready
	// was read: reading and writing by turns costs the kernel a tenth more.
	if !l.beginning && l.due <= now && now < l.engine.span.end.Load() {
		l.dispatch(now)
	}
}

// broken ends a request whose connection broke. One that the server closed
// while it was idle says nothing about the request: it is made once more, on a
// new connection (RFC 9110, 9.2.2).
func (l *loop) broken(c *eventConn, k kind, now int64) {
	stale := c.reused && c.s.firstByte == 0 && (k == kindReset || k == kindClosed)
	if !stale {
		l.fail(c, k, now)
		return
	}
	request, err := l.engine.source.Request(c.s.seq, l.out)
	if err != nil || !idempotent(request.Wire) || now >= l.engine.span.halt.Load() {
		l.fail(c, k, now)
		return
	}
	l.closeSocket(c)
	c.reused, c.requests, c.held, c.wire = false, 0, nil, request.Wire
	c.s.backend, c.s.bytesOut = -1, 0
	c.parser.Reset(c.head)
	l.connect(c)
}

// fail ends a request without an answer, and its connection.
func (l *loop) fail(c *eventConn, k kind, now int64) {
	c.s.kind, c.s.end = k, now
	if c.parser.Done() || c.s.firstByte > 0 {
		c.s.status = int16(c.parser.Status())
	}
	never := c.s.backend < 0
	l.land(c)
	l.report(&c.s, c.request, c.parser.Keep)
	l.hangUp(c)
	if never {
		l.rest(now)
	}
}

// rest keeps the closed model from spinning on requests that can't be made or sent.
func (l *loop) rest(now int64) {
	if l.schedule == nil {
		l.resting = append(l.resting, now+int64(connectBackoff))
	}
}

// land takes a request out of those in flight.
func (l *loop) land(c *eventConn) {
	l.remove(&l.flying, c.index)
	c.busy = false
	c.wire = nil
	l.inFlight--
}

// report records a request and tells of it.
func (l *loop) report(s *sample, request []byte, kept *http1.Kept) {
	if l.recorder.record(s) && l.engine.opts.OnHit != nil {
		l.engine.opts.OnHit(l.engine.hit(s, l.number, request, kept))
	}
}

// hangUp closes a connection, which is in no list, and makes it available.
func (l *loop) hangUp(c *eventConn) {
	l.closeSocket(c)
	c.held = nil
	l.open--
	l.pushBack(&l.unused, c.index)
}

func (l *loop) closeSocket(c *eventConn) {
	if c.connecting {
		c.connecting = false
		l.connects--
	}
	c.more, c.ended = false, false
	if c.fd >= 0 {
		unix.Close(int(c.fd))
		c.fd = -1
	}
}
