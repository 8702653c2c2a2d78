//go:build cluster

package clustertest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/testcluster"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// Pods that can't dial the coordinator come through a pod that kubectl reaches.
func TestWorkersComeThroughAForwardedPort(t *testing.T) {
	t.Parallel()
	imaged(t)
	s := newStage(t)
	target := countedService(s)
	load := loadgen.Config{Targets: []string{"GET " + target.url}, Rate: 200, Duration: unit.Duration(2 * time.Second), Workers: small(3)}
	load.Workers.Through = loadgen.PortForward
	f, err := s.workers(load)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second on the same pods
		before := target.count.Load()
		r, err := loadgen.Run(t.Context(), load, loadgen.Options{Fleet: f})
		if err != nil {
			t.Fatal(err)
		}
		if incomplete(r) || r.Requests == 0 || r.Requests != target.count.Load()-before || len(r.Workers) != 3 {
			t.Errorf("%s (%s): %d requests, the target had %d", r.Validity, r.ValidityReason, r.Requests, target.count.Load()-before)
		}
	}
	if relay := s.field("pod/scaleproof-workers-test-relay", ".status.podIP") + ":7443"; len(f.Ways()) != 1 || f.Ways()[0] != relay {
		t.Errorf("they came by %q, not %s", f.Ways(), relay)
	}
	s.expect("pod/scaleproof-workers-test-relay", ".spec.containers[0].securityContext.readOnlyRootFilesystem", "true")
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	s.nothingLeft()
	if left := kubectlsWith(t, "pod/scaleproof-workers-test-relay"); left != "" {
		t.Errorf("a forwarded port is left: %s", left)
	}
}

// kubectlsWith returns the command line of a process that has an argument.
func kubectlsWith(t *testing.T, argument string) string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range lines {
		line, err := os.ReadFile(path) // it may be gone
		if err == nil && strings.Contains(string(line), "\x00"+argument+"\x00") {
			return strings.ReplaceAll(string(line), "\x00", " ")
		}
	}
	return ""
}

// doctor tries the ways that pods have to this machine, and says which works.
func TestDoctorChoosesTheWayOfWorkers(t *testing.T) {
	t.Parallel()
	imaged(t)
	s := newStage(t)
	target := countedService(s)
	u := s.newUser()
	doctor := func(way string) string {
		plan := u.plan("ways", `
measure:
  load:
    - name: api
      targets: ["GET `+target.url+`/"]
      connections: 2
      duration: 1s
      workers: {count: 2, image: docker.io/local/scaleproof:1, requests: {cpu: 20m, memory: 32Mi}`+way+`}
`)
		return u.scaleproof("doctor", "--probe", "--output=json", "-f", plan).out
	}
	// A pod takes the first that leads to this machine.
	if out := doctor(""); !strings.Contains(out, "one has come by "+testcluster.MachineIP+":") || !strings.Contains(out, "and the target answered it") {
		t.Error(out)
	}
	// Nobody is at this address of the node's own loopback.
	if out := doctor(", advertise: 127.0.0.1"); !strings.Contains(out, "a pod did come through a forwarded port: say workers.through: port-forward") {
		t.Error(out)
	}
	if out := doctor(", through: port-forward"); !strings.Contains(out, "pods will come through a forwarded port: one has come by ") || !strings.Contains(out, "right to create pods/portforward") {
		t.Error(out)
	}
	s.nothingLeft()
}
