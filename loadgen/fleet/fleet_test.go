package fleet

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

func TestFourProcessesAreOneLoad(t *testing.T) {
	t.Parallel()
	w, tg, files := newCrew(t, Options{Workers: 4}), newTarget(t), hitFiles(t, 4)
	for i, path := range files {
		w.worker(i, "FLEET_HITS="+path)
	}
	w.await()
	cfg := tg.config(400, 1500*time.Millisecond)
	cfg.Arrivals, cfg.Seed, cfg.Feeder = "poisson", 9, filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(cfg.Feeder, []byte("id\n1\n2\n3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Targets[0] += "/{{row.id}}"
	scheduled := int64(0)
	r := w.load(cfg, loadgen.Options{OnSecond: func(s loadgen.Second, _ *stats.Histogram) { scheduled += s.Scheduled }})
	if incomplete(r) {
		t.Fatal(r.ValidityReason)
	}
	if r.Requests != tg.count.Load() || scheduled != r.Requests+r.Unsent || scheduled == 0 || r.Successes != r.Requests {
		t.Errorf("%d requests, %d unsent of %d scheduled, the target had %d", r.Requests, r.Unsent, scheduled, tg.count.Load())
	}
	if one := hitsOf(t, files); r.ResponseTime != one.Summary() || !slices.Equal(r.Histograms.Response.Bins(), one.Bins()) {
		t.Errorf("merged %+v, one process %+v", r.ResponseTime, one.Summary())
	}
	for i, worker := range r.Workers {
		if worker.Index != i || worker.Host != "host"+string(rune('0'+i)) || worker.Requests == 0 {
			t.Errorf("worker %+v", worker)
		}
	}
	if len(r.Workers) != 4 || len(r.Seconds) != 2 {
		t.Errorf("%d workers, %d seconds", len(r.Workers), len(r.Seconds))
	}
}

func TestRunsFollowEachOther(t *testing.T) {
	t.Parallel()
	w, tg := newCrew(t, Options{Workers: 2}), newTarget(t)
	w.worker(0)
	w.worker(1)
	w.await()
	sum := int64(0)
	for range 3 {
		r := w.load(tg.config(100, 300*time.Millisecond), loadgen.Options{})
		if sum += r.Requests; incomplete(r) || sum != tg.count.Load() {
			t.Fatalf("%s: %d requests, the target had %d", r.ValidityReason, sum, tg.count.Load())
		}
	}
	closed := tg.config(0, 300*time.Millisecond)
	closed.Connections = 3
	if r := w.load(closed, loadgen.Options{}); incomplete(r) || r.Connections != 3 {
		t.Errorf("closed model: %s, %d connections", r.ValidityReason, r.Connections)
	}
	// What the workers refuse is told, and they go on.
	closed.Targets = []string{"GET http://127.0.0.1:1/{{row.x}}"}
	if _, err := loadgen.Run(t.Context(), closed, loadgen.Options{Fleet: w.c}); err == nil {
		t.Error("a row without a feeder was taken")
	}
	closed.Targets, closed.Connections = []string{"GET " + tg.url}, 1
	if _, err := loadgen.Run(t.Context(), closed, loadgen.Options{Fleet: w.c}); err == nil || !strings.Contains(err.Error(), "can't share 1 connections") {
		t.Errorf("one connection for two: %v", err)
	}
	if r := w.load(tg.config(100, 200*time.Millisecond), loadgen.Options{}); incomplete(r) {
		t.Error(r.ValidityReason)
	}
}

func TestASearchUsesTheSameWorkers(t *testing.T) {
	t.Parallel()
	w, tg := newCrew(t, Options{Workers: 2}), newTarget(t)
	w.worker(0)
	w.worker(1)
	w.await()
	cfg := tg.config(20, 300*time.Millisecond)
	// Nothing holds half a microsecond: each probe fails, and soon there is none
	// left to try.
	cfg.FindCapacity, cfg.SLO, cfg.Warmup = true, loadgen.SLO{P50: 500}, unit.Duration(50*time.Millisecond)
	cfg.Workers = loadgen.Workers{Count: 2, Local: true}
	probes := 0
	_, err := loadgen.Run(t.Context(), cfg, loadgen.Options{Fleet: w.c, OnProbe: func(loadgen.CurvePoint) { probes++ }})
	if err == nil || !strings.Contains(err.Error(), "service level") || probes < 3 {
		t.Errorf("%v after %d probes", err, probes)
	}
}

func TestASearchBySeveralWorkersFindsACapacity(t *testing.T) {
	t.Parallel()
	const limit, work = 8, 50 * time.Millisecond
	slots := make(chan struct{}, limit)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		slots <- struct{}{}
		time.Sleep(work) // the service's
		<-slots
	}))
	defer server.Close()
	w := newCrew(t, Options{Workers: 2})
	w.worker(0)
	w.worker(1)
	w.await()
	r := w.load(loadgen.Config{
		Targets: []string{"GET " + server.URL}, FindCapacity: true, SLO: loadgen.SLO{P99: unit.Duration(2 * time.Second), Errors: .01}, Workers: loadgen.Workers{Count: 2, Local: true},
		Rate: 40, Duration: unit.Duration(250 * time.Millisecond), Warmup: unit.Duration(50 * time.Millisecond),
	}, loadgen.Options{})
	most := limit / work.Seconds() // a busy machine makes a server slower, and none faster
	if c := r.Capacity; c.Rate <= 0 || c.Rate > 1.15*most || len(r.Workers) != 2 || len(c.Curve) < 4 {
		t.Errorf("capacity %+v by %d workers, the server's is %v", c, len(r.Workers), most)
	}
}

func TestTheEndOfTheContextEndsAll(t *testing.T) {
	t.Parallel()
	w, tg := newCrew(t, Options{Workers: 2}), newTarget(t)
	w.worker(0)
	w.worker(1)
	w.await()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-tg.first
		cancel()
	}()
	r, err := w.c.Run(ctx, tg.config(200, 0), loadgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if incomplete(r) || r.Requests == 0 || r.Requests+r.Unfinished != tg.count.Load() {
		t.Errorf("%s: %d requests and %d unfinished, the target had %d", r.ValidityReason, r.Requests, r.Unfinished, tg.count.Load())
	}
	// Once nothing is left to start, the context's end is an error.
	if _, err := w.c.Run(ctx, tg.config(200, 0), loadgen.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a run on a context that has ended: %v", err)
	}
}

func TestAKilledWorkerMakesTheRunInvalid(t *testing.T) {
	t.Parallel()
	w, tg := newCrew(t, Options{Workers: 3}), newTarget(t)
	w.worker(0)
	w.worker(1)
	victim := w.worker(2)
	w.await()
	go func() {
		<-tg.first
		_ = victim.Process.Kill()
	}()
	r := w.load(tg.config(100, time.Minute), loadgen.Options{})
	if r.Validity != loadgen.Invalid || !strings.Contains(r.ValidityReason, "worker 2: it was lost") || r.DurationSeconds > 50 {
		t.Errorf("%s: %s, after %v s", r.Validity, r.ValidityReason, r.DurationSeconds)
	}
	if _, err := w.c.Run(t.Context(), tg.config(100, time.Second), loadgen.Options{}); err == nil || !strings.Contains(err.Error(), "worker 2: it was lost") {
		t.Errorf("the next run: %v", err)
	}
}

// A load that is kept on for something else goes on without a lost worker.
func TestAnEndlessLoadGoesOnWithoutALostWorker(t *testing.T) {
	t.Parallel()
	w, tg := newCrew(t, Options{Workers: 2}), newTarget(t)
	w.worker(0)
	victim := w.worker(1)
	w.await()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	killed, after := false, 0
	r, err := w.c.Run(ctx, tg.config(100, 0), loadgen.Options{OnSecond: func(s loadgen.Second, _ *stats.Histogram) {
		if !killed {
			killed = true
			_ = victim.Process.Kill()
		} else if after++; after == 3 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r.Validity != loadgen.Invalid || len(r.Seconds) < 3 {
		t.Errorf("%s: %s, %d seconds", r.Validity, r.ValidityReason, len(r.Seconds))
	}
}

// All wait at the barrier for one that comes late, and for one that is stopped.
func TestALateWorkerIsWaitedFor(t *testing.T) {
	t.Parallel()
	w, tg := newCrew(t, Options{Workers: 2}), newTarget(t)
	w.worker(0)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.c.Await(ctx); err == nil || !strings.Contains(err.Error(), " of 2 have not come: ") {
		t.Errorf("one is missing: %v", err)
	}
	late := w.worker(1)
	w.await()
	if err := late.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(700*time.Millisecond, func() { _ = late.Process.Signal(syscall.SIGCONT) })
	r := w.load(tg.config(100, 500*time.Millisecond), loadgen.Options{})
	if incomplete(r) || r.Requests != tg.count.Load() {
		t.Errorf("%s: %d requests, the target had %d", r.ValidityReason, r.Requests, tg.count.Load())
	}
}

func TestClocks(t *testing.T) {
	t.Parallel()
	w, tg := newCrew(t, Options{Workers: 2, MaxSkew: 10 * time.Second}), newTarget(t)
	w.worker(0)
	w.worker(1, "FLEET_OFFSET=-3s")
	w.await()
	r := w.load(tg.config(100, 300*time.Millisecond), loadgen.Options{})
	if off := r.Workers[1]; incomplete(r) || off.ClockOffset+3 > off.ClockError+0.01 || off.ClockOffset+3 < -off.ClockError-0.01 || off.ClockError <= 0 {
		t.Errorf("%s: %+v", r.ValidityReason, off)
	}
	if r.Requests != tg.count.Load() || r.DurationSeconds != 0.3 {
		t.Errorf("%d requests in %v s, the target had %d", r.Requests, r.DurationSeconds, tg.count.Load())
	}
	wrong := newCrew(t, Options{Workers: 2})
	wrong.worker(0, "FLEET_OFFSET=1h")
	wrong.worker(1)
	wrong.await()
	r = wrong.load(tg.config(100, 300*time.Millisecond), loadgen.Options{})
	if r.Validity != loadgen.Invalid || !strings.Contains(r.ValidityReason, "worker 0: its clock is") || !strings.Contains(r.ValidityReason, "ahead, where 1s is allowed") {
		t.Errorf("%s: %s", r.Validity, r.ValidityReason)
	}
}

func TestWorkersEndWithTheirCoordinator(t *testing.T) {
	t.Parallel()
	tg, secret := newTarget(t), NewSecret()
	coordinator := start(t, secret, "FLEET_ROLE=coordinator", "FLEET_TARGET="+tg.url)
	address, err := coordinator.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	w := &crew{t: t, address: strings.TrimSpace(address), secret: secret}
	workers := []*process{w.worker(0), w.worker(1)}
	<-tg.first
	_ = coordinator.Process.Kill()
	for i, worker := range workers {
		if err := worker.wait(); worker.ProcessState.ExitCode() != 3 || !strings.Contains(worker.log.String(), ErrLost.Error()) {
			t.Errorf("worker %d: %v, %s", i, err, worker.log)
		}
	}
	count := tg.count.Load()
	time.Sleep(50 * time.Millisecond) // five more would have come
	if now := tg.count.Load(); now != count {
		t.Errorf("%d requests after the workers had ended", now-count)
	}
}

func TestByeEndsTheWorkers(t *testing.T) {
	t.Parallel()
	w := newCrew(t, Options{Workers: 1})
	worker := w.worker(0)
	w.await()
	if err := w.c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := worker.wait(); err != nil {
		t.Errorf("%v: %s", err, worker.log)
	}
}
