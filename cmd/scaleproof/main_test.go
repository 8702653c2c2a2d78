package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// result is what one command line gave.
type result struct {
	code     int
	out, err string
}

// runCommand runs a command line in this process.
func runCommand(t *testing.T, environment map[string]string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, streams{strings.NewReader(""), &out, &errs}, func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	return result{code, out.String(), errs.String()}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestExitCodes(t *testing.T) {
	badPlan := writeFile(t, "bad.yaml", "version: 1\nname: x\nspeed: 9\n")
	unreachable := writeFile(t, "far.yaml", "version: 1\nname: x\nmeasure:\n  load:\n    - {name: a, targets: [\"GET http://127.0.0.1:1/\"], connections: 1, duration: 1s}\n")
	needsVariable := writeFile(t, "var.yaml", "version: 1\nname: x\nenvironment: {postgres: {primary: {dsn: \"${NO_SUCH}\"}}}\n")
	badDSN := writeFile(t, "dsn.yaml", "version: 1\nname: x\nenvironment: {postgres: {primary: {dsn: \"${DATABASE_URL}\"}}}\n")
	truncated := writeFile(t, "half.json", `{"schema_version": 1, "trials"`)
	environment := map[string]string{"DATABASE_URL": "postgres://app:sentinel-secret@127.0.0.1:1/brownie"}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"help":                 {[]string{"--help"}, 0, ""},
		"no such command":      {[]string{"explode"}, 2, "explode"},
		"no such flag":         {[]string{"run", "--fast"}, 2, "--fast"},
		"missing flag":         {[]string{"run"}, 2, "file"},
		"missing argument":     {[]string{"compare", "one.csv"}, 2, "wrong number of arguments (1): write scaleproof compare BEFORE AFTER"},
		"no such subcommand":   {[]string{"history", "promte", "release", "latest"}, 2, `no command "promte"; did you mean promote?`},
		"unlike any":           {[]string{"db", "load"}, 2, `db has no command "load", but advise, bench, diff, plan, stats`},
		"and its flags":        {[]string{"scale", "aply", "-f", badPlan}, 2, `did you mean apply?`},
		"help of a group":      {[]string{"scale", "--help"}, 0, ""},
		"a group alone":        {[]string{"scale"}, 0, ""},
		"no plan":              {[]string{"run", "-f", "/nonexistent/plan.yaml"}, 2, "no such file"},
		"invalid plan":         {[]string{"run", "-f", badPlan}, 2, ":3:1:"},
		"missing variable":     {[]string{"run", "-f", needsVariable}, 2, "NO_SUCH"},
		"unreachable target":   {[]string{"run", "-f", unreachable}, 4, "127.0.0.1:1"},
		"unreachable database": {[]string{"snapshot", "-f", badDSN}, 4, "primary"},
		"truncated snapshot":   {[]string{"compare", truncated, truncated}, 2, "truncated"},
		"a demo of nothing":    {[]string{"demo", "--incidents", "9"}, 2, "at least 10,000"},
		"no report":            {[]string{"report", t.TempDir()}, 2, "report.json"},
	} {
		got := runCommand(t, environment, c.args...)
		if got.code != c.code || !strings.Contains(got.err, c.says) {
			t.Errorf("%s: exit code %d (want %d), stderr %q (want %q)", name, got.code, c.code, got.err, c.says)
		}
		if strings.Contains(got.out+got.err, "sentinel-secret") {
			t.Errorf("%s: the output tells the password", name)
		}
	}
}

// A default of nothing reads as if nothing were done: what is meant then stands in the
// flag's text.
func TestHelpNamesNoDefaultOfNothing(t *testing.T) {
	for _, args := range [][]string{{"load"}, {"db", "bench"}, {"db", "advise"}, {"capacity", "report"}, {"capacity", "collect"}, {"history", "trend"}, {"hpa", "simulate"}} {
		got := runCommand(t, nil, append(args, "--help")...)
		for _, bad := range []string{"default 0s", "default 0%", "default max", "h0m0s"} {
			if got.code != 0 || strings.Contains(got.out, bad) {
				t.Errorf("%v: exit code %d, %q in\n%s", args, got.code, bad, got.out)
			}
		}
	}
}

func TestInitWritesAPlanOnce(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := runCommand(t, nil, "init"); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if got := runCommand(t, nil, "init"); got.code != 2 || !strings.Contains(got.err, "there already") {
		t.Errorf("the second init: %+v", got)
	}
	if got := runCommand(t, nil, "init", "--kubernetes", "-"); got.code != 0 || !strings.Contains(got.out, "owner: refuse") {
		t.Errorf("init to stdout: %+v", got)
	}
}

func TestCompareCSV(t *testing.T) {
	table := func(name string, values ...string) string {
		return writeFile(t, name, "metric,value,unit,better\nlatency,"+strings.Join(values, ",ms,lower\nlatency,")+",ms,lower\n")
	}
	before := table("before.csv", "100", "101", "99", "100", "102", "98")
	same := table("same.csv", "101", "100", "99", "101", "100", "99")
	worse := table("worse.csv", "150", "151", "149", "152", "148", "150")
	few := table("few.csv", "150", "151")
	for name, c := range map[string]struct {
		after string
		code  int
	}{
		"the same": {same, 0}, "worse": {worse, 1}, "too few": {few, 3},
	} {
		for _, format := range []string{"text", "md", "json", "junit", "openmetrics", "html"} {
			got := runCommand(t, nil, "compare", before, c.after, "--format", format)
			if got.code != c.code || !strings.Contains(got.out, "latency") {
				t.Errorf("%s as %s: exit code %d, want %d\n%s%s", name, format, got.code, c.code, got.out, got.err)
			}
		}
	}
	if got := runCommand(t, nil, "compare", before, worse, "--format", "sculpture"); got.code != 2 {
		t.Errorf("an unknown format: %+v", got)
	}
	if got := runCommand(t, nil, "compare", before, worse, "--gate", "throughput"); got.code == 0 {
		t.Errorf("a gate on a metric that is missing passed: %+v", got)
	}
	if got := runCommand(t, nil, "compare", before, worse, "--objective", "latency < quick"); got.code != 2 || !strings.Contains(got.err, "column 11") {
		t.Errorf("a wrong objective: %+v", got)
	}
}

// What gates by default, what is left out, controls, and workloads that differ.
func TestCompareWhatGates(t *testing.T) {
	table := func(name string, rows ...string) string {
		return writeFile(t, name, "metric,value,unit,better\n"+strings.Join(rows, "\n")+"\n")
	}
	rows := func(metric string, values ...string) (all []string) {
		for _, v := range values {
			all = append(all, metric+","+v+",ms,lower")
		}
		return all
	}
	steady := rows("latency", "100", "101", "99", "100", "102", "98")
	before := table("before.csv", slices.Concat(steady, rows("other", "10", "10.1", "9.9", "10", "10.1", "9.9"), rows("size", "5"))...)
	moved := table("moved.csv", slices.Concat(steady, rows("other", "20", "20.1", "19.9", "20", "20.1", "19.9"), rows("size", "9"))...)
	// A metric that is measured once does not make it inconclusive, and is named.
	if got := runCommand(t, nil, "compare", before, before); got.code != 0 || !strings.Contains(got.out, "size did not gate") || strings.Contains(got.out, "0s") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, nil, "compare", before, before, "--gate", "size"); got.code != 3 || strings.Contains(got.out, "did not gate") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, nil, "compare", before, moved); got.code != 1 {
		t.Errorf("%+v", got)
	}
	once := table("once.csv", rows("size", "5")...)
	if got := runCommand(t, nil, "compare", once, once); got.code != 3 {
		t.Errorf("nothing but what was measured once: %+v", got)
	}
	// As a control it proves that something else has changed, and gates nothing.
	if got := runCommand(t, nil, "compare", before, moved, "--control", "other"); got.code != 3 || !strings.Contains(got.out, "something else than the action has changed") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, nil, "compare", before, before, "--control", "other"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	snapshotOf := func(name, workload string) string {
		s := &snapshot.Snapshot{SchemaVersion: snapshot.SchemaVersion, ID: name, Plan: "p", WorkloadHash: workload, Trials: 4, Metrics: []snapshot.Metric{{Name: "m", Unit: unit.Seconds, Better: snapshot.Lower, Values: snapshot.Values{1, 1, 1, 1}}}}
		path := filepath.Join(t.TempDir(), name+".json")
		if err := snapshot.WriteFile(path, s); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a, b := snapshotOf("a", "x"), snapshotOf("b", "y")
	if got := runCommand(t, nil, "compare", a, b); got.code != 4 || !strings.Contains(got.out, "different workloads") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, nil, "compare", a, b, "--allow-differences"); got.code != 0 || !strings.Contains(got.out, "different workloads") {
		t.Errorf("%+v", got)
	}
}

func TestACancelledContextIsAnInterruption(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	plan := writeFile(t, "plan.yaml", "version: 1\nname: x\n")
	var out, errs bytes.Buffer
	if code := run(ctx, []string{"run", "-f", plan}, streams{strings.NewReader(""), &out, &errs}, os.LookupEnv); code != 130 {
		t.Errorf("exit code %d, stderr %q", code, errs.String())
	}
}
