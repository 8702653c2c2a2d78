package validation

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/scaling"
)

// kubernetesPatience is how long the API server may be away before a step fails.
const kubernetesPatience = time.Minute

// kubernetes returns the plan's namespace, or nil where the plan names none.
func (r *runner) kubernetes() *kubectl.Client {
	k := r.plan.Environment.Kubernetes
	if k.Context == "" || k.Namespace == "" {
		return nil
	}
	return &kubectl.Client{
		Context: k.Context, Namespace: k.Namespace, Run: kubectl.Program("kubectl", os.Environ()), Patience: kubernetesPatience,
	}
}

// reachKubernetes reaches the cluster where a step acts on it, and makes sure
// that it is the plan's.
func (r *runner) reachKubernetes(ctx context.Context) error {
	if !slices.ContainsFunc(r.plan.Action.Steps, scaling.Step.OnKubernetes) {
		return nil
	}
	client := r.kubernetes()
	client.Patience = 0
	if _, err := client.Versions(ctx); err != nil {
		return fmt.Errorf("kubernetes context %s can't be reached: %w", client.Context, err)
	}
	want := r.plan.Environment.Kubernetes.UID
	if want == "" {
		return nil
	}
	uid, err := client.ServerUID(ctx)
	if err != nil {
		return err
	}
	if uid != want {
		return fmt.Errorf("kubernetes context %s leads to the cluster %s, and the plan is for %s", client.Context, uid, want)
	}
	return nil
}
