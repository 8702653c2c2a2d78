// Package child runs programs in process groups of their own, so that a Ctrl-C
// at the terminal does not reach them, and ends all of a group.
package child

import (
	"context"
	"os/exec"
	"syscall"
	"time"
)

// Grace is how long a program that was asked to end may take.
const Grace = 5 * time.Second

// Run runs cmd, which must come from exec.CommandContext with ctx, to its end.
// When ctx ends, its whole process group gets SIGTERM and, after Grace, SIGKILL,
// and the error is the cause of ctx. Nothing that it has started outlives it.
func Run(ctx context.Context, cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = Grace
	err := cmd.Run()
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
