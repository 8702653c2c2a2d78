//go:build cluster

package clustertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/plan"
	"scaleproof/internal/testcluster"
	"scaleproof/scaling"
)

// brownie is what an example acts on, made small: those of the workloads that
// its text names.
func brownie(text string) []string {
	rename := func(manifest, old, name string) string {
		manifest, _, _ = strings.Cut(manifest, "---")
		return strings.NewReplacer("name: "+old+"}", "name: "+name+"}", "{app: "+old+"}", "{app: "+name+"}", "serviceName: "+old, "serviceName: "+name).Replace(manifest)
	}
	postgres := strings.Replace(db, "- name: db", "- name: postgres", 1)
	var manifests []string
	for _, w := range []struct{ kind, name, manifest string }{
		{"deployment", "brownie-metadata-app", rename(app, "app", "brownie-metadata-app")},
		{"statefulset", "postgres-primary", rename(postgres, "db", "postgres-primary")},
		{"statefulset", "postgres-replica", rename(postgres, "db", "postgres-replica")},
		{"hpa", "brownie-metadata-app", strings.ReplaceAll(autoscaler, "name: app}", "name: brownie-metadata-app}")},
	} {
		if strings.Contains(text, "target: "+w.kind+"/"+w.name) && !(w.kind == "hpa" && strings.Contains(text, "manifests/hpa.yaml")) {
			manifests = append(manifests, w.manifest)
		}
	}
	return manifests
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

// Each example's steps go forth on a cluster, and back to exactly what was there.
func TestEveryExampleGoesForthAndBack(t *testing.T) {
	installVerticalCRD(t)
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	small := map[string]string{
		"DATABASE_URL": "postgres://127.0.0.1/none", "KUBE_CONTEXT": testcluster.AdminContext,
		"APP_CPU_REQUEST": "20m", "APP_CPU_LIMIT": "200m", "APP_MEMORY_REQUEST": "24Mi", "APP_MEMORY_LIMIT": "48Mi",
		"DB_CPU_REQUEST": "20m", "DB_CPU_LIMIT": "200m", "DB_MEMORY_REQUEST": "24Mi", "DB_MEMORY_LIMIT": "48Mi",
	}
	tried := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "KUBE_CONTEXT") {
			continue
		}
		tried++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, brownie(string(text))...)
			p, err := plan.ReadFile(file, func(variable string) (string, bool) {
				value, ok := small[variable]
				if variable == "KUBE_NAMESPACE" {
					return s.namespace, true
				}
				return value, ok
			})
			if err != nil {
				t.Fatal(err)
			}
			// There is no database here to ask.
			steps := slices.DeleteFunc(p.Action.Steps, func(step scaling.Step) bool { return step.Wait != nil && step.Wait.SQL != nil })
			before := s.specs()
			x := s.executor()
			o := s.apply(x, steps...)
			if cmp.Equal(before, s.specs()) {
				t.Error("the steps changed nothing")
			}
			s.rollBack(x, o)
			if diff := cmp.Diff(before, s.specs()); diff != "" {
				t.Errorf("it is not as before:\n%s", diff)
			}
		})
	}
	if tried < 9 {
		t.Errorf("%d examples act on Kubernetes, want 9 or more", tried)
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
