package workers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/nap"
	"scaleproof/loadgen"
	"scaleproof/loadgen/fleet"
)

// JobOptions say which pods to start.
type JobOptions struct {
	// Client acts on the context and the namespace of the pods.
	Client *kubectl.Client
	// Load is what they will make; its Workers say what they are.
	Load  loadgen.Config
	Build string
	// ID makes the names of objects this run's own.
	ID string
}

// joining is how long pods may take until they have joined: to be scheduled, to
// pull their image, to start.
const joining = 5 * time.Minute

// cleaning bounds the removal of the objects, which goes on when the run's context
// has ended.
const cleaning = 30 * time.Second

// Job starts workers as the pods of an Indexed Job. Everything that it makes
// belongs to the Job, which the end of the Fleet deletes; where this process dies,
// the workers end since they have lost it, and the Job's time to live does the rest.
func Job(ctx context.Context, opts JobOptions) (*Fleet, error) {
	w := opts.Load.Workers
	j := &job{JobOptions: opts, name: namePrefix + opts.ID}
	listener, err := j.listen(ctx)
	if err != nil {
		return nil, err
	}
	f, err := serve(ctx, listener, w.Count, opts.Build, joining, func(secret []byte) (func() error, error) {
		return j.remove, j.create(ctx, secret)
	}, j.watch)
	if err != nil {
		err = errors.Join(err, j.trouble())
		return nil, fmt.Errorf("starting %d workers in namespace %s of %s: %w", w.Count, opts.Client.Namespace, opts.Client.Context, err)
	}
	return f, nil
}

// job is an Indexed Job and what belongs to it.
type job struct {
	JobOptions
	name      string
	addresses []string       // that pods will dial, HOST:PORT
	relay     *relay         // where they dial that; else nil
	object    kubectl.Object // nil before it is known to be there
	waiting   atomic.Pointer[string]
}

// listen returns where workers will come from, once their addresses are told them.
func (j *job) listen(ctx context.Context) (net.Listener, error) {
	if j.Load.Workers.Through == loadgen.PortForward {
		j.relay = newRelay(j.Client, j.name+"-relay")
		return fleet.Through(j.relay.dial), nil
	}
	listener, addresses, err := listen(ctx, j.Client, j.Load.Workers.Advertise)
	j.addresses = addresses
	return listener, err
}

// trouble is what may have kept the pods from joining, nil where nothing is known.
func (j *job) trouble() error {
	waiting := j.waiting.Load()
	switch {
	case waiting == nil:
		return nil
	case *waiting != "":
		return errors.New(*waiting)
	case j.relay != nil:
		return fmt.Errorf("the pods run, and their relay too: %w", j.relay.trouble())
	}
	return fmt.Errorf("the pods run: if they can't reach %s, name an address that they can reach by advertise, or let them come through: %s", InOrder(j.addresses), loadgen.PortForward)
}

// create makes the Job first, so that whatever happens next its deadline and its
// time to live run; its pods wait for the Secret. Where this process dies before
// that is there they wait for nothing: the Job has its own deadline only then.
func (j *job) create(ctx context.Context, secret []byte) error {
	object, err := j.Client.Create(ctx, j.manifest(j.avoid(ctx)), false)
	if err != nil {
		return err
	}
	j.object = object
	if j.relay != nil {
		if err := j.startRelay(ctx); err != nil {
			return err
		}
	}
	if _, err := j.Client.Create(ctx, j.secret(secret), false); err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"spec":{"activeDeadlineSeconds":%d}}`, j.deadline())
	if _, err := j.Client.Patch(ctx, "job/"+j.name, kubectl.MergePatch, []byte(patch), false); err != nil {
		return fmt.Errorf("giving the workers their time: %w", err)
	}
	return nil
}

// isOwn reports whether a Job is this run's. That of a create whose answer was lost
// is known by its label.
func (j *job) isOwn(live kubectl.Object) bool {
	if j.object != nil {
		return live.UID() == j.object.UID()
	}
	return live.Text("metadata", "labels", runLabel) == j.ID
}

// remove deletes the Job, and with it all that it owns.
func (j *job) remove() error {
	if j.relay != nil {
		j.relay.end()
	}
	ctx, cancel := context.WithTimeout(context.Background(), cleaning)
	defer cancel()
	for {
		live, err := j.Client.Get(ctx, "job/"+j.name)
		switch {
		case kubectl.ReasonOf(err) == kubectl.NotFound:
			return nil
		case err != nil:
			return fmt.Errorf("removing job/%s: %w", j.name, err)
		case !j.isOwn(live):
			return nil // another, of the same name
		case live.Text("metadata", "deletionTimestamp") != "":
		default:
			if err := j.Client.Delete(ctx, live); err != nil && kubectl.ReasonOf(err) != kubectl.Conflict && kubectl.ReasonOf(err) != kubectl.NotFound {
				return fmt.Errorf("removing job/%s: %w", j.name, err)
			}
		}
		if !nap.Pause(ctx, watchEvery/4) {
			return fmt.Errorf("job/%s is not gone yet: its pods are ending, and it goes with the last: %w", j.name, ctx.Err())
		}
	}
}

// watchEvery is the time between looks at pods that have not joined yet.
const watchEvery = 2 * time.Second

// watch returns why the pods will never join, or why the first of them has ended.
func (j *job) watch(ctx context.Context) error {
	for nap.Pause(ctx, watchEvery) {
		pods, err := j.Client.List(ctx, "pods", runLabel+"="+j.ID)
		if err != nil {
			continue // the coordinator's patience has an end
		}
		if reason := whyEnded(pods); reason != "" {
			return errors.New(reason)
		}
		waiting := ""
		for _, pod := range pods {
			waiting = cmp.Or(waits(pod), waiting)
		}
		j.waiting.Store(&waiting)
	}
	return nil
}

// A Right is a verb on a resource, or on its subresource.
type Right struct{ Verb, Resource, Subresource string }

func (r Right) String() string {
	if r.Subresource == "" {
		return r.Verb + " " + r.Resource
	}
	return r.Verb + " " + r.Resource + "/" + r.Subresource
}

// Rights returns what the user needs for the Job of a load.
func Rights(w loadgen.Workers) []Right {
	rights := []Right{
		{"create", "jobs.batch", ""},
		{"get", "jobs.batch", ""},
		{"patch", "jobs.batch", ""},
		{"delete", "jobs.batch", ""},
		{"create", "secrets", ""},
		{"list", "pods", ""},
	}
	if w.Through == loadgen.PortForward {
		rights = append(rights, Right{"create", "pods", ""}, Right{"get", "pods", ""}, Right{"create", "pods", "portforward"})
	}
	return rights
}

// DryRun asks the API server whether it would take the Job.
func DryRun(ctx context.Context, opts JobOptions) error {
	j := &job{JobOptions: opts, name: namePrefix + opts.ID}
	_, err := opts.Client.Create(ctx, j.manifest(j.avoid(ctx)), true)
	return err
}

// namePrefix is that of a run's objects.
const namePrefix = "scaleproof-workers-"
