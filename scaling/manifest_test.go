package scaling

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

func TestManifestsThatAreRefused(t *testing.T) {
	for want, text := range map[string]string{
		"prior values would stand in the journal":               "{apiVersion: v1, kind: Secret, metadata: {name: s}}",
		"is a list: write each object as a document of its own": "{apiVersion: v1, kind: ConfigMapList, metadata: {name: l}, items: []}",
		"has no object":                                  "---\n---\n",
		"document 2 of the manifest":                     service + "\n---\n{kind: Service, metadata: {name: x}}",
		"lacks an apiVersion, a kind or a metadata.name": "{apiVersion: v1, kind: Service}",
		"reading document 1 of the manifest":             "just text",
		"reading the manifest":                           "{apiVersion: v1",
	} {
		step := Step{Apply: &Apply{File: writeFile(t, "m.yaml", text)}}
		if err := step.Validate(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "apply.file") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if err := (Step{Apply: &Apply{File: filepath.Join(t.TempDir(), "none")}}).Validate(); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a missing file: %v", err)
	}
	// The namespace is known once there is a cluster.
	f := newFakeAPI(t, service)
	step := Step{Apply: &Apply{File: writeFile(t, "m.yaml", strings.Replace(service, `"name":"app"`, `"name":"app","namespace":"prod"`, 1))}}
	if _, err := newExecutor(t, f.environment(t)).Apply(t.Context(), "id", []Step{step}); err == nil || !strings.Contains(err.Error(), "in the namespace prod, and the plan pins n") || f.writes != 0 {
		t.Errorf("another namespace: %v, %d writes", err, f.writes)
	}
}

func TestAScaleStepSetsTheAutoscalersBehavior(t *testing.T) {
	f := newFakeAPI(t, owned...)
	two := 2
	step := Step{Name: "scale", Timeout: unit.Duration(20 * time.Second), Scale: &Scale{
		Target: "deployment/app", Replicas: &two, Owner: Adjust,
		Behavior: map[string]any{"scaleDown": map[string]any{"stabilizationWindowSeconds": 60}},
	}}
	if err := step.Validate(); err != nil {
		t.Fatal(err)
	}
	x := newExecutor(t, f.environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{step})
	hpa := "horizontalpodautoscaler/app"
	if behavior := f.objects[hpa].At("spec", "behavior", "scaleDown", "stabilizationWindowSeconds"); err != nil || behavior == nil {
		t.Fatalf("%v, %v", err, f.objects[hpa])
	}
	if r := x.Rollback(t.Context(), o, "a test"); !r.Verified || f.objects[hpa].At("spec", "behavior") != nil {
		t.Errorf("%+v, %v", r, f.objects[hpa])
	}
	step.Scale.Owner = Refuse
	if err := step.Validate(); err == nil || !strings.Contains(err.Error(), "scale.behavior") {
		t.Errorf("error %v", err)
	}
}
