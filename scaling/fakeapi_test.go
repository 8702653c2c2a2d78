package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"scaleproof/internal/kubectl"
)

// A fakeAPI is a kubectl and an API server with a few objects, which fails as a
// real one can't be made to.
type fakeAPI struct {
	t       *testing.T
	mu      sync.Mutex
	objects map[string]kubectl.Object
	writes  int
	deleted []string // targets
	// before and after are called around the nth write, from 1; a fault from
	// them is what kubectl says.
	before, after func(n int) (fault string)
}

func newFakeAPI(t *testing.T, objects ...string) *fakeAPI {
	t.Helper()
	f := &fakeAPI{t: t, objects: map[string]kubectl.Object{}}
	for _, text := range objects {
		o := object(t, text)
		f.objects[o.Target()] = o
		f.bump(o)
	}
	return f
}

func (f *fakeAPI) bump(o kubectl.Object) {
	metadata := o["metadata"].(map[string]any)
	version, _ := strconv.Atoi(o.Version())
	metadata["resourceVersion"] = strconv.Itoa(version + 1)
}

// set changes an object as a third party would.
func (f *fakeAPI) set(target, field string, value any) {
	f.objects[target]["spec"].(map[string]any)[field] = value
	f.bump(f.objects[target])
}

func (f *fakeAPI) environment(t *testing.T) Environment {
	env := environment(t)
	env.Kubernetes = &kubectl.Client{Context: "c", Namespace: "n", Run: f.run, Patience: time.Minute}
	return env
}

func (f *fakeAPI) run(_ context.Context, stdin []byte, args []string) (out, fault []byte, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fail := func(text string) ([]byte, []byte, error) { return nil, []byte(text), errors.New("exit status 1") }
	args = args[3:] // context, namespace, request-timeout
	target := args[1]
	if args[0] == "apply" {
		target = object(f.t, string(stdin)).Target()
	}
	o, found := f.objects[target]
	switch {
	case args[0] == "get" && args[1] == "--raw": // what kinds there are
		return []byte(`{"resources":[{"name":"pods","kind":"Pod","namespaced":true}]}`), nil, nil
	case args[0] == "delete":
		f.deleted = append(f.deleted, "pod/"+args[2][strings.LastIndex(args[2], "/")+1:])
		return []byte("{}"), nil, nil
	case args[0] == "get" && !strings.Contains(target, "/"):
		return f.list(target), nil, nil
	case !found:
		return fail("Error from server (NotFound): " + target)
	case args[0] == "patch", args[0] == "apply":
		dryRun := strings.Contains(strings.Join(args, " "), "--dry-run")
		if text := f.patch(&o, target, args, string(stdin), dryRun); text != "" {
			return fail(text)
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		f.t.Error(err)
	}
	return text, nil, nil
}

// list lists the objects of a kind, with its group.
func (f *fakeAPI) list(kinds string) []byte {
	items := []kubectl.Object{}
	for _, o := range f.objects {
		kind, _, _ := strings.Cut(kinds, ".")
		if strings.ToLower(o.Kind())+"s" == kind {
			items = append(items, o)
		}
	}
	text, err := json.Marshal(map[string]any{"items": items})
	if err != nil {
		f.t.Error(err)
	}
	return text
}

func (f *fakeAPI) patch(o *kubectl.Object, target string, args []string, body string, dryRun bool) (fault string) {
	if !dryRun {
		f.writes++
		if f.before != nil {
			if fault := f.before(f.writes); fault != "" {
				return fault
			}
		}
	}
	text, err := json.Marshal(*o)
	if err != nil {
		f.t.Error(err)
	}
	made := object(f.t, string(text))
	version := made.Version()
	if args[2] == "--type=json" {
		made = patchJSON(f.t, made, []byte(body))
	} else {
		mergeJSON(made, object(f.t, body))
	}
	if made.Version() != version {
		return "Error from server (Conflict): the object has been modified"
	}
	if dryRun {
		*o = made
		return ""
	}
	f.bump(made)
	f.objects[target] = made
	*o = made
	if f.after != nil {
		return f.after(f.writes)
	}
	return ""
}

// mergeJSON is JSON Merge Patch (RFC 7386).
func mergeJSON(into, patch map[string]any) {
	for key, value := range patch {
		below, isMap := value.(map[string]any)
		has, hasMap := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && hasMap:
			mergeJSON(has, below)
		default:
			into[key] = value
		}
	}
}
