package sample

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// An Endpoint is a handler on a listener.
type Endpoint struct {
	Listener net.Listener
	Handler  http.Handler
}

// Listen opens n listeners on loopback and free ports.
func Listen(n int) ([]net.Listener, error) {
	var listeners []net.Listener
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			for _, open := range listeners {
				_ = open.Close()
			}
			return nil, fmt.Errorf("listening on loopback: %w", err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// shutdownGrace bounds how long a server waits for its last requests.
const shutdownGrace = 5 * time.Second

// Serve runs a child process's servers: it tells the parent their URLs on out,
// one JSON array in a line, and serves until ctx ends or the parent does, which
// closes in. Then it lets requests finish.
func Serve(ctx context.Context, in io.Reader, out io.Writer, endpoints ...Endpoint) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var servers []*http.Server
	var urls []string
	for _, e := range endpoints {
		server := &http.Server{Handler: e.Handler}
		servers = append(servers, server)
		urls = append(urls, "http://"+e.Listener.Addr().String())
		go func() {
			if err := server.Serve(e.Listener); !errors.Is(err, http.ErrServerClosed) {
				cancel(err)
			}
		}()
	}
	go func() {
		_, _ = io.Copy(io.Discard, in) // its end is the message
		cancel(nil)
	}()
	if err := json.NewEncoder(out).Encode(urls); err != nil {
		return fmt.Errorf("telling the address: %w", err)
	}
	<-ctx.Done()
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer done()
	var err error
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = cause
	}
	for _, server := range servers {
		err = errors.Join(err, server.Shutdown(grace))
	}
	return err
}

// A Process is a child that runs Serve.
type Process struct {
	URLs []string
	cmd  *exec.Cmd
	in   io.Closer
}

// StartProcess runs a program and returns once it has told its URLs. The child
// has a process group of its own, and ends when Stop is called or this process
// dies.
func StartProcess(ctx context.Context, program string, args, env []string) (*Process, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", program, err)
	}
	p := &Process{cmd: cmd, in: in}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.URLs)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = cmd.Process.Kill()
		p.Stop()
		return nil, fmt.Errorf("starting %s %v: waiting for its address: %w", program, args, err)
	}
	return p, nil
}

// Stop ends the process in good order, or by force after twice the grace that
// it gives its requests.
func (p *Process) Stop() {
	_ = p.in.Close()
	force := time.AfterFunc(2*shutdownGrace, func() { _ = p.cmd.Process.Kill() })
	defer force.Stop()
	_ = p.cmd.Wait() // it has said on stderr what went wrong, if anything did
}
