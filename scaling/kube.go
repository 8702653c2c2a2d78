package scaling

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/nap"
)

var errNoKubernetes = errors.New("the environment has no Kubernetes: set environment.kubernetes in the plan")

// An edit is what a step makes of one object.
type edit struct {
	target string // kind/name
	// creates says that the object may be absent, and is made then.
	creates bool
	// write sends it, guarded by the resource version of live, which is nil for
	// an absent object. A dry run is not guarded.
	write func(ctx context.Context, live kubectl.Object, dryRun bool) (kubectl.Object, error)
}

// A kubeChange changes objects of Kubernetes. It asks the API server by a dry run
// what the step would make of them; the fields that differ are its state.
type kubeChange struct {
	client *kubectl.Client
	what   string // described
	// plan returns the edits; it may read objects to find them.
	plan func(ctx context.Context) ([]edit, error)
	// settle, where it is not nil, waits for what others must do before the
	// change is made.
	settle func(ctx context.Context) error

	edits            []edit
	before, intended fieldState
	last             fieldState // as read last
}

func (c *kubeChange) describe() string { return c.what }

func (c *kubeChange) undoes() string {
	return "give each changed field its value from before, unless someone else has changed it"
}

func (c *kubeChange) expects() string { return "" }

// capture implements fielded.
func (c *kubeChange) capture(ctx context.Context) (before, intended string, err error) {
	if c.client == nil {
		return "", "", errNoKubernetes
	}
	if c.edits, err = c.plan(ctx); err != nil {
		return "", "", err
	}
	c.before, c.intended = fieldState{}, fieldState{}
	for _, e := range c.edits {
		if err := c.captureEdit(ctx, e); err != nil {
			return "", "", err
		}
	}
	return c.before.String(), c.intended.String(), nil
}

func (c *kubeChange) captureEdit(ctx context.Context, e edit) error {
	live, err := c.live(ctx, e)
	if err != nil {
		return err
	}
	made, err := e.write(ctx, live, true)
	if err != nil {
		return err
	}
	if live == nil {
		c.before.set(e.target, "", nil)
		c.intended.set(e.target, "", fingerprint(made))
		return c.follow(ctx, made)
	}
	paths := changedPaths(live, made)
	for _, path := range paths {
		c.before.set(e.target, path, fieldAt(live, path))
		c.intended.set(e.target, path, fieldAt(made, path))
	}
	return refuseOwned(ctx, c.client, live, paths)
}

// follow captures the replicas of the workload that a new autoscaler will scale: once
// it is gone again nobody would bring them back.
func (c *kubeChange) follow(ctx context.Context, autoscaler kubectl.Object) error {
	if autoscaler.Kind() != horizontalKind {
		return nil
	}
	target := scaledBy(autoscaler)
	workload, err := c.client.Get(ctx, target)
	if kubectl.ReasonOf(err) == kubectl.NotFound {
		return nil // the step makes it too, or nobody has it
	}
	if err != nil {
		return fmt.Errorf("reading what %s will scale: %w", autoscaler.Target(), err)
	}
	c.before.set(target, following+"/spec/replicas", fieldAt(workload, "/spec/replicas"))
	return nil
}

// scaledBy names the workload of a HorizontalPodAutoscaler.
func scaledBy(autoscaler kubectl.Object) string {
	return strings.ToLower(autoscaler.Text("spec", "scaleTargetRef", "kind")) + "/" + autoscaler.Text("spec", "scaleTargetRef", "name")
}

// live returns the object of an edit, or nil where it is absent and may be.
func (c *kubeChange) live(ctx context.Context, e edit) (kubectl.Object, error) {
	live, err := c.client.Get(ctx, e.target)
	if e.creates && kubectl.ReasonOf(err) == kubectl.NotFound {
		return nil, nil
	}
	return live, err
}

// recall implements fielded.
func (c *kubeChange) recall(before string) (err error) {
	if c.client == nil {
		return errNoKubernetes
	}
	c.before, err = parseState(before)
	return err
}

// resume implements fielded. Of an object that the other process had no field to
// change of, what the step would change now is captured.
func (c *kubeChange) resume(ctx context.Context, before, intended string) (allBefore, allIntended string, err error) {
	if err := c.recall(before); err != nil {
		return "", "", err
	}
	if c.intended, err = parseState(intended); err != nil {
		return "", "", err
	}
	if c.edits, err = c.plan(ctx); err != nil {
		return "", "", err
	}
	for target, fields := range c.before {
		if len(own(fields)) > 0 && !slices.ContainsFunc(c.edits, func(e edit) bool { return e.target == target }) {
			return "", "", fmt.Errorf("the step had begun with %s, and would not write it now: go back by scale rollback", target)
		}
	}
	for _, e := range c.edits {
		if len(own(c.before[e.target])) > 0 {
			continue
		}
		if err := c.captureEdit(ctx, e); err != nil {
			return "", "", err
		}
	}
	return c.before.String(), c.intended.String(), nil
}

// merge implements fielded.
func (c *kubeChange) merge(before, after, now string) (want string, conflicts []string, err error) {
	var states [3]fieldState
	for i, text := range []string{before, after, now} {
		if states[i], err = parseState(text); err != nil {
			return "", nil, err
		}
	}
	merged, conflicts := mergeFields(states[0], states[1], states[2])
	return merged.String(), conflicts, nil
}

// read reads the captured fields again.
func (c *kubeChange) read(ctx context.Context) (string, bool, error) {
	now := fieldState{}
	for target, fields := range c.before {
		live, err := c.client.Get(ctx, target)
		if err != nil && kubectl.ReasonOf(err) != kubectl.NotFound {
			return "", true, err
		}
		now[target] = focus(live, fields)
	}
	c.last = now
	return now.String(), true, nil
}

// focus returns the values that a live object, or nil, has at the paths of
// fields.
func focus(live kubectl.Object, fields map[string]any) map[string]any {
	values := map[string]any{}
	for path := range fields {
		switch {
		case live == nil:
			values[path] = nil
		case path == "":
			values[path] = fingerprint(live)
		default:
			values[path] = fieldAt(live, path)
		}
	}
	return values
}

// apply writes each edit, and again where the object changed at the same moment
// in other fields than those of the step.
func (c *kubeChange) apply(ctx context.Context) (string, error) {
	var done []string
	for _, e := range c.edits {
		err := insist(ctx, func() error {
			live, err := c.live(ctx, e)
			if err != nil {
				return err
			}
			before := own(c.before[e.target])
			now := focus(live, before)
			switch {
			case len(now) == 0, alikeFields(before, now, c.intended[e.target]), isNew(now) && live != nil && isOurs(live):
				return nil // nothing to do, or an attempt whose answer was lost had done it
			case !reflect.DeepEqual(now, before):
				return fmt.Errorf("%s was changed by someone else while the step began: it is %s and was %s",
					e.target, plain(now), plain(before))
			}
			_, err = e.write(ctx, live, false)
			return err
		})
		if err != nil {
			return strings.Join(done, "\n"), err
		}
		done = append(done, e.target+" written")
	}
	if c.settle != nil {
		return strings.Join(done, "\n"), c.settle(ctx)
	}
	return strings.Join(done, "\n"), nil
}

// isOurs reports whether scaleproof has written an object.
func isOurs(o kubectl.Object) bool {
	return slices.ContainsFunc(o.List("metadata", "managedFields"), func(m kubectl.Object) bool {
		return m.Text("manager") == kubectl.Manager
	})
}

// isNew tells the state of an object that the step makes.
func isNew(fields map[string]any) bool {
	_, whole := fields[""]
	return whole
}

// writeInterval is the time between attempts to write an object.
const writeInterval = 200 * time.Millisecond

// insist tries until it works, ends in an error that another attempt can't mend,
// or ctx ends. A write is safe to repeat: it is guarded by the version that was
// read before it.
func insist(ctx context.Context, try func() error) error {
	for {
		err := try()
		// A conflict of versions passes, one with another manager of a field stays.
		if reason := kubectl.ReasonOf(err); reason != kubectl.Conflict && reason != kubectl.Unreachable || len(kubectl.Managers(err)) > 0 {
			return err
		}
		if !nap.Pause(ctx, writeInterval) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// verify compares what is there with what the dry run foretold.
func (c *kubeChange) verify(state string) error {
	now, err := parseState(state)
	if err != nil {
		return err
	}
	for target, fields := range c.intended {
		for path, want := range fields {
			is := now[target][path]
			if path == "" && is != nil || followed(c.before[target], path) {
				continue // the API server gives what it makes addresses and ports of its choice
			}
			if !alike(path, c.before[target][path], is, want) {
				return fmt.Errorf("%s %s is %s and should be %s", target, path, plain(is), plain(want))
			}
		}
	}
	return nil
}

// undo gives the fields the values in state, and waits until the workloads among
// the objects run as they say.
func (c *kubeChange) undo(ctx context.Context, state string) (string, error) {
	want, err := parseState(state)
	if err != nil {
		return "", err
	}
	var faults []error
	for _, target := range restoreOrder(want) {
		fields := want[target]
		if reflect.DeepEqual(fields, c.last[target]) {
			continue
		}
		if err := c.restore(ctx, target, fields); err != nil {
			faults = append(faults, err)
		}
	}
	return "", errors.Join(faults...)
}

// restoreOrder returns the objects of a state in the order in which they go back:
// autoscalers first, or they would scale what goes back, and last what goes, which the
// others may still use.
func restoreOrder(want fieldState) []string {
	rank := func(target string) int {
		switch {
		case strings.Contains(target, "autoscaler"):
			return 0
		case isNew(want[target]):
			return 2
		}
		return 1
	}
	targets := slices.Sorted(maps.Keys(want))
	slices.SortStableFunc(targets, func(a, b string) int { return rank(a) - rank(b) })
	return targets
}

func (c *kubeChange) restore(ctx context.Context, target string, want map[string]any) error {
	var live kubectl.Object
	err := insist(ctx, func() (err error) {
		live, err = c.client.Get(ctx, target)
		if err != nil && kubectl.ReasonOf(err) != kubectl.NotFound {
			return err
		}
		now := focus(live, want)
		switch {
		case reflect.DeepEqual(now, want):
			return nil // an attempt whose answer was lost had done it
		case !reflect.DeepEqual(own(now), own(c.last[target])):
			return fmt.Errorf("%s was changed by someone else while it was undone: it is %s, was left alone, and should be %s", target, plain(now), plain(want))
		case live == nil:
			return fmt.Errorf("%s is gone: it can't be given back its fields", target)
		case isNew(want):
			return c.client.Delete(ctx, live)
		}
		patch, err := restoringPatch(live, want)
		if err != nil {
			return err
		}
		_, err = c.client.Patch(ctx, target, kubectl.JSONPatch, patch, false)
		return err
	})
	if err != nil {
		return err
	}
	if isNew(want) {
		return awaitGone(ctx, c.client, target)
	}
	if isWorkload(live.Kind()) {
		return awaitRestored(ctx, c.client, target)
	}
	return nil
}
