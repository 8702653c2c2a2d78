package testcluster

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// MachineIP is the address at which pods reach this machine.
const MachineIP = "10.99.0.254"

// The addresses of the cluster; see the package's comment.
const (
	nodeIP        = "10.99.0.1"
	podNetwork    = "10.244.0.0/24"
	clusterCIDR   = "10.244.0.0/16"
	serviceSubnet = "10.96.0.0/16"
	machineLink   = "scaleproof0"
	nodeLink      = "eth0"
	cgroupRoot    = "scaleproof"
)

// initScript is process 1 of the cluster. What it mounts vanishes with it.
const initScript = `
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs "$1/etcd"
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo ready
read -r _ || true
`

// guardianScript outlives the process that has started the cluster, whose end
// ends its standard input, and the init with it.
const guardianScript = `
read -r _
init=$(cat "$1/init.pid" 2>/dev/null)
if [ -n "$init" ]; then
	kill -KILL "$init" 2>/dev/null
	for _ in $(seq 100); do
		kill -0 "$init" 2>/dev/null || break
		sleep 0.1
	done
fi
for _ in $(seq 50); do
	find /sys/fs/cgroup/*/"$2" -depth -type d -exec rmdir {} + 2>/dev/null
	ls -d /sys/fs/cgroup/*/"$2" >/dev/null 2>&1 || break
	sleep 0.1
done
rm -rf -- "$1"
`

// A child is a process that lives until its standard input ends.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

func startChild(cmd *exec.Cmd) (*child, error) {
	cmd.Dir = "/"
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // a Ctrl-C at the terminal must not reach it
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &child{cmd, stdin}, cmd.Start()
}

// end lets the child go and waits for it.
func (c *child) end() {
	_ = c.stdin.Close()
	_ = c.cmd.Wait() // how it ends tells nothing that matters here
}

// startGuardian sets the process that cleans up dir when this one dies. It holds
// the lock too, so that the next cluster waits until it is done.
func startGuardian(dir string, lock *os.File) (*child, error) {
	cmd := exec.Command("/bin/sh", "-c", guardianScript, "scaleproof-guardian", dir, cgroupRoot)
	cmd.ExtraFiles = []*os.File{lock}
	c, err := startChild(cmd)
	if err != nil {
		return nil, fmt.Errorf("starting the cluster's guardian: %w", err)
	}
	return c, nil
}

// startInit starts process 1 of the cluster and returns when its namespaces are
// there.
func startInit(dir string) (*child, error) {
	if err := os.MkdirAll(filepath.Join(dir, "etcd"), 0o700); err != nil {
		return nil, err
	}
	cmd := exec.Command("/bin/sh", "-c", initScript, "scaleproof-init", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET}
	var fault strings.Builder
	cmd.Stderr = &fault
	ready, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c, err := startChild(cmd)
	if err != nil {
		return nil, fmt.Errorf("starting the cluster's namespaces (is this root?): %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "init.pid"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		c.end()
		return nil, err
	}
	if line, err := io.ReadAll(io.LimitReader(ready, int64(len("ready\n")))); err != nil || string(line) != "ready\n" {
		c.end()
		return nil, fmt.Errorf("starting the cluster's namespaces: %s", strings.TrimSpace(fault.String()))
	}
	return c, nil
}

// connect joins the init's network with the machine's.
func connect(pid int) error {
	inside := []string{"nsenter", "--net=/proc/" + strconv.Itoa(pid) + "/ns/net"}
	for _, command := range [][]string{
		{"ip", "link", "add", machineLink, "type", "veth", "peer", "name", nodeLink, "netns", strconv.Itoa(pid)},
		{"ip", "address", "add", MachineIP + "/24", "dev", machineLink},
		{"ip", "link", "set", machineLink, "up"},
		append(inside, "ip", "address", "add", nodeIP+"/24", "dev", nodeLink),
		append(inside, "ip", "link", "set", nodeLink, "up"),
		append(inside, "ip", "route", "add", "default", "via", MachineIP),
		{"ip", "route", "add", podNetwork, "via", nodeIP},
		{"ip", "route", "add", serviceSubnet, "via", nodeIP},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("making the cluster's network: %s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// makeCgroups makes the cgroup below which the kubelet puts its pods, in each
// controller.
func makeCgroups() error {
	controllers, err := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	if err != nil {
		return err
	}
	for _, procs := range controllers {
		if err := os.MkdirAll(filepath.Join(filepath.Dir(procs), cgroupRoot), 0o755); err != nil {
			return fmt.Errorf("making the cluster's cgroups: %w", err)
		}
	}
	// A cpuset takes no process before it has cores and memory.
	parent := "/sys/fs/cgroup/cpuset"
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			continue // this machine has no cpuset controller, or version 2
		}
		if err := os.WriteFile(filepath.Join(parent, cgroupRoot, file), value, 0o644); err != nil {
			return fmt.Errorf("making the cluster's cgroups: %w", err)
		}
	}
	return nil
}
