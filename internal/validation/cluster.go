package validation

import (
	"context"
	"fmt"

	"scaleproof/internal/snapshot"
	"scaleproof/scaling"
)

// clusterSection is the name of the section that has the state of the namespace.
const clusterSection = "kubernetes"

// startPods begins to read the usage of the namespace's pods, where the plan asks
// for it.
func (m *measurement) startPods(ctx context.Context) (*scaling.PodSampler, error) {
	if !m.plan.Measure.Resources.Pods {
		return nil, nil
	}
	client := m.kubernetes()
	client.Patience = 0 // a reading that is late is of no use
	sampler, err := scaling.StartPodSampler(ctx, client, m.now())
	if err != nil {
		return nil, &EnvironmentError{fmt.Errorf("sampling the usage of pods: %w", err)}
	}
	return sampler, nil
}

// stopPods returns what was read.
func (m *measurement) stopPods(ctx context.Context, sampler *scaling.PodSampler) []snapshot.Sample {
	if sampler == nil {
		return nil
	}
	samples, warning := sampler.Stop(ctx)
	if warning != "" {
		m.warn("%s", warning)
	}
	return samples
}

// addCluster puts the state of the namespace at the end of the phase beside the
// metrics, with the events since the run began. What can't be read is a warning:
// the measurement stands without it.
func (m *measurement) addCluster(ctx context.Context) error {
	if !m.needsKubernetes() {
		return nil
	}
	client := m.kubernetes()
	client.Patience = 0
	state := scaling.CaptureState(ctx, client, m.began, m.now())
	for i, text := range state.Warnings {
		state.Warnings[i] = m.plan.Secrets.String(text)
		m.warn("the state of Kubernetes: %s", text)
	}
	for i := range state.Events {
		state.Events[i].Message = m.plan.Secrets.String(state.Events[i].Message)
	}
	return m.snap.PutSection(clusterSection, state)
}
