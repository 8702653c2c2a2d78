package capacity

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func clock(seconds int) time.Time {
	return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)
}

// ready returns pods that have long been ready, with a request of 1.
func ready(values ...float64) []PodState {
	pods := make([]PodState, len(values))
	for i, v := range values {
		pods[i] = PodState{Ready: true, Started: clock(-3600), Transition: clock(-3590), Measured: true, Value: v, Sampled: clock(0), Window: 15 * time.Second, Request: 1}
	}
	return pods
}

func change(pods []PodState, change func([]PodState)) []PodState {
	change(pods)
	return pods
}

// The cases are those of the controller's own tests (replica_calculator_test.go).
func TestPodReplicas(t *testing.T) {
	unready := func(p *PodState) { p.Ready, p.Started, p.Transition = false, clock(-60), clock(-60) }
	for name, c := range map[string]struct {
		pods  []PodState
		usage usage
		want  int32
	}{
		"scale up":             {ready(.3, .5, .7), utilisation(30, true), 5},
		"one pod unready":      {change(ready(.3, .5, .7), func(p []PodState) { unready(&p[0]) }), utilisation(30, true), 4},
		"two pods unready":     {change(ready(.4, .5, .7), func(p []PodState) { unready(&p[1]); unready(&p[2]) }), utilisation(30, true), 3},
		"unready, not of CPU":  {change(ready(.3, .5, .7), func(p []PodState) { unready(&p[0]) }), utilisation(30, false), 5},
		"pods metric":          {ready(20_000, 10_000, 30_000), average(15_000, false), 4},
		"scale down":           {ready(.1, .3, .5, .25, .25), utilisation(50, true), 3},
		"down with unready":    {change(ready(.1, .3, .5, .25, .25), func(p []PodState) { unready(&p[4]) }), utilisation(50, true), 3},
		"inside tolerance":     {change(ready(1.01, 1.03, 1.02), requests(.9, 1, 1.1)), utilisation(100, true), 3},
		"missing, down":        {change(ready(.4, .95, 0, 0), missing(2, 3)), utilisation(100, true), 4},
		"missing metric":       {change(ready(.4, .95, 0, 0), missing(2)), utilisation(100, true), 3},
		"missing, up":          {change(ready(.5, .5, 0, 0), missing(2, 3)), utilisation(20, true), 5},
		"missing turns it":     {change(ready(.6, 0, 0, 0), missing(1, 2, 3)), utilisation(50, true), 4},
		"failed and deleted":   {change(ready(.3, .5, .7, 9, 9), func(p []PodState) { p[3].Failed, p[4].Deleted = true, true }), utilisation(30, true), 5},
		"pending":              {change(ready(.3, .5, .7), func(p []PodState) { p[0].Pending = true }), utilisation(30, false), 4},
		"truncated per cent":   {ready(.559, .559, .559), utilisation(50, true), 3},
		"all at 0":             {ready(0, 0), utilisation(50, true), 0},
		"pods metric, missing": {change(ready(20, 20, 0), missing(2)), average(10, false), 4},
	} {
		got, err := podReplicas(int32(len(alive(c.pods))), c.pods, c.usage, tolerances{.1, .1}, clock(0), ControllerConfig{}.withDefaults())
		if err != nil || got != c.want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, c.want)
		}
	}
	if _, err := podReplicas(1, change(ready(1), missing(0)), utilisation(50, true), tolerances{.1, .1}, clock(0), ControllerConfig{}.withDefaults()); err == nil {
		t.Error("no metric at all gave replicas")
	}
}

func alive(pods []PodState) []PodState {
	var kept []PodState
	for _, p := range pods {
		if !p.Failed && !p.Deleted {
			kept = append(kept, p)
		}
	}
	return kept
}

func requests(values ...float64) func([]PodState) {
	return func(p []PodState) {
		for i, v := range values {
			p[i].Request = v
		}
	}
}

func missing(which ...int) func([]PodState) {
	return func(p []PodState) {
		for _, i := range which {
			p[i].Measured = false
		}
	}
}

func TestGroupPodsByTheirCPU(t *testing.T) {
	config := ControllerConfig{}.withDefaults()
	young := PodState{Measured: true, Ready: true, Started: clock(-100), Transition: clock(-60), Sampled: clock(-10), Window: 15 * time.Second}
	for name, c := range map[string]struct {
		change  func(*PodState)
		unready bool
	}{
		"young and ready":                  {func(*PodState) {}, false},
		"young and not ready":              {func(p *PodState) { p.Ready = false }, true},
		"sampled before a whole window":    {func(p *PodState) { p.Sampled = clock(-46) }, true},
		"sampled a whole window after":     {func(p *PodState) { p.Sampled = clock(-45) }, false},
		"no start":                         {func(p *PodState) { p.Started = time.Time{} }, true},
		"old, never ready":                 {func(p *PodState) { p.Ready, p.Started, p.Transition = false, clock(-900), clock(-890) }, true},
		"old, ready once":                  {func(p *PodState) { p.Ready, p.Started, p.Transition = false, clock(-900), clock(-60) }, false},
		"old and ready, with an old value": {func(p *PodState) { p.Started, p.Transition, p.Sampled = clock(-900), clock(-1), clock(-100) }, false},
	} {
		p := young
		c.change(&p)
		g := groupPods([]PodState{p}, true, clock(0), config)
		if (len(g.unready) == 1) != c.unready {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

func hpaWith(t *testing.T, manifest string) HPASpec {
	t.Helper()
	h, err := ReadHPA(strings.NewReader("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: app}\nspec:\n  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}\n" + manifest))
	if err != nil {
		t.Fatal(err)
	}
	return h.Spec
}

// asking returns an observation in which an external metric asks for replicas.
func asking(at int, replicas ...float64) observation {
	return observation{
		now: clock(at),
		total: func(i int) (float64, error) {
			if replicas[i] < 0 {
				return 0, errors.New("no metric")
			}
			return replicas[i], nil
		},
	}
}

const oneExternal = "  metrics: [{type: External, external: {metric: {name: wanted}, target: {type: AverageValue, averageValue: 1}}}]\n"

func TestReconcileLimits(t *testing.T) {
	for name, c := range map[string]struct {
		manifest        string
		current, wanted int32
		want            int32
	}{
		"default behaviour, at most twice":   {"  maxReplicas: 100\n" + oneExternal, 10, 50, 20},
		"default behaviour, at least 4":      {"  maxReplicas: 100\n" + oneExternal, 1, 50, 4},
		"max":                                {"  maxReplicas: 15\n" + oneExternal, 10, 50, 15},
		"min":                                {"  minReplicas: 3\n  maxReplicas: 15\n" + oneExternal, 10, 1, 3},
		"above max skips the metrics":        {"  maxReplicas: 5\n" + oneExternal, 10, 50, 5},
		"below min skips the metrics":        {"  minReplicas: 3\n  maxReplicas: 5\n" + oneExternal, 1, 50, 3},
		"disabled at 0":                      {"  maxReplicas: 5\n" + oneExternal, 0, 50, 0},
		"from 0 with min 0":                  {"  minReplicas: 0\n  maxReplicas: 5\n" + oneExternal, 0, 3, 3},
		"Pods 100 and Percent 100":           {"  maxReplicas: 1000\n  behavior: {scaleUp: {policies: [{type: Pods, value: 100, periodSeconds: 60}, {type: Percent, value: 100, periodSeconds: 60}]}}\n" + oneExternal, 10, 500, 110},
		"Pods 100 and Percent 100, Min":      {"  maxReplicas: 1000\n  behavior: {scaleUp: {selectPolicy: Min, policies: [{type: Pods, value: 100, periodSeconds: 60}, {type: Percent, value: 100, periodSeconds: 60}]}}\n" + oneExternal, 10, 500, 20},
		"Pods 20 and Percent 1, down":        {"  maxReplicas: 1000\n  behavior: {scaleDown: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 20, periodSeconds: 60}, {type: Percent, value: 1, periodSeconds: 60}]}}\n" + oneExternal, 100, 2, 80},
		"Pods 20 and Percent 1, down, Min":   {"  maxReplicas: 1000\n  behavior: {scaleDown: {stabilizationWindowSeconds: 0, selectPolicy: Min, policies: [{type: Pods, value: 20, periodSeconds: 60}, {type: Percent, value: 1, periodSeconds: 60}]}}\n" + oneExternal, 100, 2, 99},
		"disabled down":                      {"  maxReplicas: 1000\n  behavior: {scaleDown: {selectPolicy: Disabled}}\n" + oneExternal, 100, 2, 100},
		"disabled up":                        {"  maxReplicas: 1000\n  behavior: {scaleUp: {selectPolicy: Disabled}}\n" + oneExternal, 10, 50, 10},
		"default policies of a behavior":     {"  maxReplicas: 1000\n  behavior: {scaleDown: {selectPolicy: Max}}\n" + oneExternal, 2, 50, 6},
		"default policies, down at once":     {"  minReplicas: 2\n  maxReplicas: 1000\n  behavior: {scaleDown: {stabilizationWindowSeconds: 0}}\n" + oneExternal, 50, 1, 2},
		"a tolerance of its own":             {"  maxReplicas: 1000\n  behavior: {scaleUp: {tolerance: 500m}}\n" + oneExternal, 10, 14, 10},
		"a rate that does not fit in 32 bit": {"  maxReplicas: 1000\n  behavior: {scaleUp: {policies: [{type: Pods, value: 2147483647, periodSeconds: 60}]}}\n" + oneExternal, 10, 500, 500},
	} {
		controller := newHPAController(hpaWith(t, c.manifest), ControllerConfig{})
		got, err := controller.reconcile(c.current, asking(0, float64(c.wanted)))
		if err != nil || got != c.want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, c.want)
		}
	}
}

func TestStabilisation(t *testing.T) {
	// Recommendations 4 two minutes ago and 5 one minute ago, wanted 3, now 100.
	c := newHPAController(hpaWith(t, "  maxReplicas: 1000\n  behavior: {scaleDown: {stabilizationWindowSeconds: 180}}\n"+oneExternal), ControllerConfig{})
	c.recommendations = []recommendation{{clock(-120), 4}, {clock(-60), 5}}
	if got, err := c.reconcile(100, asking(0, 3)); err != nil || got != 5 {
		t.Errorf("down window: %d, %v, want 5", got, err)
	}
	// An up window takes the lowest recommendation.
	c = newHPAController(hpaWith(t, "  maxReplicas: 1000\n  behavior: {scaleUp: {stabilizationWindowSeconds: 180}}\n"+oneExternal), ControllerConfig{})
	c.recommendations = []recommendation{{clock(-190), 2}, {clock(-120), 14}, {clock(-60), 13}}
	if got, err := c.reconcile(10, asking(0, 16)); err != nil || got != 13 {
		t.Errorf("up window: %d, %v, want 13", got, err)
	}
	// Without behavior the highest of five minutes counts.
	c = newHPAController(hpaWith(t, "  maxReplicas: 1000\n"+oneExternal), ControllerConfig{})
	c.recommendations = []recommendation{{clock(-301), 9}, {clock(-299), 8}, {clock(-60), 5}}
	if got, err := c.reconcile(10, asking(0, 3)); err != nil || got != 8 {
		t.Errorf("without behavior: %d, %v, want 8", got, err)
	}
}

// 20 pods a minute: what was added within the period counts against it.
func TestPoliciesCountThePeriod(t *testing.T) {
	c := newHPAController(hpaWith(t, "  maxReplicas: 1000\n  behavior: {scaleUp: {policies: [{type: Pods, value: 20, periodSeconds: 60}]}}\n"+oneExternal), ControllerConfig{})
	current := int32(10)
	var got []int32
	for at := 0; at <= 120; at += 15 {
		next, err := c.reconcile(current, asking(at, 500))
		if err != nil {
			t.Fatal(err)
		}
		current = next
		got = append(got, current)
	}
	want := []int32{30, 30, 30, 30, 50, 50, 50, 50, 70}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
}

func TestSeveralMetrics(t *testing.T) {
	two := "  maxReplicas: 1000\n  metrics:\n" + strings.Repeat("  - {type: External, external: {metric: {name: wanted}, target: {type: AverageValue, averageValue: 1}}}\n", 2)
	for name, c := range map[string]struct {
		asked []float64
		want  int32
		fails bool
	}{
		"the maximum":                 {[]float64{12, 15}, 15, false},
		"one invalid, the other up":   {[]float64{-1, 15}, 15, false},
		"one invalid, the other down": {[]float64{5, -1}, 10, true},
		"all invalid":                 {[]float64{-1, -1}, 10, true},
	} {
		controller := newHPAController(hpaWith(t, two), ControllerConfig{})
		got, err := controller.reconcile(10, asking(0, c.asked...))
		if got != c.want || (err != nil) != c.fails {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
}

func TestValueReplicas(t *testing.T) {
	value, average := Decimal(100), Decimal(20)
	for name, c := range map[string]struct {
		current, ready int32
		total          float64
		target         MetricTarget
		want           int32
	}{
		"value":              {4, 4, 150, MetricTarget{Type: "Value", Value: &value}, 6},
		"value, one unready": {4, 3, 150, MetricTarget{Type: "Value", Value: &value}, 5},
		"value, tolerated":   {4, 4, 109, MetricTarget{Type: "Value", Value: &value}, 4},
		"value from 0":       {0, 0, 150, MetricTarget{Type: "Value", Value: &value}, 2},
		"average":            {4, 4, 150, MetricTarget{Type: "AverageValue", AverageValue: &average}, 8},
		"average, tolerated": {4, 4, 85, MetricTarget{Type: "AverageValue", AverageValue: &average}, 4},
		"average from 0":     {0, 0, 150, MetricTarget{Type: "AverageValue", AverageValue: &average}, 8},
	} {
		if got := valueReplicas(c.current, c.ready, c.total, c.target, tolerances{.1, .1}); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestAContainerWithoutARequestIsAnError(t *testing.T) {
	c := newHPAController(hpaWith(t, "  maxReplicas: 10\n"), ControllerConfig{})
	got, err := c.reconcile(2, observation{now: clock(0), pods: func(int) ([]PodState, error) {
		return change(ready(.9, .9), requests(1, 0)), nil
	}})
	if got != 2 || err == nil || !strings.Contains(err.Error(), "missing request") {
		t.Errorf("%d, %v", got, err)
	}
}
