package child

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// command is a shell that runs a script; it can read what is written to said.
func command(ctx context.Context, script, said string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", script)
	cmd.Env = append(os.Environ(), "SAID="+said, Mark(said))
	return cmd
}

// TestMain is also the process that TestChildrenOfAKilledProcess kills: it runs a
// script.
func TestMain(m *testing.M) {
	if script := os.Getenv("RUN_SCRIPT"); script != "" {
		fmt.Println(Run(context.Background(), command(context.Background(), script, os.Getenv("SAID"))))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// alive reports whether a process runs: one that is dead may wait for its parent.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s still not: %s", what)
		}
	}
}

// pids returns the processes that a script has told of.
func pids(said string) (all []int) {
	text, _ := os.ReadFile(said)
	for _, word := range strings.Fields(string(text)) {
		var pid int
		if _, err := fmt.Sscan(word, &pid); err == nil {
			all = append(all, pid)
		}
	}
	return all
}

// killed runs a script by another process, which is killed once count processes have
// told of themselves.
func killed(t *testing.T, script string, count int) (said string, all []int) {
	t.Helper()
	said = filepath.Join(t.TempDir(), "said")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "RUN_SCRIPT="+script, "SAID="+said)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the script runs", func() bool { all = pids(said); return len(all) == count })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	t.Cleanup(func() {
		for _, pid := range all {
			if alive(pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return said, all
}

func TestAProgramEndsWithItsProcess(t *testing.T) {
	_, all := killed(t, `echo $$ >> "$SAID"; exec sleep 600`, 1)
	await(t, "the program ends", func() bool { return !alive(all[0]) })
}

// Neither a program that takes no SIGTERM nor one of a session of its own outlives
// EndMarked.
func TestWhatAKilledProcessHasLeftIsEnded(t *testing.T) {
	said, all := killed(t, `trap '' TERM; echo $$ >> "$SAID"; setsid sh -c 'echo $$ >> "$SAID"; exec sleep 600' & sleep 600; sleep 600`, 2)
	if n, err := EndMarked(t.Context(), said+"-not"); n != 0 || err != nil {
		t.Errorf("%d processes of another mark, %v", n, err)
	}
	if n, err := EndMarked(t.Context(), said); n < 2 || err != nil {
		t.Errorf("%d processes ended, %v", n, err)
	}
	for _, pid := range all {
		if alive(pid) {
			t.Errorf("%d is alive", pid)
		}
	}
}

// A program that ends, and leaves one behind that holds its output, is told why it failed.
func TestWhatIsLeftWithTheOutputIsEndedAndTold(t *testing.T) {
	said := filepath.Join(t.TempDir(), "said")
	cmd := command(t.Context(), `sleep 600 & echo $! >> "$SAID"`, said)
	var out strings.Builder
	cmd.Stdout = &out
	if err := Run(t.Context(), cmd); err == nil || !strings.Contains(err.Error(), "holds its output") {
		t.Errorf("error %v", err)
	}
	await(t, "what was left ends", func() bool { all := pids(said); return len(all) == 1 && !alive(all[0]) })
}
