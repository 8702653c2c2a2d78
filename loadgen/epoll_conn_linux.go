package loadgen

import (
	"bytes"
	"syscall"

	"golang.org/x/sys/unix"

	"scaleproof/loadgen/internal/http1"
)

// An eventConn is a connection of a loop. Its buffers are empty but for a line
// that a read has cut and for a request that the socket did not take at once.
type eventConn struct {
	s      sample // of the request in flight
	parser http1.Parser
	wire   []byte // what is left to be sent
	held   []byte // what was read and awaits more

	opened     int64
	index      int32
	prev, next int32 // in a connList
	fd         int32 // -1: closed
	generation int32 // tells events of the connection from those of an earlier one
	requests   int32
	endpoint   int32
	backend    int32
	connecting bool
	busy       bool   // a request is in flight
	reused     bool   // and is not the connection's first
	more       bool   // there may be more to read: the connection is in loop.again
	ended      bool   // the peer has ended its side, of which no further event will tell
	head       bool   // the request's method is HEAD
	request    []byte // where Options.OnHit wants it
}

// begin begins a request; false says that there is no connection for it now.
func (l *loop) begin(t ticket, now int64) bool {
	request, err := l.engine.source.Request(t.number, l.out)
	s := sample{seq: t.number, intended: t.intended, sent: now, starved: t.starved, backend: -1}
	if err != nil {
		s.kind, s.end = kindRequest, now
		l.report(&s, nil, nil)
		l.rest(now)
		return true
	}
	s.target = int32(request.Target)
	c := l.take(int32(l.engine.endpointOf[request.Target]))
	if c == nil {
		return false
	}
	c.s, c.head, c.wire, c.busy = s, request.Head, request.Wire, true
	c.parser.Reset(c.head)
	if l.engine.opts.OnHit != nil {
		c.request = append(c.request[:0], request.Wire...)
	}
	l.pushBack(&l.flying, c.index)
	l.inFlight++
	if c.fd < 0 {
		l.connect(c)
		return true
	}
	c.reused = true
	l.write(c)
	return true
}

// take returns a connection for an endpoint: an idle one, or one to be opened.
func (l *loop) take(endpoint int32) *eventConn {
	if i := l.popFront(&l.idle[endpoint]); i != none {
		return l.conn(i)
	}
	if l.connects >= maxConnects {
		return nil
	}
	if l.open >= l.limit && !l.closeIdle() {
		return nil
	}
	c := l.conn(l.newConn())
	c.endpoint, c.requests, c.reused, c.backend = endpoint, 0, false, -1
	l.open++
	return c
}

// closeIdle makes room by closing an idle connection to any endpoint.
func (l *loop) closeIdle() bool {
	for e := range l.idle {
		if i := l.popFront(&l.idle[e]); i != none {
			l.hangUp(l.conn(i))
			return true
		}
	}
	return false
}

// connect opens the connection of a request that is in flight.
func (l *loop) connect(c *eventConn) {
	e := l.engine.endpoints[c.endpoint]
	address, backend, err := e.target(&l.engine.backends)
	if err != nil {
		l.fail(c, kindOf(err), l.engine.clock.now())
		return
	}
	c.backend = backend
	fd, connected, err := openSocket(e, address)
	if err != nil {
		l.fail(c, kindOf(err), l.engine.clock.now())
		return
	}
	c.fd = fd
	c.generation++
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.index, Pad: c.generation}
	if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, int(fd), &event); err != nil {
		l.fail(c, kindOf(err), l.engine.clock.now())
		return
	}
	if connected {
		l.connected(c)
		return
	}
	c.connecting = true
	l.connects++
	l.keepWire(c)
}

func (l *loop) connected(c *eventConn) {
	l.engine.opened.Add(1)
	c.opened = l.engine.clock.now()
	c.s.backend = c.backend
	l.engine.backends.connected(c.backend, c.opened)
	l.write(c)
}

// keepWire gives c bytes of its own, where those of the request are in the
// buffer that the next request will be written to.
func (l *loop) keepWire(c *eventConn) {
	if len(c.wire) > 0 && cap(c.wire) <= cap(l.out) && &c.wire[:cap(c.wire)][cap(c.wire)-1] == &l.out[:cap(l.out)][cap(l.out)-1] {
		c.wire = bytes.Clone(c.wire)
	}
}

// write sends what is left of the request.
func (l *loop) write(c *eventConn) {
	if c.s.backend < 0 {
		c.s.backend = c.backend
	}
	for len(c.wire) > 0 {
		n, errno := rawWrite(c.fd, c.wire)
		switch errno {
		case 0:
			c.s.bytesOut += int64(n)
			c.wire = c.wire[n:]
		case syscall.EAGAIN:
			l.keepWire(c)
			return
		case syscall.EINTR:
		case syscall.EPIPE, syscall.ECONNRESET:
			// The server may have answered before it closed.
			c.ended = true
			l.read(c)
			if c.busy {
				l.broken(c, kindReset, l.engine.clock.now())
			}
			return
		default:
			l.fail(c, kindOf(errno), l.engine.clock.now())
			return
		}
	}
}

// handle handles what epoll says of a connection.
func (l *loop) handle(c *eventConn, events uint32) {
	const ends = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	c.ended = c.ended || events&ends != 0
	if c.connecting {
		c.connecting = false
		l.connects--
		if err := socketError(c.fd); err != nil {
			l.fail(c, kindOf(err), l.engine.clock.now())
			return
		}
		l.connected(c)
		if c.fd < 0 || events&(unix.EPOLLIN|ends) == 0 {
			return
		}
	}
	if !c.busy {
		// The server has closed an idle connection, or speaks unasked.
		if events&(unix.EPOLLIN|ends) != 0 {
			l.remove(&l.idle[c.endpoint], c.index)
			l.hangUp(c)
		}
		return
	}
	if events&unix.EPOLLOUT != 0 && len(c.wire) > 0 {
		l.write(c)
		if c.fd < 0 || !c.busy {
			return
		}
	}
	if events&(unix.EPOLLIN|ends) != 0 {
		l.read(c)
	}
}

// maxReads is how many buffers one connection may fill before the others have
// their turn.
const maxReads = 8

// read reads the answer.
func (l *loop) read(c *eventConn) {
	for range maxReads {
		n, errno := rawRead(c.fd, l.in)
		now := l.engine.clock.now()
		switch {
		case errno == syscall.EAGAIN:
			return
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			l.broken(c, kindOf(errno), now)
			return
		case n == 0:
			l.eof(c, now)
			return
		}
		c.s.bytesIn += int64(n)
		if c.s.firstByte == 0 {
			c.s.firstByte = now
		}
		if !l.feed(c, l.in[:n], now) || n < len(l.in) && !c.ended {
			return
		}
	}
	if !c.more {
		c.more = true
		l.again = append(l.again, c.index)
	}
}

// feed parses what was read, and reports whether the answer awaits more.
func (l *loop) feed(c *eventConn, data []byte, now int64) bool {
	if len(c.held) > 0 {
		c.held = append(c.held, data...)
		data = c.held
	}
	n, err := c.parser.Feed(data)
	if err != nil {
		l.fail(c, kindOf(err), now)
		return false
	}
	if c.parser.Done() {
		c.held = nil
		l.complete(c, now, n == len(data) && len(c.wire) == 0)
		return false
	}
	if n < len(data) || len(c.held) > 0 {
		c.held = append(c.held[:0], data[n:]...)
		if len(c.held) == 0 {
			c.held = nil // few answers are cut within a line: hold no memory
		}
	}
	return true
}

// eof handles the end of the stream.
func (l *loop) eof(c *eventConn, now int64) {
	if len(c.held) == 0 && c.parser.Close() == nil {
		l.complete(c, now, false)
		return
	}
	l.broken(c, kindClosed, now)
}
