//go:build cluster

package clustertest

import (
	"strings"
	"testing"

	"scaleproof/internal/testcluster"
	"scaleproof/scaling"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	s := newStage(t, app, autoscaler, limitedRole)
	steps := []scaling.Step{
		scaleTo("deployment/app", 4), converged("deployment/app"), scaleTo("statefulset/none", 2),
		{Name: "routing", ConfigMap: &scaling.ConfigMap{Name: "routing", Data: map[string]string{"a": "b"}}},
	}
	find := func(checks []scaling.Check, name string) scaling.Check {
		t.Helper()
		for _, c := range checks {
			if c.Name == name {
				return c
			}
		}
		t.Errorf("no check %q in %+v", name, checks)
		return scaling.Check{}
	}
	checks := scaling.CheckKubernetes(t.Context(), s.client(testcluster.AdminContext), steps)
	for name, want := range map[string]scaling.CheckState{
		"versions":                                scaling.CheckOK,
		"right to patch deployment/app":           scaling.CheckOK,
		"right to delete configmap/routing":       scaling.CheckOK,
		"right to delete pods":                    scaling.CheckOK,
		"deployment/app":                          scaling.CheckOK,
		"owner of the replicas of deployment/app": scaling.CheckFault,
		"statefulset/none":                        scaling.CheckFault,
	} {
		if c := find(checks, name); c.State != want || want == scaling.CheckFault && c.Mend == "" {
			t.Errorf("%+v, want %s", c, want)
		}
	}
	steps[0].Scale.Owner = scaling.Adjust
	checks = scaling.CheckKubernetes(t.Context(), s.client(testcluster.LimitedContext), steps)
	for name, want := range map[string]scaling.CheckState{
		"right to get deployment/app":                         scaling.CheckOK,
		"right to patch deployment/app":                       scaling.CheckFault,
		"right to delete configmap/routing":                   scaling.CheckFault,
		"right to create configmap":                           scaling.CheckFault,
		"right to update leases.coordination.k8s.io":          scaling.CheckFault,
		"right to patch horizontalpodautoscalers.autoscaling": scaling.CheckFault,
		"owner of the replicas of deployment/app":             scaling.CheckOK,
	} {
		if c := find(checks, name); c.State != want {
			t.Errorf("%+v, want %s", c, want)
		}
	}
	wrong := s.client("no-such-context")
	if checks := scaling.CheckKubernetes(t.Context(), wrong, steps); len(checks) != 1 || checks[0].State != scaling.CheckFault || !strings.Contains(checks[0].Detail, "no-such-context") {
		t.Errorf("checks %+v", checks)
	}
}
