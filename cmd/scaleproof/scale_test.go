package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/validation"
	"scaleproof/scaling"
)

// killInStep starts a command, and kills it once the slow one of fileSteps has acted
// and not ended.
func killInStep(t *testing.T, cmd *exec.Cmd, dir string, slow int) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, string(rune('a'+slow)))
	waitFor(t, func() bool { data, _ := os.ReadFile(name); return string(data) == "2" })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// fileSteps is a plan whose steps write files a, b and c one after the other;
// slow is a step that also waits for a file called go.
func fileSteps(t *testing.T, dir string, slow int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("version: 1\nname: files\naction:\n  steps:\n")
	for i, name := range []string{"a", "b", "c"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
		command := fmt.Sprintf("printf 2 > %s", path)
		if i == slow {
			// Its orphan, which takes no SIGTERM, ends with the folder at the latest.
			command = "trap '' TERM; echo $$ > " + filepath.Join(dir, "pid") + "; " + command
			command += fmt.Sprintf("; while [ -d %[1]s ] && [ ! -e %[1]s/go ]; do sleep 0.05; done", dir)
		}
		fmt.Fprintf(&b, `    - name: step-%s
      exec:
        command: ["sh", "-c", %q]
        undo: ["sh", "-c", "printf %%s \"$SCALEPROOF_PRIOR\" > %s"]
        read: ["cat", %q]
        expect: "2"
`, name, command, path, path)
	}
	return writeFile(t, "files.yaml", b.String())
}

func assertFiles(t *testing.T, dir, want string) {
	t.Helper()
	got := ""
	for _, name := range []string{"a", "b", "c"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got += string(data)
	}
	if got != want {
		t.Errorf("the files hold %q, want %q", got, want)
	}
}

// onlyRun returns the ID of the run that a folder holds.
func onlyRun(t *testing.T, runs string) string {
	t.Helper()
	entries, err := os.ReadDir(runs)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	return entries[0].Name()
}

func TestScaleApplyStatusAndRollback(t *testing.T) {
	dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
	plan := fileSteps(t, dir, -1)
	if got := runCommand(t, nil, "scale", "apply", "-f", plan, "--runs", runs); got.code != 0 || strings.Count(got.out, "applied") != 3 {
		t.Fatalf("%+v", got)
	}
	assertFiles(t, dir, "222")
	id := onlyRun(t, runs)
	if got := runCommand(t, nil, "scale", "status", id, "-f", plan, "--runs", runs); got.code != 0 || strings.Count(got.out, "found:  1") != 3 || strings.Count(got.out, "is now: 2") != 3 {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, nil, "scale", "rollback", id, "-f", plan, "--runs", runs); got.code != 0 || !strings.Contains(got.out, "verified") {
		t.Errorf("%+v", got)
	}
	assertFiles(t, dir, "111")
	// Once more: there is nothing left to undo.
	if got := runCommand(t, nil, "scale", "rollback", id, "-f", plan, "--runs", runs); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestScaleAsJSON(t *testing.T) {
	dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
	plan := fileSteps(t, dir, -1)
	var steps []scaling.PreviewStep
	decode := func(into any, args ...string) {
		t.Helper()
		got := runCommand(t, nil, append(args, "-f", plan, "--output", "json")...)
		if err := json.Unmarshal([]byte(got.out), into); err != nil || got.code != 0 {
			t.Fatalf("%v: %v, %+v", args, err, got)
		}
	}
	decode(&steps, "run", "--dry-run")
	if len(steps) != 3 || steps[0].State != "1" || steps[0].Will != "2" {
		t.Errorf("preview %+v", steps)
	}
	var o scaling.Outcome
	decode(&o, "scale", "apply", "--runs", runs)
	if o.Status != scaling.Applied || len(o.Steps) != 3 {
		t.Errorf("outcome %+v", o)
	}
	var states []validation.StepState
	decode(&states, "scale", "status", o.ID, "--runs", runs)
	if len(states) != 3 || states[0].Status != scaling.Applied || states[0].Before != "1" || states[0].State != "2" {
		t.Errorf("status %+v", states)
	}
	decode(&o, "scale", "rollback", o.ID, "--runs", runs)
	if o.Rollback == nil || !o.Rollback.Verified {
		t.Errorf("outcome %+v", o)
	}
	for _, args := range [][]string{{"run", "--output", "json"}, {"scale", "apply", "--output", "xml"}} {
		if got := runCommand(t, nil, append(args, "-f", plan)...); got.code != 2 || !strings.Contains(got.err, "--output") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	assertFiles(t, dir, "111")
}

// Two runs of one plan, whose commands have no lock but its file, do not act at the same
// time: the second says who does.
func TestTwoRunsOnOneTarget(t *testing.T) {
	binary := program(t)
	dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
	plan := fileSteps(t, dir, 0)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	first := exec.Command(binary, "scale", "apply", "-f", plan, "--runs", runs)
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { data, _ := os.ReadFile(filepath.Join(dir, "a")); return string(data) == "2" })
	id := onlyRun(t, runs)
	other := filepath.Join(t.TempDir(), "runs")
	if got := runCommand(t, nil, "scale", "apply", "-f", plan, "--runs", other); got.code != 4 || !strings.Contains(got.err, "scaleproof "+id) || !strings.Contains(got.err, "is acting on") {
		t.Errorf("%+v", got)
	}
	// Nor is a run undone, or resumed, while it lives.
	for _, args := range [][]string{{"scale", "rollback", id, "--runs", runs}, {"run", "--resume", id, "--out", filepath.Join(runs, id)}} {
		if got := runCommand(t, nil, append(args, "-f", plan)...); got.code != 4 || !strings.Contains(got.err, "still going on in another process") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := first.Wait(); err != nil {
		t.Errorf("the first run: %v", err)
	}
	assertFiles(t, dir, "222")
	if got := runCommand(t, nil, "scale", "rollback", id, "-f", plan, "--runs", runs); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestScaleRollbackLeavesWhatSomeoneElseChanged(t *testing.T) {
	dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
	plan := fileSteps(t, dir, -1)
	if got := runCommand(t, nil, "scale", "apply", "-f", plan, "--runs", runs); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("7"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nor does asking again overwrite it
		got := runCommand(t, nil, "scale", "rollback", onlyRun(t, runs), "-f", plan, "--runs", runs)
		if got.code != 5 || !strings.Contains(got.out, "someone has changed the state") {
			t.Errorf("%+v", got)
		}
		assertFiles(t, dir, "171")
	}
}

func TestAFailedStepIsUndone(t *testing.T) {
	dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
	plan := fileSteps(t, dir, -1)
	data, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(data), `"printf 2 > `+filepath.Join(dir, "c")+`"`, `"exit 3"`, 1)
	if err := os.WriteFile(plan, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runCommand(t, nil, "scale", "apply", "-f", plan, "--runs", runs); got.code != 1 || !strings.Contains(got.out, "exit status 3") {
		t.Errorf("%+v", got)
	}
	assertFiles(t, dir, "111")
}

// kill -9 in any step leaves a run that rollback brings to the exact prior state.
func TestAKilledRunIsUndoneFromItsJournal(t *testing.T) {
	t.Parallel()
	binary := program(t)
	for slow := range 3 {
		t.Run(fmt.Sprint("in step ", slow), func(t *testing.T) {
			t.Parallel()
			dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
			plan := fileSteps(t, dir, slow)
			cmd := exec.Command(binary, "scale", "apply", "-f", plan, "--runs", runs)
			killInStep(t, cmd, dir, slow)
			// What it has left running would write on: it is ended first.
			got := runCommand(t, nil, "scale", "rollback", onlyRun(t, runs), "-f", plan, "--runs", runs)
			if got.code != 0 || !strings.Contains(got.err, "processes that the dead run had left") {
				t.Errorf("%+v", got)
			}
			pid, err := os.ReadFile(filepath.Join(dir, "pid"))
			if err != nil {
				t.Fatal(err)
			}
			stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
			if err == nil && !strings.Contains(string(stat), ") Z ") {
				t.Errorf("the orphan lives: %s", stat)
			}
			assertFiles(t, dir, "111")
		})
	}
}

// A run whose report goes to a folder of another name has its journal there: it is
// approved, told of and undone by that folder.
func TestARunWithAFolderOfItsOwnIsUndone(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "report")
	plan := fileSteps(t, dir, -1)
	text, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	paused := string(text) + "    - {name: look, pause: {question: \"Is it well?\"}}\nmeasure: {trials: 1}\n"
	if err := os.WriteFile(plan, []byte(paused), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan result)
	go func() { ended <- runCommand(t, nil, "run", "-f", plan, "--out", out) }()
	var asked []string
	waitFor(t, func() bool { asked, _ = filepath.Glob(filepath.Join(out, "question-*.json")); return len(asked) == 1 })
	journals, err := filepath.Glob(filepath.Join(out, "journal-*.jsonl"))
	if err != nil || len(journals) != 1 {
		t.Fatalf("journals %v, %v", journals, err)
	}
	id := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(journals[0]), "journal-"), ".jsonl")
	if got := runCommand(t, nil, "scale", "approve", id, "--runs", out); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if got := <-ended; !strings.Contains(got.err, "scaleproof scale approve "+id+" --runs "+out) {
		t.Errorf("%+v", got)
	}
	assertFiles(t, dir, "222")
	if got := runCommand(t, nil, "scale", "status", id, "-f", plan, "--runs", out); got.code != 0 {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, nil, "scale", "rollback", id, "-f", plan, "--runs", out); got.code != 0 {
		t.Errorf("%+v", got)
	}
	assertFiles(t, dir, "111")
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass in 30 s")
		}
	}
}

func TestScaleFaults(t *testing.T) {
	dir := t.TempDir()
	plan := fileSteps(t, dir, -1)
	runs := filepath.Join(t.TempDir(), "runs")
	if got := runCommand(t, nil, "scale", "apply", "-f", plan, "--runs", runs); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	other := writeFile(t, "other.yaml", "version: 1\nname: other\naction: {steps: [{name: another, exec: {command: [\"true\"], undo: [\"true\"]}}]}\n")
	empty := writeFile(t, "empty.yaml", "version: 1\nname: empty\n")
	text, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	undo := writeFile(t, "undo.yaml", strings.Replace(string(text), "$SCALEPROOF_PRIOR", "0", 1)) // of the same names
	remark := writeFile(t, "remark.yaml", strings.Replace(string(text), "name: step-a", "name: step-a # a remark", 1))
	id := onlyRun(t, runs)
	if err := os.WriteFile(filepath.Join(runs, "journal-none.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no steps":       {[]string{"scale", "apply", "-f", empty, "--runs", runs}, 2, "no steps"},
		"no such run":    {[]string{"scale", "rollback", "nothing", "-f", plan, "--runs", runs}, 2, "no such file"},
		"another plan":   {[]string{"scale", "rollback", id, "-f", other, "--runs", runs}, 2, "the plan has changed"},
		"another undo":   {[]string{"scale", "rollback", id, "-f", undo, "--runs", runs}, 2, "the plan has changed"},
		"its status":     {[]string{"scale", "status", id, "-f", undo, "--runs", runs}, 2, "the plan has changed"},
		"no ID":          {[]string{"scale", "rollback", "-f", plan, "--runs", runs}, 2, "write scaleproof scale rollback ID"},
		"not measured":   {[]string{"run", "--resume", id, "-f", plan, "--out", filepath.Join(runs, id)}, 2, "undo it by scale rollback"},
		"nothing begun":  {[]string{"run", "--resume", "none", "-f", plan, "--out", runs}, 2, "changed nothing: run it anew"},
		"only a comment": {[]string{"scale", "status", id, "-f", remark, "--runs", runs}, 0, ""},
	} {
		got := runCommand(t, nil, c.args...)
		if got.code != c.code || !strings.Contains(got.err, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAStepThatCantBeUndoneNeedsAConsent(t *testing.T) {
	made := filepath.Join(t.TempDir(), "made")
	plan := writeFile(t, "plan.yaml", fmt.Sprintf("version: 1\nname: gone\naction: {steps: [{name: drop, irreversible: true, exec: {command: [touch, %q]}}]}\n", made))
	runs := filepath.Join(t.TempDir(), "runs")
	for _, args := range [][]string{{"run", "--out", runs}, {"scale", "apply", "--runs", runs}} {
		got := runCommand(t, nil, append(args, "-f", plan)...)
		if got.code != 2 || !strings.Contains(got.err, "step 1, drop, can't be undone") || !strings.Contains(got.err, "--yes") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if _, err := os.Stat(made); err == nil {
		t.Fatal("the step was run")
	}
	if got := runCommand(t, nil, "run", "-f", plan, "--dry-run"); got.code != 0 || !strings.Contains(got.out, "IRREVERSIBLE") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, nil, "scale", "apply", "-f", plan, "--runs", runs, "--yes"); got.code != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAPersonApproves(t *testing.T) {
	dir := t.TempDir()
	path := fileSteps(t, dir, -1)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "    - name: step-b\n", "    - name: look/here\n      pause: {question: go on?}\n    - name: step-b\n", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		code  int
		files string
		says  string
	}{
		{nil, 0, "222", "applied"},
		{[]string{"--refuse", "--by", "ann"}, 1, "111", "a person has refused to approve: ann"},
	} {
		assertFiles(t, dir, "111")
		runs := filepath.Join(t.TempDir(), "runs")
		done := make(chan result, 1)
		go func() { done <- runCommand(t, nil, "scale", "apply", "-f", path, "--runs", runs) }()
		waitFor(t, func() bool {
			questions, _ := filepath.Glob(filepath.Join(runs, "*", "question-*.json"))
			return len(questions) == 1
		})
		assertFiles(t, dir, "211")
		id := onlyRun(t, runs)
		if got := runCommand(t, nil, append([]string{"scale", "approve", id, "--runs", runs}, c.args...)...); got.code != 0 || !strings.Contains(got.out, "look/here: go on?") {
			t.Errorf("%+v", got)
		}
		if got := <-done; got.code != c.code || !strings.Contains(got.out, c.says) {
			t.Errorf("%+v", got)
		}
		assertFiles(t, dir, c.files)
		if got := runCommand(t, nil, "scale", "approve", id, "--runs", runs); got.code != 2 || !strings.Contains(got.err, "no step of this run waits") {
			t.Errorf("%+v", got)
		}
		if got := runCommand(t, nil, "scale", "rollback", id, "-f", path, "--runs", runs); got.code != 0 {
			t.Errorf("%+v", got)
		}
	}
	if got := runCommand(t, nil, "scale", "approve", "nothing", "--runs", t.TempDir()); got.code != 2 {
		t.Errorf("%+v", got)
	}
}

func TestDoctor(t *testing.T) {
	dir := t.TempDir()
	plan := fileSteps(t, dir, -1)
	out := filepath.Join(t.TempDir(), "out")
	if got := runCommand(t, nil, "doctor", "-f", plan, "--out", out); got.code != 0 || !strings.Contains(got.out, "0 faults") {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("doctor has left the folder of the report")
	}
	assertFiles(t, dir, "111")
	sick := writeFile(t, "sick.yaml", `version: 1
name: sick
environment: {postgres: {primary: {dsn: "postgres://app:sentinel-secret@127.0.0.1:1/db"}}}
measure: {load: [{name: api, targets: ["http://127.0.0.1:1/"], duration: 1s}]}
`)
	got := runCommand(t, nil, "doctor", "-f", sick, "--out", writeFile(t, "file", ""))
	if got.code != 4 || !strings.Contains(got.out, "3 faults") || !strings.Contains(got.out, "mend:") || strings.Contains(got.out, "sentinel-secret") {
		t.Errorf("%+v", got)
	}
}

// kill -9 within the action of a run, and then resume: each step was made once or,
// if it had begun, again, and the report is whole.
func TestAKilledRunIsResumed(t *testing.T) {
	t.Parallel()
	binary := program(t)
	url := service(t)
	for slow := range 3 {
		dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
		path := fileSteps(t, dir, slow)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data) + fmt.Sprintf("measure:\n  trials: 4\n  load:\n    - {name: api, targets: [\"GET %s/slow\"], connections: 2, duration: 200ms}\n", url)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(binary, "run", "-f", path, "--out", out)
		killInStep(t, cmd, dir, slow)
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		journals, err := filepath.Glob(filepath.Join(out, "journal-*.jsonl"))
		if err != nil || len(journals) != 1 {
			t.Fatal(journals, err)
		}
		id := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(journals[0]), "journal-"), ".jsonl")
		got := runCommand(t, nil, "run", "-f", path, "--out", out, "--resume", id)
		if got.code != 0 || !strings.Contains(got.out, "the run was resumed") || strings.Count(got.out, "applied") != 3 {
			t.Errorf("killed in step %d: %+v", slow, got)
		}
		assertFiles(t, dir, "222")
		if got := runCommand(t, nil, "run", "-f", path, "--out", out, "--resume", "nothing"); got.code != 2 {
			t.Errorf("%+v", got)
		}
		if got := runCommand(t, nil, "scale", "rollback", id, "-f", path, "--runs", out); got.code != 0 {
			t.Errorf("%+v", got)
		}
		if got := runCommand(t, nil, "run", "-f", path, "--out", out, "--resume", id); got.code != 2 || !strings.Contains(got.err, "the run was being undone: finish that by scale rollback, and run it anew (asked for)") {
			t.Errorf("resumed once it was undone: %+v", got)
		}
		assertFiles(t, dir, "111")
	}
}

// A context that leads to another cluster than the plan's is refused, before anything is
// done there.
func TestAnotherClusterIsRefused(t *testing.T) {
	bin := t.TempDir()
	kubectl := `#!/bin/sh
case "$*" in
*" version "*) echo '{"clientVersion":{"gitVersion":"v1.34.0","minor":"34"},"serverVersion":{"gitVersion":"v1.34.0","minor":"34"}}' ;;
*" get namespace/kube-system "*) echo '{"metadata":{"uid":"another"}}' ;;
*) echo "$@" >>"$0.log"; exit 1 ;;
esac
`
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(kubectl), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	plan := writeFile(t, "plan.yaml", `version: 1
name: pinned
environment: {kubernetes: {context: prod, namespace: app, uid: meant}}
action: {steps: [{name: scale, scale: {target: deployment/app, replicas: 3}}]}
`)
	for _, args := range [][]string{{"run", "--out", t.TempDir()}, {"run", "--dry-run"}, {"scale", "apply", "--runs", t.TempDir()}, {"scale", "status"}, {"doctor"}} {
		if got := runCommand(t, nil, append(args, "-f", plan)...); got.code != 4 || !strings.Contains(strings.Join(strings.Fields(got.out+got.err), " "), "leads to the cluster another, and the plan is for meant") {
			t.Errorf("%v: %+v", args, got)
		}
	}
	if log, err := os.ReadFile(filepath.Join(bin, "kubectl.log")); err == nil {
		t.Errorf("it went on: %s", log)
	}
}
