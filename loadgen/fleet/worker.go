package fleet

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"scaleproof/internal/nap"
	"scaleproof/loadgen"
)

// The times of the protocol.
const (
	// pingEvery is the time between pings, silence how long one side may say
	// nothing.
	pingEvery = time.Second
	silence   = 15 * time.Second
	// dialTimeout is how long one address of several is tried for.
	dialTimeout = 3 * time.Second
	// redial is the time between attempts to reach the coordinator.
	redial = 250 * time.Millisecond
	// DefaultJoin is how long workers are waited for, and how long they try to
	// reach the coordinator.
	DefaultJoin = time.Minute
)

// ErrLost says that the coordinator is gone.
var ErrLost = errors.New("the coordinator is lost")

// WorkerOptions say where a worker belongs.
type WorkerOptions struct {
	// Addresses are those of the coordinator, host:port: the first that answers
	// is taken.
	Addresses []string
	Secret    []byte
	// Index is the worker's number, from 0.
	Index int
	// Build and Host name the program and the machine in results.
	Build, Host string
	// Join is how long the coordinator is tried for; 0: DefaultJoin.
	Join time.Duration
	// Now is the machine's clock; nil: time.Now.
	Now func() time.Time
	// OnHit is loadgen's: single results stay with the worker.
	OnHit func(*loadgen.Hit)
}

// A worker is a connection to the coordinator.
type worker struct {
	WorkerOptions
	conn *tls.Conn
	out  chan []byte // frames
	gone context.Context
	lose context.CancelCauseFunc

	mu      sync.Mutex
	current *part
}

// A part is a run that the worker has a share of.
type part struct {
	run    int64
	start  chan int64
	end    chan int64
	cancel context.CancelFunc
}

// Work does what the coordinator says until it says bye, which is no error. Its
// loss is ErrLost, and ends the load at once, as the end of ctx does.
func Work(ctx context.Context, opts WorkerOptions) error {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	conn, err := dial(ctx, opts)
	if err != nil {
		return fmt.Errorf("joining the coordinator: %w", err)
	}
	defer conn.Close()
	gone, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	w := &worker{WorkerOptions: opts, conn: conn, out: make(chan []byte, 1024), gone: gone, lose: lose}
	var parts sync.WaitGroup
	parts.Go(w.write)
	stop := context.AfterFunc(gone, func() { conn.NetConn().Close() })
	defer stop()
	err = w.read(&parts)
	lose(err)
	parts.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// dial joins the coordinator. What it refuses is not tried again.
func dial(ctx context.Context, opts WorkerOptions) (*tls.Conn, error) {
	join := opts.Join
	if join == 0 {
		join = DefaultJoin
	}
	ctx, cancel := context.WithTimeout(ctx, join)
	defer cancel()
	var last error
	for {
		for _, address := range opts.Addresses {
			raw, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", address)
			if err != nil {
				last = err
				continue
			}
			conn, err := greet(raw, hello{Build: opts.Build, Index: opts.Index, Host: opts.Host, Way: address}, opts.Secret)
			if err == nil {
				return conn, nil
			}
			raw.Close()
			if last = err; errors.As(err, new(*RefusedError)) {
				return nil, err
			}
		}
		if !nap.Pause(ctx, redial) {
			return nil, errors.Join(last, ctx.Err())
		}
	}
}

// write sends what is in out. A coordinator that takes nothing is lost.
func (w *worker) write() {
	for {
		select {
		case frame := <-w.out:
			_ = w.conn.SetWriteDeadline(time.Now().Add(silence))
			if _, err := w.conn.Write(frame); err != nil {
				w.lose(fmt.Errorf("%w: %w", ErrLost, err))
				return
			}
		case <-w.gone.Done():
			return
		}
	}
}

func (w *worker) send(k kind, body []byte) {
	select {
	case w.out <- appendFrame(nil, k, body):
	case <-w.gone.Done():
	}
}

func (w *worker) tell(k kind, message any) {
	body, err := encode(message)
	if err != nil {
		w.lose(err)
		return
	}
	w.send(k, body)
}

// read does what the coordinator says; nil is bye.
func (w *worker) read(parts *sync.WaitGroup) error {
	in := bufio.NewReaderSize(w.conn, 16<<10)
	for {
		_ = w.conn.SetReadDeadline(time.Now().Add(silence))
		k, body, err := readFrame(in, frameLimit)
		came := w.Now().UnixNano()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrLost, err)
		}
		switch k {
		case kindPing:
			p, err := parsePong(body)
			if err != nil {
				return err
			}
			w.send(kindPong, pong{p.sent, came, w.Now().UnixNano()}.append(nil))
		case kindJob:
			var j job
			if err := decode(body, &j); err != nil {
				return err
			}
			w.begin(parts, &j)
		case kindStart, kindEnd, kindCancel:
			var s signal
			if err := decode(body, &s); err != nil {
				return err
			}
			w.signal(k, s)
		case kindBye:
			return nil
		default:
			return errFrame
		}
	}
}

// begin makes the worker's part of a run. An earlier one has ended, or is given
// up.
func (w *worker) begin(parts *sync.WaitGroup, j *job) {
	ctx, cancel := context.WithCancel(w.gone)
	p := &part{run: j.Run, start: make(chan int64, 1), end: make(chan int64, 1), cancel: cancel}
	w.mu.Lock()
	if w.current != nil {
		w.current.cancel()
	}
	w.current = p
	w.mu.Unlock()
	parts.Go(func() {
		defer cancel()
		if err := w.make(ctx, p, j); err != nil {
			w.tell(kindFailed, failure{j.Run, err.Error()})
		}
	})
}

// signal hands a signal to the part that it is for.
func (w *worker) signal(k kind, s signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.current
	if p == nil || p.run != s.Run {
		return
	}
	to := p.start
	switch k {
	case kindCancel:
		p.cancel()
		return
	case kindEnd:
		to = p.end
	}
	select {
	case to <- s.At:
	default: // told already
	}
}

// make runs the load and tells what it measures.
func (w *worker) make(ctx context.Context, p *part, j *job) error {
	d := done{Run: j.Run}
	end := make(chan time.Time, 1)
	opts := loadgen.Options{
		Share: loadgen.Share{Index: w.Index, Of: j.Of}, Engine: j.Engine, Workers: j.Loops, End: end, OnHit: w.OnHit,
		OnInterval: func(interval []byte) {
			w.send(kindInterval, appendInterval(nil, j.Run, d.Intervals, interval))
			d.Intervals++
		},
	}
	opts.Begin = func(ctx context.Context) (time.Time, error) {
		w.tell(kindReady, signal{Run: j.Run})
		select {
		case at := <-p.start:
			start := w.at(at)
			d.Late = max(time.Since(start), 0)
			go forward(ctx, p.end, end, w.at)
			return start, nil
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
	result, err := loadgen.Run(ctx, j.Load.Open(), opts)
	if err != nil {
		return err
	}
	// The seconds and the histograms have gone with the intervals.
	result.Seconds, result.Histograms = nil, nil
	d.Result = result
	w.tell(kindDone, d)
	return nil
}

// at returns a time by the worker's clock, free of what happens to that clock
// from now on.
func (w *worker) at(unixNano int64) time.Time {
	return time.Now().Add(time.Duration(unixNano - w.Now().UnixNano()))
}

// forward hands on when the run is to end, if it is told.
func forward(ctx context.Context, from <-chan int64, to chan<- time.Time, at func(int64) time.Time) {
	select {
	case t := <-from:
		to <- at(t)
	case <-ctx.Done():
	}
}
