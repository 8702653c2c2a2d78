package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/history"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

// nights writes a history in which a file system fills by 2 GiB a night with 40
// nights left, a table grows, and connections stay where they are.
func nights(t *testing.T, n int) string {
	t.Helper()
	place := filepath.Join(t.TempDir(), "history")
	store, err := history.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	const gib = 1 << 30
	for i := range n {
		at := time.Now().UTC().AddDate(0, 0, i-n+1)
		metric := func(name string, base unit.Base, v float64) snapshot.Metric {
			return snapshot.Metric{Name: name, Unit: base, Better: snapshot.Neutral, Values: snapshot.Values{v}}
		}
		used := 100*gib + 2*gib*float64(i-n+1) + gib/4*random.NormFloat64()
		s := &snapshot.Snapshot{
			SchemaVersion: snapshot.SchemaVersion, ID: fmt.Sprintf("night-%03d", i), Plan: "nightly", Phase: "collect", StartedAt: at, FinishedAt: at, Trials: 1,
			Metrics: []snapshot.Metric{
				metric("host.filesystem.root", unit.Bytes, used), metric("host.filesystem.root_limit", unit.Bytes, 180*gib),
				metric("pg.primary.connections", unit.Count, float64(20+random.IntN(5))), metric("pg.primary.connections_limit", unit.Count, 97),
				metric("pg.primary.size.table.public.incidents", unit.Bytes, 5*gib+gib/8*float64(i)),
			},
		}
		if err := store.Add(t.Context(), s, history.Labels{}); err != nil {
			t.Fatal(err)
		}
	}
	return place
}

func TestCapacityReport(t *testing.T) {
	place := nights(t, 60)
	for _, c := range []struct {
		failIf string
		code   int
		says   string
	}{
		{"disk.p50 < 60d", 1, "FAILED"},
		{"disk.p90 < 20d", 0, "ok"},
		{"connections.p50 < 60d", 0, "ok"},
		{"queue.p50 < 60d", 3, "no series of that name"},
		{"disk.p75 < 3d", 3, "none of p10, p50 and p90"},
		{"disk.p50 < 3", 2, "compares with no time"},
	} {
		got := runCommand(t, nil, "capacity", "report", "--history", place, "--fail-if", c.failIf)
		if got.code != c.code || !strings.Contains(got.out+got.err, c.says) {
			t.Errorf("%s: %+v", c.failIf, got)
		}
	}
	got := runCommand(t, nil, "capacity", "report", "--history", place, "--format", "json")
	var o reports.Outlook
	if err := json.Unmarshal([]byte(got.out), &o); err != nil {
		t.Fatal(err)
	}
	disk := o.Limits[0]
	left := time.Until(*disk.Limit.P50).Hours() / 24
	if disk.Series != "host.filesystem.root" || left < 36 || left > 44 || !strings.Contains(o.Headline, disk.Series) {
		t.Errorf("%s, of which %.0f days are left; want 40 of the file system", o.Headline, left)
	}
	if len(o.Limits) != 2 || o.Limits[1].Limit.Status != capacity.NotReached || len(o.Growing) != 1 {
		t.Errorf("%+v", o)
	}
	if got := runCommand(t, nil, "capacity", "report", "--history", place, "--format", "md"); !strings.Contains(got.out, "| `host.filesystem.root` |") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, nil, "capacity", "report", "--history", nights(t, 2)); got.code != 0 || !strings.Contains(got.out, "Insufficient history") {
		t.Errorf("%+v", got)
	}
}

func TestCapacityProject(t *testing.T) {
	place := nights(t, 60)
	got := runCommand(t, nil, "capacity", "project", "--history", place, "--metric", "host.filesystem.root", "--limit", "180GiB", "--output", "json")
	var p capacity.Projection
	if err := json.Unmarshal([]byte(got.out), &p); err != nil || p.Status != capacity.Projected || p.Kind != capacity.Size || p.Limit == nil || p.Limit.P50 == nil {
		t.Fatalf("%v %+v", err, got)
	}
	twice := runCommand(t, nil, "capacity", "project", "--history", place, "--metric", "host.filesystem.root", "--kind", "size", "--limit", "180GiB", "--growth", "2", "--output", "json")
	var q capacity.Projection
	if err := json.Unmarshal([]byte(twice.out), &q); err != nil || !q.Limit.P50.Before(*p.Limit.P50) {
		t.Errorf("at twice the growth the limit comes on %v, else on %v", q.Limit.P50, p.Limit.P50)
	}
	short := writeFile(t, "short.csv", "time,value\n2026-03-01,1\n2026-03-02,2\n")
	if got := runCommand(t, nil, "capacity", "project", "--series", short, "--limit", "100"); got.code != 0 || !strings.Contains(got.out, "insufficient history") {
		t.Errorf("%+v", got)
	}
	for name, args := range map[string][]string{
		"neither": {}, "both": {"--series", short, "--metric", "x"}, "no file": {"--series", "/nonexistent.csv"},
		"no CSV": {"--series", writeFile(t, "x.csv", "a,b\n1,2\n")}, "unknown metric": {"--metric", "nothing", "--history", place},
		"bad limit": {"--series", short, "--limit", "much"}, "wrong unit": {"--metric", "host.filesystem.root", "--history", place, "--limit", "3s"},
		"limit and floor": {"--series", short, "--limit", "3", "--floor", "1"}, "bad unit": {"--series", short, "--unit", "furlongs"}, "bad kind": {"--series", short, "--kind", "wave"},
	} {
		if got := runCommand(t, nil, append([]string{"capacity", "project"}, args...)...); got.code != 2 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := runCommand(t, nil, "capacity", "project", "--series", short, "--floor", "much"); !strings.Contains(got.err, "--floor: ") {
		t.Errorf("the flag is not named: %+v", got)
	}
}

func TestCapacityUSL(t *testing.T) {
	path := writeFile(t, "sweep.csv", "n,throughput\n1,64.9\n18,995.9\n36,1652.4\n72,1853.2\n108,1828.9\n144,1775.0\n216,1702.2\n")
	got := runCommand(t, nil, "capacity", "usl", path, "--at", "18", "--output", "json")
	var fitted struct {
		Alpha, Beta, Gamma struct{ Value, Low, High float64 }
	}
	if err := json.Unmarshal([]byte(got.out), &fitted); err != nil {
		t.Fatal(err)
	}
	if a := fitted.Alpha; a.Value < .0277 || a.Value > .0278 || a.Low >= a.Value || a.High <= a.Value || fitted.Gamma.Value < 89.9 || fitted.Gamma.Value > 90.1 {
		t.Errorf("%+v", fitted)
	}
	if got := runCommand(t, nil, "capacity", "usl", path, "--at", "18"); !strings.Contains(got.out, "at 18 1,078") {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"", "n,throughput\n", "n,throughput\n1,2\n", "n,throughput\n1,x\n"} {
		if got := runCommand(t, nil, "capacity", "usl", writeFile(t, "bad.csv", text)); got.code != 2 {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// Each plan's newest collection says what it could not read; --plan asks for one.
func TestCapacityReportTellsOfThePlanThatIsAsked(t *testing.T) {
	place := nights(t, 10)
	store, err := history.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, name := range []string{"nightly", "other"} {
		at := now.Add(time.Duration(i) * time.Second)
		s := &snapshot.Snapshot{SchemaVersion: snapshot.SchemaVersion, ID: name, Plan: name, Phase: "collect", StartedAt: at, FinishedAt: at, Trials: 1, Warnings: []string{"no answer for " + name}}
		if err := store.Add(t.Context(), s, history.Labels{}); err != nil {
			t.Fatal(err)
		}
	}
	for plan, want := range map[string][2]bool{"": {true, true}, "nightly": {true, false}, "other": {false, true}} {
		got := runCommand(t, nil, "capacity", "report", "--history", place, "--plan", plan)
		told := [2]bool{strings.Contains(got.out, "no answer for nightly"), strings.Contains(got.out, "no answer for other")}
		if got.code != 0 || told != want {
			t.Errorf("--plan %q tells of %v, want %v: %+v", plan, told, want, got)
		}
	}
}

// What a report announces stays with its night, and is what is scored a month later.
func TestCapacityReportScoresWhatWasAnnounced(t *testing.T) {
	place := nights(t, 60)
	store, err := history.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	entries := entriesOf(t, place)
	then := entries[:29] // the newest of them was a month before the last
	told, err := validation.Outlook(t.Context(), then, validation.OutlookOptions{Now: then[28].StartedAt})
	if err != nil {
		t.Fatal(err)
	}
	if err := validation.Announce(t.Context(), store, then, "", told); err != nil {
		t.Fatal(err)
	}
	report := func() reports.Outlook {
		got := runCommand(t, nil, "capacity", "report", "--history", place, "--format", "json")
		var o reports.Outlook
		if err := json.Unmarshal([]byte(got.out), &o); err != nil || got.code != 0 {
			t.Fatalf("%v %+v", err, got)
		}
		return o
	}
	disk, was := report().Limits[0], told.Limits[slices.IndexFunc(told.Limits, func(d *reports.Dated) bool { return d.Series == "host.filesystem.root" })]
	if !disk.Announced || disk.Score == nil || !disk.Score.Made.Equal(*was.To) || disk.Past.Steps[3].Median != was.Steps[3].Median {
		t.Errorf("announced %v: %+v, want that of %s", disk.Announced, disk.Score, was.To)
	}
	night := func() (announced []*capacity.Projection) {
		s, err := store.Read(t.Context(), entries[59].ID)
		if err != nil {
			t.Fatal(err)
		}
		if there, err := s.Section("outlook", &announced); !there || err != nil {
			t.Fatalf("the night has no projections: %v", err)
		}
		return announced
	}
	if first := night(); len(first) == 0 || first[0].Series != "host.filesystem.root" || len(first[0].Steps) < 30 {
		t.Errorf("%+v", first)
	}
	if got := runCommand(t, nil, "capacity", "report", "--history", place, "--horizon", "5d"); got.code != 0 || len(night()[0].Steps) < 30 {
		t.Errorf("a second report of the night took the place of the first: %+v", got)
	}
	if other := runCommand(t, nil, "capacity", "report", "--history", nights(t, 60), "--format", "md"); !strings.Contains(other.out, "as would have been projected on") {
		t.Errorf("%+v", other)
	}
}
