package fleet

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"scaleproof/loadgen"
)

// relayed returns a crew whose coordinator is reached through a relay alone, and
// what ends the relay.
func relayed(t *testing.T, workers int) (w *crew, end func() error) {
	t.Helper()
	inner, outer := listenLocal(t), listenLocal(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Relay(ctx, inner, outer, 0) }()
	listener := Through(func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", outer.Addr().String())
	})
	secret := NewSecret()
	c, err := Serve(listener, Options{Workers: workers, Secret: secret, Build: "test", MaxDoubt: patient})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	end = func() error {
		cancel()
		return <-ended
	}
	return &crew{t, c, inner.Addr().String(), secret}, end
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestWorkersThroughARelayAreOneLoad(t *testing.T) {
	t.Parallel()
	w, end := relayed(t, 3)
	tg := newTarget(t)
	for i := range 3 {
		w.worker(i)
	}
	w.await()
	for range 2 {
		before := tg.count.Load()
		r := w.load(tg.config(200, 500*time.Millisecond), loadgen.Options{})
		if incomplete(r) || r.Requests == 0 || r.Requests != tg.count.Load()-before {
			t.Errorf("%s: %d requests, the target had %d", r.ValidityReason, r.Requests, tg.count.Load()-before)
		}
	}
	if err := w.c.Close(); err != nil {
		t.Error(err)
	}
	if err := end(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The end of a relay is the end of the run: its workers are lost.
func TestWorkersAreLostWithTheirRelay(t *testing.T) {
	t.Parallel()
	w, end := relayed(t, 2)
	tg := newTarget(t)
	w.worker(0)
	w.worker(1)
	w.await()
	go func() {
		<-tg.first
		_ = end()
	}()
	r := w.load(tg.config(100, time.Minute), loadgen.Options{})
	if r.Validity != loadgen.Invalid {
		t.Errorf("%s: %s", r.Validity, r.ValidityReason)
	}
}

// A relay waits for its coordinator, and ends some time after the last of its
// connections has.
func TestARelayEndsWithoutItsCoordinator(t *testing.T) {
	t.Parallel()
	const patience = 50 * time.Millisecond
	if err := Relay(t.Context(), listenLocal(t), listenLocal(t), patience); !errors.Is(err, ErrLost) {
		t.Errorf("nobody has come: %v", err)
	}
	inner, outer := listenLocal(t), listenLocal(t)
	conn, err := net.Dial("tcp", outer.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var gone atomic.Bool
	time.AfterFunc(5*patience, func() {
		gone.Store(true)
		conn.Close()
	})
	if err := Relay(t.Context(), inner, outer, patience); !errors.Is(err, ErrLost) || !gone.Load() {
		t.Errorf("%v; the coordinator had gone: %v", err, gone.Load())
	}
}

func TestThroughEndsWhenItIsClosed(t *testing.T) {
	t.Parallel()
	silent := listenLocal(t)
	dialed := make(chan struct{})
	l := Through(func(ctx context.Context) (net.Conn, error) {
		defer close(dialed)
		return new(net.Dialer).DialContext(ctx, "tcp", silent.Addr().String())
	})
	go func() {
		<-dialed
		l.Close()
	}()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	l = Through(func(context.Context) (net.Conn, error) {
		a, b := net.Pipe()
		go b.Write([]byte("H"))
		return a, nil
	})
	if _, err := l.Accept(); err == nil || errors.Is(err, net.ErrClosed) {
		t.Errorf("what is no relay: %v", err)
	}
}
