//go:build cluster

package clustertest

import (
	"strings"
	"testing"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/testcluster"
	"scaleproof/internal/unit"
	"scaleproof/scaling"
)

func imageOf(target, container, image string) scaling.Step {
	return scaling.Step{Name: "image", Patch: &scaling.Patch{Target: target, Patch: map[string]any{
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"containers": []any{map[string]any{"name": container, "image": image}},
		}}},
	}}}
}

func TestAnImageThatNeverBecomesReadyIsRolledBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, manifest, target, container string
		timeout                           time.Duration
	}{
		{"deployment", app, "deployment/app", "app", 5 * time.Second},
		// Its broken pod stays for ever, unless the rollback deletes it.
		{"statefulset", db, "statefulset/db", "db", 20 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, c.manifest)
			wait := converged(c.target)
			wait.Timeout = unit.Duration(c.timeout)
			x := s.executor()
			o, err := s.try(x, imageOf(c.target, c.container, "docker.io/local/none:1"), wait)
			if err == nil || !strings.Contains(err.Error(), "its timeout") || !strings.Contains(err.Error(), "ErrImageNeverPull") {
				t.Fatalf("error %v", err)
			}
			s.rollBack(x, o)
			s.expect(c.target, ".status.readyReplicas", "2")
			s.expect(c.target, ".spec.template.spec.containers[0].image", "docker.io/local/app:1")
		})
	}
}

func TestAThirdPartysChangeIsReportedNotOverwritten(t *testing.T) {
	t.Parallel()
	s := newStage(t, app)
	x := s.executor()
	o := s.apply(x, scaleTo("deployment/app", 3),
		scaling.Step{Resources: &scaling.Resources{Target: "deployment/app", Container: "app", Limits: map[string]string{"cpu": "200m", "memory": "64Mi"}}})
	s.run("", "scale", "deployment/app", "--replicas=4")
	s.run("", "set", "resources", "deployment/app", "--containers=app", "--limits=memory=48Mi")
	s.run("", "annotate", "deployment/app", "example.com/note=kept")
	r := x.Rollback(t.Context(), o, "a test")
	if r.Verified || len(r.Differences) != 2 {
		t.Fatalf("rollback %+v", r)
	}
	for i, want := range []string{`limits/memory from "64Mi" to "48Mi"`, "/spec/replicas from 3 to 4"} {
		if !strings.Contains(r.Differences[i], want) {
			t.Errorf("difference %q lacks %q", r.Differences[i], want)
		}
	}
	s.expect("deployment/app", ".spec.replicas", "4")
	s.expect("deployment/app", ".spec.template.spec.containers[0].resources.limits", `{"cpu":"100m","memory":"48Mi"}`)
	s.expect("deployment/app", ".metadata.annotations.example\\.com/note", "kept")
}

func TestAManagersFieldIsAConflict(t *testing.T) {
	t.Parallel()
	s := newStage(t, app)
	s.run(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"}}`, "apply", "--server-side", "--field-manager=helm", "-f", "-")
	step := scaling.Step{Apply: &scaling.Apply{File: writeManifest(t, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"2"}}`)}}
	x := s.executor()
	if _, err := s.try(x, step); kubectl.ReasonOf(err) != kubectl.Conflict || !strings.Contains(err.Error(), `conflict with "helm"`) {
		t.Errorf("error %v", err)
	}
	step.Apply.Force = true
	o := s.apply(x, step)
	s.expect("configmap/c", ".data.a", "2")
	s.rollBack(x, o)
	s.expect("configmap/c", ".data.a", "1")
}

func TestAnAutoscalerOwnsTheReplicas(t *testing.T) {
	t.Parallel()
	s := newStage(t, app, autoscaler)
	x := s.executor()
	step := scaleTo("deployment/app", 4)
	if o, err := s.try(x, step); err == nil || !strings.Contains(err.Error(), "horizontalpodautoscaler/app owns the replicas") || o.Steps[0].Status != scaling.Skipped {
		t.Fatalf("error %v", err)
	}
	s.expect("deployment/app", ".spec.replicas", "2")
	step.Scale.Owner = scaling.Adjust
	o := s.apply(x, step, converged("deployment/app"))
	s.expect("deployment/app", ".status.readyReplicas", "4")
	s.expect("hpa/app", ".spec.minReplicas", "4")
	s.expect("hpa/app", ".spec.maxReplicas", "4")
	s.rollBack(x, o)
	s.expect("hpa/app", ".spec.minReplicas", "2")
	s.expect("hpa/app", ".spec.maxReplicas", "3")
}

// limitedRole lets the limited user read and no more.
const limitedRole = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: read}
rules: [{apiGroups: [apps, "", autoscaling], resources: ["*"], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: read}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: read}
subjects: [{kind: User, name: limited}]
`

func TestNoRightToPatch(t *testing.T) {
	t.Parallel()
	s := newStage(t, app, limitedRole)
	s.env.Kubernetes = s.client(testcluster.LimitedContext)
	o, err := s.try(s.executor(), scaleTo("deployment/app", 5))
	if kubectl.ReasonOf(err) != kubectl.Forbidden || o.Steps[0].Status != scaling.Skipped {
		t.Errorf("error %v, outcome %+v", err, o)
	}
	s.expect("deployment/app", ".spec.replicas", "2")
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for name, c := range map[string]struct {
		run  kubectl.Runner
		step scaling.Step
		ctx  string
		want kubectl.Reason
	}{
		"object":  {step: scaleTo("deployment/none", 5), want: kubectl.NotFound},
		"kind":    {step: scaling.Step{Patch: &scaling.Patch{Target: "unicorn/x", Patch: map[string]any{"a": "b"}}}, want: kubectl.NoKind},
		"context": {step: scaleTo("deployment/app", 5), ctx: "prod", want: kubectl.NoContext},
		"kubectl": {step: scaleTo("deployment/app", 5), run: kubectl.Program("kubectl-that-is-not-here", nil), want: kubectl.NoKubectl},
	} {
		client := s.client(testcluster.AdminContext)
		if c.ctx != "" {
			client.Context = c.ctx
		}
		if c.run != nil {
			client.Run = c.run
		}
		s.env.Kubernetes = client
		if _, err := s.try(s.executor(), c.step); kubectl.ReasonOf(err) != c.want {
			t.Errorf("%s: reason %s of %v, want %s", name, kubectl.ReasonOf(err), err, c.want)
		}
	}
}
