package main

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

func TestCapacityPool(t *testing.T) {
	got := runCommand(t, nil, "capacity", "pool", "--arrivals", "1/s", "--service", "10s", "--servers", "12", "--output", "json")
	var p capacity.Pool
	if err := json.Unmarshal([]byte(got.out), &p); err != nil || len(p.Forecasts) != 1 || math.Abs(p.Forecasts[0].Waiting-.4493882) > 1e-6 {
		t.Errorf("C(12, 10) is .4493882: %v %+v", err, got)
	}
	if got := runCommand(t, nil, "capacity", "pool", "--arrivals", "500/s", "--service", "20ms", "--wait", "5ms", "--percentile", "99"); got.code != 0 || !strings.Contains(got.out, "17 servers") {
		t.Errorf("%+v", got)
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"nothing":        {nil, "--arrivals"},
		"too few":        {[]string{"--arrivals", "500/s", "--service", "20ms", "--servers", "9"}, "cannot keep up"},
		"no percentile":  {[]string{"--arrivals", "500/s", "--service", "20ms", "--percentile", "100"}, "no servers can be found"},
		"no unit":        {[]string{"--arrivals", "500/s", "--service", "20"}, "20"},
		"a wrong output": {[]string{"--arrivals", "500/s", "--service", "20ms", "--output", "xml"}, "text or json"},
	} {
		if got := runCommand(t, nil, append([]string{"capacity", "pool"}, c.args...)...); got.code != 2 || !strings.Contains(got.err, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCapacityEfficiency(t *testing.T) {
	side := func(name string, values ...float64) string {
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		s := &snapshot.Snapshot{SchemaVersion: snapshot.SchemaVersion, ID: name, StartedAt: at, FinishedAt: at, Trials: len(values), Metrics: []snapshot.Metric{
			{Name: "load.api.capacity", Unit: unit.RequestsPerSecond, Better: snapshot.Higher, Values: values},
			{Name: "load.api.response.p99", Unit: unit.Seconds, Better: snapshot.Lower, Values: values},
		}}
		path := filepath.Join(t.TempDir(), name+".json")
		if err := snapshot.WriteFile(path, s); err != nil {
			t.Fatal(err)
		}
		return path
	}
	before, after := side("before", 100, 101, 102, 103, 104, 105), side("after", 200, 202, 204, 206, 208, 210)
	got := runCommand(t, nil, "capacity", "efficiency", before, after, "--from", "2", "--to", "5", "--output", "json")
	var rows []reports.EfficiencyRow
	if err := json.Unmarshal([]byte(got.out), &rows); err != nil || len(rows) != 1 || math.Abs(rows[0].Efficiency-0.8) > 1e-9 || rows[0].Low >= 0.8 || rows[0].High <= 0.8 {
		t.Errorf("twice the load by 2.5 times the replicas: %v %+v", err, got)
	}
	if got := runCommand(t, nil, "capacity", "efficiency", before, after, "--from", "2", "--to", "5"); !strings.Contains(got.out, "an efficiency of 80 %") {
		t.Errorf("%+v", got)
	}
	for name, args := range map[string][]string{
		"no numbers": {before, after}, "no scaling": {before, after, "--from", "3", "--to", "3"}, "no file": {before, "/nonexistent", "--from", "1", "--to", "2"},
	} {
		if got := runCommand(t, nil, append([]string{"capacity", "efficiency"}, args...)...); got.code != 2 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// More looks on from the highest concurrency, along the law.
func TestCapacityUSLTellsWhatMoreWouldBring(t *testing.T) {
	var b strings.Builder
	b.WriteString("n,throughput\n")
	law := func(n float64) float64 { return 100 * n / (1 + 0.05*(n-1) + 0.001*n*(n-1)) }
	for _, n := range []float64{1, 2, 4, 6, 8, 10} {
		fmt.Fprintf(&b, "%v,%v\n", n, law(n))
	}
	got := runCommand(t, nil, "capacity", "usl", writeFile(t, "sweep.csv", b.String()), "--output", "json")
	var view struct{ More []capacity.ScaleUp }
	if err := json.Unmarshal([]byte(got.out), &view); err != nil || len(view.More) != 3 {
		t.Fatalf("%v %+v", err, got)
	}
	for i, to := range []float64{13, 15, 20} {
		if m := view.More[i]; m.From != 10 || m.To != to || math.Abs(m.Gain-law(to)/law(10)) > 1e-4 || math.Abs(m.Efficiency-m.Gain*10/to) > 1e-9 {
			t.Errorf("%+v, want %v times", m, law(to)/law(10))
		}
	}
}

func TestLiveObjectsNeedAPlace(t *testing.T) {
	trace := burst(t)
	for _, args := range [][]string{
		{"hpa", "simulate", "--live", "app", "--trace", trace},
		{"vpa", "recommend", "--live", "app", "--namespace", "shop", "--trace", trace},
	} {
		if got := runCommand(t, nil, args...); got.code != 2 || !strings.Contains(got.err, "--context and --namespace") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestProjectScenarios(t *testing.T) {
	var b strings.Builder
	b.WriteString("time,value\n")
	for day := range 60 {
		fmt.Fprintf(&b, "%s,%d\n", time.Date(2026, 1, 1+day, 0, 0, 0, 0, time.UTC).Format(time.DateOnly), (100+day)<<30)
	}
	path := writeFile(t, "disk.csv", b.String())
	days := func(args ...string) float64 {
		t.Helper()
		got := runCommand(t, nil, append([]string{"capacity", "project", "--series", path, "--kind", "size", "--unit", "bytes", "--limit", "200GiB", "--output", "json"}, args...)...)
		var p capacity.Projection
		if err := json.Unmarshal([]byte(got.out), &p); err != nil {
			t.Fatalf("%v: %v %+v", args, err, got)
		}
		if p.Limit.P50 == nil {
			return math.Inf(1)
		}
		return p.Limit.P50.Sub(*p.To).Hours() / 24
	}
	for _, c := range []struct {
		args []string
		want float64
	}{
		{nil, 41},
		{[]string{"--add", "21GiB"}, 20},
		{[]string{"--add-per-day", "1GiB"}, 21},
		{[]string{"--retention", "30d"}, math.Inf(1)},
	} {
		if got := days(c.args...); got != c.want {
			t.Errorf("%v: reached in %v days, want %v", c.args, got, c.want)
		}
	}
	rate := []string{"capacity", "project", "--series", path, "--unit", "requests/second", "--limit", "500/s"}
	if got := runCommand(t, nil, rate...); got.code != 0 || !strings.Contains(got.out, "limit at 500/s: already reached") {
		t.Errorf("a limit of what is counted in a second: %+v", got)
	}
	for _, args := range [][]string{{"--add", "3s"}, {"--add-per-day", "much"}, {"--limit", "3s"}} {
		if got := runCommand(t, nil, append([]string{"capacity", "project", "--series", path, "--unit", "bytes"}, args...)...); got.code != 2 {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// Where more of them bring less, that is said, and no peak below one, nor a limit that
// is approached, nor a knee where throughput falls.
func TestCapacityUSLOfWhatFalls(t *testing.T) {
	for name, c := range map[string]struct{ rows, says, not string }{
		"from one on":      {"1,100\n2,52\n4,27\n8,13\n16,7\n", "throughput falls from one on", "approaches"},
		"peak below one":   {"1,100\n2,60\n4,30\n8,10\n16,4\n", "throughput is highest at 1 (1 to 1.95): 99.9\n", "knee"},
		"knee beyond peak": {"1,100\n2,189\n4,308\n6,353\n8,354\n10,336\n", "throughput is highest at 7", "knee"},
		"knee before peak": {"1,65\n18,996\n36,1652\n72,1853\n108,1829\n144,1775\n216,1702\n", "the knee is at 36.1", "falls"},
	} {
		got := runCommand(t, nil, "capacity", "usl", writeFile(t, "sweep.csv", "n,throughput\n"+c.rows))
		if got.code != 0 || !strings.Contains(got.out, c.says) || strings.Contains(got.out, c.not) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
