package scaling

import (
	"errors"
	"fmt"
)

// An Identity is what a journal's records are of. What is empty is not known, and not
// compared.
type Identity struct {
	Steps     string `json:"steps,omitempty"` // a hash of the steps, as they stand in the plan
	Context   string `json:"context,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Server    string `json:"server,omitempty"` // UID of the cluster
}

// ErrOtherSteps is that a journal is of other steps than the plan's.
var ErrOtherSteps = errors.New("the journal is of other steps: the plan has changed since")

// ErrOtherTarget is that a journal is of another cluster or namespace than the plan's.
var ErrOtherTarget = errors.New("the journal is of another target than the plan's")

// identity is that of what this executor does. Steps that are not on Kubernetes are
// the same everywhere.
func (x *Executor) identity() Identity {
	id := Identity{Steps: x.env.StepsHash}
	for _, s := range x.steps {
		if s.OnKubernetes() && x.env.Kubernetes != nil {
			id.Context, id.Namespace, id.Server = x.env.Kubernetes.Context, x.env.Kubernetes.Namespace, x.env.ServerUID
		}
	}
	return id
}

// sameAs says, by ErrOtherSteps or ErrOtherTarget, how the present identity differs
// from that of a journal.
func (id Identity) sameAs(now Identity) error {
	differ := func(was, is string) bool { return was != "" && is != "" && was != is }
	switch {
	case differ(id.Steps, now.Steps):
		return ErrOtherSteps
	case differ(id.Context, now.Context):
		return fmt.Errorf("%w: the run acted in context %s, and the plan names %s", ErrOtherTarget, id.Context, now.Context)
	case differ(id.Namespace, now.Namespace):
		return fmt.Errorf("%w: the run acted in namespace %s, and the plan names %s", ErrOtherTarget, id.Namespace, now.Namespace)
	case differ(id.Server, now.Server):
		return fmt.Errorf("%w: the run acted on the cluster %s, and context %s leads to %s", ErrOtherTarget, id.Server, now.Context, now.Server)
	}
	return nil
}
