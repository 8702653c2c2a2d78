package loadgen

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

func trialResult(requests int64, seconds float64, validity Validity, ns int64) *Result {
	h := func() *stats.Histogram {
		h := stats.NewHistogram()
		for range requests {
			h.RecordNanos(ns)
		}
		return h
	}
	return &Result{
		Requests: requests, Successes: requests, DurationSeconds: seconds, Rate: float64(requests) / seconds,
		Throughput: float64(requests) / seconds, Validity: validity, ValidityReason: string(validity),
		Status: map[string]int64{"200": requests}, Backends: map[string]int64{"a": requests}, Warnings: []string{"w"},
		Histograms: &Histograms{Response: h(), Service: h(), Lateness: h(), Failures: stats.NewHistogram()},
	}
}

func TestMergeTrials(t *testing.T) {
	a, b := trialResult(100, 1, GeneratorLimited, 1e6), trialResult(300, 3, Valid, 3e6)
	m := MergeTrials([]*Result{a, b})
	if m.Requests != 400 || m.Status["200"] != 400 || m.Backends["a"] != 400 || m.DurationSeconds != 4 || m.Rate != 100 {
		t.Errorf("%+v", m)
	}
	if m.Validity != GeneratorLimited || m.ValidityReason != "generator-limited" || len(m.Warnings) != 1 {
		t.Errorf("validity %s (%s), warnings %v", m.Validity, m.ValidityReason, m.Warnings)
	}
	if math.Abs(m.ResponseTime.P50-.003) > 1e-5 || math.Abs(m.ResponseTime.Min-.001) > 1e-5 || m.Histograms.Response.Count() != 400 {
		t.Errorf("response time %+v", m.ResponseTime)
	}
	if a.Requests != 100 || a.Status["200"] != 100 || a.Histograms.Response.Count() != 100 {
		t.Error("a trial was changed")
	}
}

// Targets, phases and workers are merged as the whole is.
func TestMergeTrialsMergesTheParts(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	cfg := Config{Targets: []string{url + "/a", url + "/bad"}, Stages: []Stage{
		{Rate: 100, Duration: unit.Duration(200 * time.Millisecond)}, {Rate: 300, Duration: unit.Duration(200 * time.Millisecond)},
	}}
	var trials []*Result
	for i := range 3 {
		r := load(t, cfg, Options{})
		r.Workers = []Worker{{Index: 0, Requests: int64(10 * (i + 1)), LatenessP99: []float64{.1, .3, .2}[i], Validity: Valid}}
		trials = append(trials, r)
	}
	trials[0].Workers[0].Validity = GeneratorLimited
	trials[1].Capacity, trials[2].Capacity = &Capacity{Limit: "generator"}, &Capacity{Limit: "target", Rate: 5}
	m := MergeTrials(trials)
	parts := func(r *Result) []TargetResult {
		return append(slices.Clone(r.Targets), r.Phases[0].TargetResult, r.Phases[1].TargetResult)
	}
	for i, p := range parts(m) {
		var requests, failures int64
		longest := 0.0
		for _, trial := range trials {
			was := parts(trial)[i]
			requests, failures = requests+was.Requests, failures+was.Failures
			if was.Failures < was.Requests {
				longest = max(longest, was.ResponseTime.Max)
			}
		}
		if p.Requests != requests || p.Failures != failures || requests == 0 || p.ResponseTime.Max != longest && failures < requests || p.Lateness == nil {
			t.Errorf("part %d: %+v, want %d requests, %d failures, at most %v s", i, p, requests, failures, longest)
		}
	}
	if math.Abs(m.Phases[1].Length-.6) > 1e-9 || m.Phases[1].From != .2 {
		t.Errorf("phase %+v", m.Phases[1])
	}
	if w := m.Workers[0]; len(m.Workers) != 1 || w.Requests != 60 || w.LatenessP99 != .3 || w.Validity != GeneratorLimited || trials[2].Workers[0].Requests != 30 {
		t.Errorf("workers %+v", m.Workers)
	}
	if m.Capacity.Limit != "generator" || m.Capacity.Rate != 5 || trials[2].Capacity.Limit != "target" {
		t.Errorf("capacity %+v", m.Capacity)
	}
}

func TestTooManyPartsAreSaid(t *testing.T) {
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	cfg := Config{}
	for range maxNamedTargets + 1 {
		cfg.Targets = append(cfg.Targets, url)
	}
	for range maxPhases + 1 {
		cfg.Stages = append(cfg.Stages, Stage{Rate: 1000, Duration: unit.Duration(5 * time.Millisecond)})
	}
	r := load(t, cfg, Options{})
	if text := strings.Join(r.Warnings, "; "); len(r.Targets)+len(r.Phases) > 0 || !strings.Contains(text, "65 targets") || !strings.Contains(text, "17 ramps") {
		t.Errorf("%d targets, %d phases, warnings %v", len(r.Targets), len(r.Phases), r.Warnings)
	}
}
