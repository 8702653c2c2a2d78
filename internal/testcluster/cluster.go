package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A Cluster is a running cluster.
type Cluster struct {
	dir        string // of this cluster
	binaries   string // the cache that scripts/install-cluster.sh fills
	init       *child
	guardian   *child
	lock       *os.File
	components map[string]*component
}

// Start starts a cluster, waits until its node takes pods, and gives it the
// images that every cluster has. It waits while another cluster runs on this
// machine. On error nothing is left behind.
func Start(ctx context.Context) (_ *Cluster, err error) {
	c := &Cluster{components: map[string]*component{}}
	if c.binaries, err = findBinaries(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	if c.lock, err = lockMachine(c.binaries); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "scaleproof-cluster-"); err != nil {
		return nil, fmt.Errorf("starting a cluster: %w", err)
	}
	if c.guardian, err = startGuardian(c.dir, c.lock); err != nil {
		return nil, err
	}
	if c.init, err = startInit(c.dir); err != nil {
		return nil, err
	}
	return c, c.boot(ctx)
}

func (c *Cluster) boot(ctx context.Context) error {
	for _, prepare := range []func() error{
		func() error { return connect(c.init.cmd.Process.Pid) }, makeCgroups, c.writeCredentials, c.writeNode,
	} {
		if err := prepare(); err != nil {
			return err
		}
	}
	if err := c.startControlPlane(ctx); err != nil {
		return err
	}
	if err := c.LoadImage(ctx, c.Busybox("pause", "/bin/busybox", "sleep", "2147483647")); err != nil {
		return err
	}
	if err := c.awaitNode(ctx); err != nil {
		return err
	}
	return c.startMetrics(ctx)
}

// awaitNode returns once the node takes pods, and pods can be made.
func (c *Cluster) awaitNode(ctx context.Context) error {
	return c.await(ctx, "the node", func(ctx context.Context) error {
		ready, err := c.Kubectl(ctx, "", "get", "node", nodeName, `-o=jsonpath={.status.conditions[?(@.type=="Ready")].status} {.spec.taints}`)
		if err != nil {
			return err
		}
		if strings.TrimSpace(ready) != "True" {
			return fmt.Errorf("the node's readiness is %q", ready)
		}
		_, err = c.Kubectl(ctx, "", "get", "serviceaccount", "default", "-n", "default")
		return err
	})
}

// Stop ends the cluster and removes all that it made. It may be called more than
// once.
func (c *Cluster) Stop() error {
	if c.init != nil {
		c.init.end()
		for _, part := range c.components {
			<-part.ended // killed by the kernel, with the init
		}
		c.init = nil
	}
	if c.guardian != nil {
		c.guardian.end()
		c.guardian = nil
	}
	if c.lock != nil {
		_ = c.lock.Close()
		c.lock = nil
	}
	return nil
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// Kubeconfig is the path of the file with the contexts "test" and "limited".
func (c *Cluster) Kubeconfig() string { return c.path("kubeconfig") }

// KubectlPath is the path of a kubectl of the cluster's version.
func (c *Cluster) KubectlPath() string { return filepath.Join(c.binaries, "bin", "kubectl") }

// Kubectl runs kubectl as the administrator, with a standard input, and returns
// what it printed.
func (c *Cluster) Kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.KubectlPath(), append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+c.dir) // where its cache goes
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(fault.String()))
	}
	return out.String(), nil
}

// Logs returns the end of each component's log, for a test that has failed.
func (c *Cluster) Logs() string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.components)) {
		fmt.Fprintf(&text, "=== %s\n%s\n", name, c.tail(name))
	}
	return text.String()
}

// ErrNotInstalled says that the programs of a cluster are not on the machine.
var ErrNotInstalled = errors.New("the programs of a test cluster are not here: run scripts/install-cluster.sh, as root on Debian")

func findBinaries() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("looking for the programs of a cluster: %w", err)
	}
	dir := filepath.Join(cache, "scaleproof", "cluster")
	for _, program := range []string{"kube-apiserver", "kubectl", "etcd", "containerd", "runc", "ctr", "busybox", "metrics-server"} {
		if _, err := os.Stat(filepath.Join(dir, "bin", program)); err != nil {
			return "", ErrNotInstalled
		}
	}
	return dir, nil
}

// lockMachine waits until no other cluster runs here. The lock goes with the
// process that holds it.
func lockMachine(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "cluster.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the cluster: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking the cluster: %w", err), lock.Close())
	}
	return lock, nil
}
