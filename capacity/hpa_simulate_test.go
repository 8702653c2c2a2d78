package capacity

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scaleproof/internal/unit"
)

// loadTrace makes a trace of one value per minute.
func loadTrace(minutes int, value func(minute int) float64) Series {
	var s Series
	for i := range minutes {
		s.Times, s.Values = append(s.Times, clock(60*i)), append(s.Values, value(i))
	}
	return s
}

func hpaOf(t *testing.T, spec string) *HPA {
	t.Helper()
	return &HPA{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler", Spec: hpaWith(t, spec)}
}

const cpu50 = "  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]\n"

func simulate(t *testing.T, h *HPA, trace Series, w Workload) *HPATimeline {
	t.Helper()
	got, err := SimulateHPA(h, trace, w)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestASteadyLoadSettlesAtItsTarget(t *testing.T) {
	trace := loadTrace(60, func(int) float64 { return 400 })
	for name, spec := range map[string]string{
		"cpu":           "  maxReplicas: 50\n" + cpu50,
		"cores":         "  maxReplicas: 50\n  metrics: [{type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 250m}}}]\n",
		"pods metric":   "  maxReplicas: 50\n  metrics: [{type: Pods, pods: {metric: {name: requests}, target: {type: AverageValue, averageValue: 50}}}]\n",
		"external":      "  maxReplicas: 50\n  metrics: [{type: External, external: {metric: {name: requests}, target: {type: AverageValue, averageValue: 50}}}]\n",
		"with behavior": "  maxReplicas: 50\n  behavior: {scaleUp: {stabilizationWindowSeconds: 0}}\n" + cpu50,
		"memory beside": "  maxReplicas: 50\n  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}, {type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 50}}}]\n",
	} {
		// 400 over 100 a replica at 50 %: 8 replicas.
		got := simulate(t, hpaOf(t, spec), trace, Workload{CapacityPerReplica: 100, CPURequest: 0.5})
		last := got.Steps[len(got.Steps)-1]
		if last.Replicas != 8 || last.Ready != 8 || last.Unmet != 0 || !near(last.Utilisation, .5, 1e-9) {
			t.Errorf("%s: %+v, %v", name, last, got.Warnings)
		}
		if (len(got.Warnings) > 0) != (name == "external" || name == "memory beside") {
			t.Errorf("%s: %v", name, got.Warnings)
		}
	}
}

// From 2 replicas a burst of 10 replicas' worth: the plain controller doubles.
func TestPodsThatStartSlowlyLeaveDemandUnmet(t *testing.T) {
	trace := loadTrace(40, func(minute int) float64 {
		if minute < 10 {
			return 100
		}
		return 1000
	})
	h := hpaOf(t, "  minReplicas: 2\n  maxReplicas: 50\n"+cpu50)
	slow := simulate(t, h, trace, Workload{CapacityPerReplica: 100, PodStart: 2 * time.Minute})
	quick := simulate(t, h, trace, Workload{CapacityPerReplica: 100, PodStart: -1})
	if slow.Summary.UnmetFraction <= quick.Summary.UnmetFraction || slow.Summary.LongestUnmet < unit.Duration(2*time.Minute) {
		t.Errorf("slow %+v, quick %+v", slow.Summary, quick.Summary)
	}
	if slow.Summary.PeakReplicas < 20 || slow.Summary.PeakUtilisation != 1 || slow.Summary.ScaleUps < 3 {
		t.Errorf("%+v", slow.Summary)
	}
	// Conservation: what was served and what was not is the demand.
	if s := slow.Summary; s.UnmetTime < s.LongestUnmet || s.UnmetFraction <= 0 || s.UnmetFraction >= 1 || s.MeanReplicas*s.Duration.Seconds()/3600-s.ReplicaHours > 1e-6 {
		t.Errorf("%+v", s)
	}
}

func TestScaleDownWaitsForItsWindow(t *testing.T) {
	trace := loadTrace(60, func(minute int) float64 {
		if minute < 20 {
			return 1000
		}
		return 100
	})
	fall := func(spec string) time.Duration {
		got := simulate(t, hpaOf(t, spec), trace, Workload{CapacityPerReplica: 100})
		for _, s := range got.Steps {
			if s.Time.After(clock(20*60)) && s.Replicas < 20 {
				return s.Time.Sub(clock(20 * 60))
			}
		}
		return math.MaxInt64
	}
	plain := fall("  maxReplicas: 50\n" + cpu50)
	long := fall("  maxReplicas: 50\n  behavior: {scaleDown: {stabilizationWindowSeconds: 900}}\n" + cpu50)
	// The trace falls from minute 19 to minute 20.
	if plain < 4*time.Minute || plain > 6*time.Minute || long < 14*time.Minute || long > 16*time.Minute {
		t.Errorf("after %s and %s, want 5 and 15 minutes", plain, long)
	}
}

func TestMaxReplicasBoundsTheTimeline(t *testing.T) {
	trace := loadTrace(30, func(int) float64 { return 1000 })
	got := simulate(t, hpaOf(t, "  maxReplicas: 4\n"+cpu50), trace, Workload{CapacityPerReplica: 100, Initial: 4})
	if s := got.Summary; s.PeakReplicas != 4 || !near(s.UnmetFraction, .6, 1e-9) || s.AtMax != s.Duration || s.UnmetTime != s.Duration {
		t.Errorf("%+v", s)
	}
}

func TestALongTraceHasABoundedTimeline(t *testing.T) {
	week := loadTrace(7*24*60, func(minute int) float64 { return 500 + 400*math.Sin(2*math.Pi*float64(minute)/1440) })
	got := simulate(t, hpaOf(t, "  maxReplicas: 50\n"+cpu50), week, Workload{CapacityPerReplica: 100})
	if len(got.Steps) > hpaSteps || len(got.Steps) < hpaSteps/2 || got.Summary.ScaleDowns < 7 {
		t.Errorf("%d steps, %+v", len(got.Steps), got.Summary)
	}
}

func TestSimulateHPARefuses(t *testing.T) {
	good := loadTrace(10, func(int) float64 { return 1 })
	h := hpaOf(t, "  maxReplicas: 4\n"+cpu50)
	memory := hpaOf(t, "  maxReplicas: 4\n  metrics: [{type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 50}}}]\n")
	for want, c := range map[string]struct {
		hpa   *HPA
		trace Series
		w     Workload
	}{
		"above 0":               {h, good, Workload{}},
		"negative":              {h, good, Workload{CapacityPerReplica: 1, Initial: -1}},
		"at least two points":   {h, Series{}, Workload{CapacityPerReplica: 1}},
		"the value -1":          {h, loadTrace(3, func(int) float64 { return -1 }), Workload{CapacityPerReplica: 1}},
		"back to":               {h, Series{Times: []time.Time{clock(5), clock(5)}, Values: []float64{1, 1}}, Workload{CapacityPerReplica: 1}},
		"more than a year":      {h, Series{Times: []time.Time{clock(0), clock(5e8)}, Values: []float64{1, 1}}, Workload{CapacityPerReplica: 1}},
		"follows from the load": {memory, good, Workload{CapacityPerReplica: 1}},
	} {
		if _, err := SimulateHPA(c.hpa, c.trace, c.w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestRankHPA(t *testing.T) {
	trace := loadTrace(120, func(minute int) float64 { return 100 + 900*float64(minute/60) })
	var timelines []*HPATimeline
	for _, spec := range []string{"  maxReplicas: 5\n", "  minReplicas: 20\n  maxReplicas: 40\n", "  minReplicas: 30\n  maxReplicas: 40\n", "  minReplicas: 2\n  maxReplicas: 40\n"} {
		timeline, err := SimulateHPA(hpaOf(t, spec+cpu50), trace, Workload{CapacityPerReplica: 100})
		if err != nil {
			t.Fatal(err)
		}
		timelines = append(timelines, timeline)
	}
	// Of two that leave nothing unmet the cheaper one is better; then the one that
	// has to scale first, and the one that can't.
	if got := RankHPA(timelines); !slices.Equal(got, []int{1, 2, 3, 0}) {
		t.Errorf("%v", got)
	}
}

func TestRecommendHPA(t *testing.T) {
	day := loadTrace(3*60, func(minute int) float64 { return 550 - 450*math.Cos(2*math.Pi*float64(minute)/180) })
	base := hpaOf(t, "  minReplicas: 20\n  maxReplicas: 40\n"+cpu50)
	base.Metadata = map[string]any{"name": "app"}
	w := Workload{CapacityPerReplica: 100, UtilisationAtCapacity: 0.9, PodStart: time.Minute}
	r, err := RecommendHPA(t.Context(), base, day, w, HPAObjective{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Met || r.Summary.UnmetFraction != 0 || r.Summary.ReplicaHours >= r.Now.ReplicaHours || r.Tried < 10 {
		t.Errorf("%+v", r)
	}
	// The manifest is one: written and read again it does the same.
	var manifest bytes.Buffer
	if err := r.HPA.Write(&manifest); err != nil {
		t.Fatal(err)
	}
	again, err := ReadHPA(&manifest)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Summary, simulate(t, again, day, w).Summary); diff != "" {
		t.Error(diff)
	}
	// Some unmet demand makes it cheaper; too few replicas cannot do it.
	loose, err := RecommendHPA(t.Context(), base, day, w, HPAObjective{UnmetFraction: 0.05})
	if err != nil || !loose.Met || loose.Summary.ReplicaHours >= r.Summary.ReplicaHours {
		t.Errorf("%+v, %v", loose, err)
	}
	tight, err := RecommendHPA(t.Context(), base, day, w, HPAObjective{MaxReplicas: 3})
	if err != nil || tight.Met || tight.HPA.Spec.MaxReplicas != 3 {
		t.Errorf("%+v, %v", tight, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := RecommendHPA(ctx, base, day, w, HPAObjective{}); err == nil {
		t.Error("a cancelled search went on")
	}
}

func BenchmarkSimulateHPAWeek(b *testing.B) {
	week := loadTrace(7*24*60, func(minute int) float64 { return 500 + 400*math.Sin(2*math.Pi*float64(minute)/1440) })
	h, err := ReadHPA(strings.NewReader("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nspec:\n  scaleTargetRef: {kind: Deployment, name: app}\n  maxReplicas: 50\n"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := SimulateHPA(h, week, Workload{CapacityPerReplica: 100}); err != nil {
			b.Fatal(err)
		}
	}
}
