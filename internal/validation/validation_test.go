package validation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scaleproof/internal/plan"
	"scaleproof/internal/stats"
	"scaleproof/internal/testpg"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// TestMain makes the test's program each of the workers that it starts, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Exit(workerMain(os.Args[2:]))
	}
	testpg.Main(m)
}

// A target is a service whose delay is set by PUT /delay, and whose answers can
// be made to fail.
type target struct {
	*httptest.Server
	delay   atomic.Int64 // milliseconds
	failing atomic.Bool
	puts    atomic.Int64
}

func newTarget(t *testing.T) *target {
	t.Helper()
	s := &target{}
	s.delay.Store(20)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /work", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Duration(s.delay.Load()) * time.Millisecond):
		case <-r.Context().Done():
		}
		if s.failing.Load() {
			http.Error(w, "broken", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("GET /delay", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.delay.Load()) })
	mux.HandleFunc("PUT /delay", func(w http.ResponseWriter, r *http.Request) {
		s.puts.Add(1)
		var delay int64
		if _, err := fmt.Fscan(r.Body, &delay); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.failing.Store(delay == 66)
		s.delay.Store(delay)
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE app_delay_seconds gauge\napp_delay_seconds{zone=\"a b\"} %g\nother 1\n", float64(s.delay.Load())/1000)
	})
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// planFor is a plan on the target: its action sets the delay.
func planFor(t *testing.T, s *target, delay int, more string) *plan.Plan {
	t.Helper()
	text := fmt.Sprintf(`version: 1
name: test
measure:
  trials: 4
  load:
    - {name: api, targets: ["GET %[1]s/work"], connections: 2, warmup: 20ms, duration: 200ms}
  scrape: [{url: "%[1]s/metrics", match: app_}]
  resources: {host: true}
action:
  steps:
    - {name: set, http: {method: PUT, url: "%[1]s/delay", body: "%[2]d", read: "%[1]s/delay", expect: "%[2]d"}}
%[3]s`, s.URL, delay, more)
	p, err := plan.Read("test.yaml", []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// options collects events.
func options(t *testing.T) (Options, func() string) {
	t.Helper()
	var mu sync.Mutex
	var lines strings.Builder
	opts := Options{
		Tool: "test", HTTP: http.DefaultClient, Now: time.Now, Abandon: context.Background(),
		OnEvent: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&lines, "%s %s\n", e.Phase, e.Text)
		},
	}
	return opts, func() string {
		mu.Lock()
		defer mu.Unlock()
		return lines.String()
	}
}

// What the trials can't see is told: by their number before anything is measured, and
// by their noise before anything is changed.
func TestARunWarnsOfWhatItCanNotSee(t *testing.T) {
	s := newTarget(t)
	opts, events := options(t)
	r, err := Run(t.Context(), planFor(t, s, 5, "gates: [{metric: load.api.response.p50, min_change: 0.001%}, {metric: load.api.p99, min_change: 0.001%}]\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	const few, noisy = "warning: with 2 gates and 4 trials a regression of one gate alone can't be found", "by the noise of the first trials, load.api.response.p99 looks for a change beyond"
	told := events()
	if at := strings.Index(told, few); at < 0 || at > strings.Index(told, "trial 1 of 4") {
		t.Errorf("the number of trials is not told before them:\n%s", told)
	}
	if at := strings.Index(told, noisy); at < 0 || at > strings.Index(told, "step set") {
		t.Errorf("the noise is not told before the action:\n%s", told)
	}
	for _, want := range []string{few[len("warning: "):], noisy} {
		if !strings.Contains(strings.Join(slices.Concat(r.Warnings, r.Comparison.Warnings), "\n"), want) {
			t.Errorf("the report does not tell: %s", want)
		}
	}
}

func TestAnImprovementPassesAndStays(t *testing.T) {
	s := newTarget(t)
	opts, events := options(t)
	opts.JournalDir = t.TempDir()
	r, err := Run(t.Context(), planFor(t, s, 5, "objectives: [scrape.app_delay_seconds.a_b <= 0.5x]\nchecklist:\n"+
		"  - {id: a, text: applied, evidence: {step: set}}\n  - {id: b, text: ran, evidence: {command: [\"true\"]}}\n"+
		"  - {id: c, text: did not, evidence: {command: [\"false\"]}}\n  - {id: d, text: nobody knows}\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Pass || s.delay.Load() != 5 || r.Action.Rollback != nil {
		t.Errorf("verdict %+v, delay %d, events\n%s", r.Verdict, s.delay.Load(), events())
	}
	for _, name := range []string{"load.api.response.p99", "scrape.app_delay_seconds.a_b", "host.cpu"} {
		if m := r.Before.Metric(name); m == nil || len(m.Values.Observed()) != 4 {
			t.Errorf("before has %s as %+v", name, m)
		}
	}
	if r.Before.Metric("scrape.other") != nil {
		t.Error("a series that does not match was kept")
	}
	if r.Before.WorkloadHash == "" || r.Before.WorkloadHash != r.After.WorkloadHash {
		t.Errorf("workload hashes %q and %q", r.Before.WorkloadHash, r.After.WorkloadHash)
	}
	want := map[string]reports.ItemState{
		"objectives": reports.ItemDone, "load-test": reports.ItemDone, "rollback": reports.ItemUnknown,
		"team": reports.ItemUnknown, "a": reports.ItemDone, "b": reports.ItemDone, "c": reports.ItemFailed, "d": reports.ItemUnknown,
	}
	for id, state := range want {
		if item := itemOf(r, id); item.State != state || item.Evidence == "" {
			t.Errorf("checklist: %s is %+v, want %s", id, item, state)
		}
	}
	if r.Design != reports.Uncontrolled || len(r.Events) == 0 {
		t.Errorf("design %q, %d events", r.Design, len(r.Events))
	}
	if journals, _ := filepath.Glob(filepath.Join(opts.JournalDir, "*.jsonl")); len(journals) != 1 {
		t.Errorf("journals %v", journals)
	}
}

func itemOf(r *reports.Report, id string) reports.ChecklistItem {
	for _, item := range r.Checklist {
		if item.ID == id {
			return item
		}
	}
	return reports.ChecklistItem{}
}

func TestARegressionIsUndone(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	r, err := Run(t.Context(), planFor(t, s, 60, "objectives: [scrape.app_delay_seconds.a_b <= 1.1x]\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Fail || r.Action.Rollback == nil || !r.Action.Rollback.Verified || s.delay.Load() != 20 {
		t.Errorf("verdict %+v, rollback %+v, delay %d", r.Verdict, r.Action.Rollback, s.delay.Load())
	}
}

func TestRollbackWhenThePlanSaysSo(t *testing.T) {
	for when, want := range map[plan.RollbackWhen]int64{plan.Always: 20, plan.Never: 60, plan.ActionFailed: 60} {
		s := newTarget(t)
		opts, _ := options(t)
		r, err := Run(t.Context(), planFor(t, s, 60, fmt.Sprintf("objectives: [scrape.app_delay_seconds.a_b <= 1.1x]\nrollback: {when: %s}\n", when)), opts)
		if err != nil {
			t.Fatal(err)
		}
		if s.delay.Load() != want || r.Verdict.Word != reports.Fail {
			t.Errorf("%s: delay %d, want %d; verdict %+v", when, s.delay.Load(), want, r.Verdict)
		}
	}
}

func TestAFailedStepIsUndoneWithoutMeasuringAgain(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	p := planFor(t, s, 5, "")
	p.Action.Steps = append(p.Action.Steps, scaling.Step{Name: "fails", Exec: &scaling.Exec{Command: []string{"false"}, Undo: []string{"true"}}})
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Fail || r.After != nil || s.delay.Load() != 20 || !strings.Contains(r.Verdict.Headline, "fails") {
		t.Errorf("verdict %+v, delay %d", r.Verdict, s.delay.Load())
	}
}

func TestAStepThatCouldNotBeginIsTheReason(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	p := planFor(t, s, 5, "")
	p.Action.Steps = append(p.Action.Steps, scaling.Step{Name: "blind", Exec: &scaling.Exec{Command: []string{"true"}, Undo: []string{"true"}, Read: []string{"cat", "/nonexistent/state"}}})
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Fail || !strings.Contains(r.Verdict.Headline, "step blind: reading the state before") {
		t.Errorf("verdict %+v", r.Verdict)
	}
}

func TestTheTransitionUnderLoadIsTold(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	p := planFor(t, s, 5, "  load_through: api\n")
	load := &p.Measure.Load[0]
	load.Duration, load.Stages = 0, []loadgen.Stage{{Rate: 20, Duration: unit.Duration(1e8)}, {Rate: 50, Duration: unit.Duration(1e8)}}
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if rate, length := r.Through.OfferedRate, r.Through.DurationSeconds; math.Abs(rate-50) > 1 || length < leadIn.Seconds() {
		t.Errorf("%v/s for %v s: the stages' highest rate is to be kept", rate, length)
	}
	// How soon a busy machine is steady can't be told; loadgen tests the figures.
	tr := r.Through.Transition
	if tr == nil || tr.Action <= 0 || tr.Before == nil || tr.Before.P50 < .02 {
		t.Fatalf("%+v", tr)
	}
	if tr.SteadyAfter != nil && tr.After.P50 >= tr.Before.P50 || tr.SteadyAfter != nil && tr.EvidenceAfter == nil {
		t.Errorf("from %+v to %+v, evidence %q", tr.Before, tr.After, tr.Evidence)
	}
}

func TestAGuardrailStopsTheAction(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	p := planFor(t, s, 66, "  load_through: api\nguardrails: [load.api.errors < 10%]\n")
	// Without the guardrail this step would outlive the test.
	p.Action.Steps = append(p.Action.Steps, scaling.Step{Name: "long", Exec: &scaling.Exec{Command: []string{"sleep", "600"}, Undo: []string{"true"}}})
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Fail || s.delay.Load() != 20 || r.Through == nil || r.Through.Requests == 0 {
		t.Errorf("verdict %+v, delay %d", r.Verdict, s.delay.Load())
	}
	if c := r.Conditions[len(r.Conditions)-1]; c.Kind != reports.Guardrail || c.Outcome != reports.Fail {
		t.Errorf("conditions %+v", r.Conditions)
	}
}

func TestAnInterruptionInTheActionIsUndone(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	ctx, cancel := context.WithCancel(t.Context())
	p := planFor(t, s, 5, "")
	fifo := filepath.Join(t.TempDir(), "marker")
	p.Action.Steps = append(p.Action.Steps, scaling.Step{Name: "long", Exec: &scaling.Exec{
		Command: []string{"sh", "-c", "touch " + fifo + "; sleep 600"}, Undo: []string{"true"},
	}})
	inner := opts.OnEvent
	opts.OnEvent = func(e Event) {
		inner(e)
		if strings.HasPrefix(e.Text, "step long") {
			cancel()
		}
	}
	r, err := Run(ctx, p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Interrupted || s.delay.Load() != 20 || !r.Action.Rollback.Verified {
		t.Errorf("verdict %+v, rollback %+v, delay %d", r.Verdict, r.Action.Rollback, s.delay.Load())
	}
}

func TestAnInterruptionBeforeTheActionChangesNothing(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	ctx, cancel := context.WithCancel(t.Context())
	opts.OnEvent = func(e Event) {
		if e.Phase == Before {
			cancel()
		}
	}
	if _, err := Run(ctx, planFor(t, s, 5, ""), opts); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if s.puts.Load() != 0 {
		t.Error("the action ran")
	}
}

func TestUnreachableTargetsAreAllNamed(t *testing.T) {
	p, err := plan.Read("test.yaml", []byte(`version: 1
name: test
environment: {postgres: {primary: {dsn: "postgres://app:sentinel-secret@127.0.0.1:1/db"}}}
measure:
  load:
    - {name: api, targets: ["GET http://127.0.0.1:2/work"], connections: 1, duration: 1s}
`), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	opts, _ := options(t)
	_, err = Measure(t.Context(), p, opts)
	var environment *EnvironmentError
	if !errors.As(err, &environment) || !strings.Contains(err.Error(), "127.0.0.1:2") || !strings.Contains(err.Error(), "primary") {
		t.Errorf("error %v", err)
	}
	if strings.Contains(err.Error(), "sentinel") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func TestMuchLoadOnAStrangersHostNeedsAConsent(t *testing.T) {
	for text, consent := range map[string]bool{
		"environment: {hosts: [other.example]}":                 true,
		"environment: {hosts: [another.example]}":               false,
		"environment: {kubernetes: {context: a, namespace: b}}": false,
	} {
		p, err := plan.Read("test.yaml", []byte("version: 1\nname: test\n"+text+`
measure:
  load:
    - {name: api, targets: ["GET http://other.example/"], connections: 100, duration: 1s}
`), os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		opts, _ := options(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // before anything is reached
		_, err = Measure(ctx, p, opts)
		if asks := errors.As(err, new(*ConsentError)); asks == consent {
			t.Errorf("%s: %v", text, err)
		}
		opts.Consent = true
		if _, err = Measure(ctx, p, opts); errors.As(err, new(*ConsentError)) {
			t.Errorf("%s, with consent: %v", text, err)
		}
	}
}

// guardOf is a guard of one guardrail.
func guardOf(t *testing.T, text string) *guard {
	t.Helper()
	read, err := plan.Read("g.yaml", []byte("version: 1\nname: g\nmeasure: {load: [{name: api, targets: [\"GET http://h/\"], connections: 1, duration: 1s}]}\naction: {load_through: api}\nguardrails: ["+text+"]\n"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	return &guard{conditions: read.Guardrails}
}

func TestGuardrailsBreakOnlyWhenAllSecondsDo(t *testing.T) {
	good, bad := loadgen.Second{Length: 1, Requests: 100, P99: .01, ServiceP99: .009}, loadgen.Second{Length: 1, Requests: 100, Errors: 50, P99: .5, ServiceP99: .01}
	dead := loadgen.Second{Length: 1, Requests: 100, Errors: 100}
	times := map[float64]*stats.Histogram{}
	for _, s := range []loadgen.Second{good, bad, dead} {
		times[s.P99] = stats.NewHistogram()
		if s.Requests > s.Errors {
			times[s.P99].RecordNanos(int64(s.P99 * 1e9))
		}
	}
	for name, c := range map[string]struct {
		text    string
		seconds []loadgen.Second
		breaks  bool
	}{
		"good":                {"load.api.errors < 10%", []loadgen.Second{good, good, good}, false},
		"bad":                 {"load.api.errors < 10%", []loadgen.Second{bad, bad, bad}, true},
		"too short":           {"load.api.errors < 10%", []loadgen.Second{bad, bad}, false},
		"one slow second":     {"load.api.response.p99 < 100ms", []loadgen.Second{good, bad, good}, false},
		"three slow seconds":  {"load.api.response.p99 < 100ms", []loadgen.Second{good, bad, bad, bad}, true},
		"throughput":          {"load.api.throughput > 80/s", []loadgen.Second{bad, bad, bad}, true},
		"throughput suffices": {"load.api.throughput > 80/s", []loadgen.Second{good, good, bad}, false},
		"another quantile":    {"load.api.response.p95 < 100ms", []loadgen.Second{bad, bad, bad}, true},
		"its short name":      {"load.api.p999 < 100ms", []loadgen.Second{bad, bad, bad}, true},
		"another clock":       {"load.api.service.p99 < 100ms", []loadgen.Second{bad, bad, bad}, false},
		"no latency":          {"load.api.response.p99 < 100ms", []loadgen.Second{dead, dead, dead}, false},
	} {
		g := guardOf(t, c.text)
		broken := false
		for _, s := range c.seconds {
			broken = g.see(s, times[s.P99]) != "" || broken
		}
		if broken != c.breaks {
			t.Errorf("%s: broken %v", name, broken)
		}
		want := map[bool]reports.Word{true: reports.Fail, false: reports.Pass}[c.breaks]
		if name == "too short" || name == "no latency" {
			want = reports.Unsure
		}
		if results := g.results(nil); len(results) != 1 || results[0].Outcome != want {
			t.Errorf("%s: %+v, want %s", name, results, want)
		}
	}
}

func TestScrapeRefusesWhatIsNoMetricsPage(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/error" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(w, "<html>{{{")
	}))
	defer s.Close()
	for _, path := range []string{"/", "/error"} {
		if _, err := scrape(t.Context(), http.DefaultClient, plan.Scrape{URL: s.URL + path}); err == nil {
			t.Errorf("%s was scraped", path)
		}
	}
}
