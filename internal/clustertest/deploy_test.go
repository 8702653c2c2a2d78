//go:build cluster

package clustertest

import (
	"os"
	"path/filepath"
	"testing"
)

// A real API server must take the nightly job, with no field that it does not know.
func TestTheCronJobIsTaken(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "cronjob.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.run("", "label", "namespace", s.namespace, "pod-security.kubernetes.io/enforce=restricted")
	if got := s.run(string(text), "apply", "--validate=strict", "--dry-run=server", "-f", "-", "-o=jsonpath={.spec.jobTemplate.spec.template.spec.containers[0].args[0]}"); got != "capacity" {
		t.Errorf("the server has the job as %q", got)
	}
	// The pod itself must fit the strictest of the pod security standards.
	s.run(string(text), "apply", "-f", "-")
	s.run("", "create", "configmap", "scaleproof-plan", "--from-literal=scaleproof.yaml=x")
	s.run("", "create", "secret", "generic", "scaleproof", "--from-literal=SCALEPROOF_HISTORY=x")
	s.run("", "create", "job", "once", "--from=cronjob/scaleproof-nightly")
	s.run("", "wait", "job/once", "--for=jsonpath={.status.active}=1", "--timeout=60s")
}
