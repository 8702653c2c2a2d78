package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// gone reports whether a process has ended.
func gone(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ") // nobody has waited for it yet
}

// An onNotice passes on what is written, and does something when it is that the process
// has taken an interrupt.
type onNotice struct {
	w  io.Writer
	do func()
}

func (n *onNotice) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("Interrupted: ")) {
		n.do()
	}
	return n.w.Write(p)
}

// The first Ctrl-C stops the present step, with all its children, be they as stubborn
// as they like, undoes what was done, and says what a second one does; a second one
// leaves at once.
func TestCtrlCStopsAndUndoes(t *testing.T) {
	t.Parallel()
	binary := program(t)
	for name, c := range map[string]struct {
		trap   string // what the step's shell does with SIGTERM
		undo   string
		second bool // another signal, once the undo goes on
		double bool // the first is sent twice, as by timeout(1)
		files  string
		says   string
	}{
		"obedient": {files: "111", says: "Press Ctrl-C again to leave at once"},
		"stubborn": {trap: "trap '' TERM; ", files: "111", says: "Press Ctrl-C again to leave at once"},
		"doubled":  {double: true, files: "111", says: "Press Ctrl-C again to leave at once"},
		"twice":    {undo: "; while :; do sleep 0.05; done", second: true, says: "Press Ctrl-C again to leave at once"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
			path := fileSteps(t, dir, 1)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			pidFile := filepath.Join(dir, "pid")
			text := strings.Replace(string(data), "printf 2 > "+filepath.Join(dir, "b"), c.trap+"echo $$ > "+pidFile+"; printf 2 > "+filepath.Join(dir, "b"), 1)
			text = strings.ReplaceAll(text, `\" > `+filepath.Join(dir, "b")+`"`, `\" > `+filepath.Join(dir, "b")+"; echo here > "+filepath.Join(dir, "undoing")+c.undo+`"`)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(binary, "scale", "apply", "-f", path, "--runs", runs)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if c.double {
				said := &onNotice{w: &out, do: func() { _ = cmd.Process.Signal(os.Interrupt) }}
				cmd.Stdout, cmd.Stderr = said, said
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool { b, _ := os.ReadFile(filepath.Join(dir, "b")); return string(b) == "2" })
			signal := func() {
				if err := cmd.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
			}
			signal()
			if c.second {
				waitFor(t, func() bool { _, err := os.Stat(filepath.Join(dir, "undoing")); return err == nil })
			}
			ended := make(chan struct{})
			go func() { _ = cmd.Wait(); close(ended) }()
			if c.second {
				waitFor(t, func() bool { // until it is later than the same signal sent twice
					_ = cmd.Process.Signal(os.Interrupt)
					select {
					case <-ended:
						return true
					default:
						return false
					}
				})
			}
			<-ended
			want := 130
			if c.second {
				want = 5 // the rollback was left half done
			}
			if code := cmd.ProcessState.ExitCode(); code != want || !strings.Contains(out.String(), c.says) {
				t.Errorf("exit code %d, want %d\n%s", code, want, out.String())
			}
			written, err := os.ReadFile(pidFile)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(written)))
			if err != nil {
				t.Fatal(err)
			}
			if !gone(pid) {
				t.Errorf("the step's process %d lives", pid)
			}
			if c.files != "" {
				assertFiles(t, dir, c.files)
			}
		})
	}
}

// At Ctrl-C the terminal ends whatever reads the output, too: a pipe that nobody reads
// must not keep what was done from being undone.
func TestCtrlCUndoesWithoutAReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plan := fileSteps(t, dir, 1)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t), "scale", "apply", "-f", plan, "--runs", filepath.Join(t.TempDir(), "runs"))
	cmd.Stdout, cmd.Stderr = write, write
	if err := errors.Join(cmd.Start(), write.Close()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { b, _ := os.ReadFile(filepath.Join(dir, "b")); return string(b) == "2" })
	if err := errors.Join(read.Close(), cmd.Process.Signal(os.Interrupt)); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	assertFiles(t, dir, "111")
}

// A terminal that hangs up, as when a connection breaks, is a Ctrl-C that nobody follows
// by a second: the shell and the kernel may both tell of it.
func TestAHangUpUndoes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plan := fileSteps(t, dir, 1)
	cmd := exec.Command(program(t), "scale", "apply", "-f", plan, "--runs", filepath.Join(t.TempDir(), "runs"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { b, _ := os.ReadFile(filepath.Join(dir, "b")); return string(b) == "2" })
	if err := errors.Join(cmd.Process.Signal(syscall.SIGHUP), cmd.Process.Signal(syscall.SIGHUP)); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	assertFiles(t, dir, "111")
}
