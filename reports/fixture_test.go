package reports

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"scaleproof/capacity"
	"scaleproof/dbbench"
	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

var update = flag.Bool("update", false, "write the golden files anew")

// hostile is a name that tries to break out of every format.
const hostile = "</script><img src=x onerror=alert(1)>|`*_[a](http://evil)\x1b[31m\u202eevil\x00@all"

var fixtureTime = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// load makes the result of a load whose response times spread around median.
func load(name string, median float64, rate int64) *loadgen.Result {
	response := stats.NewHistogram()
	for i := range 2000 {
		response.RecordNanos(int64(median * math.Exp(0.5*math.Sin(float64(i))+2*math.Pow(float64(i)/2000, 20)) * 1e9))
	}
	r := &loadgen.Result{
		Name: name, Engine: "epoll", Requests: rate * 10, Successes: rate * 10, Rate: float64(rate), DurationSeconds: 10,
		ResponseTime: response.Summary(), Validity: loadgen.Valid, StartedAt: fixtureTime.Add(time.Minute),
		Histograms: &loadgen.Histograms{Response: response, Service: response, Lateness: stats.NewHistogram(), Failures: stats.NewHistogram()},
	}
	r.Capacity = &loadgen.Capacity{Rate: float64(rate) * 1.5, Low: float64(rate) * 1.4, High: float64(rate) * 1.6, Limit: "target"}
	for i := range 6 {
		at := float64(rate) * (1 + .2*float64(i))
		r.Capacity.Curve = append(r.Capacity.Curve, loadgen.CurvePoint{Offered: at, Throughput: at, P50: median, P99: median * math.Exp(float64(i)/2), Held: i < 3})
	}
	for i := range int64(10) {
		r.Seconds = append(r.Seconds, loadgen.Second{Offset: float64(i), Length: 1, Requests: rate + i, Errors: i % 3, P50: median, P99: median * 3})
	}
	return r
}

func planOf(index bool) *dbbench.Plan {
	scan := &dbbench.PlanNode{Type: "Seq Scan", Relation: "incidents", Condition: "(organization_id = '20'::bigint)", PlanRows: 10, ActualRows: 4460, Loops: 1, TotalTime: 23, Blocks: 8226, RowsRemoved: 495540, Analyzed: true}
	if index {
		scan = &dbbench.PlanNode{Type: "Index Scan", Relation: "incidents", Index: "incidents_organization", Condition: scan.Condition, PlanRows: 4400, ActualRows: 4460, Loops: 1, TotalTime: 3, Blocks: 3468, Analyzed: true}
	}
	root := &dbbench.PlanNode{Type: "Limit", PlanRows: 20, ActualRows: 20, Loops: 1, TotalTime: scan.TotalTime + .2, Children: []*dbbench.PlanNode{scan}, Analyzed: true}
	return &dbbench.Plan{Root: root, ExecutionTime: root.TotalTime}
}

// statistics are what the views hold at the end of a side.
func statistics(index bool) *dbbench.Statistics {
	indexes := []dbbench.Row{{"indexrelid": "2", "indexrelname": "incidents_pkey", "relname": "incidents", "idx_scan": 0.}}
	setting := "16384"
	if index {
		indexes = append(indexes, dbbench.Row{"indexrelid": "3", "indexrelname": "incidents_organization", "relname": "incidents", "idx_scan": 386.})
		setting = "65536"
	}
	return &dbbench.Statistics{Node: "primary", Version: "15.18", Views: map[string][]dbbench.Row{
		"sizes": {
			{"relid": "1", "total_bytes": 78e6 + 16e6*float64(len(indexes))}, {"relid": "2", "total_bytes": 11e6}, {"relid": "3", "total_bytes": 16e6},
		},
		"pg_stat_user_tables":  {{"relid": "1", "relname": "incidents", "n_live_tup": 5e5, "n_dead_tup": 12.}},
		"pg_stat_user_indexes": indexes,
		"settings":             {{"name": "shared_buffers", "setting": setting, "unit": "8kB"}},
	}}
}

// countedThrough is what the views counted through a side.
func countedThrough(index bool) *dbbench.StatisticsDelta {
	time := 4230.
	if index {
		time = 582
	}
	return &dbbench.StatisticsDelta{Node: "primary", Seconds: 60, Views: map[string][]dbbench.DeltaRow{
		"pg_stat_statements": {
			{Row: dbbench.Row{"queryid": "7", "query": "SELECT * FROM incidents WHERE organization_id = $1"}, Counters: map[string]float64{"calls": 40, "total_exec_time": time}},
			{Row: dbbench.Row{"queryid": "8", "query": hostile}, Counters: map[string]float64{"calls": 1, "total_exec_time": 3}},
			{Row: dbbench.Row{"queryid": "9", "query": ownExplain + ", FORMAT JSON) SELECT 1"}, Counters: map[string]float64{"calls": 9, "total_exec_time": 1e6}},
		},
		"pg_stat_user_tables":  {{Row: dbbench.Row{"relid": "1"}, Counters: map[string]float64{"seq_scan": 1110}}},
		"pg_stat_user_indexes": {},
	}}
}

func fixtureSnapshot(t testing.TB, phase string, median float64, rate int64, index bool) *snapshot.Snapshot {
	t.Helper()
	var b snapshot.Builder
	for i := range 5 {
		wobble := 1 + 0.01*float64(i%3)
		if err := b.AddTrial([]snapshot.Sample{
			{Name: "load.api.response.p50", Unit: unit.Seconds, Better: snapshot.Lower, Value: median * wobble},
			{Name: "load.api.response.p99", Unit: unit.Seconds, Better: snapshot.Lower, Value: median * 3 * wobble},
			{Name: "load.api.throughput", Unit: unit.RequestsPerSecond, Better: snapshot.Higher, Value: float64(rate) / wobble},
			{Name: "load.api.errors", Unit: unit.Ratio, Better: snapshot.Lower, Value: 0, Events: 0, Of: rate * 10},
			{Name: "db.org_incidents.blocks", Unit: unit.Count, Better: snapshot.Lower, Value: planOf(index).Root.Children[0].Blocks},
			{Name: "host.cpu", Unit: unit.Ratio, Better: snapshot.Neutral, Value: 0.4 * wobble},
			{Name: hostile, Unit: unit.Count, Better: snapshot.Lower, Value: 7},
		}); err != nil {
			t.Fatal(err)
		}
	}
	s := &snapshot.Snapshot{
		SchemaVersion: snapshot.SchemaVersion, ID: "run-" + phase, Plan: "app-replicas", Phase: phase, StartedAt: fixtureTime, FinishedAt: fixtureTime.Add(time.Minute), WorkloadHash: "0123456789abcdef",
		Environment: snapshot.Environment{Tool: "scaleproof test", Host: "host-1", OS: "linux/amd64", CPUs: 2, Facts: map[string]string{"postgres.primary.version": "15.18"}},
	}
	s.Trials, s.Metrics = b.Build()
	for name, section := range map[string]any{
		"load.api": load("api", median, rate),
		"db": &dbbench.Result{NodeResult: dbbench.NodeResult{Node: "primary"}, Cases: []dbbench.CaseResult{
			{Name: "org_incidents", SQL: "SELECT * FROM incidents WHERE organization_id = $1", Rows: 20, ResultHash: "a", PlanResult: dbbench.PlanResult{
				Figures: dbbench.Figures{Blocks: 8226, RowsRemoved: 495540, QError: 446}, Plan: planOf(index), Fingerprint: planOf(index).Fingerprint(),
			}},
			{Name: "broken", SQL: "SELECT " + hostile, Error: hostile},
		}},
		"resources": capacity.Usage{CPU: .4, MemoryUsed: 95 << 20, MemoryTotal: 100 << 20},
		"pg":        map[string]*dbbench.Statistics{"primary": statistics(index)},
		"pg.activity": []dbbench.Activity{{
			Node: "primary", Samples: 60, Waits: []dbbench.Wait{{Type: "CPU", MeanMax: dbbench.MeanMax{Mean: 1.5, Max: 3}}, {Type: "Lock", Event: "relation", MeanMax: dbbench.MeanMax{Mean: .1, Max: 1}}},
			Blocks: []dbbench.Block{{Mode: "ShareLock", Relation: "incidents", Query: hostile, Blocker: "ALTER TABLE incidents", Seconds: 2}},
			Lags:   []dbbench.Lag{{Standby: "replica-0", State: "streaming", Bytes: dbbench.MeanMax{Mean: 4096, Max: 65536}, Seconds: dbbench.MeanMax{Mean: .001, Max: .02}}},
		}},
		"pg.delta": map[string]*dbbench.StatisticsDelta{"primary": countedThrough(index)},
	} {
		if err := s.PutSection(name, section); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// fixture is a report of every part, with hostile names in it.
func fixture(t testing.TB) *Report {
	t.Helper()
	criteria := Criteria{Gates: []GateSpec{{Metric: "load.api.response.p50"}, {Metric: "load.api.errors"}}}
	for _, text := range []string{"load.api.throughput >= 2x", "load.api.response.p99 < 20ms", "load.other.errors < 1%"} {
		c, err := expr.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		criteria.Objectives = append(criteria.Objectives, c)
	}
	at := func(s int) time.Time { return fixtureTime.Add(time.Minute + time.Duration(s)*time.Second) }
	r := &Report{
		SchemaVersion: SchemaVersion, Tool: "scaleproof test", ID: "20260301T093000Z-abc123",
		Plan:      Plan{Name: "app-replicas", Hypothesis: "four replicas carry twice the load " + hostile, Hash: "fedcba9876543210", Source: "version: 1\nname: app-replicas\n# " + hostile + "\n"},
		StartedAt: fixtureTime, FinishedAt: fixtureTime.Add(150 * time.Second),
		Action: &scaling.Outcome{ID: "x", Status: scaling.RolledBack, StartedAt: at(2), FinishedAt: at(6), Steps: []scaling.StepOutcome{
			{Name: "scale-out", Kind: "http", Summary: "PUT http://127.0.0.1:9/replicas 4", Status: scaling.Applied, StartedAt: at(2), FinishedAt: at(3), Before: "1", After: "4", Attempts: 1},
			{Name: "replicas", Kind: "scale", Summary: "scale deployment/app to 5 replicas", Status: scaling.Applied, StartedAt: at(3), FinishedAt: at(3), Before: `{"deployment/app":{"/spec/replicas":1}}`, After: `{"deployment/app":{"/spec/replicas":5}}`, Attempts: 1},
			{Name: hostile, Kind: "exec", Summary: "run " + hostile, Status: scaling.Failed, StartedAt: at(3), FinishedAt: at(6), Error: hostile, Output: "a line\n" + hostile, Before: `{"a": 1, "b": "` + "x" + `"}`, After: "{\"a\": 2,\n\"b\": \"x\"}" + hostile, Attempts: 2},
		}},
		Through: load("api", .04, 100),
		Events:  []Event{{fixtureTime, "before", "trial 1 of 5"}, {at(3), "action", hostile}},
		Markers: []Marker{{at(3), "scale-out applied"}, {at(6), hostile}},
		Checklist: []ChecklistItem{
			{ID: "team", Text: "Team notified", State: ItemDone, Known: Commanded, Evidence: "step notify worked"},
			{ID: "docs", Text: "Documentation updated " + hostile, State: ItemUnknown, Evidence: "to be signed by " + hostile, Signer: hostile},
		},
		Warnings: []string{"this is an uncontrolled before/after: nothing but the action kept other things from changing", hostile},
		Before:   fixtureSnapshot(t, "before", .04, 100, false), After: fixtureSnapshot(t, "after", .01, 390, true),
	}
	steady, evidence := 3.5, 1.25
	r.Through.Transition = &loadgen.Transition{
		Action: 4, SteadyAfter: &steady, Requests: 420, Errors: 7, ExcessLatency: 2.5, WorstP99: .31, EvidenceAfter: &evidence, Evidence: "the first connection to " + hostile,
		Before: &loadgen.Level{Throughput: 100, Mean: .045, P50: .04, P99: .12}, After: &loadgen.Level{Throughput: 100, Mean: .012, P50: .01, P99: .03},
	}
	r.Action.Rollback = &scaling.Rollback{Reason: "a test", StartedAt: at(7), FinishedAt: at(8), Verified: true, Steps: []scaling.StepOutcome{
		{Name: "scale-out", Kind: "http", Summary: "PUT the state before", Status: scaling.RolledBack, StartedAt: at(7), FinishedAt: at(8), Before: "4", After: "1", Attempts: 1},
	}}
	r.Comparison = Compare(r.Before, r.After, criteria)
	r.FindEfficiency()
	r.Conditions, r.Verdict = Judge(r, criteria, Facts{Guardrails: []ConditionResult{{Kind: Guardrail, Text: "load.api.errors < 1%", Outcome: Pass, Reason: "held through the action"}}})
	return r
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test ./reports -update writes it", err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs; look at it, and write it anew by go test ./reports -update. Got:\n%s", path, got)
	}
}
