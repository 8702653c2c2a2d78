//go:build cluster

package clustertest

import (
	"strings"
	"testing"
	"time"

	"scaleproof/internal/testcluster"
	"scaleproof/internal/validation"
)

const verticalObject = `
apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata: {name: app}
spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: app}}
status: {recommendation: {containerRecommendations: [{containerName: app, target: {cpu: 587m, memory: 250Mi}, lowerBound: {cpu: 25m, memory: 100Mi}, upperBound: {cpu: "2", memory: 1Gi}}]}}
`

// What pods use is read as kubectl top has it, with requests and limits, and so
// are the autoscalers.
func TestCapacityOfPods(t *testing.T) {
	t.Parallel()
	s := newStage(t, app, autoscaler)
	client := s.client(testcluster.AdminContext)
	figures := map[string]float64{}
	deadline := time.Now().Add(2 * time.Minute)
	for ticker := time.NewTicker(time.Second); ; <-ticker.C {
		samples, notes := validation.PodUsage(t.Context(), client)
		for _, sample := range samples {
			figures[sample.Name] = sample.Value
		}
		if figures["k8s.deployment.app.app.memory"] > 0 {
			break // metrics-server takes a moment to know new pods
		}
		if time.Now().After(deadline) {
			t.Fatalf("the pods have no usage: %v, %q", figures, notes)
		}
	}
	if figures["k8s.deployment.app.pods"] != 2 || figures["k8s.deployment.app.pods_limit"] != 3 {
		t.Errorf("%v", figures)
	}
	memory := figures["k8s.deployment.app.app.memory"]
	if memory < 1e4 || memory > 32<<20 || figures["k8s.deployment.app.app.memory_limit"] != 32<<20 || figures["k8s.deployment.app.app.cpu_request"] != 0.01 || figures["k8s.deployment.app.app.cpu_limit"] != 0.1 {
		t.Errorf("figures %v", figures)
	}
	h, err := validation.LiveHPA(t.Context(), client, "app")
	if err != nil || h.Spec.MaxReplicas != 3 || h.Spec.Min() != 2 || len(h.Spec.Metrics) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := validation.LiveHPA(t.Context(), client, "none"); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("an HPA that is not there: %v", err)
	}
	installVerticalCRD(t)
	s.run(verticalObject, "apply", "-f", "-")
	live, err := validation.LiveVPA(t.Context(), client, "app")
	if r := live["app"]; err != nil || r.Target.CPU != 0.587 || r.UpperBound.Memory != 1<<30 {
		t.Errorf("%+v, %v", live, err)
	}
}
