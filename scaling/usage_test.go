package scaling

import (
	"testing"
	"time"

	"scaleproof/internal/snapshot"
)

func at(value float64) *float64 { return &value }

// reading is one of two pods of a Deployment, of which the second has no CPU limit.
func reading(when time.Time, cpu float64, restarts int64) podReading {
	pod := func(name string, c ContainerState, restarts int64) PodState {
		c.Name = "app"
		return PodState{Name: name, Target: "deployment/app", Ready: true, Restarts: restarts, Containers: []ContainerState{c}}
	}
	usage := map[string]map[string]containerUsage{"a": {"app": {at: when}}, "b": {"app": {at: when}}}
	return podReading{usage: usage, pods: []PodState{
		pod("a", ContainerState{CPU: at(cpu), Memory: at(100), CPURequest: at(1), CPULimit: at(2), MemoryLimit: at(400)}, restarts),
		pod("b", ContainerState{CPU: at(0.5), Memory: at(300), CPURequest: at(1), MemoryLimit: at(400)}, 7),
		pod("new", ContainerState{CPURequest: at(1)}, 0), // metrics-server does not know it yet
	}}
}

func TestUsageCountsNewFiguresOnce(t *testing.T) {
	start := time.Now()
	s := &PodSampler{started: start, readings: []podReading{
		reading(start.Add(-time.Second), 100, 1), // from before the trial
		reading(start.Add(10*time.Second), 1.5, 1),
		reading(start.Add(10*time.Second), 1.5, 2), // the same figures once more
		reading(start.Add(20*time.Second), 0.5, 3),
	}}
	samples, warning := s.samples()
	if warning != "" {
		t.Error(warning)
	}
	want := map[string]float64{
		"k8s.deployment.app.ready": 3, "k8s.deployment.app.restarts": 2,
		"k8s.deployment.app.cpu": 1.5, "k8s.deployment.app.cpu_utilization": 0.75, // one has no CPU limit
		"k8s.deployment.app.memory": 400, "k8s.deployment.app.memory_limit": 800, "k8s.deployment.app.memory_pressure": 0.75,
	}
	for _, sample := range samples {
		if value, ok := want[sample.Name]; !ok || value != sample.Value {
			t.Errorf("%s is %g, want %g", sample.Name, sample.Value, value)
		}
		delete(want, sample.Name)
		if sample.Name == "k8s.deployment.app.restarts" && sample.Better != snapshot.Lower {
			t.Error("fewer restarts are better")
		}
	}
	if len(want) > 0 {
		t.Errorf("no samples of %v", want)
	}
}

func TestUsageWithoutNewFiguresIsUnknown(t *testing.T) {
	start := time.Now()
	s := &PodSampler{started: start, readings: []podReading{reading(start.Add(-time.Second), 1, 0), reading(start.Add(-time.Second), 1, 0)}}
	samples, warning := s.samples()
	if warning == "" || len(samples) != 2 { // ready and restarts need no metrics-server
		t.Errorf("samples %+v, warning %q", samples, warning)
	}
}
