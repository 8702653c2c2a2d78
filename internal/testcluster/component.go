package testcluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A component is one program of the cluster, which runs in the init's
// namespaces and writes its log to the cluster's folder.
type component struct {
	name    string
	args    []string
	process *exec.Cmd
	ended   chan struct{} // closed when process has ended
}

// startComponent starts the component of that name, whose program is the first
// of args.
func (c *Cluster) startComponent(name string, args ...string) error {
	part := &component{name: name, args: args}
	c.components[name] = part
	return c.launch(part)
}

func (c *Cluster) launch(part *component) error {
	log, err := os.OpenFile(c.path(part.name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("starting %s: %w", part.name, err)
	}
	defer log.Close() // the child has its own
	cmd := c.inside(context.Background(), part.args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", part.name, err)
	}
	part.process, part.ended = cmd, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // its log says why it ended
		close(ended)
	}(part.ended)
	return nil
}

// inside is a command that runs in the init's namespaces, one of the cluster's
// own programs or one of the machine's.
func (c *Cluster) inside(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(c.init.cmd.Process.Pid), "--pid", "--mount", "--net", "--"}
	program := filepath.Join(c.binaries, "bin", args[0])
	if _, err := os.Stat(program); err != nil {
		program = args[0]
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(append(enter, program), args[1:]...)...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(c.binaries, "bin")+":/usr/sbin:/usr/bin:/sbin:/bin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// StopComponent kills a component, such as kube-apiserver, and returns when it
// is dead.
func (c *Cluster) StopComponent(name string) error {
	part, ok := c.components[name]
	if !ok {
		return fmt.Errorf("the cluster has no component %s", name)
	}
	// The group, since nsenter forks to enter a PID namespace.
	if err := syscall.Kill(-part.process.Process.Pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("stopping %s: %w", name, err)
	}
	<-part.ended
	return nil
}

// StartComponent starts a stopped component again.
func (c *Cluster) StartComponent(name string) error {
	part, ok := c.components[name]
	if !ok {
		return fmt.Errorf("the cluster has no component %s", name)
	}
	return c.launch(part)
}

// await tries until a condition holds, a component has ended, or ctx has.
func (c *Cluster) await(ctx context.Context, what string, holds func(context.Context) error) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := holds(ctx)
		if err == nil {
			return nil
		}
		for _, part := range c.components {
			select {
			case <-part.ended:
				return fmt.Errorf("waiting for %s: %s has ended:\n%s", what, part.name, c.tail(part.name))
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w", what, context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

// tail returns the end of a component's log.
func (c *Cluster) tail(name string) string {
	text, err := os.ReadFile(c.path(name + ".log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-10):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), 300)]
	}
	return strings.Join(lines, "\n")
}
