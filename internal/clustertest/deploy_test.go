//go:build cluster

package clustertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scaleproof/internal/testcluster"
)

// A real API server must take the nightly job, with no field that it does not know,
// and the job must do its work there.
func TestTheCronJobCollectsInTheCluster(t *testing.T) {
	t.Parallel()
	s := newStage(t, app, autoscaler)
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "cronjob.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.run("", "label", "namespace", s.namespace, "pod-security.kubernetes.io/enforce=restricted")
	// The pod itself must fit the strictest of the pod security standards.
	s.run(strings.ReplaceAll(string(text), "scaleproof:latest", "docker.io/local/scaleproof-tools:1"), "apply", "--validate=strict", "-f", "-")
	// As its service account, and of the namespace's pods, it collects and reports.
	path := imaged(t)
	tools := testcluster.Image{Name: "scaleproof-tools", Entrypoint: []string{"/usr/local/bin/scaleproof"}, Files: map[string]string{
		"usr/local/bin/scaleproof": path, "usr/local/bin/kubectl": cluster.KubectlPath(),
	}}
	if err := cluster.LoadImage(t.Context(), tools); err != nil {
		t.Fatal(err)
	}
	s.run("", "create", "configmap", "scaleproof-plan", "--from-literal=scaleproof.yaml="+fmt.Sprintf(`version: 1
name: nightly
environment:
  kubernetes: {context: in-cluster, namespace: %s}
measure:
  resources: {pods: true}
`, s.namespace))
	s.run("", "create", "secret", "generic", "scaleproof", "--from-literal=SCALEPROOF_HISTORY=/reports/history")
	s.run("", "create", "job", "once", "--from=cronjob/scaleproof-nightly")
	await(t, func() error {
		if s.field("job/once", ".status.failed") == "" && s.field("job/once", ".status.succeeded") == "" {
			return errors.New("the job goes on: " + s.run("", "describe", "pods", "--selector=job-name=once"))
		}
		return nil
	})
	collected, reported := s.run("", "logs", "job/once", "--container=collect"), s.run("", "logs", "job/once", "--container=report")
	if strings.Contains(collected, "can't") || !strings.Contains(reported, "`k8s.deployment.app.pods` insufficient history: now 2 of 3") {
		t.Errorf("it collected\n%s\nand reported\n%s", collected, reported)
	}
}
