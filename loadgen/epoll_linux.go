package loadgen

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"scaleproof/loadgen/internal/arrival"
)

const epollServes = true

// epollEngine runs event loops, each on a thread of its own with its own
// connections, its own share of the arrivals and its own recorder: loops share
// nothing that is written.
type epollEngine struct{}

func newEpollEngine() engine { return epollEngine{} }

func (epollEngine) name() string { return "http/1.1 on epoll" }

func (epollEngine) run(r *run, recorders []*recorder) error {
	loops := make([]*loop, len(recorders))
	for i, rec := range recorders {
		l, err := newLoop(r, rec, i)
		if err != nil {
			for _, opened := range loops[:i] {
				unix.Close(opened.epfd)
			}
			return err
		}
		loops[i] = l
	}
	var running sync.WaitGroup
	for _, l := range loops {
		running.Go(l.run)
	}
	running.Wait()
	return nil
}

// A loop is one event loop. It belongs to one goroutine.
type loop struct {
	engine   *run
	recorder *recorder
	number   int
	epfd     int
	coarse   bool // the kernel has no epoll_pwait2
	// busy predicts that events are ready already: taking them costs less
	// without telling the scheduler, and waiting costs less without asking.
	busy bool

	chunks [][]eventConn
	made   int32 // connections ever used
	unused connList
	idle   []connList // by endpoint: open, without a request
	flying connList   // with a request, by its deadline
	again  []int32    // that have more to read than one turn allows

	schedule  *arrival.Schedule // nil in the closed model
	due       int64             // the next arrival of this loop; MaxInt64: none
	next      int64             // its number
	stride    int64             // from the number of a request to that of the next
	limit     int               // connections at most
	open      int               // connections now
	inFlight  int
	connects  int     // connections on their way
	resting   []int64 // in the closed model: when connections may try again
	waitingBy int64   // since when an arrival waits for a connection; 0: none does
	// beginning says that the next arrival is being begun: an answer that was there
	// before its request completes meanwhile, and must not begin it again.
	beginning bool

	events [256]unix.EpollEvent
	in     []byte // what is read, by all connections
	out    []byte // what sources write
}

// maxConnects bounds the connections that a loop has on their way, so that
// thousands at once don't overflow the target's backlog.
const maxConnects = 256

// maxWait is the longest wait of a loop: how late it may learn of the run's end.
const maxWait = int64(50 * time.Millisecond)

func newLoop(r *run, rec *recorder, number int) (*loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("making an event loop: %w", err)
	}
	l := &loop{
		engine: r, recorder: rec, number: number, epfd: epfd,
		unused: newConnList(), flying: newConnList(),
		schedule: r.schedule(number, r.workers), due: math.MaxInt64,
		in: make([]byte, 64<<10), out: make([]byte, 0, 64<<10),
	}
	for range r.endpoints {
		l.idle = append(l.idle, newConnList())
	}
	l.limit = part(r.limit, number, r.workers)
	first, stride := r.opts.Share.stride(number, r.workers)
	l.next, l.stride = int64(first), int64(stride)
	if l.schedule != nil {
		l.nextArrival()
	}
	return l, nil
}

// nextArrival finds the next arrival that is this loop's: all loops walk the
// same schedule, and each takes its share.
func (l *loop) nextArrival() {
	due, number, ok := l.schedule.Peek()
	if !ok {
		l.due = math.MaxInt64
		return
	}
	l.schedule.Pop()
	l.due, l.next = int64(due), number
}

func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// The kernel may by default delay a wake-up by 50 µs to join it with
	// others; without it waits are still right, and less precise.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	defer l.close()
	for {
		now := l.engine.clock.now()
		l.recorder.advance(now)
		l.expire(now)
		ended := now >= l.engine.span.end.Load()
		if !ended {
			l.dispatch(now)
		}
		if ended && l.inFlight == 0 || now >= l.engine.span.halt.Load() {
			return
		}
		l.turn()
	}
}

// turn handles what is ready, and waits for it where nothing else is to be
// done.
func (l *loop) turn() {
	n := 0
	if l.busy || len(l.again) > 0 {
		n = poll(l.epfd, l.events[:])
	}
	if n == 0 && len(l.again) == 0 {
		n = l.wait(time.Duration(l.waitFor(l.engine.clock.now())))
	}
	l.busy = n > 1
	for _, event := range l.events[:n] {
		c := l.conn(event.Fd)
		if c.generation == event.Pad && c.fd >= 0 {
			l.handle(c, event.Events)
		}
	}
	if len(l.again) > 0 {
		more := l.again
		l.again = nil
		for _, i := range more {
			// An event may have completed the answer meanwhile.
			if c := l.conn(i); c.more {
				c.more = false
				if c.busy {
					l.read(c)
				}
			}
		}
	}
}

// waitFor returns how long nothing will have to be done; 0 is that events are
// to be taken without waiting for them.
func (l *loop) waitFor(now int64) int64 {
	end := l.engine.span.end.Load()
	until := now + maxWait
	if now < end {
		until = min(until, end)
		if l.waitingBy == 0 { // else only an event helps
			until = min(until, l.due)
		}
	}
	if now < end && l.inFlight < l.limit && len(l.resting) > 0 {
		until = min(until, l.resting[0])
	}
	if l.flying.first != none {
		until = min(until, l.conn(l.flying.first).s.sent+int64(l.engine.cfg.RequestTimeout()))
	}
	return max(until-now, 0)
}

// expire fails the requests whose time is over.
func (l *loop) expire(now int64) {
	limit := now - int64(l.engine.cfg.RequestTimeout())
	for l.flying.first != none {
		c := l.conn(l.flying.first)
		if c.s.sent > limit {
			return
		}
		l.fail(c, kindTimeout, now)
	}
}

// dispatch begins the requests that are due.
func (l *loop) dispatch(now int64) {
	if l.schedule == nil {
		l.dispatchClosed(now)
		return
	}
	// What is due after the end is not to be sent, however late the loop is.
	for l.due <= now && l.due < l.engine.span.end.Load() {
		t := ticket{l.next, l.due, l.waitingBy > 0}
		l.beginning = true
		begun := l.begin(t, now)
		l.beginning = false
		if !begun {
			if l.waitingBy == 0 {
				l.waitingBy = now
			}
			return
		}
		l.waitingBy = 0
		l.nextArrival()
		now = l.engine.clock.now()
	}
}

func (l *loop) dispatchClosed(now int64) {
	for len(l.resting) > 0 && l.resting[0] <= now {
		l.resting = l.resting[1:]
	}
	for l.inFlight+len(l.resting) < l.limit && l.begin(ticket{l.next, now, false}, now) {
		l.next += l.stride
		if l.inFlight+len(l.resting) < l.limit {
			now = l.engine.clock.now()
		}
	}
}

// close gives up what is in flight and closes all connections.
func (l *loop) close() {
	for l.flying.first != none {
		c := l.conn(l.flying.first)
		l.recorder.unfinished(c.s.intended)
		l.land(c)
		l.hangUp(c)
	}
	for i := range l.idle {
		for l.idle[i].first != none {
			c := l.conn(l.popFront(&l.idle[i]))
			l.hangUp(c)
		}
	}
	unix.Close(l.epfd)
}
