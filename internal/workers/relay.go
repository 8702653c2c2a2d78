package workers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/nap"
)

// The ports of a relay: that which workers dial, and that of the coordinator, which
// is on the pod's loopback, where only a forwarded port leads.
const (
	relayPort   = 7443
	controlPort = 7444
)

// A relay is the pod through which workers reach a coordinator that they can't dial,
// and the port of this machine that kubectl leads to it.
type relay struct {
	client *kubectl.Client
	pod    string
	stop   context.CancelFunc
	ctx    context.Context
	ended  sync.WaitGroup

	mu    sync.Mutex
	local string // the forwarded port's address; "" while there is none
	fault error  // why the last one ended
}

func newRelay(client *kubectl.Client, pod string) *relay {
	r := &relay{client: client, pod: pod}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// redial is the time between attempts to forward a port.
const redial = 250 * time.Millisecond

// forward keeps a port of this machine that leads to the relay until end.
func (r *relay) forward() {
	r.ended.Go(func() {
		for r.ctx.Err() == nil {
			local, err := freePort()
			if err == nil {
				r.note(net.JoinHostPort("127.0.0.1", strconv.Itoa(local)), nil)
				err = r.client.Forward(r.ctx, r.pod, local, controlPort)
			}
			r.note("", err)
			nap.Pause(r.ctx, redial)
		}
	})
}

func (r *relay) note(local string, fault error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.local = local
	if fault != nil {
		r.fault = fault
	}
}

// freePort returns a port of the loopback that nobody listens at. Should another take
// it first, kubectl says so, and the next is tried.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// dial reaches the relay.
func (r *relay) dial(ctx context.Context) (net.Conn, error) {
	r.mu.Lock()
	local := r.local
	r.mu.Unlock()
	if local == "" {
		return nil, r.trouble()
	}
	return new(net.Dialer).DialContext(ctx, "tcp", local)
}

// trouble is what may keep workers from coming.
func (r *relay) trouble() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault != nil {
		return r.fault
	}
	return errors.New("no port leads to the relay yet")
}

// end ends the forwarded port.
func (r *relay) end() {
	r.stop()
	r.ended.Wait()
}

// startRelay makes the relay of the Job's workers, and returns once it runs.
func (j *job) startRelay(ctx context.Context) error {
	if _, err := j.Client.Create(ctx, j.relayPod(), false); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, joining)
	defer cancel()
	for {
		pod, err := j.Client.Get(ctx, "pod/"+j.relay.pod)
		if err != nil {
			return fmt.Errorf("waiting for the relay: %w", err)
		}
		if reason := hopeless(pod); reason != "" {
			return errors.New(reason)
		}
		if ip := pod.Text("status", "podIP"); ip != "" && pod.Text("status", "phase") == "Running" {
			j.addresses = []string{net.JoinHostPort(ip, strconv.Itoa(relayPort))}
			j.relay.forward()
			return nil
		}
		if !nap.Pause(ctx, watchEvery/4) {
			return fmt.Errorf("waiting for the relay: %w", errors.Join(waiting(pod), context.Cause(ctx)))
		}
	}
}

// waiting is what a pod waits for, nil where it runs.
func waiting(pod kubectl.Object) error {
	if reason := waits(pod); reason != "" {
		return errors.New(reason)
	}
	return nil
}

// relayPod is the pod of the relay. It goes with the Job, and holds no secret.
func (j *job) relayPod() kubectl.Object {
	container := j.container("relay", map[string]string{"cpu": "100m", "memory": "32Mi"}, map[string]string{"memory": "256Mi"})
	container["args"] = []any{"relay", fmt.Sprintf("--listen=:%d", relayPort), fmt.Sprintf("--control=127.0.0.1:%d", controlPort)}
	spec := j.podSpec(container)
	spec["activeDeadlineSeconds"] = j.deadline()
	return kubectl.Object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": j.relay.pod, "labels": j.labels(), "ownerReferences": j.owner()},
		"spec":     spec,
	}
}
