package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// joinedByte tells a coordinator that a worker is at the other end of a connection
// that it had waiting at a relay.
const joinedByte = 'J'

// Relay joins workers with a coordinator that they can't dial, and that can dial the
// relay: each connection that comes to workers is joined to one that the coordinator
// has waiting at coordinator, by Through. Both encrypt what they say, and prove
// themselves to each other: the relay is trusted with nothing. It ends with ctx, and
// with ErrLost where the coordinator has no connection for longer than patience,
// 0 being DefaultJoin. Both listeners are closed then.
func Relay(ctx context.Context, workers, coordinator net.Listener, patience time.Duration) error {
	if patience == 0 {
		patience = DefaultJoin
	}
	r := relay{arrived: make(chan net.Conn)}
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { // which the return ends, too
		workers.Close()
		coordinator.Close()
	})
	waiting := make(chan net.Conn)
	all.Go(func() { accept(workers, hand(ctx, r.arrived)) })
	all.Go(func() { accept(coordinator, hand(ctx, waiting)) })

	lost := time.NewTimer(patience)
	defer lost.Stop()
	ended := make(chan struct{})
	for held := 0; ; {
		select {
		case conn := <-waiting:
			held++
			lost.Stop()
			all.Go(func() {
				r.serve(ctx, conn)
				select {
				case ended <- struct{}{}:
				case <-ctx.Done():
				}
			})
		case <-ended:
			if held--; held == 0 {
				lost.Reset(patience)
			}
		case <-lost.C:
			return fmt.Errorf("%w: it has had no connection for %s", ErrLost, patience)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// accept hands what comes to a listener to take, until the listener is closed.
func accept(from net.Listener, take func(net.Conn)) {
	for {
		conn, err := from.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(redial) // out of descriptors, or worse: it may pass
			continue
		}
		take(conn)
	}
}

// hand sends connections to a channel until ctx ends, and closes those that come after.
func hand(ctx context.Context, to chan<- net.Conn) func(net.Conn) {
	return func(conn net.Conn) {
		select {
		case to <- conn:
		case <-ctx.Done():
			conn.Close()
		}
	}
}

type relay struct {
	arrived chan net.Conn // workers that nobody has been joined to
}

// serve joins a connection of the coordinator to the next worker, and carries what
// they say until either ends.
func (r *relay) serve(ctx context.Context, coordinator net.Conn) {
	defer coordinator.Close()
	end := context.AfterFunc(ctx, func() { coordinator.Close() })
	defer end()
	// The coordinator says nothing before it is joined: what is heard is its end.
	from := bufio.NewReader(coordinator)
	heard := make(chan error, 1)
	go func() {
		_, err := from.Peek(1)
		heard <- err
	}()
	var worker net.Conn
	select {
	case worker = <-r.arrived:
	case <-heard:
		return
	case <-ctx.Done():
		return
	}
	defer worker.Close()
	if _, err := coordinator.Write([]byte{joinedByte}); err != nil {
		return // the worker dials again
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(coordinator, worker) // either's end is told to the other
		coordinator.Close()
	}()
	if <-heard == nil {
		_, _ = io.Copy(worker, from)
	}
	worker.Close()
	<-done
}

// Through returns a listener of the connections that a Relay joins. dial reaches the
// relay, and is called again for each: one connection is always waiting there.
func Through(dial func(context.Context) (net.Conn, error)) net.Listener {
	ctx, cancel := context.WithCancel(context.Background())
	return &through{dial, ctx, cancel}
}

type through struct {
	dial   func(context.Context) (net.Conn, error)
	ctx    context.Context
	cancel context.CancelFunc
}

func (l *through) Accept() (net.Conn, error) {
	conn, err := l.dial(l.ctx)
	if err == nil {
		if err = l.joined(conn); err == nil {
			return conn, nil
		}
		conn.Close()
	}
	if l.ctx.Err() != nil {
		return nil, net.ErrClosed
	}
	return nil, fmt.Errorf("waiting at the relay: %w", err)
}

// joined returns once a worker is at the other end of conn.
func (l *through) joined(conn net.Conn) error {
	stop := context.AfterFunc(l.ctx, func() { conn.Close() })
	defer stop()
	var told [1]byte
	if _, err := io.ReadFull(conn, told[:]); err != nil {
		return err
	}
	if told[0] != joinedByte {
		return errors.New("what answers there is no relay")
	}
	return nil
}

func (l *through) Close() error {
	l.cancel()
	return nil
}

// Addr is of no place: workers dial the relay.
func (l *through) Addr() net.Addr { return &net.TCPAddr{} }
