package capacity

import (
	"math"
	"slices"
	"time"

	"scaleproof/internal/unit"
)

// A simulatedPod is ready from a time on.
type simulatedPod struct{ started, ready time.Time }

// A load is what happened in one tick.
type load struct {
	at      time.Time
	demand  float64
	perPod  float64 // served by each ready pod
	serving int     // how many were ready
}

// An hpaSimulation runs a controller against pods that start and stop.
type hpaSimulation struct {
	w          Workload
	controller *hpaController
	demand     traceReader
	now        time.Time
	pods       []simulatedPod // oldest first
	recent     []load         // of the last two windows of metrics
	states     []PodState     // what the controller saw last
	steps      []HPAStep
	perStep    int // ticks
	ticks      int
	sum        HPASummary
	unmet, all float64
	unmetNow   time.Duration
	failed     error
}

func newHPASimulation(spec HPASpec, trace Series, w Workload) *hpaSimulation {
	s := &hpaSimulation{w: w, controller: newHPAController(spec, w.Controller), demand: traceReader{trace: trace}, now: trace.Times[0]}
	replicas := w.Initial
	if replicas == 0 {
		needed := replicasOf(trace.Values[0] / w.CapacityPerReplica)
		replicas = min(max(needed, spec.Min()), spec.MaxReplicas)
	}
	long := s.now.Add(-time.Hour)
	s.pods = slices.Repeat([]simulatedPod{{long, long}}, int(replicas))
	return s
}

// run lets the time of the trace pass.
func (s *hpaSimulation) run(span time.Duration) {
	ticks := int((span + hpaTick - 1) / hpaTick)
	s.perStep = (ticks + hpaSteps - 1) / hpaSteps
	nextSync := s.now
	for range ticks {
		for !s.now.Before(nextSync) {
			s.sync()
			nextSync = nextSync.Add(s.w.Controller.Sync)
		}
		s.tick()
		s.now = s.now.Add(hpaTick)
	}
}

// serving is how many pods are ready: those started last become ready last.
func (s *hpaSimulation) serving() int {
	n := len(s.pods)
	for n > 0 && s.pods[n-1].ready.After(s.now) {
		n--
	}
	return n
}

// tick lets demand meet capacity.
func (s *hpaSimulation) tick() {
	demand, ready := s.demand.at(s.now), s.serving()
	capacity := float64(ready) * s.w.CapacityPerReplica
	served := min(demand, capacity)
	l := load{at: s.now, demand: demand, serving: ready}
	step := HPAStep{Time: s.now, Demand: demand, Replicas: int32(len(s.pods)), Ready: int32(ready), Unmet: demand - served}
	if ready > 0 {
		l.perPod = served / float64(ready)
		step.Utilisation = served / capacity
	}
	s.recent = append(s.recent, l)
	if old := s.now.Add(-2 * s.w.MetricsWindow); s.recent[0].at.Before(old) {
		s.recent = s.recent[1:]
	}
	s.account(step)
}

// account adds a tick to the summary and to the timeline.
func (s *hpaSimulation) account(t HPAStep) {
	seconds := hpaTick.Seconds()
	s.all += t.Demand * seconds
	s.unmet += t.Unmet * seconds
	s.sum.ReplicaHours += float64(t.Replicas) * hpaTick.Hours()
	s.sum.MeanUtilisation += t.Utilisation
	s.sum.PeakUtilisation = max(s.sum.PeakUtilisation, t.Utilisation)
	s.sum.PeakReplicas = max(s.sum.PeakReplicas, t.Replicas)
	if t.Replicas >= s.controller.spec.MaxReplicas {
		s.sum.AtMax += unit.Duration(hpaTick)
	}
	if t.Unmet > 1e-9*t.Demand {
		s.sum.UnmetTime += unit.Duration(hpaTick)
		s.unmetNow += hpaTick
		s.sum.LongestUnmet = max(s.sum.LongestUnmet, unit.Duration(s.unmetNow))
	} else {
		s.unmetNow = 0
	}
	if s.ticks%s.perStep == 0 {
		s.steps = append(s.steps, t)
	} else {
		worst := &s.steps[len(s.steps)-1]
		worst.Demand, worst.Replicas = max(worst.Demand, t.Demand), max(worst.Replicas, t.Replicas)
		worst.Ready, worst.Unmet = min(worst.Ready, t.Ready), max(worst.Unmet, t.Unmet)
		worst.Utilisation = max(worst.Utilisation, t.Utilisation)
	}
	s.ticks++
}

func (s *hpaSimulation) summary(span time.Duration) HPASummary {
	sum := s.sum
	sum.Duration = unit.Duration(span)
	sum.MeanUtilisation /= float64(s.ticks)
	sum.MeanReplicas = sum.ReplicaHours / (float64(s.ticks) * hpaTick.Hours())
	if s.all > 0 {
		sum.UnmetFraction = s.unmet / s.all
	}
	return sum
}

// sync lets the controller look and act.
func (s *hpaSimulation) sync() {
	current := int32(len(s.pods))
	wanted, err := s.controller.reconcile(current, s.observe())
	if err != nil && len(s.recent) > 0 && s.serving() > 0 {
		s.failed = err
	}
	switch {
	case wanted > current:
		s.sum.ScaleUps++
		ready := s.now.Add(max(0, s.w.PodStart))
		for range wanted - current {
			s.pods = append(s.pods, simulatedPod{s.now, ready})
		}
	case wanted < current:
		s.sum.ScaleDowns++
		s.pods = s.pods[:wanted] // those that are not ready, and the youngest, go first
	}
}

// observe is what the controller would see now: metrics over the newest whole
// window.
func (s *hpaSimulation) observe() observation {
	window := s.w.MetricsWindow
	sampled := s.now.Truncate(window)
	since := sampled.Add(-window)
	var measured []load
	for _, l := range s.recent {
		if !l.at.Before(since) && l.at.Before(sampled) {
			measured = append(measured, l)
		}
	}
	return observation{
		now: s.now,
		total: func(int) (float64, error) {
			sum := 0.0
			for _, l := range measured {
				sum += l.demand
			}
			if len(measured) == 0 {
				return s.demand.at(s.now), nil
			}
			return sum / float64(len(measured)), nil
		},
		pods: func(metric int) ([]PodState, error) {
			return s.podStates(s.controller.spec.Metrics[metric], measured, sampled), nil
		},
	}
}

// podStates gives each pod its value of a metric.
func (s *hpaSimulation) podStates(m MetricSpec, measured []load, sampled time.Time) []PodState {
	factor := 1.0
	if m.Type != PodsMetric {
		factor = s.w.UtilisationAtCapacity * s.w.CPURequest / s.w.CapacityPerReplica
	}
	if cap(s.states) < len(s.pods) {
		s.states = make([]PodState, 2*len(s.pods))
	}
	states := s.states[:len(s.pods)]
	var shared float64 // of the pods that were ready all the time
	for _, l := range measured {
		shared += l.perPod / float64(len(measured))
	}
	for i, p := range s.pods {
		state := PodState{
			Started: p.started, Transition: p.ready, Ready: !p.ready.After(s.now), Pending: p.ready.After(s.now),
			Sampled: sampled, Window: s.w.MetricsWindow, Request: s.w.CPURequest, Measured: len(measured) > 0,
		}
		value := shared
		if len(measured) > 0 && p.ready.After(measured[0].at) {
			value = 0
			for _, l := range measured {
				if !p.ready.After(l.at) {
					value += l.perPod / float64(len(measured))
				}
			}
		}
		state.Value = math.Min(value*factor, 1e12)
		states[i] = state
	}
	return states
}
