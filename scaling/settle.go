package scaling

import (
	"context"
	"errors"
	"fmt"
	"time"

	"scaleproof/internal/kubectl"
)

// convergeInterval is the time between looks at a workload.
const convergeInterval = 500 * time.Millisecond

// awaitRestored waits until a workload that was given back its fields has
// converged. A StatefulSet with a pod that never became ready does not replace
// that pod by itself when it gets a good template again (kubernetes issue 67250),
// so that the pod is deleted.
func awaitRestored(ctx context.Context, client *kubectl.Client, target string) error {
	ticker := time.NewTicker(convergeInterval)
	defer ticker.Stop()
	for {
		err := checkConverged(ctx, client, target)
		if err == nil {
			return nil
		}
		if hopeless(err) {
			return fmt.Errorf("the fields are restored; whether %s converges can't be told: %w", target, err)
		}
		if ctx.Err() == nil {
			err = errors.Join(err, deleteStuckPods(ctx, client, target))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the fields are restored, but %s has not converged: %w", target, err)
		case <-ticker.C:
		}
	}
}

// deleteStuckPods deletes the pods of a StatefulSet that are not ready and of neither
// revision that it knows, the one before and the one restored: those that the action
// has broken.
func deleteStuckPods(ctx context.Context, client *kubectl.Client, target string) error {
	o, err := client.Get(ctx, target)
	if err != nil {
		return err
	}
	if o.Kind() != "StatefulSet" {
		return nil // other workloads replace such a pod by themselves
	}
	generation, _ := o.Int("metadata", "generation")
	if observed, _ := o.Int("status", "observedGeneration"); observed < generation {
		return nil
	}
	pods, err := podsOf(ctx, client, o)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		ready, _, _ := pod.Condition("Ready")
		revision := pod.Text("metadata", "labels", "controller-revision-hash")
		if ready == "True" || revision == o.Text("status", "updateRevision") || revision == o.Text("status", "currentRevision") || pod.Text("metadata", "deletionTimestamp") != "" {
			continue
		}
		if err := client.Delete(ctx, pod); err != nil && kubectl.ReasonOf(err) != kubectl.NotFound && kubectl.ReasonOf(err) != kubectl.Conflict {
			return err
		}
	}
	return nil
}

// awaitGone waits until an object that was deleted is gone, and what it owned.
func awaitGone(ctx context.Context, client *kubectl.Client, target string) error {
	ticker := time.NewTicker(convergeInterval)
	defer ticker.Stop()
	for {
		_, err := client.Get(ctx, target)
		if kubectl.ReasonOf(err) == kubectl.NotFound {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s was deleted and is still there: %w", target, errors.Join(context.Cause(ctx), err))
		case <-ticker.C:
		}
	}
}
