package capacity

import (
	"errors"
	"fmt"
	"time"
)

// An hpaController computes what the controller of Kubernetes computes
// (pkg/controller/podautoscaler: horizontal.go and replica_calculator.go of
// release 1.33), with the clock as a parameter.
type hpaController struct {
	spec            HPASpec
	config          ControllerConfig
	recommendations []recommendation
	ups, downs      []scaleEvent
}

func newHPAController(spec HPASpec, config ControllerConfig) *hpaController {
	h := HPA{Spec: spec}
	h.setDefaults()
	return &hpaController{spec: h.Spec, config: config.withDefaults()}
}

// An observation is what the controller sees at one time. pods returns the pods
// with their values of the i-th metric, total the value of a metric that is not
// of the pods; either may fail.
type observation struct {
	now   time.Time
	pods  func(metric int) ([]PodState, error)
	total func(metric int) (float64, error)
}

// reconcile returns how many replicas there are to be. With an error the number
// stays what it is.
func (c *hpaController) reconcile(current int32, o observation) (int32, error) {
	wanted := int32(0)
	switch {
	case current == 0 && c.spec.Min() != 0:
		return 0, nil // autoscaling is disabled
	case current > c.spec.MaxReplicas:
		wanted = c.spec.MaxReplicas
	case current < c.spec.Min():
		wanted = c.spec.Min()
	default:
		asked, err := c.byMetrics(current, o)
		if err != nil {
			return current, err
		}
		if b := c.spec.Behavior; b != nil {
			wanted = c.limitByBehavior(o.now, current, asked, *b)
		} else {
			wanted = c.limitPlain(o.now, current, asked)
		}
	}
	c.note(o.now, wanted-current)
	return wanted, nil
}

// byMetrics returns the most that any metric asks for. Metrics that cannot be
// had keep the replicas from falling.
func (c *hpaController) byMetrics(current int32, o observation) (int32, error) {
	most, failed := int32(0), 0
	var first error
	for i, m := range c.spec.Metrics {
		replicas, err := c.byMetric(i, m, current, o)
		if err != nil {
			failed++
			if first == nil {
				first = fmt.Errorf("metric %d (%s): %w", i+1, m.Type, err)
			}
			continue
		}
		most = max(most, replicas)
	}
	if failed == len(c.spec.Metrics) || (failed > 0 && most < current) {
		return 0, first
	}
	return most, nil
}

func (c *hpaController) byMetric(i int, m MetricSpec, current int32, o observation) (int32, error) {
	field := m.field()
	if field == nil {
		return 0, errors.New("the metric has no field of its type")
	}
	t := c.tolerances()
	if m.Type == ObjectMetric || m.Type == ExternalMetric {
		total, err := o.total(i)
		if err != nil {
			return 0, err
		}
		ready := current
		if field.Target.Type == "Value" {
			pods, err := o.pods(i)
			if err != nil {
				return 0, err
			}
			ready = 0
			for _, p := range pods {
				if p.Ready {
					ready++
				}
			}
		}
		return valueReplicas(current, ready, total, field.Target, t), nil
	}
	pods, err := o.pods(i)
	if err != nil {
		return 0, err
	}
	cpu := m.Type != PodsMetric && field.Name == "cpu"
	if field.Target.Type != "Utilization" {
		return podReplicas(current, pods, average(float64(*field.Target.AverageValue), cpu), t, o.now, c.config)
	}
	if err := checkRequests(pods, field.Name); err != nil {
		return 0, err
	}
	return podReplicas(current, pods, utilisation(*field.Target.AverageUtilization, cpu), t, o.now, c.config)
}

func (c *hpaController) tolerances() tolerances {
	t := tolerances{c.config.Tolerance, c.config.Tolerance}
	if b := c.spec.Behavior; b != nil {
		if v := b.ScaleUp.Tolerance; v != nil {
			t.up = float64(*v)
		}
		if v := b.ScaleDown.Tolerance; v != nil {
			t.down = float64(*v)
		}
	}
	return t
}

// note keeps a change, for the policies, as long as the longest period of them.
func (c *hpaController) note(now time.Time, change int32) {
	if c.spec.Behavior == nil || change == 0 {
		return
	}
	events := &c.ups
	if change < 0 {
		events, change = &c.downs, -change
	}
	const longest = 1800 * time.Second
	kept := (*events)[:0]
	for _, e := range *events {
		if e.at.After(now.Add(-longest)) {
			kept = append(kept, e)
		}
	}
	*events = append(kept, scaleEvent{now, change})
}
