package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scaleproof/dbbench"
	"scaleproof/internal/history"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

// slowService answers after the milliseconds that delay says.
func slowService(t *testing.T, delay *atomic.Int64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		time.Sleep(time.Duration(delay.Load()) * time.Millisecond) // the service's work
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func gatePlan(t *testing.T, url, more string) string {
	t.Helper()
	return writeFile(t, "gate.yaml", fmt.Sprintf(`version: 1
name: gate
measure:
  trials: 5
  load:
    - {name: api, targets: ["GET %s/"], connections: 4, duration: 300ms}
gates:
  - {metric: load.api.response.p50, min_change: 30%%}
  - {metric: load.api.errors}
%s`, url, more))
}

func TestGateFromTheFirstBaselineToARegression(t *testing.T) {
	var delay atomic.Int64
	delay.Store(10)
	plan := gatePlan(t, slowService(t, &delay), "")
	store := filepath.Join(t.TempDir(), "history")
	first := filepath.Join(t.TempDir(), "first.json")
	if got := runCommand(t, nil, "snapshot", "-f", plan, "-o", first); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	gate := func(args ...string) result {
		return runCommand(t, nil, append([]string{"gate", "-f", plan, "--history", store}, args...)...)
	}
	// The first baseline is a file; what is measured goes into the history.
	if got := gate("--baseline", first, "--commit", "0123456789abcdef", "--self-test"); got.code != 0 || !strings.Contains(got.out, "each of 2 gates and 0 objectives saw the regression") {
		t.Fatalf("%+v", got)
	}
	if got := runCommand(t, nil, "history", "promote", "release", "0123456", "--history", store); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	out := filepath.Join(t.TempDir(), "report")
	delay.Store(30)
	got := gate("--baseline", "release", "--out", out, "--self-test")
	if got.code != 1 || !strings.Contains(got.out, "regressed") || !strings.Contains(got.out, "saw the regression") || !strings.Contains(got.out, "Report: "+filepath.Join(out, "report.html")) {
		t.Errorf("a service three times as slow: %+v", got)
	}
	if _, err := os.Stat(filepath.Join(out, "report.html")); err != nil {
		t.Error(err)
	}
	list := runCommand(t, nil, "history", "list", "--history", store)
	if list.code != 0 || strings.Count(list.out, "\n") != 3 || !strings.Contains(list.out, "release") || !strings.Contains(list.out, "fail") {
		t.Errorf("%+v", list)
	}
	if got := gate("--baseline", "nothing"); got.code != 2 || !strings.Contains(got.err, "nothing") {
		t.Errorf("%+v", got)
	}
}

// A gate or an objective that can't fail is found, whatever the reason.
// What can't be compared is no matter of a self-test, and gates that are too many for
// so few trials are told before anything is measured.
func TestGateThatCanNotTell(t *testing.T) {
	var delay atomic.Int64
	delay.Store(10)
	plan := gatePlan(t, slowService(t, &delay), "  - {metric: load.api.response.p90, min_change: 50%}\n")
	text, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	few := writeFile(t, "few.yaml", strings.Replace(string(text), "trials: 5", "trials: 4", 1))
	first := filepath.Join(t.TempDir(), "first.json")
	if got := runCommand(t, nil, "snapshot", "-f", few, "-o", first); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	history := filepath.Join(t.TempDir(), "history")
	got := runCommand(t, nil, "gate", "-f", few, "--baseline", first, "--history", history, "--self-test")
	warned := strings.Index(got.err, "warning: with 3 gates and 4 trials a regression of one gate alone can't be found")
	if got.code != 3 || !strings.Contains(got.out, "blind to an injected regression: gate load.api.response.p90: ") || warned < 0 || warned > strings.Index(got.err, "trial 1 of 4") {
		t.Errorf("%+v", got)
	}
	s, err := snapshot.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	s.WorkloadHash = "another"
	if err := snapshot.WriteFile(first, s); err != nil {
		t.Fatal(err)
	}
	got = runCommand(t, nil, "gate", "-f", few, "--baseline", first, "--history", history, "--self-test")
	if got.code != 4 || strings.Contains(got.out, "Self-test") || !strings.Contains(got.out, "different workloads") {
		t.Errorf("%+v", got)
	}
}

func TestBlindGatesAreFound(t *testing.T) {
	metric := func(name string, values ...float64) snapshot.Metric {
		return snapshot.Metric{Name: name, Unit: unit.Seconds, Better: snapshot.Lower, Values: values}
	}
	quiet := []float64{1, 1.01, .99, 1, 1.02}
	s := &snapshot.Snapshot{Trials: 5, Metrics: []snapshot.Metric{
		metric("scrape.quiet", quiet...), metric("scrape.other", quiet...), metric("scrape.noisy", 1, 3, .3, 2, .7), metric("scrape.zero", 0, 0, 0, 0, 0),
		metric("scrape.four", quiet[:4]...), metric("scrape.five", quiet[:4]...), metric("db.q.time.p50", quiet...),
	}}
	if err := s.PutSection("db", dbbench.Result{Cases: []dbbench.CaseResult{{Name: "q", ResultHash: "x", PlanResult: dbbench.PlanResult{Fingerprint: "y"}}, {Name: "failed"}}}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		conditions string
		blind      []string
	}{
		"those that see":       {"gates: [{metric: scrape.quiet}, {metric: scrape.other}, {metric: scrape.zero}, {metric: db.q}, {metric: db.q.result}, {metric: db.q.plan}]", nil},
		"noise":                {"gates: [{metric: scrape.quiet}, {metric: scrape.noisy}]", []string{"gate scrape.noisy"}},
		"too few trials":       {"gates: [{metric: scrape.four}]", nil},
		"many gates":           {"gates: [{metric: scrape.four}, {metric: scrape.five}]", []string{"gate scrape.four", "gate scrape.five"}},
		"nothing measured":     {"gates: [{metric: scrape.absent}]", []string{"gate scrape.absent"}},
		"a query that failed":  {"gates: [{metric: db.failed.result}, {metric: db.failed.plan}]", []string{"gate db.failed.result", "gate db.failed.plan"}},
		"objectives":           {"objectives: [scrape.quiet < 2s, scrape.quiet <= 1.5x, scrape.quiet >= 10ms]", nil},
		"an unknown objective": {"objectives: [scrape.quiet < 2s, scrape.absent < 2s]", []string{"objective scrape.absent < 2s"}},
	} {
		plan := writeFile(t, "plan.yaml", "version: 1\nname: x\nenvironment: {postgres: {primary: {dsn: \"postgres://127.0.0.1:1/x\"}}}\nmeasure: {scrape: [{url: \"http://127.0.0.1:1/\"}], database: {queries: [{name: q, sql: SELECT 1}, {name: failed, sql: SELECT 1}]}}\n"+c.conditions+"\n")
		p, err := (&app{}).readPlan(plan)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		blind := validation.SelfTest(p, &reports.Report{Before: s, After: s})
		ok := len(blind) == len(c.blind)
		for i := range min(len(blind), len(c.blind)) {
			ok = ok && strings.HasPrefix(blind[i], c.blind[i]+": ")
		}
		if !ok {
			t.Errorf("%s: blind are %q, want %q", name, blind, c.blind)
		}
	}
}

func TestCalibrateAndWarn(t *testing.T) {
	var delay atomic.Int64
	delay.Store(5)
	url := slowService(t, &delay)
	plan := gatePlan(t, url, "")
	got := runCommand(t, nil, "calibrate", "-f", plan)
	if got.code != 0 || !strings.Contains(got.out, "load.api.response.p50") {
		t.Fatalf("%+v", got)
	}
	path := strings.TrimSuffix(plan, ".yaml") + ".calibration.json"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var c reports.Calibration
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(c.Metrics, func(n reports.Noise) bool { return n.Metric == "load.api.response.p50" })
	if at < 0 || c.Trials != 5 || !slices.Contains(c.Counts, "load.api.errors") {
		t.Fatalf("%+v", c)
	}
	noise := &c.Metrics[at]
	if noise.Deviation <= 0 || noise.Detectable == nil || *noise.Detectable < .3 {
		t.Fatalf("%+v", noise)
	}
	// With much noise in the file, a run says that the gate can't see.
	noise.Deviation = 1
	data, _ = json.Marshal(c)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	warned := gatePlan(t, url, "calibration: "+path+"\n")
	got = runCommand(t, nil, "snapshot", "-f", warned, "-o", filepath.Join(t.TempDir(), "s.json"))
	if got.code != 0 || !strings.Contains(got.err, "load.api.response.p50 looks for a change beyond 30 %") {
		t.Errorf("%+v", got)
	}
	missing := gatePlan(t, url, "calibration: nowhere.json\n")
	if got := runCommand(t, nil, "snapshot", "-f", missing); got.code != 4 || !strings.Contains(got.err, "calibrate writes it") {
		t.Errorf("%+v", got)
	}
}

func TestHistoryTrend(t *testing.T) {
	place := filepath.Join(t.TempDir(), "history")
	store, err := history.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)
	for i := range 40 {
		value := .100 + .001*float64(i%5)
		if i >= 25 {
			value *= 1.3
		}
		s := &snapshot.Snapshot{
			SchemaVersion: snapshot.SchemaVersion, ID: fmt.Sprintf("night-%02d", i), Plan: "nightly", StartedAt: start.AddDate(0, 0, i), FinishedAt: start.AddDate(0, 0, i), Trials: 1,
			Metrics: []snapshot.Metric{{Name: "load.api.response.p99", Unit: unit.Seconds, Better: snapshot.Lower, Values: snapshot.Values{value}}},
		}
		if err := store.Add(t.Context(), s, history.Labels{Commit: fmt.Sprintf("commit%02d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	environment := map[string]string{"SCALEPROOF_HISTORY": place}
	got := runCommand(t, environment, "history", "trend", "load.api.response.p99")
	if got.code != 0 || !strings.Contains(got.out, "changed on 2026-03-26 02:00 at commit commit25: from 102 ms to 133 ms") || strings.Count(got.out, "changed") != 1 || !strings.Contains(got.out, "changes: E-divisive with Hunter's changes: in windows of 50 points, by t-test at p 0.001\n") {
		t.Errorf("%+v", got)
	}
	got = runCommand(t, environment, "history", "trend", "load.api.response.p99", "--min-change", "40%")
	if got.code != 0 || !strings.Contains(got.out, "no change that chance does not explain") || !strings.Contains(got.out, "p 0.001, of 40 % or more") {
		t.Errorf("%+v", got)
	}
	page := filepath.Join(t.TempDir(), "trend.html")
	if got := runCommand(t, environment, "history", "trend", "load.api.response.p99", "--html", page); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "commit25") || !strings.Contains(string(text), "102 ms") || !strings.Contains(string(text), "by t-test at p 0.001") {
		t.Errorf("the page lacks the change: %v", err)
	}
	alone := filepath.Join(t.TempDir(), "alone.json")
	if got := runCommand(t, environment, "history", "show", "night-07"); os.WriteFile(alone, []byte(got.out), 0o600) != nil {
		t.Fatal("the snapshot can't be written")
	}
	other := map[string]string{"SCALEPROOF_HISTORY": filepath.Join(t.TempDir(), "other")}
	if got := runCommand(t, other, "history", "add", alone, "--commit", "abcdef0123"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, other, "history", "list"); !strings.Contains(got.out, "night-07") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, environment, "history", "trend", "nothing"); got.code != 2 {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, environment, "history", "show", "night-07"); got.code != 0 || !strings.Contains(got.out, `"id": "night-07"`) {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, environment, "history", "show", "night-99"); got.code != 2 {
		t.Errorf("%+v", got)
	}
}

// A run adds to a history what it leaves behind: with the action that stands, or
// without the one that was undone.
func TestARunAddsWhatItLeaves(t *testing.T) {
	var delay atomic.Int64
	delay.Store(2)
	url := slowService(t, &delay)
	place := filepath.Join(t.TempDir(), "history")
	for _, c := range []struct {
		limit string
		code  int
		phase string
	}{{"1s", 0, "after"}, {"1us", 1, "before"}} {
		plan := gatePlan(t, url, "objectives: [load.api.response.p50 < "+c.limit+"]\naction: {steps: [{name: nothing, exec: {command: [\"true\"], undo: [\"true\"]}}]}\nrollback: {when: objective_failed, timeout: 1m}\n")
		got := runCommand(t, nil, "run", "-f", plan, "--out", filepath.Join(t.TempDir(), "run"), "--history", place)
		if got.code != c.code {
			t.Fatalf("%+v", got)
		}
		entries := entriesOf(t, place)
		last := entries[len(entries)-1]
		if f, ok := last.Figure("load.api.throughput"); last.Phase != c.phase || last.Verdict == "" || last.Host == "" || !ok || f.Median <= 0 {
			t.Errorf("an objective of %s leaves %+v", c.limit, last)
		}
	}
}

// What several plans have measured, with names that a terminal must not be given.
func TestAHistoryThatPlansShare(t *testing.T) {
	place := filepath.Join(t.TempDir(), "history")
	store, err := history.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	add := func(id, plan, phase string) {
		t.Helper()
		s := &snapshot.Snapshot{SchemaVersion: snapshot.SchemaVersion, ID: id, Plan: plan, Phase: phase, StartedAt: time.Now(), FinishedAt: time.Now(), Trials: 1}
		if err := store.Add(t.Context(), s, history.Labels{Commit: "0123456789"}); err != nil {
			t.Fatal(err)
		}
	}
	add("first", "gate", "gate")
	add("nightly", "gate", "collect")
	environment := map[string]string{"SCALEPROOF_HISTORY": place}
	if got := runCommand(t, environment, "history", "promote", "release", "latest"); got.code != 0 || !strings.Contains(got.err, "is first") {
		t.Errorf("%+v", got)
	}
	add("other", "ev\x1b[31mil", "gate")
	if got := runCommand(t, environment, "history", "list"); got.code != 0 || strings.Contains(got.out, "\x1b") || !strings.Contains(got.out, "other") {
		t.Errorf("%+v", got)
	}
	for want, args := range map[string][]string{
		"say by --plan which is meant": {"history", "promote", "release", "latest"},
		"can't be called latest":       {"history", "promote", "latest", "first"},
		"is other, which the plan":     {"gate", "-f", gatePlan(t, "http://127.0.0.1:1", ""), "--baseline", "other"},
	} {
		if got := runCommand(t, environment, args...); got.code != 2 || !strings.Contains(got.err, want) {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if got := runCommand(t, environment, "history", "promote", "release", "latest", "--plan", "gate"); got.code != 0 || !strings.Contains(got.err, "is first") {
		t.Errorf("%+v", got)
	}
	// A folder of the baseline's name is not the baseline: the target is what lacks.
	t.Chdir(t.TempDir())
	if err := os.Mkdir("release", 0o755); err != nil {
		t.Fatal(err)
	}
	if got := runCommand(t, environment, "gate", "-f", gatePlan(t, "http://127.0.0.1:1", ""), "--baseline", "release"); got.code != 4 || !strings.Contains(got.err, "127.0.0.1:1") {
		t.Errorf("%+v", got)
	}
	// What can't be written is no fault of the command line.
	if err := os.RemoveAll(filepath.Join(place, "baselines")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(place, "baselines"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runCommand(t, environment, "history", "promote", "release", "first"); got.code != 4 {
		t.Errorf("%+v", got)
	}
}
