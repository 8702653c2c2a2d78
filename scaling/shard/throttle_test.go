package shard

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

func TestAShutGateHoldsWritersBack(t *testing.T) {
	g := newGate()
	ctx, cancel := context.WithCancelCause(t.Context())
	w := g.writer(ctx, io.Discard)
	if _, err := w.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	g.set("a replica lags")
	g.set("it still lags")
	written := make(chan error, 1)
	go func() {
		_, err := w.Write([]byte("x"))
		written <- err
	}()
	select {
	case <-written:
		t.Fatal("a shut gate let a row pass")
	default:
	}
	g.set("")
	if err := <-written; err != nil || g.waiting() != "" {
		t.Errorf("%v, %q", err, g.waiting())
	}
	g.set("again")
	cancel(errors.New("stopped"))
	if _, err := w.Write([]byte("x")); err == nil || err.Error() != "stopped" {
		t.Errorf("%v", err)
	}
}

func TestReasonsToHoldBack(t *testing.T) {
	limits := Throttle{ReplicaLag: unit.Duration(2 * time.Second), ActiveSessions: 3}
	for _, c := range []struct {
		lag    float64
		active int
		says   string
	}{{2, 3, ""}, {2.5, 0, "lags 2.5 s"}, {0, 4, "4 other sessions"}} {
		if got := limits.reason(c.lag, c.active); c.says == "" != (got == "") || !strings.Contains(got, c.says) {
			t.Errorf("%v, %d: %q", c.lag, c.active, got)
		}
	}
	if got := (Throttle{}).reason(1e9, 1e6); got != "" {
		t.Errorf("no limits: %q", got)
	}
}

// A role that is not shown the load is told so.
func TestAThrottleThatSeesNothing(t *testing.T) {
	t.Parallel()
	s := emptyStage(t)
	conn := s.conn("source")
	if warning, err := throttleWarning(t.Context(), conn, "primary"); err != nil || warning != "" {
		t.Errorf("%q, %v", warning, err)
	}
	if _, err := conn.Exec(t.Context(), "SET ROLE pg_signal_backend"); err != nil {
		t.Fatal(err)
	}
	if warning, err := throttleWarning(t.Context(), conn, "primary"); err != nil || !strings.Contains(warning, "the role pg_signal_backend does not see") {
		t.Errorf("%q, %v", warning, err)
	}
}

// What ends before its throttle has looked for the first time does not fail by it.
func TestAThrottleMayEndAtAnyTime(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 100)
	c := s.plainConfig(Fenced, 5, 20)
	c.Throttle.ActiveSessions = 50
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.job(c).throttle(ended, newGate()); err != nil {
		t.Error(err)
	}
}

// A copy waits while the source is busy, says so, and ends once it is not.
func TestACopyWaitsForABusySource(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 2_000)
	c := s.plainConfig(Fenced, 5, 20)
	c.Throttle.ActiveSessions = 1
	busy, cancel := context.WithCancel(t.Context())
	var sleepers sync.WaitGroup
	for range 3 {
		conn := s.conn("source")
		sleepers.Go(func() { _, _ = conn.Exec(busy, "SELECT pg_sleep(600)") }) // it is cancelled
	}
	j := s.job(c)
	told := make(chan string, 1)
	j.opts.OnProgress = func(p Progress) {
		if strings.Contains(p.Waiting, "active") {
			select {
			case told <- p.Waiting:
				cancel()
			default:
			}
		}
	}
	must[*MoveResult](t)(j.Move(t.Context()))
	sleepers.Wait()
	cancel()
	if reason := <-told; !strings.Contains(reason, "other sessions are active") {
		t.Errorf("%q", reason)
	}
	s.assertEqual(j)
}
