//go:build cluster

package clustertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scaleproof/scaling"
)

func TestScaleAndRollBack(t *testing.T) {
	t.Parallel()
	s := newStage(t, app)
	x := s.executor()
	o := s.apply(x, scaleTo("deployment/app", 5), converged("deployment/app"))
	s.expect("deployment/app", ".status.readyReplicas", "5")
	if step := o.Steps[0]; step.Before != `{"deployment/app":{"/spec/replicas":2}}` || step.After != `{"deployment/app":{"/spec/replicas":5}}` {
		t.Errorf("states %s and %s", step.Before, step.After)
	}
	s.rollBack(x, o)
	s.expect("deployment/app", ".spec.replicas", "2")
	s.expect("deployment/app", ".status.replicas", "2") // the rollback waits for it
}

func TestScaleAStatefulSet(t *testing.T) {
	t.Parallel()
	s := newStage(t, db)
	x := s.executor()
	o := s.apply(x, scaleTo("statefulset/db", 1), converged("statefulset/db"))
	if pods := s.run("", "get", "pods", "-o=name"); pods != "pod/db-0" {
		t.Errorf("pods %s after it converged: none may be left over", pods)
	}
	s.rollBack(x, o)
	s.expect("statefulset/db", ".status.readyReplicas", "2")
}

func TestResourcesAndRollBack(t *testing.T) {
	t.Parallel()
	s := newStage(t, app, db)
	x := s.executor()
	// 0.05 and 50m are one quantity: what the API server makes of it counts.
	o := s.apply(x,
		scaling.Step{Resources: &scaling.Resources{Target: "deployment/app", Container: "app", Requests: map[string]string{"cpu": "0.05"}, Limits: map[string]string{"memory": "64Mi"}}},
		converged("deployment/app"),
		scaling.Step{Resources: &scaling.Resources{Target: "statefulset/db", Container: "db", Limits: map[string]string{"cpu": "200m"}}},
		converged("statefulset/db"),
	)
	const resources = ".spec.template.spec.containers[0].resources"
	s.expect("deployment/app", resources+".requests", `{"cpu":"50m","memory":"16Mi"}`)
	s.expect("deployment/app", resources+".limits", `{"cpu":"100m","memory":"64Mi"}`)
	s.expect("statefulset/db", resources+".limits", `{"cpu":"200m"}`)
	s.expect("pod/db-0", ".spec.containers[0].resources.limits", `{"cpu":"200m"}`)
	s.rollBack(x, o)
	s.expect("deployment/app", resources, `{"limits":{"cpu":"100m","memory":"32Mi"},"requests":{"cpu":"10m","memory":"16Mi"}}`)
	s.expect("statefulset/db", resources, `{"requests":{"cpu":"10m","memory":"16Mi"}}`)
	s.expect("pod/db-0", ".spec.containers[0].resources.limits", "")
}

func writeManifest(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestApplyMakesAndChanges(t *testing.T) {
	t.Parallel()
	s := newStage(t, app)
	manifest := writeManifest(t, autoscaler+`---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: 8000}]}
`)
	x := s.executor()
	step := scaling.Step{Name: "autoscale", Apply: &scaling.Apply{File: manifest}}
	o := s.apply(x, step)
	s.expect("hpa/app", ".spec.maxReplicas", "3")
	s.expect("service/app", ".spec.sessionAffinity", "ClientIP")
	// The autoscaler scales, as far as anyone can tell; gone, it scales back no more.
	s.run("", "scale", "deployment/app", "--replicas=3")
	s.rollBack(x, o)
	s.expect("deployment/app", ".spec.replicas", "2")
	if left := s.run("", "get", "hpa", "-o=name"); left != "" {
		t.Errorf("%s is left", left)
	}
	s.expect("service/app", ".spec.sessionAffinity", "None")

	// What is there already is changed, and gets back what it had.
	s.run(autoscaler, "apply", "-f", "-")
	step.Apply.File = writeManifest(t, strings.Replace(autoscaler, "maxReplicas: 3", "maxReplicas: 9", 1))
	o = s.apply(x, step)
	s.expect("hpa/app", ".spec.maxReplicas", "9")
	s.rollBack(x, o)
	s.expect("hpa/app", ".spec.maxReplicas", "3")
}

func TestPatchConfigMapAndRestart(t *testing.T) {
	t.Parallel()
	s := newStage(t, app)
	s.run("", "create", "configmap", "routing", "--from-literal=a=1", "--from-literal=b=2")
	before := s.run("", "get", "pods", "-o=name")
	x := s.executor()
	o := s.apply(x,
		scaling.Step{Patch: &scaling.Patch{Target: "deployment/app", Patch: map[string]any{"metadata": map[string]any{"labels": map[string]any{"tier/x": "web"}}}}},
		scaling.Step{Patch: &scaling.Patch{Target: "service/app", Type: "json", Patch: []any{map[string]any{"op": "replace", "path": "/spec/ports/0/port", "value": 81}}}},
		scaling.Step{ConfigMap: &scaling.ConfigMap{Name: "routing", Data: map[string]string{"b": "3", "c": "4"}}},
		scaling.Step{ConfigMap: &scaling.ConfigMap{Name: "other", Data: map[string]string{"x": "y"}}},
		scaling.Step{Restart: &scaling.Restart{Target: "deployment/app"}},
		converged("deployment/app"),
	)
	s.expect("configmap/routing", ".data", `{"a":"1","b":"3","c":"4"}`)
	s.expect("service/app", ".spec.ports[0].port", "81")
	s.expect("deployment/app", ".metadata.labels", `{"tier/x":"web"}`)
	replaced := func() {
		t.Helper()
		pods := s.run("", "get", "pods", "-o=name")
		for _, pod := range strings.Fields(pods) {
			if strings.Contains(before, pod) {
				t.Errorf("%s was not replaced", pod)
			}
		}
		before = pods
	}
	replaced()
	s.rollBack(x, o)
	replaced() // by pods that read the ConfigMap from before
	s.expect("configmap/routing", ".data", `{"a":"1","b":"2"}`)
	s.expect("service/app", ".spec.ports[0].port", "80")
	s.expect("deployment/app", ".metadata.labels", "")
	if maps := s.run("", "get", "configmaps", "-o=name"); strings.Contains(maps, "other") {
		t.Errorf("%s: the one that was made is left", maps)
	}
}

func TestPreviewShowsTheChangeAndMakesNone(t *testing.T) {
	t.Parallel()
	s := newStage(t, app)
	version := s.field("deployment/app", ".spec")
	previews := s.executor().Preview(t.Context(), []scaling.Step{
		scaleTo("deployment/app", 5),
		{Resources: &scaling.Resources{Target: "deployment/app", Container: "none", Limits: map[string]string{"cpu": "1"}}},
		{ConfigMap: &scaling.ConfigMap{Name: "new", Data: map[string]string{"x": "y"}}},
	})
	if p := previews[0]; !strings.Contains(p.State, ":2}") || !strings.Contains(p.Will, ":5}") {
		t.Errorf("preview %+v", p)
	}
	if p := previews[1]; !strings.Contains(p.State, `no container "none"`) {
		t.Errorf("preview %+v", p)
	}
	if now := s.field("deployment/app", ".spec"); now != version || strings.Contains(s.run("", "get", "configmaps", "-o=name"), "new") {
		t.Error("the preview changed something")
	}
}
