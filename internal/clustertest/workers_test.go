//go:build cluster

package clustertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/testcluster"
	"scaleproof/internal/unit"
	"scaleproof/internal/workers"
	"scaleproof/loadgen"
)

// image puts the program into an image on the cluster's node, once, and returns
// the program's path.
var image = sync.OnceValues(func() (string, error) {
	path, err := program()
	if err != nil {
		return "", err
	}
	return path, cluster.LoadImage(context.Background(), testcluster.Image{
		Name: "scaleproof", Files: map[string]string{"usr/local/bin/scaleproof": path},
	})
})

func imaged(t *testing.T) (program string) {
	t.Helper()
	path, err := image()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A counted is a Service of the cluster whose endpoint is the test, which counts.
type counted struct {
	url   string
	count atomic.Int64
	first chan struct{} // closed at the first request
}

// serveOnMachine serves where pods reach the test's machine, and returns the address.
func serveOnMachine(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", testcluster.MachineIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handle)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}

// countedService makes a Service without a selector, and its endpoint.
func countedService(s *stage) *counted {
	s.t.Helper()
	c := &counted{first: make(chan struct{})}
	var once sync.Once
	address := serveOnMachine(s.t, func(http.ResponseWriter, *http.Request) {
		c.count.Add(1)
		once.Do(func() { close(c.first) })
	})
	_, port, _ := net.SplitHostPort(address)
	s.run(fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: counted}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: counted, labels: {kubernetes.io/service-name: counted}}
addressType: IPv4
ports: [{port: %s, protocol: TCP}]
endpoints: [{addresses: [%q], conditions: {ready: true}}]
`, port, testcluster.MachineIP), "apply", "-f", "-")
	c.url = "http://" + s.field("service/counted", ".spec.clusterIP")
	return c
}

// small is what fits many times on the node.
func small(count int) loadgen.Workers {
	return loadgen.Workers{
		Count: count, Image: "docker.io/local/scaleproof:1", PullPolicy: "Never",
		Requests: map[string]string{"cpu": "20m", "memory": "32Mi"}, Limits: map[string]string{"cpu": "500m", "memory": "128Mi"},
	}
}

func (s *stage) workers(load loadgen.Config) (*workers.Fleet, error) {
	s.t.Helper()
	f, err := workers.Start(s.t.Context(), load, workers.Options{Build: "development", ID: "test", Client: s.client(testcluster.AdminContext)})
	if f != nil {
		s.t.Cleanup(func() { _ = f.Close() })
	}
	return f, err
}

// loadBy makes a load by workers that it starts.
func (s *stage) loadBy(load loadgen.Config) (*workers.Fleet, *loadgen.Result) {
	s.t.Helper()
	f, err := s.workers(load)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := loadgen.Run(s.t.Context(), load, loadgen.Options{Fleet: f})
	if err != nil {
		s.t.Fatal(err)
	}
	return f, r
}

// nothingLeft fails where workers leave something behind. A Secret that the garbage
// collector had not seen yet when its Job went is collected after it.
func (s *stage) nothingLeft() {
	s.t.Helper()
	await(s.t, func() error {
		if left := s.run("", "get", "jobs,secrets,pods", "--selector=app.kubernetes.io/name=scaleproof-worker", "-o=name"); left != "" {
			return fmt.Errorf("%s is left", left)
		}
		return nil
	})
}

func TestWorkersLoadAService(t *testing.T) {
	t.Parallel()
	imaged(t)
	s := newStage(t, app, autoscaler)
	target := countedService(s)
	load := loadgen.Config{
		Name: "api", Targets: []string{"GET " + target.url + "/{{seq}}"}, Rate: 200, Arrivals: "poisson", Seed: 4,
		Duration: unit.Duration(3 * time.Second), Workers: small(4),
	}
	f, err := s.workers(load)
	if err != nil {
		t.Fatal(err)
	}
	scheduled, seconds := int64(0), 0
	opts := loadgen.Options{Fleet: f, OnSecond: func(sec loadgen.Second, _ *stats.Histogram) { scheduled += sec.Scheduled; seconds++ }}
	r, err := loadgen.Run(t.Context(), load, opts)
	if err != nil {
		t.Fatal(err)
	}
	if incomplete(r) || r.Requests != target.count.Load() || r.Requests+r.Unsent != scheduled || scheduled == 0 || seconds != 3 || r.Histograms.Response.Count() != r.Successes {
		t.Errorf("%s (%s): %d requests and %d unsent of %d scheduled, the target had %d", r.Validity, r.ValidityReason, r.Requests, r.Unsent, scheduled, target.count.Load())
	}
	for i, w := range r.Workers {
		if w.Requests == 0 || !strings.HasPrefix(w.Host, "scaleproof-workers-test-"+fmt.Sprint(i)) {
			t.Errorf("worker %+v", w)
		}
		t.Logf("worker %d: clock %+.6f s within %.6f s, lateness p99 %.6f s", i, w.ClockOffset, w.ClockError, w.LatenessP99)
	}
	// The closed model, on the same pods.
	before := target.count.Load()
	closed := load
	closed.Rate, closed.Arrivals, closed.Connections, closed.Duration = 0, "", 4, unit.Duration(time.Second)
	if r, err = loadgen.Run(t.Context(), closed, opts); err != nil {
		t.Fatal(err)
	}
	if incomplete(r) || r.Requests != target.count.Load()-before || r.Connections != 4 {
		t.Errorf("%s (%s): %d requests on %d connections, the target had %d", r.Validity, r.ValidityReason, r.Requests, r.Connections, target.count.Load()-before)
	}
	s.checkPods()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	s.nothingLeft()
}

// checkPods looks at what the API server has made of the workers.
func (s *stage) checkPods() {
	s.t.Helper()
	s.expect("job/scaleproof-workers-test", ".spec.backoffLimit", "0")
	s.expect("secret/scaleproof-workers-test", ".metadata.ownerReferences[0].kind", "Job")
	pods := strings.Fields(s.run("", "get", "pods", "--selector=scaleproof/run=test", "-o=name"))
	if len(pods) != 4 {
		s.t.Fatalf("pods %q", pods)
	}
	s.expect(pods[0], ".spec.containers[0].securityContext.readOnlyRootFilesystem", "true")
	s.expect(pods[0], ".spec.securityContext.runAsNonRoot", "true")
	s.expect(pods[0], ".spec.restartPolicy", "Never")
	// What the autoscaler counts are the pods of its Deployment alone.
	counted := s.run("", "get", "pods", "--selector=app=app", "-o=name")
	for _, pod := range pods {
		if strings.Contains(counted, pod) {
			s.t.Errorf("%s is among the autoscaler's", pod)
		}
	}
}

func TestWorkersKeepOffTheTargetsNodes(t *testing.T) {
	t.Parallel()
	imaged(t)
	s := newStage(t, app)
	load := loadgen.Config{Targets: []string{"GET http://app/"}, Rate: 10, Workers: small(1)}
	if _, err := s.workers(load); err != nil {
		t.Fatal(err) // there is but one node: a preference, no more
	}
	const term = ".spec.template.spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm"
	s.expect("job/scaleproof-workers-test", term+".labelSelector.matchLabels", `{"app":"app"}`)
}

func TestAKilledPodMakesTheRunInvalid(t *testing.T) {
	t.Parallel()
	imaged(t)
	s := newStage(t)
	target := countedService(s)
	load := loadgen.Config{Targets: []string{"GET " + target.url}, Rate: 100, Duration: unit.Duration(2 * time.Minute), Workers: small(3)}
	f, err := s.workers(load)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-target.first
		pod := s.run("", "get", "pods", "--selector=batch.kubernetes.io/job-completion-index=1", "-o=name")
		s.run("", "delete", pod, "--grace-period=0", "--force", "--wait=false")
	}()
	r, err := loadgen.Run(t.Context(), load, loadgen.Options{Fleet: f})
	if err != nil {
		t.Fatal(err)
	}
	// For one pod that failed the Job ends all, and with others it may be done before.
	if r.Validity != loadgen.Invalid || !strings.Contains(r.ValidityReason, ": it was lost: its connection ended") {
		t.Errorf("%s: %s", r.Validity, r.ValidityReason)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	s.nothingLeft()
}

// A worker that is killed for its memory is the commonest loss, and told as that.
func TestAPodWithoutEnoughMemoryIsToldAsThat(t *testing.T) {
	t.Parallel()
	imaged(t)
	s := newStage(t)
	target := countedService(s)
	load := loadgen.Config{
		Targets: []string{"POST " + target.url}, Rate: 200, Duration: unit.Duration(2 * time.Minute), Workers: small(1),
		// Each connection keeps a body of its own.
		Body: strings.Repeat("{{row.long}}", 1000), Feeder: longRow(t),
	}
	f, err := s.workers(load)
	if err != nil {
		t.Fatal(err)
	}
	r, err := loadgen.Run(t.Context(), load, loadgen.Options{Fleet: f})
	if err != nil {
		t.Fatal(err)
	}
	if r.Validity != loadgen.Invalid || !strings.Contains(r.ValidityReason, "worker 0: it was lost: its connection ended: pod scaleproof-workers-test-0-") || !strings.Contains(r.ValidityReason, "OOMKilled") {
		t.Errorf("%s: %s", r.Validity, r.ValidityReason)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	s.nothingLeft()
}

// longRow is a feeder whose one row has a field of 64 KiB.
func longRow(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "long.csv")
	if err := os.WriteFile(path, []byte("id,long\n1,"+strings.Repeat("x", 64<<10)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whatever becomes of the answers of the API server while the objects are made, none
// is left.
func TestWorkersThatWereHalfMadeAreRemoved(t *testing.T) {
	t.Parallel()
	imaged(t)
	s := newStage(t)
	load := loadgen.Config{Targets: []string{"GET http://app/"}, Rate: 10, Workers: small(2)}
	for _, kind := range []string{`"Job"`, `"Secret"`} {
		client := s.client(testcluster.AdminContext)
		run, made := client.Run, false
		client.Run = func(ctx context.Context, stdin []byte, args []string) ([]byte, []byte, error) {
			out, fault, err := run(ctx, stdin, args)
			if strings.Contains(string(stdin), `"kind":`+kind) && strings.Contains(strings.Join(args, " "), " create ") && err == nil {
				made, err, fault = true, errors.New("exit status 1"), []byte("Unable to connect to the server: EOF")
			}
			return out, fault, err
		}
		_, err := workers.Start(t.Context(), load, workers.Options{Build: "development", ID: "half", Client: client})
		if err == nil || !made {
			t.Errorf("%s: %v, made: %v", kind, err, made)
		}
		s.nothingLeft()
	}
}

func TestWorkersThatCantStartAreExplained(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	load := loadgen.Config{Targets: []string{"GET http://app/"}, Rate: 10, Workers: small(2)}
	load.Workers.Image = "docker.io/local/nothing:1"
	_, err := s.workers(load)
	if err == nil || !strings.Contains(err.Error(), "ErrImageNeverPull") {
		t.Errorf("an image that is not there: %v", err)
	}
	s.nothingLeft()
}

// A plan's trials go through one set of pods; where the program is killed, they
// end by themselves.
func TestPlansUseWorkersAndAKillEndsThem(t *testing.T) {
	t.Parallel()
	path := imaged(t)
	s := newStage(t)
	target := countedService(s)
	dir := t.TempDir()
	run := func(duration string, args ...string) *exec.Cmd {
		plan := filepath.Join(dir, "plan.yaml")
		text := fmt.Sprintf(`version: 1
name: workers
environment:
  kubernetes: {context: %s, namespace: %s}
measure:
  trials: 2
  load:
    - name: api
      targets: ["GET %s/"]
      connections: 2   # without a schedule a busy machine is not late
      duration: %s
      workers:
        count: 2
        image: docker.io/local/scaleproof:1
        requests: {cpu: 20m, memory: 32Mi}
`, testcluster.AdminContext, s.namespace, target.url, duration)
		if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if len(args) == 0 {
			args = []string{"snapshot", "-o", filepath.Join(dir, "out.json"), "--yes"}
		}
		cmd := exec.Command(path, append(args, "-f", plan)...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig(), "HOME="+dir, "PATH="+filepath.Dir(cluster.KubectlPath())+":"+os.Getenv("PATH"))
		return cmd
	}
	out, err := run("1s", "doctor", "--probe", "--output=json").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "one has come by "+testcluster.MachineIP+":") || target.count.Load() == 0 {
		t.Errorf("%v: %s", err, out)
	}
	s.nothingLeft()
	probed := target.count.Load()
	if out, err = run("1s").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	again := strings.Contains(string(out), "is made again") // on a busy machine
	var snap struct {
		Sections map[string]json.RawMessage `json:"sections"`
	}
	data, err := os.ReadFile(filepath.Join(dir, "out.json"))
	if err == nil {
		err = json.Unmarshal(data, &snap)
	}
	var r loadgen.Result
	if err == nil {
		err = json.Unmarshal(snap.Sections["load.api"], &r)
	}
	if err != nil || r.Requests != target.count.Load()-probed && !again || len(r.Workers) != 2 {
		t.Errorf("%v: %d requests of %d workers, the target had %d", err, r.Requests, len(r.Workers), target.count.Load())
	}
	s.nothingLeft()

	before := target.count.Load()
	long := run("10m")
	if err := long.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, func() error {
		if target.count.Load() == before {
			return errors.New("the load has not begun")
		}
		return nil
	})
	_ = long.Process.Kill()
	_ = long.Wait()
	await(t, func() error {
		phases := s.run("", "get", "pods", "-o=jsonpath={.items[*].status.phase}")
		if strings.Contains(phases, "Running") || strings.Contains(phases, "Pending") {
			return fmt.Errorf("phases %s", phases)
		}
		return nil
	})
	if ttl := s.run("", "get", "jobs", "-o=jsonpath={.items[0].spec.ttlSecondsAfterFinished}"); ttl != "120" {
		t.Errorf("the Job stays for %s s", ttl)
	}
}

// await tries until there is no error, for two minutes.
func await(t *testing.T, try func() error) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond) // between looks
	}
}

// incomplete reports whether a result is Invalid for another reason than a busy
// machine, which makes workers late.
func incomplete(r *loadgen.Result) bool {
	return r.Validity == loadgen.Invalid && !strings.Contains(r.ValidityReason, " was the limit: ")
}
