//go:build cluster

package clustertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/testcluster"
)

// outage is how long the API server is away: longer than a request of kubectl may
// take, and than anyone likes.
const outage = 20 * time.Second

// The API server goes away in the middle of an action: the run waits for it, and
// keeps its lock. This test has the cluster for itself.
func TestTheAPIServerIsAwayForAWhile(t *testing.T) {
	s := newStage(t, app)
	u := s.newUser()
	plan := u.plan("outage", `
action:
  steps:
    - {name: scale, scale: {target: deployment/app, replicas: 3}}
    - {name: here, exec: {command: [sh, -c, "echo here > now; while [ ! -e gone ]; do sleep 0.05; done"], undo: ["true"]}}
    - {name: serve, wait: {for: converged, target: deployment/app}, timeout: 2m}
    - {name: routing, configmap: {name: routing, data: {a: b}}}
`)
	cmd := u.command("scale", "apply", "-f", plan)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.await("the first step has worked", func() bool { _, err := os.Stat(filepath.Join(u.dir, "now")); return err == nil })
	if err := cluster.StopComponent("kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	back := make(chan error, 1)
	time.AfterFunc(outage, func() { back <- cluster.StartComponent("kube-apiserver") })
	u.write("gone", "")
	err := cmd.Wait()
	if startErr := <-back; startErr != nil {
		t.Fatal(startErr)
	}
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out.String(), errs.String())
	}
	s.expect("deployment/app", ".status.readyReplicas", "3")
	s.expect("configmap/routing", ".data.a", "b")
	u.must(0, "scale", "rollback", u.onlyRun("scaleproof-runs"), "-f", plan)
	s.expect("deployment/app", ".status.replicas", "2")
}

// What a third party has changed meanwhile is told and left alone: exit code 5.
func TestAConflictingEdit(t *testing.T) {
	t.Parallel()
	s := newStage(t, app)
	u := s.newUser()
	plan := u.plan("edited", `
action:
  steps:
    - {name: scale, scale: {target: deployment/app, replicas: 3}}
    - {name: routing, configmap: {name: routing, data: {a: b}}}
`)
	u.must(0, "scale", "apply", "-f", plan)
	for _, replicas := range []int{3, 4} { // as the step made it, and as someone else does
		s.run("", "scale", "deployment/app", fmt.Sprintf("--replicas=%d", replicas))
		got := u.must(0, "scale", "status", u.onlyRun("scaleproof-runs"), "-f", plan)
		for _, want := range []string{`found:  {"deployment/app":{"/spec/replicas":2}}`, fmt.Sprintf(`is now: {"deployment/app":{"/spec/replicas":%d}}`, replicas)} {
			if !strings.Contains(got.out, want) {
				t.Errorf("the status lacks %s:\n%s", want, got.out)
			}
		}
	}
	got := u.must(5, "scale", "rollback", u.onlyRun("scaleproof-runs"), "-f", plan)
	if !strings.Contains(got.out, "someone has changed deployment/app /spec/replicas from 3 to 4 meanwhile: it was left alone, and was 2") {
		t.Errorf("%s", got.out)
	}
	s.expect("deployment/app", ".spec.replicas", "4")
	if left := s.run("", "get", "configmaps", "-o=name"); strings.Contains(left, "routing") {
		t.Errorf("%s: the step beside it was not undone", left)
	}
}

// Nothing is measured or changed where kubectl is missing, or the right to patch.
func TestRefusedBeforeAnythingIsMeasured(t *testing.T) {
	t.Parallel()
	s := newStage(t, app, limitedRole)
	text := `
measure: {trials: 1}
action: {steps: [{name: scale, scale: {target: deployment/app, replicas: 3}}]}
`
	u := s.newUser()
	u.environ = append(u.environ, "PATH=/usr/sbin")
	if got := u.must(4, "run", "-f", u.plan("p", text)); !strings.Contains(got.err, "kubectl is not in PATH") {
		t.Errorf("%+v", got)
	}
	u = s.newUser("KUBE_CONTEXT=" + testcluster.LimitedContext)
	for _, args := range [][]string{{"run"}, {"scale", "apply"}} {
		got := u.must(4, append(args, "-f", u.plan("p", text))...)
		for _, want := range []string{"step scale", "cannot patch resource", "right to update leases", "give the user of context limited the verb update"} {
			if !strings.Contains(got.err, want) {
				t.Errorf("%v does not say %q: %s", args, want, got.err)
			}
		}
	}
	got := u.must(4, "doctor", "-f", u.plan("p", text))
	if !strings.Contains(got.out, "right to patch deployment/app") || !strings.Contains(got.out, "mend: give") {
		t.Errorf("%+v", got)
	}
	s.expect("deployment/app", ".spec.replicas", "2")
}
