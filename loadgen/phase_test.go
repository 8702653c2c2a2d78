package loadgen

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

// Each target and each phase has its own distributions, success and failure
// apart.
func TestTargetsAndPhasesHaveFiguresOfTheirOwn(t *testing.T) {
	for _, engine := range append(engines(), engineHTTP2) {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := serveHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/bad" {
					time.Sleep(20 * time.Millisecond) // the service's work
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			})
			res := load(t, Config{
				Targets: []string{url + "/", url + "/bad"}, Warmup: unit.Duration(100 * time.Millisecond),
				Stages: []Stage{
					{Rate: 100, Duration: unit.Duration(200 * time.Millisecond)},
					{Rate: 300, Ramp: unit.Duration(200 * time.Millisecond), Duration: unit.Duration(200 * time.Millisecond)},
				},
			}, Options{Engine: engine})
			var names []string
			var requests, failures int64
			for i, p := range res.Phases {
				names = append(names, p.Name)
				if i > 0 {
					requests += p.Requests
					failures += p.Failures
				}
				if p.Requests > 5 && (p.FailureTime.Min < .019 || p.ServiceTime.Max == 0 || p.ResponseTime.Min < 0) {
					t.Errorf("%+v", p)
				}
			}
			if got := strings.Join(names, ", "); got != "warm-up at 100/s, 100/s, ramp to 300/s, 300/s" {
				t.Errorf("phases: %s", got)
			}
			if warmup := res.Phases[0].Requests; warmup == 0 || warmup > 10 {
				t.Errorf("%d requests in the warm-up", warmup)
			}
			if requests != res.Requests || failures != res.Requests-res.Successes || res.Phases[0].From != -.1 || res.Phases[3].From != .4 {
				t.Errorf("%d requests, %d failures in phases %+v", requests, failures, res.Phases)
			}
			good, bad := res.Targets[0], res.Targets[1]
			if good.Failures != 0 || bad.Failures != bad.Requests || bad.ServiceTime.Max != 0 || bad.FailureTime.Min < .019 || good.FailureTime.Max != 0 {
				t.Errorf("targets %+v and %+v", good, bad)
			}
		})
	}
}

// Of many targets each has its response times alone, and a run that ends early
// tells no phase that it did not reach.
func TestManyTargetsAndAnEarlyEnd(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	cfg := Config{Stages: []Stage{{Rate: 200, Duration: unit.Duration(time.Hour)}, {Rate: 1, Duration: unit.Duration(time.Hour)}}}
	for range 20 {
		cfg.Targets = append(cfg.Targets, url)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	res, err := Run(ctx, cfg, Options{OnHit: func(h *Hit) {
		if h.Seq == 40 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Targets) != 20 || res.Targets[0].ServiceTime != nil || res.Targets[0].ResponseTime.Max == 0 {
		t.Errorf("%+v", res.Targets)
	}
	if len(res.Phases) != 1 || res.Phases[0].Requests != res.Requests || res.Phases[0].Length != res.DurationSeconds {
		t.Errorf("phases %+v of %d requests in %v s", res.Phases, res.Requests, res.DurationSeconds)
	}
}
