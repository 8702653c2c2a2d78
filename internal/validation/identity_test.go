package validation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/loadgen"
)

// What a plan's files hold is its workload; where they are, and from where the plan is
// read, is not.
func TestWorkloadIsWhatFilesHold(t *testing.T) {
	const text = `version: 1
name: files
environment: {postgres: {primary: {dsn: "postgres://127.0.0.1:1/x"}}}
measure:
  load:
    - {name: api, targets_file: targets.txt, feeder: rows.csv, body_file: body.txt, rate: 1/s, duration: 1s}
  database: {suite: suite.sql}
`
	files := map[string]string{
		"plan.yaml": text, "targets.txt": "GET http://h/{{row.id}}\n", "rows.csv": "id\n1\n2\n", "body.txt": "hello", "suite.sql": "-- name: one\nSELECT 1;\n",
	}
	write := func(dir, name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash := func(path string) string {
		t.Helper()
		p, err := plan.ReadFile(path, os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		return workloadHash(p.Measure)
	}
	first, second := t.TempDir(), t.TempDir()
	for name, content := range files {
		write(first, name, content)
		write(second, name, content)
	}
	want := hash(filepath.Join(first, "plan.yaml"))
	if got := hash(filepath.Join(second, "plan.yaml")); got != want {
		t.Error("the same files in another folder are another workload")
	}
	t.Chdir(second)
	if got := hash("plan.yaml"); got != want {
		t.Error("the same plan from its own folder is another workload")
	}
	for name, content := range files {
		if name == "plan.yaml" {
			continue
		}
		write(second, name, strings.NewReplacer("1", "9", "hello", "good bye").Replace(content))
		if name == "targets.txt" {
			write(second, name, "GET http://h/other/{{row.id}}\n")
		}
		if hash("plan.yaml") == want {
			t.Errorf("another %s is the same workload", name)
		}
		write(second, name, content)
	}
	if hash("plan.yaml") != want {
		t.Error("the hash depends on more than what the files hold")
	}
}

// A load that was not steady is told by the snapshot, in a line.
func TestWarningsOfLoadsReachTheSnapshot(t *testing.T) {
	p, err := plan.Read("p.yaml", []byte("version: 1\nname: p\n"), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	opts, _ := options(t)
	steady, not := &loadgen.Result{Name: "api"}, &loadgen.Result{Name: "api", Warnings: []string{"not steady: it was slow"}}
	later := &loadgen.Result{Name: "api", Warnings: []string{"not steady: it was slower"}}
	m := &measurement{runner: newRunner(p, opts), loads: map[string][]*loadgen.Result{"api": {steady, not, later}}, snap: &snapshot.Snapshot{}}
	if err := m.addSections(); err != nil {
		t.Fatal(err)
	}
	if len(m.snap.Warnings) != 1 || m.snap.Warnings[0] != "load api, in 2 of 3 trials: not steady: it was slow" {
		t.Errorf("%q", m.snap.Warnings)
	}
}
