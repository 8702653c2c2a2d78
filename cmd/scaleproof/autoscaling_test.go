package main

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/history"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/testprom"
	"scaleproof/internal/unit"
)

const hpaManifest = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: app}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  minReplicas: 2
  maxReplicas: %d
  metrics:
    - type: Resource
      resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
`

// burst is a trace that goes from 100 to 900 requests a second and back.
func burst(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("time,value\n")
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for minute := range 120 {
		demand := 100
		if minute >= 30 && minute < 60 {
			demand = 900
		}
		fmt.Fprintf(&b, "%s,%d\n", start.Add(time.Duration(minute)*time.Minute).Format(time.RFC3339), demand)
	}
	return writeFile(t, "trace.csv", b.String())
}

func TestHPASimulate(t *testing.T) {
	small, large := writeFile(t, "small.yaml", fmt.Sprintf(hpaManifest, 4)), writeFile(t, "large.yaml", fmt.Sprintf(hpaManifest, 20))
	trace := burst(t)
	got := runCommand(t, nil, "hpa", "simulate", "--hpa", small, "--hpa", large, "--trace", trace, "--capacity-per-replica", "100", "--output", "json")
	var views []struct {
		Rank    int
		Summary capacity.HPASummary
	}
	if err := json.Unmarshal([]byte(got.out), &views); err != nil || len(views) != 2 {
		t.Fatalf("%v %+v", err, got)
	}
	if a, b := views[0].Summary, views[1].Summary; a.PeakReplicas != 4 || a.UnmetFraction < .3 || b.PeakReplicas != 15 || b.UnmetFraction > .1 || b.UnmetFraction <= 0 {
		t.Errorf("small %+v\nlarge %+v", a, b)
	}
	if views[0].Rank != 2 || views[1].Rank != 1 {
		t.Errorf("ranks %+v", views)
	}
	ranked := runCommand(t, nil, "hpa", "simulate", "--hpa", small, "--hpa", large, "--trace", trace, "--capacity-per-replica", "100")
	if _, table, _ := strings.Cut(ranked.out, "the best first"); ranked.code != 0 || strings.Index(table, large) > strings.Index(table, small) || !strings.Contains(table, small) {
		t.Errorf("%+v", ranked)
	}
	text := runCommand(t, nil, "hpa", "simulate", "--hpa", small, "--trace", trace, "--capacity-per-replica", "100", "--recommend", "--unmet", "5%")
	if text.code != 0 || !strings.Contains(text.out, "at the max") || !strings.Contains(text.out, "kind: HorizontalPodAutoscaler") {
		t.Errorf("%+v", text)
	}
	bounded := runCommand(t, nil, "hpa", "simulate", "--hpa", small, "--trace", trace, "--capacity-per-replica", "100", "--recommend", "--unmet", "50%", "--max-replicas", "7", "--longest-unmet", "2m", "--output", "json")
	var view struct {
		Recommendation capacity.HPARecommendation `json:"recommendation"`
	}
	if err := json.Unmarshal([]byte(bounded.out), &view); err != nil || view.Recommendation.HPA.Spec.MaxReplicas > 7 || view.Recommendation.Met || view.Recommendation.Goal.LongestUnmet.Seconds() != 120 {
		t.Errorf("%v %+v", err, bounded)
	}
	// A target of 250m of a request of 500m is one of 50 %.
	inCores := writeFile(t, "cores.yaml", strings.Replace(fmt.Sprintf(hpaManifest, 20), "type: Utilization, averageUtilization: 60", "type: AverageValue, averageValue: 250m", 1))
	half := writeFile(t, "half.yaml", strings.Replace(fmt.Sprintf(hpaManifest, 20), "averageUtilization: 60", "averageUtilization: 50", 1))
	same := runCommand(t, nil, "hpa", "simulate", "--hpa", inCores, "--hpa", half, "--trace", trace, "--capacity-per-replica", "100", "--cpu-request", "0.5", "--output", "json")
	if err := json.Unmarshal([]byte(same.out), &views); err != nil || math.Abs(views[0].Summary.ReplicaHours/views[1].Summary.ReplicaHours-1) > 0.1 {
		t.Errorf("%v: %+v and %+v", err, views[0].Summary, views[1].Summary)
	}
	if got := runCommand(t, nil, "hpa", "simulate", "--hpa", inCores, "--trace", trace, "--capacity-per-replica", "100"); !strings.Contains(got.out, "taken to be 1 core") || !strings.Contains(got.out, "utilisation  ") {
		t.Errorf("%+v", got)
	}
	for name, args := range map[string][]string{
		"a goal of nothing": {"--hpa", small, "--trace", trace, "--max-replicas", "3"},
		"no manifest":       {"--trace", trace}, "no trace": {"--hpa", small}, "bad manifest": {"--hpa", trace, "--trace", trace},
		"bad trace": {"--hpa", small, "--trace", small}, "no capacity": {"--hpa", small, "--trace", trace, "--capacity-per-replica", "0"},
	} {
		if got := runCommand(t, nil, append([]string{"hpa", "simulate"}, args...)...); got.code != 2 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestVPARecommend(t *testing.T) {
	var b strings.Builder
	b.WriteString("time,cpu,memory\n")
	start := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for minute := range 2 * 1440 {
		fmt.Fprintf(&b, "%s,0.5,1e9\n", start.Add(time.Duration(minute)*time.Minute).Format(time.RFC3339))
	}
	path := writeFile(t, "usage.csv", b.String())
	got := runCommand(t, nil, "vpa", "recommend", "--trace", path, "--output", "json")
	var r capacity.VPARecommendation
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || r.Target.CPU < .587 || r.Target.CPU > .588 {
		t.Errorf("%v %+v", err, got)
	}
	if got := runCommand(t, nil, "vpa", "recommend", "--trace", path); got.code != 0 || !strings.Contains(got.out, "target") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, nil, "vpa", "recommend", "--trace", writeFile(t, "one.csv", "time,cpu\n2026-03-01T00:00:00Z,0.5\n")); got.code != 0 || !strings.Contains(got.out, "none yet") || strings.Contains(got.out, "e+") {
		t.Errorf("%+v", got)
	}
	out := filepath.Join(t.TempDir(), "requests.yaml")
	if got := runCommand(t, nil, "vpa", "recommend", "--trace", path, "--plan-out", out, "--target", "deployment/app", "--container", "web"); got.code != 0 {
		t.Errorf("%+v", got)
	}
	written, err := plan.ReadFile(out, func(name string) (string, bool) { return "prod", name == "KUBE_CONTEXT" || name == "KUBE_NAMESPACE" })
	if err != nil {
		t.Fatalf("the plan is not one: %v\n%s", err, mustRead(t, out))
	}
	if r := written.Action.Steps[0].Resources; r == nil || r.Target != "deployment/app" || r.Container != "web" || r.Requests["cpu"] != "588m" || r.Requests["memory"] == "" {
		t.Errorf("%s", mustRead(t, out))
	}
	for _, args := range [][]string{{}, {"--trace", path, "--plan-out", out}, {"--trace", path, "--cpu-query", "a"}, {"--cpu-query", "a"}, {"--trace", "/nonexistent"}, {"--trace", writeFile(t, "x.csv", "time\n")}} {
		if got := runCommand(t, nil, append([]string{"vpa", "recommend"}, args...)...); got.code != 2 {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

// What a container used is asked of a real Prometheus.
func TestVPARecommendFromPrometheus(t *testing.T) {
	var b strings.Builder
	b.WriteString("# TYPE cores gauge\n")
	now := time.Now().Truncate(time.Minute)
	for _, pod := range []string{"a", "b"} {
		for minute := range 2 * 1440 {
			fmt.Fprintf(&b, "cores{pod=%q} 0.5 %d\n", pod, now.Add(time.Duration(minute-2*1440)*time.Minute).Unix())
		}
	}
	b.WriteString("# EOF\n")
	environment := map[string]string{"PROM": testprom.Start(t, []byte(b.String()))}
	nightly := writeFile(t, "n.yaml", "version: 1\nname: nightly\nenvironment: {prometheus: {url: \"${PROM}\"}}\n")
	got := runCommand(t, environment, "vpa", "recommend", "-f", nightly, "--cpu-query", "max(cores)", "--output", "json")
	var r capacity.VPARecommendation
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || r.Target.CPU < .587 || r.Target.CPU > .588 || r.Days < 1.9 || len(r.Warnings) != 1 {
		t.Errorf("%v %+v", err, got)
	}
	for query, says := range map[string]string{"cores": "gives 2 series", "nothing": "has nothing of that time", "sum(": "parse error"} {
		if got := runCommand(t, environment, "vpa", "recommend", "-f", nightly, "--cpu-query", query); got.code != 4 || !strings.Contains(got.err, says) {
			t.Errorf("%s: %+v", query, got)
		}
	}
}

// The profile of a day is simulated at the peak that the history lets expect.
func TestHPASimulateAtAForecastPeak(t *testing.T) {
	place := filepath.Join(t.TempDir(), "history")
	store, err := history.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 { // 10 requests a second more each day: 1,200 in 60 days, where there were 600
		at := time.Now().AddDate(0, 0, i-59)
		s := &snapshot.Snapshot{
			SchemaVersion: snapshot.SchemaVersion, ID: fmt.Sprint("night-", i), Plan: "nightly", Phase: "collect", StartedAt: at, FinishedAt: at, Trials: 1,
			Metrics: []snapshot.Metric{{Name: "prom.api", Unit: unit.RequestsPerSecond, Better: snapshot.Neutral, Values: snapshot.Values{float64(10 + 10*i)}}},
		}
		if err := store.Add(t.Context(), s, history.Labels{}); err != nil {
			t.Fatal(err)
		}
	}
	hpa, trace := writeFile(t, "hpa.yaml", fmt.Sprintf(hpaManifest, 50)), burst(t)
	for _, quantile := range []string{"p50", "p90"} {
		got := runCommand(t, nil, "hpa", "simulate", "--hpa", hpa, "--trace", trace, "--capacity-per-replica", "100", "--history", place, "--forecast", "prom.api", "--forecast-quantile", quantile, "--output", "json")
		var view capacity.HPATimeline
		if err := json.Unmarshal([]byte(got.out), &view); err != nil || !strings.Contains(got.err, "1,200/s") && !strings.Contains(got.err, "1200/s") {
			t.Fatalf("%v %+v", err, got)
		}
		demand := 0.0
		for _, s := range view.Steps {
			demand = max(demand, s.Demand)
		}
		if demand < 1190 || demand > 1210 {
			t.Errorf("%s: the demand peaks at %v, want 1200", quantile, demand)
		}
	}
	for _, args := range [][]string{{"--forecast", "nothing"}, {"--forecast", "prom.api", "--scale", "2"}, {"--forecast", "prom.api", "--forecast-quantile", "p99"}} {
		if got := runCommand(t, nil, append([]string{"hpa", "simulate", "--hpa", hpa, "--trace", trace, "--history", place}, args...)...); got.code != 2 {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
