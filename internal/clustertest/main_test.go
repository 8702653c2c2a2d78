//go:build cluster

package clustertest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/testcluster"
	"scaleproof/internal/unit"
	"scaleproof/scaling"
)

var cluster *testcluster.Cluster

// folder is of files that all tests share.
var folder string

func TestMain(m *testing.M) { os.Exit(testcluster.Main(withImages{m}, &cluster)) }

// withImages loads the images of the tests before they run.
type withImages struct{ m *testing.M }

func (w withImages) Run() int {
	serve := "mkdir /tmp/www; hostname >/tmp/www/index.html; echo ok >/tmp/www/health; exec /bin/busybox httpd -f -p 8000 -h /tmp/www"
	if err := cluster.LoadImage(context.Background(), cluster.Busybox("app", "/bin/sh", "-c", serve)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var err error
	if folder, err = os.MkdirTemp("", "scaleproof-clustertest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	return w.m.Run()
}

// A stage is a namespace of the cluster, and what acts in it.
type stage struct {
	t         *testing.T
	namespace string
	env       scaling.Environment
}

// newStage makes a namespace with the objects of manifests, and waits until the
// workloads among them run.
func newStage(t *testing.T, manifests ...string) *stage {
	t.Helper()
	s := &stage{t: t, namespace: strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))}
	if len(s.namespace) > 60 {
		s.namespace = s.namespace[:60]
	}
	s.env = scaling.Environment{Now: time.Now, Kubernetes: s.client(testcluster.AdminContext)}
	s.run("", "create", "namespace", s.namespace)
	t.Cleanup(func() {
		if t.Failed() {
			s.logs()
		}
		_, _ = cluster.Kubectl(context.Background(), "", "delete", "namespace", s.namespace, "--wait=false")
	})
	s.apps(manifests...)
	return s
}

// logs tells what the pods of a failed test have said last.
func (s *stage) logs() {
	ctx := context.Background()
	pods, err := cluster.Kubectl(ctx, "", "--namespace="+s.namespace, "get", "pods", "-o=name")
	if err != nil {
		s.t.Log(err)
	}
	for _, pod := range strings.Fields(pods) {
		log, err := cluster.Kubectl(ctx, "", "--namespace="+s.namespace, "logs", pod, "--all-containers", "--tail=20")
		s.t.Logf("%s (%v):\n%s", pod, err, log)
	}
}

// apps makes objects and waits until the workloads of the namespace run.
func (s *stage) apps(manifests ...string) {
	s.t.Helper()
	for _, manifest := range manifests {
		s.run(manifest, "apply", "-f", "-")
	}
	for _, target := range strings.Fields(s.run("", "get", "deployments,statefulsets", "-o=name")) {
		s.run("", "rollout", "status", target, "--timeout=90s")
	}
}

// client returns a client of one of the cluster's contexts.
func (s *stage) client(context string) *kubectl.Client {
	environ := append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig(), "HOME="+s.t.TempDir())
	return &kubectl.Client{
		Context: context, Namespace: s.namespace, Run: kubectl.Program(cluster.KubectlPath(), environ), Patience: time.Minute,
	}
}

// run runs kubectl in the namespace, as a person would.
func (s *stage) run(stdin string, args ...string) string {
	s.t.Helper()
	out, err := cluster.Kubectl(s.t.Context(), stdin, append([]string{"--namespace=" + s.namespace}, args...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// field reads one field of an object.
func (s *stage) field(target, path string) string {
	s.t.Helper()
	return s.run("", "get", target, "-o=jsonpath={"+path+"}")
}

func (s *stage) expect(target, path, want string) {
	s.t.Helper()
	if got := s.field(target, path); got != want {
		s.t.Errorf("%s %s is %q, want %q", target, path, got, want)
	}
}

func (s *stage) executor() *scaling.Executor {
	return scaling.NewExecutor(s.env, nil, func(e scaling.Event) { s.t.Logf("%s %s %s", e.Step, e.Status, e.Detail) })
}

// apply runs steps, which must be valid and work.
func (s *stage) apply(x *scaling.Executor, steps ...scaling.Step) *scaling.Outcome {
	s.t.Helper()
	o, err := s.try(x, steps...)
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

// try runs steps, which must be valid.
func (s *stage) try(x *scaling.Executor, steps ...scaling.Step) (*scaling.Outcome, error) {
	s.t.Helper()
	for _, step := range steps {
		if err := step.Validate(); err != nil {
			s.t.Fatal(err)
		}
	}
	return x.Apply(s.t.Context(), "id", steps)
}

// rollBack undoes an outcome, which must be verified.
func (s *stage) rollBack(x *scaling.Executor, o *scaling.Outcome) {
	s.t.Helper()
	if r := x.Rollback(s.t.Context(), o, "a test"); !r.Verified {
		s.t.Fatalf("the rollback is not verified: %q", r.Differences)
	}
}

func scaleTo(target string, replicas int) scaling.Step {
	return scaling.Step{Scale: &scaling.Scale{Target: target, Replicas: &replicas}}
}

func converged(target string) scaling.Step {
	return scaling.Step{Timeout: unit.Duration(time.Minute), Wait: &scaling.Wait{For: "converged", Target: target}}
}

// app is a Deployment of two pods with a Service.
const app = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: app
        image: docker.io/local/app:1
        imagePullPolicy: Never
        readinessProbe: {httpGet: {path: /, port: 8000}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 100m, memory: 32Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, ports: [{port: 80, targetPort: 8000}]}
`

// db is a StatefulSet of two pods.
const db = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: db
        image: docker.io/local/app:1
        imagePullPolicy: Never
        readinessProbe: {httpGet: {path: /, port: 8000}, periodSeconds: 1}
        resources: {requests: {cpu: 10m, memory: 16Mi}}
`

// autoscaler owns the replicas of app.
const autoscaler = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: app}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  minReplicas: 2
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
`
