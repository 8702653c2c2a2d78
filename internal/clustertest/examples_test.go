//go:build cluster

package clustertest

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scaleproof/examples"
	"scaleproof/internal/kubectl"
	"scaleproof/internal/testcluster"
	"scaleproof/scaling"
)

// brownie makes what an example acts on, made small: the application with its
// Service, and those of the other workloads that its text names.
func (s *stage) brownie(text string) {
	s.t.Helper()
	rename := func(manifest, old, name string) string {
		return strings.NewReplacer("name: "+old+"}", "name: "+name+"}", "{app: "+old+"}", "{app: "+name+"}", "serviceName: "+old, "serviceName: "+name).Replace(manifest)
	}
	s.apps(strings.Replace(rename(steady, "app", "brownie-metadata-app"), "port: 80,", "port: 8000,", 1))
	if strings.Contains(text, "DATABASE_URL") {
		s.apps(postgres(s.t, "postgres-primary", 1, "", s.namespace))
	}
	if strings.Contains(text, "target: statefulset/postgres-replica") {
		s.apps(rename(db, "db", "postgres-replica"))
	}
	if strings.Contains(text, "target: hpa/brownie-metadata-app") && !strings.Contains(text, "manifests/hpa.yaml") {
		s.apps(strings.ReplaceAll(autoscaler, "name: app}", "name: brownie-metadata-app}"))
	}
}

// example writes one of the examples, with its manifests, into the user's folder: what
// it measures is made short, and what it bounds wide, since this machine is no
// production; its steps are as they are. further are further replacements.
func (u *user) example(name string, further ...string) string {
	u.t.Helper()
	text, err := examples.Files.ReadFile(name + ".yaml")
	if err != nil {
		u.t.Fatal(err)
	}
	manifests, err := fs.Glob(examples.Files, "manifests/*.yaml")
	if err != nil {
		u.t.Fatal(err)
	}
	for _, manifest := range manifests {
		content, err := examples.Files.ReadFile(manifest)
		if err != nil {
			u.t.Fatal(err)
		}
		u.write(manifest, string(content))
	}
	short := strings.NewReplacer(append(further,
		"trials: 6", "trials: 4", "duration: 60s", "duration: 400ms", "warmup: 10s", "warmup: 100ms", "rate: 500/s", "rate: 20/s", "rate: 50/s", "rate: 20/s",
		"connections: 100", "connections: 4", "p99 < 80ms", "p99 < 30s", "p99 < 500ms", "p99 < 30s", "p99 <= 1.2x", "p99 <= 100x", "p50 <= 1.1x", "p50 <= 100x", "p50 <= 1x", "p50 <= 100x",
		"\ngates:\n  - {metric: load.health.response.p50, min_change: 10%}\n", "\n",
	)...)
	return u.write(name+".yaml", short.Replace(string(text)))
}

// verticalCRD is what is needed of the vertical-pod-autoscaler to apply one.
const verticalCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: verticalpodautoscalers.autoscaling.k8s.io, annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes/kubernetes/pull/63797"}}
spec:
  group: autoscaling.k8s.io
  scope: Namespaced
  names: {kind: VerticalPodAutoscaler, plural: verticalpodautoscalers, singular: verticalpodautoscaler}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`

func installVerticalCRD(t *testing.T) {
	t.Helper()
	if _, err := cluster.Kubectl(t.Context(), verticalCRD, "apply", "--server-side", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Kubectl(t.Context(), "", "wait", "--for=condition=Established", "crd/verticalpodautoscalers.autoscaling.k8s.io", "--timeout=30s"); err != nil {
		t.Fatal(err)
	}
}

// specs are what everything in the namespace asks for.
func (s *stage) specs() map[string]any {
	s.t.Helper()
	all := map[string]any{}
	client := s.client(testcluster.AdminContext)
	for _, kind := range []string{"deployments", "statefulsets", "services", "configmaps", "horizontalpodautoscalers", "verticalpodautoscalers"} {
		objects, err := client.List(s.t.Context(), kind, "")
		if err != nil && kubectl.ReasonOf(err) != kubectl.NoKind {
			s.t.Fatal(err)
		}
		for _, o := range objects {
			all[o.Target()] = []any{o.At("spec"), o.At("data"), o.At("metadata", "labels")}
		}
	}
	return all
}

// Each example is run as a user would, under its load, and undone to exactly what was
// there. That of the read replicas has a test of its own.
func TestEveryExampleGoesForthAndBack(t *testing.T) {
	installVerticalCRD(t)
	files, err := fs.Glob(examples.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, file := range files {
		text, err := examples.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(file, ".yaml")
		if !strings.Contains(string(text), "KUBE_CONTEXT") || name == "read-replicas" {
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.brownie(string(text))
			u := s.newUser("APP_URL="+s.address("brownie-metadata-app", "8000"),
				"APP_CPU_REQUEST=20m", "APP_CPU_LIMIT=60m", "APP_MEMORY_REQUEST=24Mi", "APP_MEMORY_LIMIT=48Mi",
				"DB_CPU_REQUEST=20m", "DB_CPU_LIMIT=500m", "DB_MEMORY_REQUEST=64Mi", "DB_MEMORY_LIMIT=256Mi")
			if strings.Contains(string(text), "DATABASE_URL") {
				dsn := s.dsn("postgres-primary")
				s.incidents(dsn)
				u.environ = append(u.environ, "DATABASE_URL="+dsn)
			}
			before := s.specs()
			plan := u.example(name, "when: objective_failed", "when: always")
			u.must(0, "run", "-f", plan, "--dry-run")
			if diff := cmp.Diff(before, s.specs()); diff != "" {
				t.Fatalf("the preview has changed something:\n%s", diff)
			}
			u.must(0, "run", "-f", plan, "--out", "report", "--yes") // closed models may go fast
			r := u.report("report")
			if len(r.Action.Steps) == 0 {
				return // it only measures
			}
			changed := false
			for _, step := range r.Action.Steps {
				changed = changed || step.Status == scaling.Applied && step.Before != step.After
			}
			if !changed || !r.Action.Rollback.Verified {
				t.Errorf("steps %+v, rollback %+v", r.Action.Steps, r.Action.Rollback)
			}
			if diff := cmp.Diff(before, s.specs()); diff != "" {
				t.Errorf("it is not as before:\n%s", diff)
			}
		})
	}
	if tried < 9 {
		t.Errorf("%d examples are about Kubernetes, want 9 or more", tried)
	}
}

func TestAVerticalAutoscalerOwnsTheResources(t *testing.T) {
	t.Parallel()
	installVerticalCRD(t)
	s := newStage(t, app, `
apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata: {name: app}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  updatePolicy: {updateMode: Auto}
  resourcePolicy: {containerPolicies: [{containerName: sidecar, mode: "Off"}, {containerName: app, minAllowed: {cpu: 10m}}]}
`)
	x := s.executor()
	step := scaling.Step{Resources: &scaling.Resources{Target: "deployment/app", Container: "app", Requests: map[string]string{"cpu": "50m"}}}
	if _, err := s.try(x, step); err == nil || !strings.Contains(err.Error(), "verticalpodautoscaler/app owns the resources") {
		t.Fatalf("error %v", err)
	}
	step.Resources.Owner = scaling.Adjust
	o := s.apply(x, step)
	s.expect("verticalpodautoscaler/app", ".spec.resourcePolicy.containerPolicies[1].minAllowed.cpu", "50m")
	s.expect("verticalpodautoscaler/app", ".spec.resourcePolicy.containerPolicies[0].mode", "Off")
	s.rollBack(x, o)
	s.expect("verticalpodautoscaler/app", ".spec.resourcePolicy.containerPolicies[1].minAllowed.cpu", "10m")
}
