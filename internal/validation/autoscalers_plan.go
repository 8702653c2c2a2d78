package validation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/plan"
)

// ContainerUsage asks the plan's Prometheus what a container used; see
// capacity.Prometheus.Usage.
func ContainerUsage(ctx context.Context, p *plan.Plan, cpu, memory string, to time.Time, span time.Duration) ([]capacity.UsageSample, error) {
	at := p.Environment.Prometheus
	server, err := capacity.NewPrometheus(at.URL, at.Token, nil)
	if err != nil {
		return nil, &EnvironmentError{err}
	}
	samples, err := server.Usage(ctx, cpu, memory, to, span)
	if err != nil {
		return nil, &EnvironmentError{errors.New(p.Secrets.String(err.Error()))}
	}
	return samples, nil
}

// RequestsPlan is a plan that gives a container of a workload (kind/name) requests.
// An amount of 0 is left as it is. Context and namespace may be empty: they are then
// variables.
func RequestsPlan(target, container string, requests capacity.ResourceAmount, kubeContext, namespace string) string {
	var amounts []string
	if requests.CPU > 0 {
		amounts = append(amounts, fmt.Sprintf("cpu: \"%.0fm\"", math.Ceil(1000*requests.CPU)))
	}
	if requests.Memory > 0 {
		amounts = append(amounts, fmt.Sprintf("memory: \"%.0fMi\"", math.Ceil(requests.Memory/(1<<20))))
	}
	if kubeContext == "" {
		kubeContext = "${KUBE_CONTEXT}"
	}
	if namespace == "" {
		namespace = "${KUBE_NAMESPACE}"
	}
	return "# The requests that scaleproof vpa recommend gives from what the container used. A limit\n" +
		"# below them must be raised as well.\n" +
		"version: 1\nname: requests\n" +
		fmt.Sprintf("environment:\n  kubernetes: {context: %q, namespace: %q}\n", kubeContext, namespace) +
		"action:\n  steps:\n" + resourcesStep(target, container, "requests: {"+strings.Join(amounts, ", ")+"}")
}
