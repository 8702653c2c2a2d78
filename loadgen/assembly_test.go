package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// A sharedRun is what the shares of a run told.
type sharedRun struct {
	started   time.Time
	intervals [][][]byte // by share
	results   []*Result
	all       *stats.Histogram // of each success, as one process records it
	seen      map[int64]int    // how often each request was made
}

// runShares runs all shares of cfg at once, from one start.
func runShares(t *testing.T, cfg Config, of int, end <-chan time.Time) *sharedRun {
	t.Helper()
	s := &sharedRun{intervals: make([][][]byte, of), results: make([]*Result, of), all: stats.NewHistogram(), seen: map[int64]int{}}
	var ready, running sync.WaitGroup
	var mu sync.Mutex
	ready.Add(of)
	start := make(chan struct{})
	ends := make([]chan time.Time, of)
	for i := range of {
		ends[i] = make(chan time.Time, 1)
		running.Go(func() {
			var err error
			s.results[i], err = Run(t.Context(), cfg, Options{
				Share: Share{i, of}, Workers: 1 + i%2, End: ends[i],
				Begin:      func(context.Context) (time.Time, error) { ready.Done(); <-start; return s.started, nil },
				OnInterval: func(data []byte) { s.intervals[i] = append(s.intervals[i], bytes.Clone(data)) },
				OnHit: func(h *Hit) {
					mu.Lock()
					defer mu.Unlock()
					s.seen[h.Seq]++
					if !h.Warmup && h.Kind == "" {
						s.all.RecordNanos(int64(h.End - h.Intended))
					}
				},
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	ready.Wait()
	s.started = time.Now().Add(50 * time.Millisecond)
	close(start)
	if end != nil {
		at := <-end
		for _, e := range ends {
			e <- at
		}
	}
	running.Wait()
	return s
}

// assemble gives an assembly what the shares told, second by second.
func (s *sharedRun) assemble(t *testing.T, a *Assembly) {
	t.Helper()
	for k := range slices.MaxFunc(s.intervals, func(a, b [][]byte) int { return len(a) - len(b) }) {
		for i, list := range s.intervals {
			if k < len(list) {
				if err := a.Add(i, list[k]); err != nil {
					t.Fatalf("share %d: %v", i, err)
				}
			}
		}
	}
	for i, r := range s.results {
		a.End(i, r)
	}
}

// isBusy reports whether a result is Invalid for the sake of a busy machine alone.
func isBusy(r *Result) bool { return strings.Contains(r.ValidityReason, " was the limit: ") }

func countingServer(t *testing.T) (url string, count func() int64) {
	var mu sync.Mutex
	n := int64(0)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		mu.Unlock()
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, func() int64 { mu.Lock(); defer mu.Unlock(); return n }
}

func TestSharesAreTogetherOneRun(t *testing.T) {
	for name, cfg := range map[string]Config{
		"poisson":  {Rate: 400, Arrivals: "poisson", Seed: 5},
		"constant": {Rate: 300},
		"closed":   {Connections: 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, count := countingServer(t)
			cfg.Targets = []string{"GET " + url + "/a?k={{seq}}", "GET " + url + "/missing"}
			cfg.Warmup, cfg.Duration = unit.Duration(500*time.Millisecond), unit.Duration(1500*time.Millisecond)
			cfg.Checks = []string{"status 200"}
			s := runShares(t, cfg, 3, nil)
			var seconds []Second
			a, err := NewAssembly(cfg, Options{OnSecond: func(sec Second, _ *stats.Histogram) { seconds = append(seconds, sec) }}, 3, s.started)
			if err != nil {
				t.Fatal(err)
			}
			s.assemble(t, a)
			r := a.Result()
			if r.Validity == Invalid && !isBusy(r) {
				t.Fatalf("invalid: %s", r.ValidityReason)
			}
			if int64(len(s.seen)) != count() {
				t.Errorf("%d different requests, the server had %d", len(s.seen), count())
			}
			for k, n := range s.seen {
				if n != 1 {
					t.Fatalf("request %d was made %d times", k, n)
				}
			}
			if !slices.Equal(r.Histograms.Response.Bins(), s.all.Bins()) || r.ResponseTime != s.all.Summary() {
				t.Errorf("merged %+v, one process %+v", r.ResponseTime, s.all.Summary())
			}
			sum := MergeTrials(s.results)
			if r.Requests != sum.Requests || r.Successes != sum.Successes || r.BytesIn != sum.BytesIn || r.Connections != sum.Connections ||
				r.Status["404"] != sum.Status["404"] || r.Errors["status"] != sum.Errors["status"] || r.Checks["status 200"] != sum.Checks["status 200"] ||
				len(r.Backends) != 1 || len(r.Targets) != 2 || r.Targets[1].Failures != r.Errors["status"] {
				t.Errorf("assembled %+v\nadded up %+v", r, sum)
			}
			first := math.Inf(1)
			for _, part := range s.results {
				first = min(first, part.BackendsSince[strings.TrimPrefix(url, "http://")])
			}
			if since, ok := r.BackendsSince[strings.TrimPrefix(url, "http://")]; !ok || since != first {
				t.Errorf("the backend served from %v s on, all of %v", first, r.BackendsSince)
			}
			scheduled := int64(0)
			for _, sec := range seconds {
				if sec.Offset >= 0 {
					scheduled += sec.Scheduled
				}
			}
			if cfg.Rate > 0 && (scheduled != r.Requests+r.Unsent+r.Unfinished || scheduled == 0) {
				t.Errorf("%d scheduled, %d finished, %d unsent, %d unfinished", scheduled, r.Requests, r.Unsent, r.Unfinished)
			}
			if len(seconds) != 3 || len(r.Workers) != 3 || r.Generator.CPUs != 4 {
				t.Errorf("%d seconds, workers %+v, generator %+v", len(seconds), r.Workers, r.Generator)
			}
		})
	}
}

// The whole asks the same of the target however many share it.
func TestTheWorkloadHashDoesNotKnowTheWorkers(t *testing.T) {
	url, _ := countingServer(t)
	cfg := Config{Targets: []string{"GET " + url}, Rate: 100, Duration: unit.Duration(time.Second)}
	hash := func(workers int) string {
		a, err := NewAssembly(cfg, Options{}, workers, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return a.run.workloadHash()
	}
	if hash(1) != hash(7) {
		t.Error("the hashes differ")
	}
}

func TestSharesEndAtOneTime(t *testing.T) {
	url, _ := countingServer(t)
	cfg := Config{Targets: []string{"GET " + url}, Rate: 500}
	end := make(chan time.Time, 1)
	at := time.Now().Add(1300 * time.Millisecond)
	end <- at
	s := runShares(t, cfg, 3, end)
	a, err := NewAssembly(cfg, Options{}, 3, s.started)
	if err != nil {
		t.Fatal(err)
	}
	a.Until(at)
	s.assemble(t, a)
	r := a.Result()
	if want := at.Sub(s.started).Seconds(); r.Validity == Invalid && !isBusy(r) || math.Abs(r.DurationSeconds-want) > 1e-9 || r.Requests+r.Unsent+r.Unfinished != int64(want*500)+1 {
		t.Errorf("%s (%s), %v s of %v, %d requests", r.Validity, r.ValidityReason, r.DurationSeconds, want, r.Requests)
	}
}

func TestWhatIsMissingMakesAnAssemblyInvalid(t *testing.T) {
	url, _ := countingServer(t)
	cfg := Config{Targets: []string{"GET " + url}, Rate: 200, Duration: unit.Duration(1100 * time.Millisecond)}
	s := runShares(t, cfg, 2, nil)
	assembly := func(cfg Config) *Assembly {
		a, err := NewAssembly(cfg, Options{}, 2, s.started)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	expect := func(a *Assembly, words string) {
		t.Helper()
		if r := a.Result(); r.Validity != Invalid || !strings.Contains(r.ValidityReason, words) {
			t.Errorf("%s: %q, want %q", r.Validity, r.ValidityReason, words)
		}
	}
	a := assembly(cfg)
	if err := a.Add(1, s.intervals[1][1]); err == nil || !strings.Contains(err.Error(), "second 0 was due") {
		t.Errorf("a gap: %v", err)
	}
	a = assembly(cfg)
	if err := a.Add(1, s.intervals[1][0]); err != nil {
		t.Fatal(err)
	}
	if err := a.Add(1, s.intervals[1][0]); err == nil {
		t.Error("a second was taken twice")
	}
	if err := a.Add(1, s.intervals[1][1][:20]); err == nil {
		t.Error("half an interval was taken")
	}
	a = assembly(cfg)
	s.assemble(t, a)
	a.End(1, nil)
	expect(a, "worker 1: its last seconds are missing")
	a = assembly(cfg)
	a.Lose(0, "the connection broke")
	s.assemble(t, a)
	expect(a, "worker 0: the connection broke")
	// The workers had another schedule.
	cfg.Rate = 300
	a = assembly(cfg)
	s.assemble(t, a)
	expect(a, "worker 0: 165 requests were its share of the schedule, and it had 110 to send (and 1 more like it)")
	// There is no connection for each.
	cfg.Rate, cfg.Connections = 0, 1
	if _, err := NewAssembly(cfg, Options{}, 2, s.started); err == nil || !strings.Contains(err.Error(), "2 workers can't share 1 connections") {
		t.Errorf("too few connections: %v", err)
	}
}

func TestOneLimitedWorkerMakesTheWholeInvalid(t *testing.T) {
	url, _ := countingServer(t)
	cfg := Config{Targets: []string{"GET " + url}, Connections: 2, Duration: unit.Duration(300 * time.Millisecond)}
	s := runShares(t, cfg, 2, nil)
	a, err := NewAssembly(cfg, Options{}, 2, s.started)
	if err != nil {
		t.Fatal(err)
	}
	s.results[0].Validity = Valid
	s.results[1].Validity, s.results[1].ValidityReason = GeneratorLimited, "it was slow"
	s.assemble(t, a)
	if r := a.Result(); r.Validity != Invalid || r.ValidityReason != "worker 1 was the limit: it was slow" || !r.generatorLimited() {
		t.Errorf("%s: %s", r.Validity, r.ValidityReason)
	}
}

func FuzzInterval(f *testing.F) {
	w, b := newWindow(0, 2), &backends{}
	f.Add(w.appendInterval(nil, 0, b))
	for i := range int64(9) {
		w.add(&sample{intended: i, sent: i + 1, end: i * 1e6, backend: b.indexOf("10.0.0.1:80"), status: 200, kind: kind(i % 3), target: int32(i % 2), named: true}, true)
	}
	f.Add(w.appendInterval(nil, 9, b))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := intervalReader{data: data}
		in.index()
		scheduled := in.count(maxCount)
		w, b := newWindow(0, 2), &backends{}
		if w.addInterval(&in, b) != nil {
			return
		}
		encoded := w.appendInterval(nil, scheduled, b)
		in = intervalReader{data: encoded}
		in.index()
		in.count(maxCount)
		again := newWindow(0, 2)
		if err := again.addInterval(&in, b); err != nil || !bytes.Equal(again.appendInterval(nil, scheduled, b), encoded) {
			t.Errorf("what was written is not what was read: %v", err)
		}
	})
}

// A body of any bytes is the same on another machine.
func TestABundleKeepsABodyThatIsNoText(t *testing.T) {
	cfg := Config{Targets: []string{"POST http://host/"}, Body: "\xff\x00\xfe {{seq}}"}
	b, err := cfg.Bundle()
	if err != nil {
		t.Fatal(err)
	}
	sent, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	var there Bundle
	if err := json.Unmarshal(sent, &there); err != nil {
		t.Fatal(err)
	}
	_, body := wire(t, source(t, there.Open()), 7)
	if body != "\xff\x00\xfe 7" || source(t, there.Open()).Workload() != source(t, cfg).Workload() {
		t.Errorf("the body is %q", body)
	}
}
