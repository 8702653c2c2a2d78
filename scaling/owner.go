package scaling

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"scaleproof/internal/kubectl"
)

// Owner says what a step does where an autoscaler owns what it would write.
type Owner string

// The choices. Neither writes behind the autoscaler's back: it would write again.
const (
	Refuse Owner = "refuse" // the default
	Adjust Owner = "adjust" // the autoscaler's own bounds
)

// The kinds of autoscalers, with their groups.
const (
	horizontal = "horizontalpodautoscalers.autoscaling"
	vertical   = "verticalpodautoscalers.autoscaling.k8s.io"
)

// horizontalKind is the kind of one of the first.
const horizontalKind = "HorizontalPodAutoscaler"

// horizontalOwner returns the HorizontalPodAutoscaler of a workload, or nil.
func horizontalOwner(ctx context.Context, client *kubectl.Client, workload kubectl.Object) (kubectl.Object, error) {
	return owner(ctx, client, horizontal, "scaleTargetRef", workload)
}

// verticalOwner returns the VerticalPodAutoscaler that changes the pods of a
// workload, or nil. A cluster may not know the kind at all.
func verticalOwner(ctx context.Context, client *kubectl.Client, workload kubectl.Object) (kubectl.Object, error) {
	found, err := owner(ctx, client, vertical, "targetRef", workload)
	if kubectl.ReasonOf(err) == kubectl.NoKind || found.Text("spec", "updatePolicy", "updateMode") == "Off" {
		return nil, nil
	}
	return found, err
}

func owner(ctx context.Context, client *kubectl.Client, kind, reference string, workload kubectl.Object) (kubectl.Object, error) {
	all, err := client.List(ctx, kind, "")
	if err != nil {
		return nil, fmt.Errorf("looking for an autoscaler of %s: %w", workload.Target(), err)
	}
	for _, o := range all {
		if o.Text("spec", reference, "kind") == workload.Kind() && o.Text("spec", reference, "name") == workload.Name() {
			return o, nil
		}
	}
	return nil, nil
}

// An OwnedError says that a step would write what an autoscaler owns, which would
// write it again.
type OwnedError struct{ Text string }

func (e *OwnedError) Error() string { return e.Text }

// refuseOwned is the error of a step that would write what an autoscaler owns.
func refuseOwned(ctx context.Context, client *kubectl.Client, workload kubectl.Object, paths []string) error {
	if !isWorkload(workload.Kind()) {
		return nil
	}
	if slices.Contains(paths, "/spec/replicas") {
		hpa, err := horizontalOwner(ctx, client, workload)
		if err != nil {
			return err
		}
		if hpa != nil {
			low, _ := hpa.Int("spec", "minReplicas")
			high, _ := hpa.Int("spec", "maxReplicas")
			return &OwnedError{fmt.Sprintf("%s owns the replicas of %s (%d to %d): let a scale step act on it by owner: adjust, or change it by a patch",
				hpa.Target(), workload.Target(), low, high)}
		}
	}
	if slices.ContainsFunc(paths, isResources) {
		vpa, err := verticalOwner(ctx, client, workload)
		if err != nil {
			return err
		}
		if vpa != nil {
			return &OwnedError{fmt.Sprintf("%s owns the resources of %s: let a resources step act on it by owner: adjust, or change it by a patch",
				vpa.Target(), workload.Target())}
		}
	}
	return nil
}

// isResources tells the path of a container's resources, or of what holds them.
func isResources(path string) bool {
	rest, ok := strings.CutPrefix(path, "/spec/template/spec/containers")
	return ok && (rest == "" || strings.Contains(rest, "/resources"))
}
