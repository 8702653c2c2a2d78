package workers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/loadgen"
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
	listener, address, err := listen(ctx, opts.Client, w.Advertise)
	if err != nil {
		return nil, err
	}
	j := &job{JobOptions: opts, name: namePrefix + opts.ID, address: address}
	f, err := serve(ctx, listener, w.Count, opts.Build, joining, func(secret []byte) (func() error, error) {
		return j.remove, j.create(ctx, secret)
	}, j.watch)
	if err != nil {
		err = errors.Join(err, j.trouble())
		return nil, fmt.Errorf("starting %d workers in namespace %s of %s: %w", w.Count, opts.Client.Namespace, opts.Client.Context, err)
	}
	return f, nil
}

// Address returns the address at which pods will be told to reach this process,
// HOST:PORT; a port of 0 is any.
func Address(ctx context.Context, client *kubectl.Client, advertise string) (string, error) {
	if advertise != "" {
		if _, _, err := net.SplitHostPort(advertise); err == nil {
			return advertise, nil
		}
		return net.JoinHostPort(advertise, "0"), nil
	}
	server, err := client.Server(ctx)
	if err != nil {
		return "", err
	}
	host, err := localAddress(server)
	if err != nil {
		return "", fmt.Errorf("finding the address at which pods reach this machine: %w: name it by advertise", err)
	}
	return net.JoinHostPort(host, "0"), nil
}

// localAddress is the address from which this machine reaches a URL. No packet is
// sent for it.
func localAddress(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	conn, err := net.Dial("udp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	address := conn.LocalAddr().(*net.UDPAddr)
	if address.IP.IsLoopback() {
		return "", fmt.Errorf("the API server %s is reached over loopback, by a tunnel or on this machine", server)
	}
	return address.IP.String(), nil
}

// listen opens the coordinator's port, and returns the address that pods are told.
func listen(ctx context.Context, client *kubectl.Client, advertise string) (net.Listener, string, error) {
	address, err := Address(ctx, client, advertise)
	if err != nil {
		return nil, "", err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", fmt.Errorf("the address %q: %w", address, err)
	}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return nil, "", fmt.Errorf("listening for the workers: %w", err)
	}
	if port == "0" {
		_, port, _ = net.SplitHostPort(listener.Addr().String()) // which it has
	}
	return listener, net.JoinHostPort(host, port), nil
}

// job is an Indexed Job and what belongs to it.
type job struct {
	JobOptions
	name    string
	address string
	object  kubectl.Object // nil before it is known to be there
	waiting atomic.Pointer[string]
}

// trouble is what may have kept the pods from joining, nil where nothing is known.
func (j *job) trouble() error {
	waiting := j.waiting.Load()
	switch {
	case waiting == nil:
		return nil
	case *waiting == "":
		return fmt.Errorf("the pods run: if they can't reach %s, name an address that they can reach by advertise", j.address)
	}
	return errors.New(*waiting)
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
		timer := time.NewTimer(watchEvery / 4)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("job/%s is not gone yet: its pods are ending, and it goes with the last: %w", j.name, ctx.Err())
		}
	}
}

// watchEvery is the time between looks at pods that have not joined yet.
const watchEvery = 2 * time.Second

// watch returns why the pods will never join.
func (j *job) watch(ctx context.Context) error {
	for {
		timer := time.NewTimer(watchEvery)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		pods, err := j.Client.List(ctx, "pods", runLabel+"="+j.ID)
		if err != nil {
			continue // the coordinator's patience has an end
		}
		waiting := ""
		for _, pod := range pods {
			if reason := hopeless(pod); reason != "" {
				return errors.New(reason)
			}
			if reason := waits(pod); reason != "" {
				waiting = reason
			}
		}
		j.waiting.Store(&waiting)
	}
}

// A Right is a verb on a resource.
type Right struct{ Verb, Resource string }

// Rights returns what the user needs for a Job.
func Rights() []Right {
	return []Right{{"create", "jobs.batch"}, {"get", "jobs.batch"}, {"patch", "jobs.batch"}, {"delete", "jobs.batch"}, {"create", "secrets"}, {"list", "pods"}}
}

// DryRun asks the API server whether it would take the Job.
func DryRun(ctx context.Context, opts JobOptions) error {
	j := &job{JobOptions: opts, name: namePrefix + opts.ID, address: "address:1"}
	_, err := opts.Client.Create(ctx, j.manifest(j.avoid(ctx)), true)
	return err
}

// namePrefix is that of a run's objects.
const namePrefix = "scaleproof-workers-"
