package validation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"scaleproof/capacity"
	"scaleproof/internal/kubectl"
)

// NewKubernetes returns a namespace of a context of the user's kubectl.
func NewKubernetes(kubeContext, namespace string) *kubectl.Client {
	return &kubectl.Client{Context: kubeContext, Namespace: namespace, Run: kubectl.Program("kubectl", os.Environ())}
}

// LiveHPA reads the HorizontalPodAutoscaler of a name as autoscaling/v2, whichever
// version it was written in.
func LiveHPA(ctx context.Context, client *kubectl.Client, name string) (*capacity.HPA, error) {
	object, err := client.Get(ctx, "horizontalpodautoscalers.v2.autoscaling/"+name)
	if err != nil {
		return nil, &EnvironmentError{err}
	}
	// Of the metadata a manifest needs the name alone.
	object["metadata"] = map[string]any{"name": object.Name(), "namespace": object.Text("metadata", "namespace")}
	data, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("reading the HPA %s: %w", name, err)
	}
	h, err := capacity.ReadHPA(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading the HPA %s of the cluster: %w", name, err)
	}
	return h, nil
}

// LiveVPA reads what the VerticalPodAutoscaler of a name recommends, by container.
// One that has recommended nothing yet gives none.
func LiveVPA(ctx context.Context, client *kubectl.Client, name string) (map[string]capacity.VPARecommendation, error) {
	object, err := client.Get(ctx, "verticalpodautoscalers.autoscaling.k8s.io/"+name)
	if err != nil {
		return nil, &EnvironmentError{err}
	}
	live := map[string]capacity.VPARecommendation{}
	for _, c := range object.List("status", "recommendation", "containerRecommendations") {
		r := capacity.VPARecommendation{UpperBound: &capacity.ResourceAmount{}}
		for _, bound := range []struct {
			key string
			to  *capacity.ResourceAmount
		}{{"target", &r.Target}, {"lowerBound", &r.LowerBound}, {"upperBound", r.UpperBound}} {
			if *bound.to, err = amountAt(c, bound.key); err != nil {
				return nil, fmt.Errorf("reading the VPA %s, container %s: %w", name, c.Text("containerName"), err)
			}
		}
		live[c.Text("containerName")] = r
	}
	return live, nil
}

// amountAt reads CPU and memory at a path; what is not there is 0.
func amountAt(o kubectl.Object, path ...string) (amount capacity.ResourceAmount, err error) {
	for _, resource := range []struct {
		name string
		to   *float64
	}{{"cpu", &amount.CPU}, {"memory", &amount.Memory}} {
		text := o.Text(append(slices.Clone(path), resource.name)...)
		if text == "" {
			continue
		}
		var quantity capacity.Decimal
		if err := quantity.UnmarshalText([]byte(text)); err != nil {
			return amount, err
		}
		*resource.to = float64(quantity)
	}
	return amount, nil
}
