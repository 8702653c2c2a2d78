package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"scaleproof/internal/invalid"
	"scaleproof/internal/kubectl"
)

// targetForm is kind/name as kubectl takes it.
var targetForm = regexp.MustCompile(`^([a-z][a-z0-9.-]*)/([a-z0-9]([a-z0-9.-]*[a-z0-9])?)$`)

// validTarget returns the fault of a target, which must be of one of the kinds
// where any are given.
func validTarget(target string, kinds ...string) error {
	match := targetForm.FindStringSubmatch(target)
	if match == nil {
		return invalid.Field("target", "must be kind/name, such as deployment/app, and is %q", target)
	}
	if len(kinds) > 0 && !slices.Contains(kinds, match[1]) {
		return invalid.Field("target", "must be one of %s, and is %q", strings.Join(kinds, ", "), match[1])
	}
	return nil
}

func (o Owner) validate() error {
	if o != "" && o != Refuse && o != Adjust {
		return invalid.Field("owner", "must be refuse or adjust, and is %q", string(o))
	}
	return nil
}

// patched is an edit by a patch, guarded by the resource version.
func patched(client *kubectl.Client, target string, form kubectl.PatchType, patch map[string]any) edit {
	return edit{target: target, write: func(ctx context.Context, live kubectl.Object, dryRun bool) (kubectl.Object, error) {
		body := maps.Clone(patch)
		if !dryRun {
			metadata, _ := body["metadata"].(map[string]any)
			metadata = maps.Clone(metadata)
			if metadata == nil {
				metadata = map[string]any{}
			}
			metadata["resourceVersion"] = live.Version()
			body["metadata"] = metadata
		}
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("writing a patch of %s: %w", target, err)
		}
		return client.Patch(ctx, target, form, text, dryRun)
	}}
}

func (s Scale) validate() error {
	var missing error
	switch {
	case s.Replicas == nil:
		missing = invalid.Field("replicas", "is missing")
	case *s.Replicas < 0:
		missing = invalid.Field("replicas", "is negative")
	case *s.Replicas == 0 && s.Owner == Adjust:
		missing = invalid.Field("replicas", "is 0: a HorizontalPodAutoscaler has no minimum of 0, and stops where there are no replicas")
	}
	var behavior error
	if s.Behavior != nil && s.Owner != Adjust {
		behavior = invalid.Field("behavior", "goes with owner: adjust: it is the autoscaler's")
	}
	return errors.Join(validTarget(s.Target, "deployment", "statefulset"), missing, s.Owner.validate(), behavior)
}

func (s Scale) change(env Environment) change {
	c := &kubeChange{client: env.Kubernetes, what: fmt.Sprintf("scale %s to %d replicas", s.Target, *s.Replicas)}
	c.plan = func(ctx context.Context) ([]edit, error) {
		own := patched(c.client, s.Target, kubectl.MergePatch, map[string]any{"spec": map[string]any{"replicas": *s.Replicas}})
		if s.Owner != Adjust {
			return []edit{own}, nil // captureEdit refuses it where it is owned
		}
		workload, err := c.client.Get(ctx, s.Target)
		if err != nil {
			return nil, err
		}
		hpa, err := horizontalOwner(ctx, c.client, workload)
		if err != nil || hpa == nil {
			return []edit{own}, err
		}
		most, _ := hpa.Int("spec", "maxReplicas")
		c.settle = func(ctx context.Context) error { return awaitReplicas(ctx, c.client, s.Target, int64(*s.Replicas)) }
		spec := map[string]any{"minReplicas": *s.Replicas, "maxReplicas": max(most, int64(*s.Replicas))}
		if s.Behavior != nil {
			spec["behavior"] = s.Behavior
		}
		return []edit{patched(c.client, hpa.Target(), kubectl.MergePatch, map[string]any{"spec": spec})}, nil
	}
	return c
}

// awaitReplicas waits until an autoscaler has given a workload at least its new
// minimum.
func awaitReplicas(ctx context.Context, client *kubectl.Client, target string, least int64) error {
	ticker := time.NewTicker(convergeInterval)
	defer ticker.Stop()
	for {
		o, err := client.Get(ctx, target)
		if err == nil && wantedReplicas(o) >= least || hopeless(err) {
			return err
		}
		if err == nil {
			err = fmt.Errorf("the autoscaler of %s still gives it %d replicas", target, wantedReplicas(o))
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

func (r Resources) validate() error {
	faults := []error{validTarget(r.Target, "deployment", "statefulset", "daemonset"), r.Owner.validate()}
	if r.Container == "" {
		faults = append(faults, invalid.Field("container", "is missing: the name of the container"))
	}
	if len(r.Requests)+len(r.Limits) == 0 {
		faults = append(faults, invalid.Field("", "has neither requests nor limits"))
	}
	for field, quantities := range map[string]map[string]string{"requests": r.Requests, "limits": r.Limits} {
		for _, name := range slices.Sorted(maps.Keys(quantities)) {
			if !quantityForm.MatchString(quantities[name]) {
				faults = append(faults, invalid.Field(field+"."+name, "%q is no quantity, such as 500m or 2Gi", quantities[name]))
			}
		}
	}
	return errors.Join(faults...)
}

// quantityForm is that of Kubernetes' resource.Quantity.
var quantityForm = regexp.MustCompile(`^([0-9]+\.?[0-9]*|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?$`)

func (r Resources) change(env Environment) change {
	c := &kubeChange{client: env.Kubernetes, what: "set the resources of container " + r.Container + " of " + r.Target + r.text()}
	container := map[string]any{"name": r.Container, "resources": r.resources()}
	c.plan = func(ctx context.Context) ([]edit, error) {
		workload, err := c.client.Get(ctx, r.Target)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(workload.List("spec", "template", "spec", "containers"), func(o kubectl.Object) bool { return o.Text("name") == r.Container }) {
			return nil, fmt.Errorf("%s has no container %q", r.Target, r.Container) // a patch would add one
		}
		own := patched(c.client, r.Target, kubectl.StrategicPatch, map[string]any{
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{container}}}},
		})
		if r.Owner != Adjust {
			return []edit{own}, nil
		}
		vpa, err := verticalOwner(ctx, c.client, workload)
		if err != nil || vpa == nil {
			return []edit{own}, err
		}
		return []edit{patched(c.client, vpa.Target(), kubectl.MergePatch, map[string]any{"spec": map[string]any{
			"resourcePolicy": map[string]any{"containerPolicies": r.policies(vpa)},
		}})}, nil
	}
	return c
}

func (r Resources) resources() map[string]any {
	all := map[string]any{}
	if len(r.Requests) > 0 {
		all["requests"] = r.Requests
	}
	if len(r.Limits) > 0 {
		all["limits"] = r.Limits
	}
	return all
}

func (r Resources) text() string {
	text := ""
	for _, part := range []struct {
		name       string
		quantities map[string]string
	}{{"requests", r.Requests}, {"limits", r.Limits}} {
		for _, name := range slices.Sorted(maps.Keys(part.quantities)) {
			text += fmt.Sprintf(", %s.%s %s", part.name, name, part.quantities[name])
		}
	}
	return text
}

// policies are a VerticalPodAutoscaler's, with the container's between requests
// and limits. A merge patch knows no part of a list: all of it is sent.
func (r Resources) policies(vpa kubectl.Object) []any {
	mine := map[string]any{"containerName": r.Container}
	var all []any
	for _, p := range vpa.List("spec", "resourcePolicy", "containerPolicies") {
		if p.Text("containerName") == r.Container {
			mine = maps.Clone(p)
		} else {
			all = append(all, map[string]any(p))
		}
	}
	if len(r.Requests) > 0 {
		mine["minAllowed"] = r.Requests
	}
	if len(r.Limits) > 0 {
		mine["maxAllowed"] = r.Limits
	}
	return append(all, mine)
}

func (r Restart) validate() error {
	return validTarget(r.Target, "deployment", "statefulset", "daemonset")
}

func (r Restart) change(env Environment) change { return &restartChange{Restart: r, env: env} }

// A restartChange has no state: the pods after it are as those before. Where a step
// before it is undone that running pods don't see, they are restarted again.
type restartChange struct {
	stateless
	Restart
	env Environment
}

func (c *restartChange) describe() string { return "restart the pods of " + c.Target }

func (c *restartChange) undoes() string {
	return "restart them again, once the steps before it that pods read at their start are undone"
}

// again implements repeated.
func (c *restartChange) again(ctx context.Context) error {
	if _, err := c.apply(ctx); err != nil {
		return err
	}
	return awaitRestored(ctx, c.env.Kubernetes, c.Target)
}

// apply sets the annotation that kubectl rollout restart sets.
func (c *restartChange) apply(ctx context.Context) (string, error) {
	if c.env.Kubernetes == nil {
		return "", errNoKubernetes
	}
	now := c.env.Now().UTC().Format(time.RFC3339Nano)
	restart := patched(c.env.Kubernetes, c.Target, kubectl.StrategicPatch, map[string]any{"spec": map[string]any{"template": map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{restartedAt: now}},
	}}})
	return "", insist(ctx, func() error {
		live, err := c.env.Kubernetes.Get(ctx, c.Target)
		if err != nil {
			return err
		}
		_, err = restart.write(ctx, live, false)
		return err
	})
}
