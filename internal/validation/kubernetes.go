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
	environ := append(os.Environ(), scaling.KubectlMark(r.id))
	return &kubectl.Client{
		Context: k.Context, Namespace: k.Namespace, Run: kubectl.Program("kubectl", environ), Patience: kubernetesPatience,
	}
}

// needsKubernetes reports whether the plan acts on the cluster or measures it.
func (r *runner) needsKubernetes() bool {
	moves := r.plan.Shard != nil && r.plan.Shard.Routing.ConfigMap != ""
	return moves || r.plan.Measure.Resources.Pods || slices.ContainsFunc(r.plan.Action.Steps, scaling.Step.OnKubernetes)
}

// reachKubernetes reaches the cluster where the plan needs it, and makes sure that
// it is the plan's.
func (r *runner) reachKubernetes(ctx context.Context) error {
	if !r.needsKubernetes() {
		return nil
	}
	client := r.kubernetes()
	client.Patience = 0
	versions, err := client.Versions(ctx)
	if err != nil {
		return fmt.Errorf("kubernetes context %s can't be reached: %w", client.Context, err)
	}
	if versions.Skew > 1 {
		r.event(Preflight, "warning: kubectl %s and server %s are %d minor versions apart: one is supported", versions.Client, versions.Server, versions.Skew)
	}
	want := r.plan.Environment.Kubernetes.UID
	uid, err := client.ServerUID(ctx)
	switch {
	case want == "" && err != nil:
		return nil // not everyone may read it
	case err != nil:
		return err
	}
	r.serverUID = uid
	if want != "" && uid != want {
		return fmt.Errorf("kubernetes context %s leads to the cluster %s, and the plan is for %s", client.Context, uid, want)
	}
	return nil
}
