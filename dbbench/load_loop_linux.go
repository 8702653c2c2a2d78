package dbbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A loadLoop runs several clients of the closed model on one thread. For a query
// of a few microseconds most of a client's time is the way through the runtime's
// scheduler: these system calls go past it.
type loadLoop struct {
	run     *loadRun
	epfd    int
	clients map[int32]*loopClient // by their sockets
	events  [128]unix.EpollEvent
	buf     [64 << 10]byte
}

// A loopClient is one connection of a loop.
type loopClient struct {
	*loadClient
	fd     int32
	reader wireReader
	which  int // the case that runs
	sent   time.Time
}

// runLoops runs the clients in loops, one for each CPU. It returns false where they
// must run by themselves: at a rate, in transactions, or on connections that are
// encrypted.
func (r *loadRun) runLoops(ctx context.Context, wg *sync.WaitGroup) bool {
	if !r.direct() {
		return false
	}
	loops := make([]*loadLoop, min(len(r.clients), runtime.GOMAXPROCS(0)))
	for i := range loops {
		epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			for _, l := range loops[:i] {
				_ = unix.Close(l.epfd) // nothing was sent yet
			}
			return false
		}
		loops[i] = &loadLoop{run: r, epfd: epfd, clients: map[int32]*loopClient{}}
	}
	for i, c := range r.clients {
		l := loops[i%len(loops)]
		direct := c.conn.Conn().(*directConn) // openFirst has looked at one, and all are alike
		l.clients[int32(direct.fd)] = &loopClient{loadClient: c, fd: int32(direct.fd)}
	}
	for _, l := range loops {
		wg.Go(func() { l.work(ctx, wg) })
	}
	return true
}

// isDirect tells whether a connection can be used by a loop.
func isDirect(conn net.Conn) bool {
	_, ok := conn.(*directConn)
	return ok
}

// idle is the longest wait of a loop, after which it looks whether the load ended.
const idle = 10 * time.Millisecond

func (l *loadLoop) work(ctx context.Context, wg *sync.WaitGroup) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer func() { _ = unix.Close(l.epfd) }() // it holds nothing by itself
	for _, c := range l.clients {
		event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: c.fd}
		if err := unix.EpollCtl(l.epfd, unix.EPOLL_CTL_ADD, int(c.fd), &event); err != nil {
			l.fail(ctx, wg, c, err)
			continue
		}
		l.next(ctx, wg, c, time.Now())
	}
	for len(l.clients) > 0 {
		for _, event := range l.events[:l.wait()] {
			if c := l.clients[event.Fd]; c != nil {
				l.read(ctx, wg, c)
			}
		}
	}
}

// wait waits for answers: first past the scheduler, as answers come soon, and then
// with its knowledge, so that a slow server leaves the CPU to others.
func (l *loadLoop) wait() int {
	// Longer than a tick of the kernel, at least 10 ms: a shorter wait programs the
	// CPU's timer for each answer, which costs a virtual machine 2 us. Whoever stops
	// the world interrupts it by a signal.
	const soon = 20 // ms
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), soon, 0, 0)
	if errno == 0 && n > 0 {
		return int(n)
	}
	ready, err := unix.EpollWait(l.epfd, l.events[:], int(idle/time.Millisecond))
	if err != nil {
		return 0 // a signal
	}
	return ready
}

// next sends a client's next transaction, or takes the client out where the load
// has ended.
func (l *loadLoop) next(ctx context.Context, wg *sync.WaitGroup, c *loopClient, now time.Time) {
	if l.run.stopped.Load() {
		delete(l.clients, c.fd)
		return
	}
	c.which, c.sent = c.choose(), now
	for c.cases[c.which].fault != nil { // another can run, as canRun has seen
		l.record(c, now, c.cases[c.which].fault)
		c.which = c.choose()
	}
	c.out = c.cases[c.which].encode(c.out[:0])
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd), uintptr(unsafe.Pointer(unsafe.SliceData(c.out))), uintptr(len(c.out)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	if errno == 0 && int(n) == len(c.out) {
		return
	}
	if errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR {
		l.fail(ctx, wg, c, errno)
		return
	}
	sent := 0
	if errno == 0 {
		sent = int(n)
	}
	if _, err := c.conn.Conn().Write(c.out[sent:]); err != nil { // the rest waits for room
		l.fail(ctx, wg, c, err)
	}
}

// read takes what has come for a client.
func (l *loadLoop) read(ctx context.Context, wg *sync.WaitGroup, c *loopClient) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.fd), uintptr(unsafe.Pointer(&l.buf[0])), uintptr(len(l.buf)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EAGAIN || errno == unix.EINTR:
			return
		case errno != 0:
			l.fail(ctx, wg, c, errno)
			return
		case n == 0:
			l.fail(ctx, wg, c, errors.Join(c.reader.fault, io.ErrUnexpectedEOF))
			return
		}
		ready, err := c.reader.feed(l.buf[:n])
		if err != nil {
			l.fail(ctx, wg, c, err)
			return
		}
		if ready {
			now := time.Now()
			l.record(c, now, c.reader.fault)
			c.reader.fault = nil
			l.next(ctx, wg, c, now)
		}
		if int(n) < len(l.buf) {
			return
		}
	}
}

// record counts a transaction that began in the window.
func (l *loadLoop) record(c *loopClient, now time.Time, err error) {
	if !c.sent.Before(l.run.from) {
		c.recorder.record(c.which, c.sent, c.sent, now, err)
	}
}

// fail counts a transaction whose connection broke, and lets the client go on by
// itself: to make a new connection takes long, and the others can't wait for it.
func (l *loadLoop) fail(ctx context.Context, wg *sync.WaitGroup, c *loopClient, err error) {
	l.record(c, time.Now(), fmt.Errorf("talking to the server: %w", err))
	delete(l.clients, c.fd)
	_ = unix.EpollCtl(l.epfd, unix.EPOLL_CTL_DEL, int(c.fd), nil) // closing it does so too
	wg.Go(func() {
		c.close()
		c.alone = true
		c.reconnect(ctx)
		c.work(ctx)
	})
}
