package capacity

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ControllerConfig are the controller's own settings, which are flags of
// kube-controller-manager.
type ControllerConfig struct {
	Sync             time.Duration // zero: 15 s
	Tolerance        float64       // zero: 0.1
	DownscaleWindow  time.Duration // zero: 5 min
	CPUInitialPeriod time.Duration // zero: 5 min
	InitialReadiness time.Duration // zero: 30 s
}

func (c ControllerConfig) withDefaults() ControllerConfig {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&c.Sync, 15*time.Second)
	set(&c.DownscaleWindow, 5*time.Minute)
	set(&c.CPUInitialPeriod, 5*time.Minute)
	set(&c.InitialReadiness, 30*time.Second)
	if c.Tolerance == 0 {
		c.Tolerance = 0.1
	}
	return c
}

// A PodState is what the controller sees of a pod and of one metric of it.
type PodState struct {
	Deleted bool // it is going away
	Failed  bool
	Pending bool
	Ready   bool
	// Started is when the pod started, Transition when its readiness changed
	// last; zero: unknown.
	Started    time.Time
	Transition time.Time
	// Measured tells that there is a metric: its value, in the metric's unit (for
	// a resource cores or bytes), taken at Sampled over the Window before it.
	Measured bool
	Value    float64
	Sampled  time.Time
	Window   time.Duration
	// Request is what the pod requests of the resource; 0: nothing.
	Request float64
}

// thousandths is how the controller computes: in whole milli-units.
func thousandths(v float64) float64 { return math.Round(v * 1000) }

// replicasOf rounds up to a number of replicas.
func replicasOf(v float64) int32 {
	if !(v > 0) {
		return 0
	}
	return int32(min(math.Ceil(v), math.MaxInt32))
}

// podGroups are the pods as the controller looks at them.
type podGroups struct {
	measured         []PodState // those whose metric counts
	unready, missing []PodState
}

// groupPods sorts pods into groups. cpu tells that the metric is of CPU, of
// which the first samples of a pod say nothing.
func groupPods(pods []PodState, cpu bool, now time.Time, config ControllerConfig) podGroups {
	g := podGroups{measured: make([]PodState, 0, len(pods))}
	for _, p := range pods {
		switch {
		case p.Deleted || p.Failed:
		case p.Pending:
			g.unready = append(g.unready, p)
		case !p.Measured:
			g.missing = append(g.missing, p)
		case cpu && p.initialising(now, config):
			g.unready = append(g.unready, p)
		default:
			g.measured = append(g.measured, p)
		}
	}
	return g
}

// initialising reports whether the CPU of a pod does not count yet.
func (p PodState) initialising(now time.Time, config ControllerConfig) bool {
	if p.Started.IsZero() {
		return true
	}
	if p.Started.Add(config.CPUInitialPeriod).After(now) {
		return !p.Ready || p.Sampled.Before(p.Transition.Add(p.Window))
	}
	return !p.Ready && p.Started.Add(config.InitialReadiness).After(p.Transition)
}

// tolerances are the deviations from 1 in which a ratio changes nothing.
type tolerances struct{ down, up float64 }

func (t tolerances) hold(ratio float64) bool { return 1-t.down <= ratio && ratio <= 1+t.up }

// A usage is one kind of metric over pods: how far a group of them is from the
// target, and what a pod without a metric counts as on a scale-down.
type usage struct {
	ratio func(pods []PodState) (float64, error)
	full  func(p PodState) float64
	cpu   bool
}

// utilisation is usage in per cent of the request.
func utilisation(target int32, cpu bool) usage {
	return usage{
		cpu: cpu,
		ratio: func(pods []PodState) (float64, error) {
			used, requested := 0.0, 0.0
			for _, p := range pods {
				used += thousandths(p.Value)
				requested += thousandths(p.Request)
			}
			if requested == 0 {
				return 0, errors.New("no metrics returned matched known pods")
			}
			return math.Trunc(used*100/requested) / float64(target), nil
		},
		full: func(p PodState) float64 { return p.Request * float64(max(100, target)) / 100 },
	}
}

// average is the mean over the pods of a value.
func average(target float64, cpu bool) usage {
	return usage{
		cpu: cpu,
		ratio: func(pods []PodState) (float64, error) {
			total := 0.0
			for _, p := range pods {
				total += thousandths(p.Value)
			}
			return math.Trunc(total/float64(len(pods))) / thousandths(target), nil
		},
		full: func(PodState) float64 { return target },
	}
}

// podReplicas returns how many replicas a metric over pods asks for.
func podReplicas(current int32, pods []PodState, u usage, t tolerances, now time.Time, config ControllerConfig) (int32, error) {
	g := groupPods(pods, u.cpu, now, config)
	if len(g.measured) == 0 {
		return 0, errors.New("did not receive metrics for targeted pods (pods might be unready)")
	}
	ratio, err := u.ratio(g.measured)
	if err != nil {
		return 0, err
	}
	upWithUnready := len(g.unready) > 0 && ratio > 1
	if !upWithUnready && len(g.missing) == 0 {
		if t.hold(ratio) {
			return current, nil
		}
		return replicasOf(ratio * float64(len(g.measured))), nil
	}
	counted := fillIn(g, ratio, upWithUnready, u.full)
	again, err := u.ratio(counted)
	if err != nil {
		return 0, err
	}
	if t.hold(again) || (ratio < 1 && again > 1) || (ratio > 1 && again < 1) {
		return current, nil
	}
	replicas := replicasOf(again * float64(len(counted)))
	if (again < 1 && replicas > current) || (again > 1 && replicas < current) {
		return current, nil
	}
	return replicas, nil
}

// fillIn lets pods without a metric count in the way that changes least.
func fillIn(g podGroups, ratio float64, upWithUnready bool, full func(PodState) float64) []PodState {
	counted := append([]PodState{}, g.measured...)
	for _, p := range g.missing {
		switch {
		case ratio < 1:
			p.Value = full(p)
		case ratio > 1:
			p.Value = 0
		default:
			continue
		}
		counted = append(counted, p)
	}
	if upWithUnready {
		for _, p := range g.unready {
			p.Value = 0
			counted = append(counted, p)
		}
	}
	return counted
}

// valueReplicas returns how many replicas a metric that is not of the pods asks
// for: of its total, or of its part per pod.
func valueReplicas(current, ready int32, total float64, target MetricTarget, t tolerances) int32 {
	if target.Type == "AverageValue" {
		each := float64(*target.AverageValue)
		if current > 0 && t.hold(total/(each*float64(current))) {
			return current
		}
		return replicasOf(total / each)
	}
	ratio := total / float64(*target.Value)
	switch {
	case current == 0:
		return replicasOf(ratio)
	case t.hold(ratio):
		return current
	}
	return replicasOf(ratio * float64(ready))
}

// checkRequests fails for a container without a request, as the controller does.
func checkRequests(pods []PodState, resource string) error {
	for _, p := range pods {
		if p.Request <= 0 {
			return fmt.Errorf("missing request for %s in a container", resource)
		}
	}
	return nil
}
