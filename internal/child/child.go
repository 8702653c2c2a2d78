// Package child runs programs in process groups of their own, so that a Ctrl-C
// at the terminal does not reach them, and ends all of a group. Those of a process
// that was killed are ended too: on Linux the kernel ends the program itself, and
// whatever it had started is found by a mark in its environment.
package child

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Grace is how long a program that was asked to end may take.
const Grace = 5 * time.Second

// Run runs cmd, which must come from exec.CommandContext with ctx, to its end.
// When ctx ends, its whole process group gets SIGTERM and, after Grace, SIGKILL,
// and the error is the cause of ctx. Nothing that it has started outlives it.
func Run(ctx context.Context, cmd *exec.Cmd) error {
	// The kernel takes the end of the thread that starts the program for that of the
	// process: no other goroutine may end this one's.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = attributes()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = Grace
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return errors.New("it has ended, and what it has started holds its output, and was ended too: nothing outlives a command but what a service manager starts")
	}
	return err
}

// markName is the variable that marks a program, and all that it starts.
const markName = "SCALEPROOF_CHILD"

// Mark is the entry of a program's environment by which EndMarked finds it.
func Mark(mark string) string { return markName + "=" + mark }

// The time between looks for processes that are to end. Each look reads what every
// process of this machine has in its environment, so that the time grows.
const (
	firstLook   = 20 * time.Millisecond
	longestLook = 320 * time.Millisecond
)

// EndMarked ends what a process that is dead has left running under a mark: SIGTERM
// and, after Grace, SIGKILL. It returns how many processes there were once none is
// left. It finds none but this user's on this machine, on Linux.
func EndMarked(ctx context.Context, mark string) (int, error) {
	seen := map[int]bool{}
	deadline := time.Now().Add(Grace)
	for wait := firstLook; ; wait = min(2*wait, longestLook) {
		left := marked(markName, mark)
		if len(left) == 0 {
			return len(seen), nil
		}
		late := time.Now().After(deadline)
		for _, pid := range left {
			if late {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			} else if !seen[pid] {
				_ = syscall.Kill(pid, syscall.SIGTERM)
			}
			seen[pid] = true
		}
		if time.Now().After(deadline.Add(Grace)) {
			return len(seen), fmt.Errorf("the processes %v that a dead run has left do not end: end them by hand", left)
		}
		select {
		case <-ctx.Done():
			return len(seen), errors.Join(context.Cause(ctx), fmt.Errorf("the processes %v that a dead run has left are still there", left))
		case <-time.After(wait):
		}
	}
}
