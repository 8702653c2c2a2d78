// Package kubectl runs kubectl, which knows every way into a cluster that its
// users have, and reads nothing of what it prints but JSON. Context and namespace
// are always given, so that no call can meet the wrong cluster.
package kubectl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"scaleproof/internal/child"
	"scaleproof/internal/nap"
)

// A Runner runs kubectl once. Its error tells that the program could not be run
// or did not exit 0.
type Runner func(ctx context.Context, stdin []byte, args []string) (stdout, stderr []byte, err error)

// Program returns the Runner of a kubectl, a path or a name in PATH, whose
// environment, with KUBECONFIG and HOME, is as os.Environ gives it.
func Program(path string, environ []string) Runner {
	return func(ctx context.Context, stdin []byte, args []string) ([]byte, []byte, error) {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = environ
		cmd.Stdin = bytes.NewReader(stdin)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := child.Run(ctx, cmd)
		return stdout.Bytes(), stderr.Bytes(), err
	}
}

// InCluster is the context of a process in a pod: its cluster, as its service account.
const InCluster = "in-cluster"

// A Client acts on one namespace of one context. It may be used by several
// goroutines.
type Client struct {
	// Context is one of the kubeconfig, or InCluster.
	Context, Namespace string
	Run                Runner
	// Patience is how long a read is tried again while the API server can't be
	// reached; zero: not at all.
	Patience time.Duration
}

// requestTimeout bounds one request of kubectl to the API server, and callTimeout all
// that it makes for one command.
const (
	requestTimeout = 15 * time.Second
	callTimeout    = 2 * time.Minute
)

// retryInterval is the time between attempts to reach the API server.
const retryInterval = 500 * time.Millisecond

// noCluster is where kubectl looks for a server that nobody has told it of.
const noCluster = "localhost:8080"

// call runs kubectl once. doing says what for.
func (c *Client) call(ctx context.Context, doing string, stdin []byte, args ...string) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if c.Context != InCluster {
		args = append([]string{"--request-timeout=" + requestTimeout.String()}, args...)
	}
	out, err := c.execute(limited, doing, stdin, args...)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, &Error{Unreachable, doing, "it had no answer within " + callTimeout.String(), err}
	}
	return out, err
}

// execute runs kubectl in the client's place. Without a kubeconfig it takes the
// service account of the pod that it runs in, but only without --request-timeout: a
// configuration that says anything is preferred.
func (c *Client) execute(ctx context.Context, doing string, stdin []byte, args ...string) ([]byte, error) {
	place := "--context=" + c.Context
	if c.Context == InCluster {
		place = "--kubeconfig=/dev/null"
	}
	out, fault, err := c.Run(ctx, stdin, append([]string{place, "--namespace=" + c.Namespace}, args...))
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("kubectl %s: %w", doing, context.Cause(ctx))
	case errors.Is(err, exec.ErrNotFound):
		return nil, &Error{NoKubectl, doing, "kubectl is not in PATH: install it, or mend PATH", err}
	}
	text := string(fault)
	if c.Context == InCluster && strings.Contains(text, noCluster) {
		return nil, &Error{NoContext, doing, "this process is in no pod of a cluster: name a context of the kubeconfig in place of " + InCluster, err}
	}
	said := message(text)
	if said == "" {
		said = err.Error()
	}
	return nil, &Error{classify(text), doing, said, err}
}

// read is call for what changes nothing: while the API server can't be reached it
// is tried again.
func (c *Client) read(ctx context.Context, doing string, args ...string) ([]byte, error) {
	return c.patient(ctx, doing, nil, args...)
}

func (c *Client) patient(ctx context.Context, doing string, stdin []byte, args ...string) ([]byte, error) {
	deadline := time.Now().Add(c.Patience)
	for {
		out, err := c.call(ctx, doing, stdin, args...)
		if ReasonOf(err) != Unreachable || !time.Now().Before(deadline) {
			return out, err
		}
		if !nap.Pause(ctx, retryInterval) {
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}

// Get returns an object; target is kind/name.
func (c *Client) Get(ctx context.Context, target string) (Object, error) {
	out, err := c.read(ctx, "get "+target, "get", target, "-o=json")
	if err != nil {
		return nil, err
	}
	return Decode(out)
}

// List returns the objects of a kind, of those that a label selector takes where
// it is not empty.
func (c *Client) List(ctx context.Context, kind, selector string) ([]Object, error) {
	args := []string{"get", kind, "-o=json"}
	if selector != "" {
		args = append(args, "--selector="+selector)
	}
	out, err := c.read(ctx, "get "+kind, args...)
	if err != nil {
		return nil, err
	}
	list, err := Decode(out)
	if err != nil {
		return nil, err
	}
	return list.List("items"), nil
}

// Raw returns the answer to a GET of a path of the API server.
func (c *Client) Raw(ctx context.Context, path string) (Object, error) {
	out, err := c.read(ctx, "get "+path, "get", "--raw", path)
	if err != nil {
		return nil, err
	}
	return Decode(out)
}

// PatchType is the form of a patch.
type PatchType string

// The forms: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7386), and the
// strategic one, which knows that containers are told apart by their names, and
// which custom resources don't take.
const (
	JSONPatch      PatchType = "json"
	MergePatch     PatchType = "merge"
	StrategicPatch PatchType = "strategic"
)

// Manager is the name by which the API server knows what scaleproof has written.
const Manager = "scaleproof"

// Patch patches an object and returns it. A dry run asks the API server for the
// result, with admission and defaults, and changes nothing.
func (c *Client) Patch(ctx context.Context, target string, form PatchType, patch []byte, dryRun bool) (Object, error) {
	// By its standard input: everyone on the machine sees a child's arguments.
	return c.write(ctx, "patch "+target, patch, dryRun, "patch", target, "--type="+string(form), "--patch-file=/dev/stdin", "--field-manager="+Manager)
}

// Apply applies an object by server-side apply, which makes it where it is not
// there. force takes over fields that others manage.
func (c *Client) Apply(ctx context.Context, o Object, force, dryRun bool) (Object, error) {
	manifest, err := encode(o)
	if err != nil {
		return nil, err
	}
	args := []string{"apply", "--server-side", "--field-manager=" + Manager, "--filename=-"}
	if force {
		args = append(args, "--force-conflicts")
	}
	return c.write(ctx, "apply "+o.Target(), manifest, dryRun, args...)
}

// Create makes an object that must not be there yet.
func (c *Client) Create(ctx context.Context, o Object, dryRun bool) (Object, error) {
	manifest, err := encode(o)
	if err != nil {
		return nil, err
	}
	return c.write(ctx, "create "+o.Target(), manifest, dryRun, "create", "--filename=-", "--field-manager="+Manager)
}

// Replace replaces an object by one with the same resource version, and is a
// Conflict where it has another by now.
func (c *Client) Replace(ctx context.Context, o Object) (Object, error) {
	manifest, err := encode(o)
	if err != nil {
		return nil, err
	}
	return c.write(ctx, "replace "+o.Target(), manifest, false, "replace", "--filename=-", "--field-manager="+Manager)
}

func (c *Client) write(ctx context.Context, doing string, stdin []byte, dryRun bool, args ...string) (Object, error) {
	args = append(args, "-o=json")
	send := c.call
	if dryRun { // it changes nothing
		doing += " (dry run)"
		args = append(args, "--dry-run=server")
		send = c.patient
	}
	out, err := send(ctx, doing, stdin, args...)
	if err != nil {
		return nil, err
	}
	return Decode(out)
}

// Can asks whether the user may do something: a verb, and a resource as kubectl
// names it (deployments.apps/app), or its subresource where that is not empty.
func (c *Client) Can(ctx context.Context, verb, resource, subresource string) (bool, error) {
	doing, args := "auth can-i "+verb+" "+resource, []string{"auth", "can-i", verb, resource}
	if subresource != "" {
		doing, args = doing+"/"+subresource, append(args, "--subresource="+subresource)
	}
	out, err := c.call(ctx, doing, nil, args...)
	var e *Error
	if errors.As(err, &e) && (e.Reason == Unknown || e.Reason == NoKind) && e.Message == e.Err.Error() {
		return false, nil // "no" is an exit code, and at most a warning that there is no such kind
	}
	return strings.HasPrefix(string(out), "yes"), err
}
