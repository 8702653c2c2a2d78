//go:build cluster

package clustertest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"scaleproof/internal/snapshot"
	"scaleproof/loadgen"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// steady is app with what a service needs to lose no request when it shrinks: a pod
// that ends goes on until nobody is sent to it any more. Its CPU limit makes the
// number of pods what bounds the service, and not this machine.
var steady = strings.NewReplacer(
	"terminationGracePeriodSeconds: 1", "terminationGracePeriodSeconds: 8",
	"imagePullPolicy: Never", "imagePullPolicy: Never\n        lifecycle: {preStop: {sleep: {seconds: 5}}}",
	"limits: {cpu: 100m", "limits: {cpu: 50m",
).Replace(app)

// replicas 2 -> 5 under load: capacity rises, no request fails, the report shows the
// transition, and the rollback restores 2.
func TestScalingUnderLoadIsProved(t *testing.T) {
	t.Parallel()
	s := newStage(t, steady)
	u := s.newUser("APP_URL=" + s.address("app", "80"))
	plan := u.plan("scale-out", `
measure:
  trials: 4
  load:
    - {name: app, targets: ["GET ${APP_URL}/health"], connections: 16, recycle: 1, warmup: 500ms, duration: 3s}
  resources: {pods: true}
action:
  load_through: app
  steps:
    - {name: scale, scale: {target: deployment/app, replicas: 5}}
    - {name: serve, wait: {for: converged, target: deployment/app}, timeout: 2m}
objectives: [load.app.throughput >= 1.2x]
guardrails: [load.app.errors < 1%]
`)
	u.must(0, "run", "-f", plan, "--yes") // the load is closed: it may go fast
	id := u.onlyRun("scaleproof-runs")
	r := u.report(filepath.Join("scaleproof-runs", id))
	s.expect("deployment/app", ".status.readyReplicas", "5")
	if r.Through == nil || r.Through.Requests == 0 || r.Through.Successes != r.Through.Requests {
		t.Fatalf("through the action: %d of %d requests were answered, errors %v", r.Through.Successes, r.Through.Requests, r.Through.Errors)
	}
	for _, side := range []*snapshot.Snapshot{r.Before, r.After} {
		var load loadgen.Result
		if ok, err := side.Section("load.app", &load); err != nil || !ok || load.Successes != load.Requests {
			t.Errorf("%s: %d of %d requests were answered (%v)", side.Phase, load.Successes, load.Requests, err)
		}
	}
	// The transition: the load saw more pods, and answers came faster at its end.
	if len(r.Markers) < 2 || len(r.Through.Seconds) < 5 {
		t.Fatalf("markers %+v, seconds %+v", r.Markers, r.Through.Seconds)
	}
	first, last := r.Through.Seconds[0], r.Through.Seconds[len(r.Through.Seconds)-2]
	if last.Requests <= first.Requests {
		t.Errorf("%d requests in the first second and %d in the last", first.Requests, last.Requests)
	}
	checkSides(t, r)
	u.must(0, "scale", "rollback", id, "-f", plan)
	s.expect("deployment/app", ".status.replicas", "2")
}

// checkSides looks at the state of Kubernetes before and after.
func checkSides(t *testing.T, r *reports.Report) {
	t.Helper()
	for side, pods := range map[*snapshot.Snapshot]int{r.Before: 2, r.After: 5} {
		var state scaling.ClusterState
		if ok, err := side.Section("kubernetes", &state); err != nil || !ok {
			t.Fatalf("%s has no state of Kubernetes: %v", side.Phase, err)
		}
		if len(state.Pods) != pods || len(state.Workloads) != 1 || state.Workloads[0].Ready != int64(pods) || len(state.Services) != 1 || state.Services[0].Ready != pods {
			t.Errorf("%s: state %+v", side.Phase, state)
		}
		for _, p := range state.Pods {
			if c := p.Containers[0]; !p.Ready || p.Target != "deployment/app" || c.CPULimit == nil || *c.CPULimit != 0.05 {
				t.Errorf("%s: pod %+v", side.Phase, p)
			}
		}
		if m := side.Metric("k8s.deployment.app.ready"); m == nil || m.Values[0] != float64(pods) {
			t.Errorf("%s: ready %+v", side.Phase, m)
		}
	}
	var state scaling.ClusterState
	if _, err := r.After.Section("kubernetes", &state); err != nil {
		t.Fatal(err)
	}
	scaled := false
	for _, e := range state.Events {
		scaled = scaled || e.Reason == "ScalingReplicaSet" && e.Object == "deployment/app"
	}
	if !scaled {
		t.Errorf("no event tells of the action: %+v", state.Events)
	}
}

// behaving is an autoscaler with behavior, which acts at once.
const behaving = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: app}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: app}
  minReplicas: 2
  maxReplicas: 4
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]
  behavior:
    scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 2, periodSeconds: 5}]}
    scaleDown: {stabilizationWindowSeconds: 300, policies: [{type: Percent, value: 10, periodSeconds: 60}]}
`

// Load makes an autoscaler act, the snapshot shows it, and who scales by hand under it
// is refused before anything is measured, or acts on the autoscaler.
func TestAnAutoscalerActsUnderLoad(t *testing.T) {
	t.Parallel()
	s := newStage(t, steady, behaving)
	u := s.newUser("APP_URL=" + s.address("app", "80"))
	measure := u.plan("measure", `
measure:
  trials: 1
  load:
    - {name: app, targets: ["GET ${APP_URL}/health"], connections: 4, recycle: 1, duration: 45s}
  resources: {pods: true}
`)
	u.must(0, "snapshot", "-f", measure, "--yes", "-o", "after.json")
	snap, err := snapshot.ReadFile(filepath.Join(u.dir, "after.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state scaling.ClusterState
	if _, err := snap.Section("kubernetes", &state); err != nil || len(state.Autoscalers) != 1 {
		t.Fatalf("%v, state %+v", err, state)
	}
	a := state.Autoscalers[0]
	if a.Target != "deployment/app" || a.Min != 2 || a.Max != 4 || a.Desired != 4 || a.Behavior == nil || len(a.Conditions) == 0 || len(a.Metrics) != 1 || strings.Contains(a.Metrics[0], "unknown") {
		t.Errorf("autoscaler %+v", a)
	}
	rescaled := false
	for _, e := range state.Events {
		rescaled = rescaled || e.Reason == "SuccessfulRescale"
	}
	if !rescaled {
		t.Errorf("events %+v", state.Events)
	}
	for _, name := range []string{"cpu", "cpu_utilization", "cpu_limit", "memory", "memory_limit", "memory_pressure"} {
		if m := snap.Metric("k8s.deployment.app." + name); m == nil || len(m.Values.Observed()) == 0 || m.Values[0] <= 0 {
			t.Errorf("%s is %+v", name, m)
		}
	}
	usage := false
	for _, p := range state.Pods {
		usage = usage || p.Containers[0].CPU != nil && *p.Containers[0].CPU > 0
	}
	if !usage {
		t.Errorf("no pod tells its usage: %+v", state.Pods)
	}
	byHand := func(owner string) string {
		return u.plan("by-hand", fmt.Sprintf("action: {steps: [{name: scale, scale: {target: deployment/app, replicas: 3%s}}]}\n", owner))
	}
	got := u.must(2, "run", "-f", byHand(""))
	if !strings.Contains(got.err, "horizontalpodautoscaler/app owns the replicas of deployment/app (2 to 4)") || strings.Contains(got.err, "trial") {
		t.Errorf("%+v", got)
	}
	u.must(0, "scale", "apply", "-f", byHand(", owner: adjust"))
	s.expect("hpa/app", ".spec.minReplicas", "3")
	u.must(0, "scale", "rollback", u.onlyRun("scaleproof-runs"), "-f", byHand(", owner: adjust"))
	s.expect("hpa/app", ".spec.minReplicas", "2")
}

// An image that never becomes ready: the step times out, the rollback is automatic
// and verified, and the exit code is 1.
func TestABrokenImageEndsInAVerifiedRollback(t *testing.T) {
	t.Parallel()
	s := newStage(t, steady)
	u := s.newUser("APP_URL=" + s.address("app", "80"))
	before := s.specs()
	plan := u.plan("broken", `
measure:
  trials: 4
  load:
    - {name: app, targets: ["GET ${APP_URL}/health"], rate: 20/s, recycle: 1, duration: 500ms}
action:
  load_through: app
  steps:
    - name: image
      patch: {target: deployment/app, patch: {spec: {template: {spec: {containers: [{name: app, image: docker.io/local/none:1}]}}}}}
    - {name: serve, wait: {for: converged, target: deployment/app}, timeout: 8s}
objectives: [load.app.response.p99 < 10s]
`)
	got := u.must(1, "run", "-f", plan, "--out", "report")
	if !strings.Contains(got.out, "ErrImageNeverPull") || !strings.Contains(got.out, "Rollback, verified") {
		t.Errorf("%s", got.out)
	}
	r := u.report("report")
	if b := r.Action.Rollback; b == nil || !b.Verified || !strings.Contains(b.Probe, "requests were answered") || r.Through.Successes != r.Through.Requests {
		t.Errorf("rollback %+v, through %d of %d", b, r.Through.Successes, r.Through.Requests)
	}
	if after := s.specs(); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("it is not as before: %v and %v", before, after)
	}
}

// More read replicas, by the example's own plan: the primary sees three of them
// stream, and none lags.
func TestReadReplicasStream(t *testing.T) {
	t.Parallel()
	s := newStage(t, steady)
	s.apps(postgres(t, "postgres-primary", 1, "", s.namespace))
	s.apps(postgres(t, "postgres-replica", 1, "postgres-primary", s.namespace))
	dsn := s.dsn("postgres-primary")
	s.incidents(dsn)
	conn := s.connect(dsn)
	const streaming = `SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'
		AND pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) < 16777216`
	count := func() (n int) {
		if err := conn.QueryRow(t.Context(), streaming).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	s.await("the first replica streams", func() bool { return count() == 1 })
	u := s.newUser("APP_URL="+s.address("app", "80"), "DATABASE_URL="+dsn)
	plan := u.example("read-replicas", "when: objective_failed", "when: never")
	u.must(0, "run", "-f", plan)
	id := u.onlyRun("scaleproof-runs")
	if n := count(); n != 3 {
		t.Errorf("%d replicas stream", n)
	}
	// What the primary writes, the newest replica has.
	if _, err := conn.Exec(t.Context(), "CREATE TABLE proof AS SELECT 42 AS answer"); err != nil {
		t.Fatal(err)
	}
	replica := s.connect(fmt.Sprintf("postgres://postgres@%s:5432/postgres?sslmode=disable", s.field("pod/postgres-replica-2", ".status.podIP")))
	s.await("the newest replica has it", func() bool {
		var answer int
		return replica.QueryRow(t.Context(), "SELECT answer FROM proof").Scan(&answer) == nil && answer == 42
	})
	u.must(0, "scale", "rollback", id, "-f", plan)
	s.expect("statefulset/postgres-replica", ".status.replicas", "1")
	s.await("the other two are gone from the primary's view", func() bool { return count() == 1 })
}
