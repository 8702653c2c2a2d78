//go:build image

package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// The image's program must need no library, since the image has none, and the
// image must not run as root.
func TestTheImageIsStaticAndNotRoot(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root(t), "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	build := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*) -o /out/scaleproof (\S+)$`).FindSubmatch(data)
	if build == nil {
		t.Fatal("the image is not built by go build")
	}
	stages := strings.Split(string(data), "\nFROM ")
	last := stages[len(stages)-1]
	if !strings.HasPrefix(last, "scratch\n") || !regexp.MustCompile(`(?m)^USER [1-9]\d+:[1-9]\d+$`).MatchString(last) || !strings.Contains(last, "\nENTRYPOINT [\"/usr/local/bin/scaleproof\"]") {
		t.Errorf("the last stage is\n%s", last)
	}
	// Workers are started by name, and a runtime's own PATH is all that the image has.
	if !strings.Contains(last, "COPY --from=build /out/scaleproof /usr/local/bin/scaleproof\n") {
		t.Error("the program is not in the PATH of the last stage")
	}
	// Where an output can't be written it is kept in the folder for temporary files.
	if !strings.Contains(string(data), "chmod 1777 /out/root/tmp") || !strings.Contains(last, "COPY --from=build /out/root/ /\n") {
		t.Error("the image has no /tmp that its user can write")
	}
	if runtime.GOOS != "linux" {
		t.Skip("the program of the image is for Linux")
	}
	program := filepath.Join(t.TempDir(), "scaleproof")
	cmd := exec.Command("sh", "-c", string(build[1])+" -o "+program+" "+string(build[2]))
	cmd.Dir = root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it needs %v, %v", libraries, err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs a dynamic loader")
		}
	}
}

func TestTheActionsScript(t *testing.T) {
	var delay atomic.Int64
	delay.Store(10)
	plan := gatePlan(t, slowService(t, &delay), "")
	baseline := filepath.Join(t.TempDir(), "baseline.json")
	if got := runCommand(t, nil, "snapshot", "-f", plan, "-o", baseline); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	temp := t.TempDir()
	act := func(out string, more ...string) (code int, outputs, summary, said string) {
		t.Helper()
		files := t.TempDir()
		cmd := exec.Command("bash", filepath.Join(root(t), "scripts/github-action.sh"))
		cmd.Dir = files
		cmd.Env = append(append(os.Environ(), "GITHUB_ACTIONS=true", "GITHUB_OUTPUT="+files+"/output", "GITHUB_STEP_SUMMARY="+files+"/summary", "GITHUB_SHA=0123456789abcdef",
			"RUNNER_TEMP="+temp, "ACTION_PATH="+root(t), "INPUT_COMMAND=gate", "INPUT_PLAN="+plan, "INPUT_BASELINE="+baseline, "INPUT_HISTORY="+files+"/history", "INPUT_OUT="+out), more...)
		log, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatalf("%v\n%s", err, log)
		}
		read := func(name string) string { data, _ := os.ReadFile(filepath.Join(files, name)); return string(data) }
		return cmd.ProcessState.ExitCode(), read("output"), read("summary"), string(log)
	}
	out := filepath.Join(t.TempDir(), "report; rm -rf x")
	delay.Store(40)
	code, outputs, summary, said := act(out)
	if code != 1 || !strings.Contains(outputs, "verdict=fail\nexit-code=1\nreport="+out+"\n") {
		t.Errorf("a regression: exit code %d, outputs %q\n%s", code, outputs, said)
	}
	// Another use of the action has another artifact, unless one is named.
	artifact := func(outputs string) string {
		_, name, _ := strings.Cut(outputs, "\nartifact=")
		return strings.TrimSpace(name)
	}
	_, again, _, _ := act(out)
	if a, b := artifact(outputs), artifact(again); !strings.HasPrefix(a, "scaleproof-report-") || a == b {
		t.Errorf("the artifacts are %q and %q", a, b)
	}
	if _, outputs, _, _ := act(out, "INPUT_ARTIFACT=mine"); artifact(outputs) != "mine" {
		t.Errorf("the artifact is %q", artifact(outputs))
	}
	if !strings.Contains(summary, "## ❌ gate: fail") || strings.Count(said, "::error ") != 1 {
		t.Errorf("the summary is %q, and the log\n%s", summary, said)
	}
	if code, outputs, _, _ := act(out, "INPUT_COMMAND=explode"); code != 2 || outputs != "" {
		t.Errorf("another command: exit code %d, %q", code, outputs)
	}
	if code, outputs, _, said := act(out, "INPUT_BASELINE=nowhere"); code != 2 || !strings.Contains(outputs, "verdict=error") {
		t.Errorf("no baseline: exit code %d, %q\n%s", code, outputs, said)
	}
}
