package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"scaleproof/internal/history"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/testpg"
	"scaleproof/internal/testprom"
	"scaleproof/internal/unit"
)

func entriesOf(t *testing.T, place string) []history.Entry {
	t.Helper()
	store, err := history.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	entries, err := store.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := store.Read(t.Context(), e.ID); err != nil {
			t.Errorf("what is listed can't be read: %v", err)
		}
	}
	return entries
}

func TestCapacityCollect(t *testing.T) {
	environment := map[string]string{"DATABASE_URL": testpg.ForTest(t).NewDatabase(t)}
	plan := writeFile(t, "n.yaml", "version: 1\nname: nightly\nenvironment: {postgres: {primary: {dsn: \"${DATABASE_URL}\"}, nodes: [{name: gone, dsn: \"postgres://127.0.0.1:1/x\"}]}}\ncapacity: {processes: [postgres, no-such-program]}\n")
	place := filepath.Join(t.TempDir(), "history")
	for range 2 { // once more, as after a crash
		got := runCommand(t, environment, "capacity", "collect", "-f", plan, "--history", place, "--length", "100ms", "--run", "night-1")
		if got.code != 0 || !strings.Contains(got.err, "warning: reading the occupancy of gone") || !strings.Contains(got.err, "no process of the program no-such-program") {
			t.Fatalf("%+v", got)
		}
	}
	entries := entriesOf(t, place)
	if len(entries) != 1 {
		t.Fatal(entries)
	}
	for _, name := range []string{
		"host.cpu", "host.core.0.cpu", "host.memory", "host.memory_limit", "host.filesystem.root", "host.network.received", "proc.postgres.memory",
		"pg.primary.size.database", "pg.primary.wal_rate", "pg.primary.connections_limit", "pg.primary.replication_slots_limit",
	} {
		if f, ok := entries[0].Figure(name); !ok || f.Median < 0 {
			t.Errorf("%s is %+v", name, f)
		}
	}
}

// requestsData is a metric that has grown for so many days until today.
func requestsData(days int) []byte {
	var b bytes.Buffer
	b.WriteString("# TYPE requests gauge\n")
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for i := range 24 * days {
		at := today.Add(time.Duration(i-24*days) * time.Hour)
		for minute := 0; minute < 60; minute += 4 { // within the five minutes that Prometheus looks back
			fmt.Fprintf(&b, "requests %d %d\n", 1000+i/24*10+i%24, at.Add(time.Duration(minute)*time.Minute).Unix())
		}
	}
	b.WriteString("# EOF\n")
	return b.Bytes()
}

func TestCapacityCollectSince(t *testing.T) {
	environment := map[string]string{"PROMETHEUS_URL": testprom.Start(t, requestsData(60)), "TOKEN": "sentinel-secret"}
	plan := writeFile(t, "n.yaml", `version: 1
name: nightly
environment: {prometheus: {url: "${PROMETHEUS_URL}", token: "${TOKEN}"}}
capacity:
  prometheus: [{name: api, query: sum(requests), unit: requests/second}, {name: broken, query: "sum("}]
  limits: [{metric: prom.api, value: 2000/s}]
`)
	place := filepath.Join(t.TempDir(), "history")
	for range 2 {
		got := runCommand(t, environment, "capacity", "collect", "-f", plan, "--history", place, "--since", "90d")
		if got.code != 0 || !strings.Contains(got.err, "Added 60 snapshots") || !strings.Contains(got.err, "query broken") || strings.Contains(got.err, "sentinel") {
			t.Fatalf("%+v", got)
		}
	}
	entries := entriesOf(t, place)
	if len(entries) != 60 {
		t.Fatalf("%d entries", len(entries))
	}
	if f, ok := entries[59].Figure("prom.api"); !ok || f.Median != 1000+590+23 || f.Unit != unit.RequestsPerSecond {
		t.Errorf("%+v", f)
	}
	for name, c := range map[string]struct {
		plan, since string
		code        int
		says        string
		more        []string
	}{
		"a name, of a year": {mustRead(t, plan), "3d", 2, "do not go together", []string{"--run", "x"}},
		"a file beside":     {mustRead(t, plan), "3d", 2, "do not go together", []string{"--add", "x.json"}},
		"nothing":           {strings.NewReplacer("sum(requests)", "sum(nothing)", `query: "sum("`, "query: nothing").Replace(mustRead(t, plan)), "3d", 4, "has nothing of the last 3 days", nil},
		"no queries":        {"version: 1\nname: x\n", "90d", 2, "capacity.prometheus", nil},
		"too long":          {mustRead(t, plan), "99999d", 2, "3660d", nil},
		"no server":         {strings.Replace(mustRead(t, plan), "${PROMETHEUS_URL}", "http://127.0.0.1:1", 1), "3d", 4, "asking Prometheus", nil},
		"no url":            {"version: 1\nname: x\ncapacity: {prometheus: [{name: a, query: b}]}\n", "3d", 2, "environment.prometheus.url", nil},
		"a wrong limit":     {"version: 1\nname: x\ncapacity: {limits: [{metric: a}]}\n", "3d", 2, "either a value or", nil},
		"an idle change":    {"version: 1\nname: x\ncapacity: {scenarios: [{name: a}]}\n", "3d", 2, "changes nothing", nil},
	} {
		args := []string{"capacity", "collect", "-f", writeFile(t, "p.yaml", c.plan), "--history", place, "--since", c.since}
		got := runCommand(t, environment, append(args, c.more...)...)
		if got.code != c.code || !strings.Contains(got.err, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// runsToAdd writes snapshots of runs.
func runsToAdd(t *testing.T, n int) (args []string) {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		s := &snapshot.Snapshot{
			SchemaVersion: snapshot.SchemaVersion, ID: fmt.Sprintf("run-%03d", i), Plan: "x", Phase: "after",
			StartedAt: time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC), FinishedAt: time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC), Trials: 1,
			Metrics: []snapshot.Metric{{Name: "load.api.throughput", Unit: unit.RequestsPerSecond, Better: snapshot.Higher, Values: snapshot.Values{float64(i)}}},
		}
		path := filepath.Join(dir, s.ID+".json")
		if err := snapshot.WriteFile(path, s); err != nil {
			t.Fatal(err)
		}
		args = append(args, "--add", path)
	}
	return args
}

// Collectors that are killed while they write leave a history that opens, and
// the next one completes it; two at once do not harm each other.
func TestACollectorThatIsKilledLeavesAHistory(t *testing.T) {
	const runs = 150
	binary, place := program(t), filepath.Join(t.TempDir(), "history")
	args := append([]string{"capacity", "collect", "--history", place}, runsToAdd(t, runs)...)
	random := rand.New(rand.NewPCG(1, 1))
	cut := 0
	for range 12 {
		cmd := exec.Command(binary, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(10+random.IntN(60)) * time.Millisecond) // any moment will do
		_ = cmd.Process.Kill()
		if cmd.Wait() != nil {
			cut++
		}
		entriesOf(t, place)
	}
	if cut == 0 {
		t.Error("no collector was killed while it wrote")
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	both.Wait()
	entries := entriesOf(t, place)
	if len(entries) != runs {
		t.Errorf("%d entries, want %d", len(entries), runs)
	}
	for i, e := range entries {
		if f, ok := e.Figure("load.api.throughput"); !ok || f.Median != float64(i) {
			t.Errorf("%s: %+v", e.ID, f)
		}
	}
}
