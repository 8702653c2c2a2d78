package capacity

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const manifest = `apiVersion: v1
kind: Service
metadata: {name: app}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: app
  labels: {team: core}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  minReplicas: 2
  maxReplicas: 20
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: 70}
    - type: Pods
      pods:
        metric: {name: requests_per_second}
        target: {type: AverageValue, averageValue: 1500m}
  behavior:
    scaleUp:
      policies:
        - {type: Pods, value: 8, periodSeconds: 30}
`

func TestReadHPA(t *testing.T) {
	h, err := ReadHPA(strings.NewReader(manifest))
	if err != nil {
		t.Fatal(err)
	}
	s := h.Spec
	if s.Min() != 2 || s.MaxReplicas != 20 || *s.Metrics[0].Resource.Target.AverageUtilization != 70 || *s.Metrics[1].Pods.Target.AverageValue != 1.5 {
		t.Errorf("%+v", s)
	}
	up, down := s.Behavior.ScaleUp, s.Behavior.ScaleDown
	if up.SelectPolicy != "Max" || *up.StabilizationWindowSeconds != 0 || len(up.Policies) != 1 || *down.StabilizationWindowSeconds != 300 || len(down.Policies) != 1 {
		t.Errorf("%+v, %+v", up, down)
	}
	var written bytes.Buffer
	if err := h.Write(&written); err != nil {
		t.Fatal(err)
	}
	again, err := ReadHPA(&written)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h, again); diff != "" {
		t.Error(diff)
	}
}

func TestReadHPAOfALiveObject(t *testing.T) {
	h, err := ReadHPA(strings.NewReader(`{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
		"metadata": {"name": "app", "managedFields": [{"manager": "kubectl"}], "uid": "1"},
		"spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "Deployment", "name": "app"}},
		"status": {"currentReplicas": 3, "conditions": []}}`))
	if err != nil {
		t.Fatal(err)
	}
	if h.Spec.Min() != 1 || h.Spec.Behavior != nil || *h.Spec.Metrics[0].Resource.Target.AverageUtilization != 80 {
		t.Errorf("%+v", h.Spec)
	}
}

func TestReadHPARefuses(t *testing.T) {
	for want, change := range map[string][2]string{
		"minReplica":                          {"minReplicas", "minReplica"},
		"apiVersion":                          {"autoscaling/v2", "autoscaling/v1"},
		"spec.maxReplicas":                    {"maxReplicas: 20", "maxReplicas: 1"},
		"there is no HorizontalPodAutoscaler": {"HorizontalPodAutoscaler", "Deployment"},
		"spec.metrics[0].target":              {"averageUtilization: 70", "averageUtilization: 0"},
		"spec.metrics[0].type":                {"type: Resource", "type: Wish"},
		"no quantity":                         {"1500m", "fast"},
		"spec.behavior.scaleUp.policies[0]":   {"periodSeconds: 30", "periodSeconds: 0"},
		"spec.metrics[1].target":              {"type: AverageValue", "type: Value"},
		"mapping":                             {"spec:\n", "spec: 5\nx:\n"},
	} {
		_, err := ReadHPA(strings.NewReader(strings.Replace(manifest, change[0], change[1], 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", change, err, want)
		}
	}
}

func TestDecimal(t *testing.T) {
	for text, want := range map[string]float64{"500m": .5, "15k": 15_000, "2Gi": 2 << 30, "1e3": 1000, "0.25": .25, "100": 100, "3u": 3e-6, "1E": 1e18} {
		var d Decimal
		if err := d.UnmarshalText([]byte(text)); err != nil || !near(float64(d), want, 1e-12*want) {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "m", "-1", "0x10", "inf", "1 k", "9EE", "1kk"} {
		var d Decimal
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
	for value, want := range map[Decimal]string{0.5: "500m", 1.5: "1500m", 15_000: "15000", 0: "0"} {
		if got := value.String(); got != want {
			t.Errorf("%v prints as %s, want %s", float64(value), got, want)
		}
	}
}

// What is read can be written, read again and simulated.
func FuzzReadHPA(f *testing.F) {
	f.Add(manifest)
	f.Add(`{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "spec": {"maxReplicas": 5, "scaleTargetRef": {"kind": "D", "name": "a"}}}`)
	f.Add("kind: HorizontalPodAutoscaler\nspec: {maxReplicas: 2147483647}\n")
	trace := loadTrace(5, func(minute int) float64 { return float64(300 * minute) })
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadHPA(strings.NewReader(text))
		if err != nil {
			return
		}
		var written bytes.Buffer
		if err := h.Write(&written); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadHPA(strings.NewReader(written.String())); err != nil {
			t.Fatalf("%v in\n%s", err, written.String())
		}
		if h.Spec.MaxReplicas > 1000 || h.Spec.Min() > 1000 {
			return
		}
		got, err := SimulateHPA(h, trace, Workload{CapacityPerReplica: 10})
		if err != nil {
			return
		}
		for _, s := range got.Steps {
			if s.Replicas < 0 || s.Replicas > h.Spec.MaxReplicas || s.Ready > s.Replicas || s.Unmet < 0 {
				t.Fatalf("%+v of %+v", s, h.Spec)
			}
		}
	})
}

func FuzzReadTraceCSV(f *testing.F) {
	f.Add("time,value\n0,1\n60,2\n")
	f.Add("time,value\n2024-01-01T00:00:00Z,100\n2024-01-01T01:00:00Z,0\n")
	f.Fuzz(func(t *testing.T, text string) {
		trace, err := ReadTraceCSV(strings.NewReader(text))
		if err == nil && checkTrace(trace) != nil {
			t.Errorf("%q was read", text)
		}
	})
}
