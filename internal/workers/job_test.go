package workers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A fakeAPI keeps the objects that kubectl is asked to make, and can fail;
// internal/clustertest has the real one. spoil is asked whether a call that has worked
// is answered by an error: it is told the
// command and its input.
type fakeAPI struct {
	objects map[string]kubectl.Object // by kind/name, in lower case
	spoil   func(command, stdin string) error
}

func (f *fakeAPI) run(_ context.Context, stdin []byte, args []string) (stdout, stderr []byte, err error) {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "--") })
	fail := func(reason string) ([]byte, []byte, error) {
		return nil, []byte("Error from server (" + reason + "): no"), errors.New("exit status 1")
	}
	var answer any = kubectl.Object{}
	switch args[0] {
	case "create":
		var o kubectl.Object
		if err := json.Unmarshal(stdin, &o); err != nil {
			return nil, nil, err
		}
		name := strings.ToLower(o.Kind()) + "/" + o.Name()
		if f.objects[name] != nil {
			return fail("AlreadyExists")
		}
		o["metadata"].(map[string]any)["uid"] = "uid of " + name
		f.objects[name], answer = o, o
	case "patch":
		answer = f.objects[args[1]]
		var patch struct{ Spec map[string]any }
		if err := json.Unmarshal(stdin, &patch); err != nil {
			return nil, nil, err
		}
		for k, v := range patch.Spec {
			f.objects[args[1]]["spec"].(map[string]any)[k] = v
		}
	case "get":
		switch o := f.objects[args[1]]; {
		case args[1] == "services":
			answer = kubectl.Object{"kind": "List", "items": []any{}}
		case strings.HasPrefix(args[1], "/apis/"):
			answer = kubectl.Object{"resources": []any{map[string]any{"kind": "Job", "name": "jobs", "namespaced": true}}}
		case o == nil:
			return fail("NotFound")
		default:
			answer = o
		}
	case "delete": // and what it owns
		clear(f.objects)
	}
	if f.spoil != nil {
		if err := f.spoil(args[0], string(stdin)); err != nil {
			return nil, []byte(err.Error()), err
		}
	}
	out, err := json.Marshal(answer)
	return out, nil, err
}

func testJob(api *fakeAPI) *job {
	return &job{
		JobOptions: JobOptions{
			Client: &kubectl.Client{Context: "prod", Namespace: "load", Run: api.run}, ID: "r1",
			Load: loadgen.Config{Targets: []string{"GET http://app.shop/"}, Workers: loadgen.Workers{Count: 8, Image: "registry.example/scaleproof:1"}},
		},
		name: namePrefix + "r1", addresses: []string{"192.0.2.7:4444", "198.51.100.7:4444"},
	}
}

// Whatever fails while the objects are made, none is left, and none of another run
// is taken for one's own.
func TestWhatWasMadeIsRemovedWhateverFails(t *testing.T) {
	lost := errors.New("Unable to connect to the server: net/http: TLS handshake timeout")
	for name, spoil := range map[string]func(command, stdin string) error{
		"nothing": func(string, string) error { return nil },
		"the answer to the Job": func(command, stdin string) error {
			if command == "create" && strings.Contains(stdin, `"Job"`) && !strings.Contains(stdin, `"Secret"`) {
				return lost
			}
			return nil
		},
		"the Secret": func(command, stdin string) error {
			if command == "create" && strings.Contains(stdin, `"Secret"`) {
				return lost
			}
			return nil
		},
		"the deadline": func(command, _ string) error {
			if command == "patch" {
				return lost
			}
			return nil
		},
	} {
		api := &fakeAPI{objects: map[string]kubectl.Object{}, spoil: spoil}
		j := testJob(api)
		if err := j.create(t.Context(), []byte("secret")); (err == nil) != (name == "nothing") {
			t.Errorf("%s failed: %v", name, err)
		}
		if len(api.objects) == 0 {
			t.Errorf("%s failed: nothing was made", name)
		}
		if err := j.remove(); err != nil || len(api.objects) > 0 {
			t.Errorf("%s failed: %v, %v is left", name, err, api.objects)
		}
	}
	api := &fakeAPI{objects: map[string]kubectl.Object{}}
	if err := testJob(api).create(t.Context(), []byte("secret")); err != nil {
		t.Fatal(err)
	}
	other := testJob(api)
	other.ID = "r2"
	if err := other.remove(); err != nil || len(api.objects) != 2 {
		t.Errorf("%v, %d objects of another run are left of 2", err, len(api.objects))
	}
}

// A Job without its Secret ends soon: nobody may be left to remove it.
func TestTheDeadlineOfAJobIsShortUntilItsSecretIsThere(t *testing.T) {
	for given, want := range map[unit.Duration]float64{0: defaultDeadline, unit.Duration(time.Hour): 3600, unit.Duration(time.Minute): 60} {
		api := &fakeAPI{objects: map[string]kubectl.Object{}}
		j := testJob(api)
		j.Load.Workers.Deadline = given
		api.spoil = func(command, stdin string) error {
			deadline, _ := api.objects["job/"+j.name].At("spec", "activeDeadlineSeconds").(float64)
			if command == "create" && strings.Contains(stdin, `"Secret"`) && deadline != min(want, startDeadline) {
				t.Errorf("%v s while the Secret is made", deadline)
			}
			return nil
		}
		if err := j.create(t.Context(), []byte("secret")); err != nil {
			t.Fatal(err)
		}
		if deadline := api.objects["job/"+j.name].At("spec", "activeDeadlineSeconds"); deadline != want {
			t.Errorf("%v s, want %v", deadline, want)
		}
	}
}

// The manifests are the contract with the API server.
func TestManifests(t *testing.T) {
	plain := testJob(nil)
	plain.object = kubectl.Object{"metadata": map[string]any{"uid": "u-1"}}
	full := testJob(nil)
	full.Load.Workers = loadgen.Workers{
		Count: 3, Image: "registry.example/scaleproof:1", PullPolicy: "Always", ServiceAccount: "load", NodeSelector: map[string]string{"pool": "load"},
		Tolerations: []map[string]any{{"key": "load", "operator": "Exists", "effect": "NoSchedule"}},
		Requests:    map[string]string{"cpu": "2"}, Limits: map[string]string{"cpu": "2", "memory": "1Gi"}, Deadline: unit.Duration(90 * time.Second),
	}
	through := testJob(nil)
	through.object = plain.object
	through.Load.Workers = full.Load.Workers
	through.Load.Workers.Through = loadgen.PortForward
	through.relay = newRelay(nil, "scaleproof-workers-r1-relay")
	for name, o := range map[string]kubectl.Object{
		"job.json": plain.manifest(nil), "full.json": full.manifest(map[string]string{"app": "app"}), "secret.json": plain.secret([]byte{0xab, 0xcd}),
		"relay.json": through.relayPod(),
	} {
		got, err := json.MarshalIndent(o, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs: go test ./internal/workers -update writes it, to be looked at\n%s", name, got)
		}
	}
}

// A Job ends all its pods once one has failed: the one that it was for is told.
func TestOfAJobsPodsTheOneThatFailedIsTold(t *testing.T) {
	pod := func(metadata, status string) kubectl.Object {
		o, err := kubectl.Decode([]byte(`{"metadata": {"name": ` + metadata + `}, "status": {` + status + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	terminated := func(state string) string {
		return `"phase": "Failed", "containerStatuses": [{"state": {"terminated": {` + state + `}}}]`
	}
	const leaves, drained = `, "deletionTimestamp": "2026-01-02T03:04:05Z"`, `, "conditions": [{"type": "DisruptionTarget", "status": "True"}]`
	running := pod(`"a"`, `"phase": "Running"`)
	told := pod(`"b"`+leaves, terminated(`"reason": "Error", "exitCode": 1, "message": "told to go"`))
	for want, failed := range map[string]kubectl.Object{
		"pod c failed: OOMKilled: it needed more":                     pod(`"c"`, terminated(`"reason": "OOMKilled", "exitCode": 137, "message": "worker 2 is here"`)),
		"pod c failed: no secret":                                     pod(`"c"`, terminated(`"reason": "Error", "exitCode": 4, "message": "no secret"`)),
		"pod c failed: Error, exit code 137":                          pod(`"c"`, terminated(`"reason": "Error", "exitCode": 137`)),
		"pod c failed: Evicted The node was low on resource: memory.": pod(`"c"`, `"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."`),
		"pod c failed: terminated":                                    pod(`"c"`+leaves, terminated(`"reason": "Error", "exitCode": 143, "message": "terminated"`)+drained),
		"pod b is being deleted, as its Job does":                     running,
	} {
		if got := whyEnded([]kubectl.Object{running, told, failed}); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := whyEnded([]kubectl.Object{running}); got != "" {
		t.Errorf("of one that runs: %q", got)
	}
}
