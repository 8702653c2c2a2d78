package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"scaleproof/internal/snapshot"
	"scaleproof/reports"
)

// demoCommand is a demo whose temporary files go to a folder that the test
// watches. The folder must be open to the server's user.
func demoCommand(t *testing.T, args ...string) (cmd *exec.Cmd, temp, out string) {
	t.Helper()
	temp, err := os.MkdirTemp("", "demo-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	if err := os.Chmod(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	out = filepath.Join(t.TempDir(), "out")
	cmd = exec.Command(program(t), append([]string{"demo", "--incidents", "50000", "--out", out}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	return cmd, temp, out
}

// assertNothingLeft waits until the demo's server and folder are gone.
func assertNothingLeft(t *testing.T, temp string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		left, err := filepath.Glob(filepath.Join(temp, "*"))
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %v", left)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func exitCodeOf(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return exit.ExitCode()
}

func TestDemoBreakIsUndoneAndVerified(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs a whole demo")
	}
	cmd, temp, out := demoCommand(t, "--break")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if code := exitCodeOf(t, cmd.Run()); code != 1 {
		t.Fatalf("exit code %d\n%s\n%s", code, stdout.String(), stderr.String())
	}
	assertNothingLeft(t, temp)
	f, err := os.Open(filepath.Join(out, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	report, err := reports.ReadJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	rollback := report.Action.Rollback
	if report.Verdict.Word != reports.Fail || rollback == nil || !rollback.Verified || len(rollback.Differences) != 0 {
		t.Errorf("verdict %+v, rollback %+v", report.Verdict, rollback)
	}
	for _, name := range []string{"report.html", "report.md", "junit.xml", "before.json", "after.json"} {
		text, err := os.ReadFile(filepath.Join(out, name))
		if err != nil || len(text) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(text), err)
		}
		if bytes.Contains(text, []byte("://scaleproof:")) && !bytes.Contains(text, []byte("://scaleproof:xxxxx@")) {
			t.Errorf("%s holds a connection string with its password", name)
		}
	}
	if _, err := snapshot.ReadFile(filepath.Join(out, "before.json")); err != nil {
		t.Error(err)
	}
	var generic map[string]any
	if text, err := os.ReadFile(filepath.Join(out, "report.json")); err != nil || json.Unmarshal(text, &generic) != nil {
		t.Errorf("report.json is no JSON: %v", err)
	}
}

func TestInterruptedDemoLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]syscall.Signal{"Ctrl-C": syscall.SIGINT, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			cmd, temp, _ := demoCommand(t)
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(stderr)
			for lines.Scan() && !strings.Contains(lines.Text(), "trial 1 of") {
			}
			if err := cmd.Process.Signal(kill); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, stderr)
			code := exitCodeOf(t, cmd.Wait())
			if kill == syscall.SIGINT && code != 130 {
				t.Errorf("exit code %d, want 130", code)
			}
			assertNothingLeft(t, temp)
		})
	}
}

func TestSampleProxyEndsWithItsParent(t *testing.T) {
	cmd := exec.Command(program(t), "sample", "proxy", "--replicas=0")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var urls []string
	if err := json.NewDecoder(out).Decode(&urls); err != nil || len(urls) != 2 {
		t.Fatalf("urls %v, %v", urls, err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the proxy ended with %v", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(urls[0], "http://")); err == nil {
		t.Error("the proxy still listens")
	}
}
