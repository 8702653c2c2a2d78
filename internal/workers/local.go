package workers

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"scaleproof/loadgen/fleet"
)

// LocalOptions say which processes to start.
type LocalOptions struct {
	// Program is this program's path; it is run with the arguments worker
	// --connect ADDRESS --index I, and the secret on its standard input, whose end
	// is the end of the parent.
	Program string
	Count   int
	Build   string
	Err     io.Writer // what they say
}

// Local starts workers as processes of this machine, which they share evenly. They
// end with this process, however it ends.
func Local(ctx context.Context, opts LocalOptions) (*Fleet, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for the workers: %w", err)
	}
	ended := make(chan error, opts.Count)
	start := func(secret []byte) (func() error, error) {
		var all []*process
		end := func() error {
			faults := make([]error, len(all))
			var ending sync.WaitGroup
			for i, p := range all {
				ending.Go(func() { faults[i] = p.end() })
			}
			ending.Wait()
			return errors.Join(faults...)
		}
		for i := range opts.Count {
			p, err := startProcess(opts, i, listener.Addr().String(), secret, ended)
			if err != nil {
				return end, fmt.Errorf("starting worker %d: %w", i, err)
			}
			all = append(all, p)
		}
		return end, nil
	}
	watch := func(ctx context.Context) error {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
	}
	return serve(ctx, listener, opts.Count, opts.Build, fleet.DefaultJoin, start, watch)
}

// process is a worker on this machine.
type process struct {
	index int
	cmd   *exec.Cmd
	in    io.Closer
	done  chan struct{}
}

func startProcess(opts LocalOptions, index int, address string, secret []byte, ended chan<- error) (*process, error) {
	cmd := exec.Command(opts.Program, "worker", "--connect", address, "--index", fmt.Sprint(index))
	cpus := max(runtime.GOMAXPROCS(0)/opts.Count, 1)
	cmd.Env = append(os.Environ(), fmt.Sprint("GOMAXPROCS=", cpus))
	cmd.Stderr = opts.Err
	// A Ctrl-C at the terminal is for the parent, which ends its workers in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{index, cmd, in, make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its state tells
		ended <- fmt.Errorf("worker %d ended: %s", index, cmd.ProcessState)
		close(p.done)
	}()
	_, err = io.WriteString(in, hex.EncodeToString(secret)+"\n")
	if err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

// parting is how long a worker may take to go when its coordinator lets it, goodbye how
// long once its parent is gone as far as it knows.
const (
	parting = time.Second
	goodbye = 10 * time.Second
)

// end waits for the process, which was let go where it had joined. It closes its input
// where it does not go, and kills it where that does not help.
func (p *process) end() error {
	if p.goes(parting) {
		return nil
	}
	_ = p.in.Close()
	if p.goes(goodbye) {
		return nil
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("worker %d did not end, and was killed", p.index)
}

// goes reports whether the process ends within d.
func (p *process) goes(d time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}
