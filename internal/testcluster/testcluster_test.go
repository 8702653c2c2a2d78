//go:build cluster

package testcluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ownerVariable makes the test binary start a cluster and wait to be killed.
const ownerVariable = "SCALEPROOF_TEST_CLUSTER_OWNER"

var cluster *Cluster

func TestMain(m *testing.M) {
	if os.Getenv(ownerVariable) != "" {
		c, err := Start(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(c.init.cmd.Process.Pid, c.dir)
		select {}
	}
	if err := killAnOwner(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(Main(m, &cluster))
}

// killed is the cluster whose owner was killed before this one started.
var killed struct {
	pid int
	dir string
}

// killAnOwner has another process start a cluster, and kills that process. The
// cluster of the tests then waits for the lock until all of it is gone.
func killAnOwner() error {
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerVariable+"=1")
	owner.Stderr = os.Stderr
	out, err := owner.StdoutPipe()
	if err != nil {
		return err
	}
	if err := owner.Start(); err != nil {
		return err
	}
	_, scanErr := fmt.Fscan(out, &killed.pid, &killed.dir)
	err = owner.Process.Kill()
	_ = owner.Wait()
	return errors.Join(scanErr, err)
}

func TestNothingOutlivesAKilledOwner(t *testing.T) {
	if killed.pid == 0 {
		t.Fatal("no owner was killed")
	}
	if err := syscall.Kill(killed.pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("its init %d lives: %v", killed.pid, err)
	}
	if _, err := os.Stat(killed.dir); !os.IsNotExist(err) {
		t.Errorf("its folder is there: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), "scaleproof-cluster") {
		t.Errorf("a mount is left:\n%s", mounts)
	}
}

func TestMetricsServerAnswers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	err := cluster.await(ctx, "metrics", func(ctx context.Context) error {
		_, err := cluster.Kubectl(ctx, "", "top", "node")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAStoppedAPIServerComesBack(t *testing.T) {
	if err := cluster.StopComponent("kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	if out, err := cluster.Kubectl(t.Context(), "", "get", "node", "--request-timeout=2s"); err == nil {
		t.Errorf("a stopped API server answered %s", out)
	}
	if err := cluster.StartComponent("kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	err := cluster.await(t.Context(), "the API server", func(ctx context.Context) error {
		_, err := cluster.Kubectl(ctx, "", "get", "--raw", "/readyz")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

const web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: docker.io/local/web:1
        imagePullPolicy: Never
        readinessProbe: {httpGet: {path: /, port: 8000}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 100m, memory: 32Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8000}]}
`

func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := cluster.Kubectl(t.Context(), stdin, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPodsRunAndAServiceAnswers(t *testing.T) {
	if err := cluster.LoadImage(t.Context(), cluster.Busybox("web", "/bin/sh", "-c", "echo hello >/tmp/index.html; exec /bin/busybox httpd -f -p 8000 -h /tmp")); err != nil {
		t.Fatal(err)
	}
	kubectl(t, web, "apply", "-f", "-")
	kubectl(t, "", "rollout", "status", "deployment/web", "--timeout=60s")
	address := kubectl(t, "", "get", "service", "web", "-o=jsonpath={.spec.clusterIP}")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := cluster.await(ctx, "the Service", func(context.Context) error {
		answer, err := http.Get("http://" + net.JoinHostPort(address, "80") + "/")
		if err != nil {
			return err
		}
		return answer.Body.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	if out := kubectl(t, "", "logs", "deployment/web"); strings.Contains(out, "error") {
		t.Error(out)
	}
}
