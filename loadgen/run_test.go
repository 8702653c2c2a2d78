package loadgen

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scaleproof/internal/invalid"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// engines are those that this system has.
func engines() []string { return []string{"goroutines", "epoll"} }

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func load(t *testing.T, cfg Config, opts Options) *Result {
	t.Helper()
	res, err := Run(t.Context(), cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// loadOf makes the first n requests of cfg's schedule, and ends with the last
// answer: on a busy machine they are late, and none is left out.
func loadOf(t *testing.T, n int64, cfg Config, opts Options) *Result {
	t.Helper()
	until := (float64(n) - .5) / float64(cfg.Rate)
	cfg.Stages = []Stage{{Rate: cfg.Rate, Duration: unit.Duration(until * 1e9)}, {Duration: unit.Duration(time.Hour)}}
	cfg.Rate = 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var hits atomic.Int64
	told := opts.OnHit
	opts.OnHit = func(h *Hit) {
		if told != nil {
			told(h)
		}
		if hits.Add(1) == n {
			cancel()
		}
	}
	res, err := Run(ctx, cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	if res.Requests != n || res.Unsent != 0 || res.Unfinished != 0 {
		t.Errorf("%d requests, %d unsent, %d unfinished; want %d", res.Requests, res.Unsent, res.Unfinished, n)
	}
	return res
}

func TestTheOpenModelSendsWhatIsScheduled(t *testing.T) {
	for _, engine := range engines() {
		for _, arrivals := range []string{"constant", "poisson"} {
			t.Run(engine+" "+arrivals, func(t *testing.T) {
				t.Parallel()
				url := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/bad" {
						w.WriteHeader(503)
					}
				})
				var seconds []Second
				res := load(t, Config{
					Targets: []string{"GET " + url + "/a", "POST " + url + "/bad"}, Arrivals: arrivals,
					Rate: 400, Duration: unit.Duration(1500 * time.Millisecond), Warmup: unit.Duration(300 * time.Millisecond),
				}, Options{Engine: engine, OnSecond: func(s Second, _ *stats.Histogram) { seconds = append(seconds, s) }})
				checkOpen(t, res, arrivals)
				if len(seconds) != 3 || seconds[0].Offset != -1 || math.Abs(seconds[0].Length-.3) > 1e-9 || math.Abs(seconds[2].Length-.5) > 1e-9 {
					t.Errorf("seconds were told as %+v", seconds)
				}
			})
		}
	}
}

func checkOpen(t *testing.T, res *Result, arrivals string) {
	t.Helper()
	if res.Requests+res.Unsent != int64(math.Round(res.OfferedRate*res.DurationSeconds)) || res.Unfinished != 0 {
		t.Errorf("%d requests, %d unsent, %d unfinished at %v/s for %v s", res.Requests, res.Unsent, res.Unfinished, res.OfferedRate, res.DurationSeconds)
	}
	if arrivals == "constant" && res.OfferedRate != 400 || math.Abs(res.OfferedRate-400) > 4*math.Sqrt(400/1.5) {
		t.Errorf("offered %v/s", res.OfferedRate)
	}
	if res.Status["200"] != res.Successes || res.Status["503"] != res.Errors["status"] || res.Requests != res.Successes+res.Errors["status"] {
		t.Errorf("status %v, errors %v of %d", res.Status, res.Errors, res.Requests)
	}
	if n := res.Targets[0].Requests - res.Targets[1].Requests; res.Unsent == 0 && (n < -1 || n > 1) || res.Targets[1].Failures != res.Targets[1].Requests {
		t.Errorf("targets %+v", res.Targets)
	}
	var perSecond int64
	for _, s := range res.Seconds {
		perSecond += s.Requests
	}
	if perSecond == 0 || len(res.Backends) != 1 {
		t.Errorf("%d requests over %+v, backends %v", res.Requests, res.Seconds, res.Backends)
	}
}

// Connections bound those to all targets together.
func TestTargetsShareTheConnections(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			const connections = 3
			var mu sync.Mutex
			open, most := map[net.Conn]bool{}, 0
			var urls []string
			for range 4 {
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				s.Config.ConnState = func(conn net.Conn, state http.ConnState) {
					mu.Lock()
					defer mu.Unlock()
					if open[conn] = true; state == http.StateClosed {
						delete(open, conn)
					}
					most = max(most, len(open))
				}
				s.Start()
				defer s.Close()
				urls = append(urls, s.URL)
			}
			res := loadOf(t, 200, Config{Targets: urls, Rate: 1000, Connections: connections}, Options{Engine: engine})
			mu.Lock()
			defer mu.Unlock()
			// What the generator has closed the server may not have seen yet.
			if res.Successes != 200 || most > 3*connections {
				t.Errorf("%d of 200 succeeded on %d connections, errors %v", res.Successes, most, res.Errors)
			}
		})
	}
}

func TestTheClosedModelKeepsItsConnectionsBusy(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			now, most := 0, 0
			url := serve(t, func(http.ResponseWriter, *http.Request) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				time.Sleep(20 * time.Millisecond)
				mu.Lock()
				now--
				mu.Unlock()
			})
			res := load(t, Config{Targets: []string{url}, Connections: 8, Duration: unit.Duration(500 * time.Millisecond)}, Options{Engine: engine})
			mu.Lock()
			defer mu.Unlock()
			if most != 8 || res.Connections != 8 {
				t.Errorf("%d requests at once on %d connections, want 8", most, res.Connections)
			}
			if res.Requests < 8 || res.Requests > 200 || res.ResponseTime.P50 < .02 || res.OfferedRate != 0 {
				t.Errorf("%d requests, p50 %v", res.Requests, res.ResponseTime.P50)
			}
		})
	}
}

func TestTheContextsEndIsANormalEnd(t *testing.T) {
	for _, engine := range engines() {
		for name, rate := range map[string]unit.Rate{"open": 200, "closed": 0} {
			t.Run(engine+" "+name, func(t *testing.T) {
				t.Parallel()
				block := make(chan struct{})
				url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/hang" {
						<-block
					}
				})
				t.Cleanup(func() { close(block) })
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				started := time.Now()
				var hits atomic.Int64
				res, err := Run(ctx, Config{Targets: []string{url, url + "/hang"}, Rate: rate, Connections: 400}, Options{
					Engine: engine, OnHit: func(*Hit) {
						if hits.Add(1) == 50 {
							cancel()
						}
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(started); took > defaultTimeout/2 {
					t.Errorf("the end took until %v", took)
				}
				if res.DurationSeconds <= 0 || res.Successes < 50 || res.Unfinished == 0 || len(res.Errors) > 0 {
					t.Errorf("%v s, %d successes, %d unfinished, errors %v", res.DurationSeconds, res.Successes, res.Unfinished, res.Errors)
				}
			})
		}
	}
}

// A run that its context ends in the warm-up sends nothing more, and has measured
// nothing.
func TestTheContextsEndInTheWarmUp(t *testing.T) {
	for _, engine := range append(engines(), engineHTTP2) {
		for name, rate := range map[string]unit.Rate{"open": 2000, "closed": 0} {
			t.Run(engine+" "+name, func(t *testing.T) {
				t.Parallel()
				url := serveHTTP2(t, func(http.ResponseWriter, *http.Request) {})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var hits, cancelled, last atomic.Int64
				started := time.Now()
				res, err := Run(ctx, Config{Targets: []string{url}, Rate: rate, Connections: 4, Warmup: unit.Duration(10 * time.Second), Duration: unit.Duration(time.Second)}, Options{
					Engine: engine, OnHit: func(h *Hit) {
						last.Store(int64(h.Sent))
						if hits.Add(1) == 50 {
							cancelled.Store(int64(h.End))
							cancel()
						}
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				if took, sent := time.Since(started), time.Duration(last.Load()-cancelled.Load()); took > 5*time.Second || sent > grace*9/10 {
					t.Errorf("it took %v, and requests were sent for %v after the end", took, sent)
				}
				if res.Requests != 0 || res.Unsent != 0 || res.Unfinished != 0 || res.DurationSeconds != 0 || len(res.Seconds) != 0 {
					t.Errorf("%d requests, %d unsent, %d unfinished in %v s", res.Requests, res.Unsent, res.Unfinished, res.DurationSeconds)
				}
			})
		}
	}
}

// lateContext ends before those who asked to be called then are, as any context
// does on a busy machine.
type lateContext struct {
	context.Context
	by time.Duration
}

// Value hides the context within, which would be asked past AfterFunc.
func (lateContext) Value(any) any { return nil }

func (c lateContext) AfterFunc(f func()) (stop func() bool) {
	return context.AfterFunc(c.Context, func() { time.AfterFunc(c.by, f) })
}

// What is given up at the context's end is no failure of the target, however
// late the run learns of the end.
func TestWhatIsGivenUpIsNoFailure(t *testing.T) {
	for _, engine := range append(engines(), engineHTTP2) {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var hanging atomic.Int64
			url := serveHTTP2(t, func(_ http.ResponseWriter, r *http.Request) {
				if hanging.Add(1) == 8 {
					cancel()
				}
				<-r.Context().Done()
			})
			res, err := Run(lateContext{ctx, 300 * time.Millisecond}, Config{Targets: []string{url}, Connections: 8}, Options{Engine: engine})
			if err != nil {
				t.Fatal(err)
			}
			if res.Requests != 0 || res.Unfinished != 8 || len(res.Errors) > 0 {
				t.Errorf("%d requests, %d unfinished, errors %v", res.Requests, res.Unfinished, res.Errors)
			}
		})
	}
}

// Connections that rest after a failure don't keep the others from being read
// after the end.
func TestAnswersAfterTheEndAreRead(t *testing.T) {
	refusing := refusingURL(t)
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(http.ResponseWriter, *http.Request) {
				time.Sleep(100 * time.Millisecond) // the work of the service
			})
			res := load(t, Config{
				Targets: []string{url, refusing}, Weights: []int{1, 20}, Connections: 12,
				Duration: unit.Duration(250 * time.Millisecond), Timeout: unit.Duration(5 * time.Second),
			}, Options{Engine: engine, Workers: 1})
			if res.Successes == 0 || res.Errors["refused"] == 0 || len(res.Errors) != 1 || res.Unfinished != 0 {
				t.Errorf("%d successes, %d unfinished, errors %v", res.Successes, res.Unfinished, res.Errors)
			}
		})
	}
}

func TestHitsTellTheClocksAndTheAnswer(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Here", "yes")
				_, _ = w.Write([]byte("hello"))
			})
			var mu sync.Mutex
			seen := map[int64]bool{}
			res := load(t, Config{Targets: []string{url + "/x"}, Rate: 100, Duration: unit.Duration(500 * time.Millisecond)}, Options{
				Engine: engine, Keep: true, KeepBody: 4,
				OnHit: func(h *Hit) {
					mu.Lock()
					defer mu.Unlock()
					seen[h.Seq] = true
					if h.Intended > h.Sent || h.Sent > h.FirstByte || h.FirstByte > h.End || string(h.Body) != "hell" || len(h.Head) == 0 || h.BytesOut != int64(len(h.Request)) {
						t.Errorf("hit %+v", h)
					}
				},
			})
			if int64(len(seen)) != res.Requests || !seen[0] {
				t.Errorf("%d hits of %d requests", len(seen), res.Requests)
			}
		})
	}
}

func TestSamplesOfATrial(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	res := loadOf(t, 30, Config{Name: "api", Targets: []string{url}, Rate: 100}, Options{})
	var b snapshot.Builder
	if err := b.AddTrial(res.Samples()); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	_, metrics := b.Build()
	for _, m := range metrics {
		values[m.Name] = m.Values[0]
	}
	if values["load.api.response.p99"] != res.ResponseTime.P99 || values["load.api.throughput"] != res.Throughput || values["load.api.errors"] != 0 {
		t.Errorf("samples %v", values)
	}
	res.Name = ""
	if name := res.Samples()[0].Name; name != "load.load.response.p50" {
		t.Errorf("without a name: %s", name)
	}
}

func TestEqualWorkloadsHaveEqualHashes(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	hash := func(change func(*Config)) string {
		cfg := Config{Targets: []string{url}, Rate: 50, Duration: unit.Duration(50 * time.Millisecond)}
		change(&cfg)
		return load(t, cfg, Options{}).WorkloadHash
	}
	same := hash(func(*Config) {})
	if hash(func(c *Config) { c.Name = "other" }) != same {
		t.Error("a name changes the workload")
	}
	for name, change := range map[string]func(*Config){
		"rate": func(c *Config) { c.Rate = 60 }, "seed": func(c *Config) { c.Seed = 1 }, "body": func(c *Config) { c.Body = "x" },
	} {
		if hash(change) == same {
			t.Errorf("a change of %s does not change the workload", name)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	err := (&Config{
		Targets: []string{"GET ftp://x/", "get http://x/"}, Headers: []string{"nonsense"}, Arrivals: "bursts",
		Connections: -1, FindCapacity: true, Rate: 1, Stages: []Stage{{}},
	}).Validate()
	for _, path := range []string{"targets[0]", "targets[1]", "headers[0]", "arrivals", "connections", "slo", "stages", "stages[0]"} {
		if !namesField(err, path) {
			t.Errorf("%v names no %s", err, path)
		}
	}
	if err := (&Config{Targets: []string{"http://host"}}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestWaysOfWorkersThatExcludeEachOther(t *testing.T) {
	for path, w := range map[string]Workers{
		"workers.through":   {Count: 1, Image: "x", Through: "tunnel"},
		"workers.advertise": {Count: 1, Image: "x", Through: PortForward, Advertise: "192.0.2.7"},
		"":                  {Count: 1, Image: "x", Through: PortForward},
	} {
		if err := (&Config{Targets: []string{"http://host"}, Workers: w}).Validate(); (err != nil) != (path != "") || path != "" && !namesField(err, path) {
			t.Errorf("%+v: %v", w, err)
		}
	}
	local := Workers{Count: 1, Local: true, Through: PortForward}
	if err := (&Config{Targets: []string{"http://host"}, Workers: local}).Validate(); !namesField(err, "workers.through") {
		t.Errorf("processes of this machine: %v", err)
	}
}

func namesField(err error, path string) bool {
	for _, e := range invalid.All(err) {
		var field *invalid.FieldError
		if errors.As(e, &field) && field.Path == path {
			return true
		}
	}
	return false
}
