package capacity

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"scaleproof/internal/unit"
)

// A Workload says how the pods that an HPA scales answer to demand.
type Workload struct {
	// CapacityPerReplica is the demand that one ready replica serves at most, in
	// the unit of the trace (find it by a load test). What exceeds the capacity of
	// all is not served.
	CapacityPerReplica float64
	// UtilisationAtCapacity is the part of its CPU request that a replica uses at
	// capacity; zero: 1. CPU grows in proportion to what is served.
	UtilisationAtCapacity float64
	// CPURequest is in cores, for targets in cores; zero: 1.
	CPURequest float64
	// PodStart is the time from the decision to a pod that is ready; zero: 30 s.
	// A negative one starts pods at once.
	PodStart time.Duration
	// MetricsWindow is the time over which metrics are averaged, and after which
	// they are taken anew; zero: 15 s, as metrics-server does.
	MetricsWindow time.Duration
	// Initial is how many replicas there are at the start, all ready; zero: as
	// many as the first demand needs, within the bounds of the HPA.
	Initial int32
	// Controller has the settings of the cluster's controller.
	Controller ControllerConfig
}

// A HPATimeline is what an HPA does on a trace.
type HPATimeline struct {
	Summary  HPASummary `json:"summary"`
	Steps    []HPAStep  `json:"steps"`
	Warnings []string   `json:"warnings,omitempty"`
}

// An HPAStep is a stretch of the timeline, with what was worst in it.
type HPAStep struct {
	Time        time.Time `json:"time"`
	Demand      float64   `json:"demand"`   // highest, in the trace's unit
	Replicas    int32     `json:"replicas"` // highest
	Ready       int32     `json:"ready"`    // fewest
	Utilisation float64   `json:"utilisation"`
	Unmet       float64   `json:"unmet"` // highest, in the trace's unit
}

// An HPASummary sums up a timeline.
type HPASummary struct {
	Duration     unit.Duration `json:"duration"`
	ReplicaHours float64       `json:"replica_hours"`
	MeanReplicas float64       `json:"mean_replicas"`
	PeakReplicas int32         `json:"peak_replicas"`
	ScaleUps     int           `json:"scale_ups"`
	ScaleDowns   int           `json:"scale_downs"`
	// Utilisation is the part of the capacity of the ready replicas that is used,
	// 0 to 1.
	MeanUtilisation float64 `json:"mean_utilisation"`
	PeakUtilisation float64 `json:"peak_utilisation"`
	// Unmet is demand that found no capacity: its part of all demand, for how long
	// there was any, and the longest stretch of it.
	UnmetFraction float64       `json:"unmet_fraction"`
	UnmetTime     unit.Duration `json:"unmet_time"`
	LongestUnmet  unit.Duration `json:"longest_unmet"`
	// AtMax is for how long the HPA was at maxReplicas.
	AtMax unit.Duration `json:"at_max"`
}

const (
	// hpaTick is the step of the simulation.
	hpaTick = 5 * time.Second
	// hpaSteps bounds the steps of a timeline.
	hpaSteps = 1440
	// hpaTicks bounds the length of a trace: over a year.
	hpaTicks = 8_000_000
)

// SimulateHPA runs an HPA over a load trace. Ready pods share the demand evenly;
// the metrics are CPU in proportion to what a pod serves, pods metrics what it
// serves, and object and external metrics the demand itself. Memory does not
// follow from the load: such a metric is left out with a warning. It fails for
// a trace or a workload that cannot be simulated.
func SimulateHPA(hpa *HPA, trace Series, w Workload) (*HPATimeline, error) {
	if err := errors.Join(checkTrace(trace), w.validate()); err != nil {
		return nil, fmt.Errorf("simulating the HPA: %w", err)
	}
	span := trace.Times[len(trace.Times)-1].Sub(trace.Times[0])
	if span > hpaTicks*hpaTick {
		return nil, fmt.Errorf("simulating the HPA: the trace spans %s, more than a year", unit.Format(span.Seconds(), unit.Seconds))
	}
	timeline := &HPATimeline{}
	spec, err := timeline.simulable(hpa.Spec)
	if err != nil {
		return nil, fmt.Errorf("simulating the HPA: %w", err)
	}
	s := newHPASimulation(spec, trace, w.withDefaults())
	s.run(span)
	timeline.Summary, timeline.Steps = s.summary(span), s.steps
	if w.CPURequest == 0 && slices.ContainsFunc(spec.Metrics, MetricSpec.inCores) {
		timeline.Warnings = append(timeline.Warnings, "a target is in cores, and the CPU request of a pod is not given: it is taken to be 1 core")
	}
	if s.failed != nil {
		timeline.Warnings = append(timeline.Warnings, "a metric could not be had: "+s.failed.Error())
	}
	return timeline, nil
}

// inCores tells whether a metric's target is an amount of CPU, which a pod's request
// relates to what it serves.
func (m MetricSpec) inCores() bool {
	f := m.field()
	return (m.Type == ResourceMetric || m.Type == ContainerResourceMetric) && f != nil && f.Target.Type == "AverageValue"
}

func (w Workload) validate() error {
	if !(w.CapacityPerReplica > 0) || math.IsInf(w.CapacityPerReplica, 0) {
		return fmt.Errorf("the capacity per replica is %v: it must be above 0", w.CapacityPerReplica)
	}
	if !(w.UtilisationAtCapacity >= 0) || !(w.CPURequest >= 0) || w.Initial < 0 || w.MetricsWindow < 0 {
		return errors.New("a figure of the workload is negative")
	}
	return nil
}

func (w Workload) withDefaults() Workload {
	if w.UtilisationAtCapacity == 0 {
		w.UtilisationAtCapacity = 1
	}
	if w.CPURequest == 0 {
		w.CPURequest = 1
	}
	if w.PodStart == 0 {
		w.PodStart = 30 * time.Second
	}
	if w.MetricsWindow == 0 {
		w.MetricsWindow = 15 * time.Second
	}
	w.Controller = w.Controller.withDefaults()
	return w
}

// simulable returns the spec without metrics that do not follow from the load.
func (t *HPATimeline) simulable(spec HPASpec) (HPASpec, error) {
	all := newHPAController(spec, ControllerConfig{}).spec
	spec = all
	spec.Metrics = nil
	for _, m := range all.Metrics {
		f := m.field()
		if f == nil {
			return spec, fmt.Errorf("a metric of type %q has no field of that type", m.Type)
		}
		switch {
		case (m.Type == ResourceMetric || m.Type == ContainerResourceMetric) && f.Name != "cpu":
			t.Warnings = append(t.Warnings, f.Name+" does not follow from the load: the metric is left out")
			continue
		case m.Type == ObjectMetric || m.Type == ExternalMetric:
			t.Warnings = append(t.Warnings, "the metric of type "+m.Type+" is taken to be the demand itself")
		}
		spec.Metrics = append(spec.Metrics, m)
	}
	if len(spec.Metrics) == 0 {
		return spec, errors.New("no metric of the HPA follows from the load")
	}
	return spec, nil
}
