package kubectl

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// answers is a Runner that gives one answer after another, the last one for ever.
type answer struct{ out, fault string }

func script(t *testing.T, calls *[]string, answers ...answer) Runner {
	t.Helper()
	n := 0
	return func(_ context.Context, stdin []byte, args []string) ([]byte, []byte, error) {
		*calls = append(*calls, strings.Join(args, " ")+" <"+string(stdin))
		a := answers[min(n, len(answers)-1)]
		n++
		if a.fault != "" {
			return []byte(a.out), []byte(a.fault), errors.New("exit status 1")
		}
		return []byte(a.out), nil, nil
	}
}

func client(run Runner) *Client { return &Client{Context: "prod", Namespace: "shop", Run: run} }

func TestReasons(t *testing.T) {
	for text, want := range map[string]Reason{
		`Error from server (NotFound): deployments.apps "x" not found`:                                                                                                                     NotFound,
		`Error from server (AlreadyExists): error when creating "STDIN": leases.coordination.k8s.io "x" already exists`:                                                                    AlreadyExists,
		`Error from server (Conflict): Operation cannot be fulfilled on deployments.apps "x": the object has been modified; please apply your changes to the latest version and try again`: Conflict,
		`error: Operation cannot be fulfilled on horizontalpodautoscalers.autoscaling "x": the object has been modified; please apply`:                                                     Conflict,
		`error: Apply failed with 1 conflict: conflict with "helm" using v1: .data.a`:                                                                                                      Conflict,
		`Error from server (Forbidden): deployments.apps "x" is forbidden: User "u" cannot patch resource "deployments"`:                                                                   Forbidden,
		`error: You must be logged in to the server (Unauthorized)`:                                                                                                                        Unauthorized,
		`The Deployment "x" is invalid: spec.replicas: Invalid value: -1`:                                                                                                                  Invalid,
		`error: the server doesn't have a resource type "unicorn"`:                                                                                                                         NoKind,
		`error: context "prod" does not exist`:                                                                                                                                             NoContext,
		`error: resource mapping not found for name: "x" namespace: "" from "STDIN": no matches for kind "Y" in version "z/v1"`:                                                            NoKind,
		"E1124 02:31:50.5 1 memcache.go:265] \"Unhandled Error\"\nThe connection to the server 10.99.0.1:6443 was refused - did you specify the right host or port?":                       Unreachable,
		`Unable to connect to the server: dial tcp: lookup api.example.com: no such host`:                                                                                                  Unreachable,
		`Error from server (ServiceUnavailable): the server is currently unable to handle the request`:                                                                                     Unreachable,
		`Error from server (InternalError): an error on the server ("") has prevented the request from succeeding`:                                                                         Unreachable,
		`Error from server: etcdserver: request timed out`:                                                                                                                                 Unreachable,
		`error: unknown flag: --foo`: Unknown,
	} {
		var calls []string
		_, err := client(script(t, &calls, answer{fault: text})).Get(t.Context(), "deployment/x")
		if ReasonOf(err) != want {
			t.Errorf("%s: %s, want %s", text, ReasonOf(err), want)
		}
		if err == nil || strings.Contains(err.Error(), "memcache") {
			t.Errorf("error %v tells kubectl's log", err)
		}
	}
	if ReasonOf(errors.New("x")) != "" || ReasonOf(nil) != "" {
		t.Error("what is no *Error has a reason")
	}
}

func TestManagers(t *testing.T) {
	text := "error: Apply failed with 2 conflicts: conflicts with \"kube-controller-manager\" with subresource \"scale\" using apps/v1:\n- .spec.replicas\nconflicts with \"helm\" using apps/v1:\n- .spec.paused\nPlease review the fields above--they currently have other managers. Here\nare the ways"
	var calls []string
	_, err := client(script(t, &calls, answer{fault: text})).Apply(t.Context(), Object{"kind": "Deployment"}, false, false)
	if got := strings.Join(Managers(err), ","); got != "kube-controller-manager,helm" {
		t.Errorf("managers %s", got)
	}
	if strings.Contains(err.Error(), "review") {
		t.Errorf("error %v", err)
	}
}

func TestEveryCallIsPinned(t *testing.T) {
	var calls []string
	object := Object{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "x", "uid": "u", "resourceVersion": "7"}}
	out := answer{out: `{"resources":[{"name":"deployments/scale","kind":"Deployment"},{"name":"deployments","kind":"Deployment","namespaced":true}]}`}
	c := client(script(t, &calls, out))
	for name, call := range map[string]func() error{
		"get":  func() error { _, err := c.Get(t.Context(), "deployment/x"); return err },
		"list": func() error { _, err := c.List(t.Context(), "pods", "app=x"); return err },
		"raw":  func() error { _, err := c.Raw(t.Context(), "/readyz"); return err },
		"patch": func() error {
			_, err := c.Patch(t.Context(), "deployment/x", MergePatch, []byte("{}"), true)
			return err
		},
		"apply":   func() error { _, err := c.Apply(t.Context(), object, true, false); return err },
		"create":  func() error { _, err := c.Create(t.Context(), object, false); return err },
		"replace": func() error { _, err := c.Replace(t.Context(), object); return err },
		"delete":  func() error { return c.Delete(t.Context(), object) },
		"can":     func() error { _, err := c.Can(t.Context(), "patch", "deployment/x", ""); return err },
	} {
		calls = nil
		if err := call(); err != nil || len(calls) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		for _, call := range calls {
			if !strings.HasPrefix(call, "--context=prod --namespace=shop --request-timeout=15s ") {
				t.Errorf("%s: %s is not pinned", name, call)
			}
		}
	}
	calls = nil
	if err := c.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"delete --raw /apis/apps/v1/namespaces/shop/deployments/x", `"preconditions":{"resourceVersion":"7","uid":"u"}`} {
		if !strings.Contains(calls[1], want) {
			t.Errorf("%s lacks %s", calls[1], want)
		}
	}
}

func TestOnlyReadsAreTriedAgain(t *testing.T) {
	away := answer{fault: "Unable to connect to the server: EOF"}
	var calls []string
	c := client(script(t, &calls, away, away, answer{out: `{"kind":"Pod"}`}))
	c.Patience = time.Minute
	if o, err := c.Get(t.Context(), "pod/x"); err != nil || o.Kind() != "Pod" || len(calls) != 3 {
		t.Errorf("%v, %v after %d calls", o, err, len(calls))
	}
	calls = nil
	c.Run = script(t, &calls, away)
	if _, err := c.Replace(t.Context(), Object{}); ReasonOf(err) != Unreachable || len(calls) != 1 {
		t.Errorf("%v after %d calls: a write must be its caller's to repeat", err, len(calls))
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.Run = func(context.Context, []byte, []string) ([]byte, []byte, error) {
		cancel()
		return nil, []byte(away.fault), errors.New("exit status 1")
	}
	if _, err := c.Get(ctx, "pod/x"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestCanAndVersions(t *testing.T) {
	var calls []string
	for text, want := range map[answer]bool{{out: "yes\n"}: true, {out: "no\n", fault: " "}: false, {out: "no - no RBAC policy matched\n", fault: " "}: false} {
		if can, err := client(script(t, &calls, text)).Can(t.Context(), "get", "pods", ""); err != nil || can != want {
			t.Errorf("%+v: %v, %v", text, can, err)
		}
	}
	if _, err := client(script(t, &calls, answer{fault: "Unable to connect to the server: EOF"})).Can(t.Context(), "get", "pods", ""); ReasonOf(err) != Unreachable {
		t.Errorf("error %v", err)
	}
	if _, err := client(script(t, &calls, answer{fault: "error: unknown flag"})).Can(t.Context(), "get", "pods", ""); err == nil {
		t.Error("a failure was taken for a no")
	}
	versions := answer{out: `{"clientVersion":{"minor":"32+","gitVersion":"v1.32.4"},"serverVersion":{"minor":"34","gitVersion":"v1.34.4"}}`}
	if v, err := client(script(t, &calls, versions)).Versions(t.Context()); err != nil || v.Skew != 2 || v.Server != "v1.34.4" {
		t.Errorf("%+v, %v", v, err)
	}
	if _, err := client(script(t, &calls, answer{out: `{"clientVersion":{}}`})).Versions(t.Context()); err == nil {
		t.Error("no versions were read")
	}
}

func TestProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubectl")
	text := "#!/bin/sh\nif [ \"$MODE\" = fail ]; then echo 'Error from server (NotFound): x' >&2; exit 1; fi\nprintf '{\"kind\":\"Echo\",\"stdin\":\"%s\",\"args\":\"%s\"}' \"$(cat)\" \"$*\"\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	c := client(Program(path, os.Environ()))
	if o, err := c.Raw(t.Context(), "/x"); err != nil || !strings.Contains(o.Text("args"), "get --raw /x") {
		t.Errorf("%v, %v", o, err)
	}
	c.Run = Program(path, append(os.Environ(), "MODE=fail"))
	if _, err := c.Get(t.Context(), "pod/x"); ReasonOf(err) != NotFound {
		t.Errorf("error %v", err)
	}
	c.Run = Program("kubectl-that-is-not-here", nil)
	if _, err := c.Get(t.Context(), "pod/x"); ReasonOf(err) != NoKubectl || !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func TestObject(t *testing.T) {
	o, err := Decode([]byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"n":9007199254740993},"status":{"conditions":[{"type":"Ready","status":"False","reason":"R","message":"M"}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := o.Int("spec", "n"); !ok || n != 9007199254740993 {
		t.Errorf("n is %d", n)
	}
	if status, reason, message := o.Condition("Ready"); status+reason+message != "FalseRM" {
		t.Errorf("condition %s %s %s", status, reason, message)
	}
	for version, want := range map[string]string{
		"v1": "pod/x", "apps/v1": "pod/x", "autoscaling.k8s.io/v1": "pod/x", "example.com/v1": "pod.example.com/x",
	} {
		o["apiVersion"] = version
		if got := o.Target(); got != want {
			t.Errorf("target of %s is %s, want %s", version, got, want)
		}
	}
	if _, ok := o.Int("spec", "none", "below"); ok || o.Text("metadata", "name", "below") != "" || o.List("spec") != nil {
		t.Error("something is where nothing is")
	}
	if _, err := Decode([]byte("no")); err == nil {
		t.Error("no JSON was read")
	}
}

// A dry run changes nothing: it waits for an API server that is away, as a read does.
// A write does not.
func TestADryRunOutlastsAnOutage(t *testing.T) {
	calls := 0
	c := &Client{Context: "c", Namespace: "n", Patience: time.Minute, Run: func(context.Context, []byte, []string) ([]byte, []byte, error) {
		if calls++; calls%2 == 1 {
			return nil, []byte("Unable to connect to the server: EOF"), errors.New("exit status 1")
		}
		return []byte("{}"), nil, nil
	}}
	if _, err := c.Patch(t.Context(), "service/app", MergePatch, []byte("{}"), true); err != nil || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
	if _, err := c.Patch(t.Context(), "service/app", MergePatch, []byte("{}"), false); ReasonOf(err) != Unreachable || calls != 3 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// A pod's own cluster has no context, and its kubeconfig is none.
func TestInCluster(t *testing.T) {
	var calls []string
	c := client(script(t, &calls, answer{out: "{}"}, answer{fault: "The connection to the server localhost:8080 was refused - did you specify the right host or port?"}))
	c.Context = InCluster
	if _, err := c.Get(t.Context(), "pod/x"); err != nil || !strings.HasPrefix(calls[0], "--kubeconfig=/dev/null --namespace=shop ") || strings.Contains(calls[0], "--context") || strings.Contains(calls[0], "--request-timeout") {
		t.Errorf("%v, %q", err, calls)
	}
	if server, err := c.Server(t.Context()); server != "" || err != nil || len(calls) != 1 {
		t.Errorf("server %q, %v, %q", server, err, calls)
	}
	if _, err := c.Get(t.Context(), "pod/x"); ReasonOf(err) != NoContext || !strings.Contains(err.Error(), "in no pod of a cluster") {
		t.Errorf("elsewhere: %v", err)
	}
}

// A forwarded port has no end but its context's.
func TestForward(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var calls []string
	c := client(func(ctx context.Context, _ []byte, args []string) ([]byte, []byte, error) {
		calls = append(calls, strings.Join(args, " "))
		cancel()
		<-ctx.Done()
		return nil, nil, ctx.Err()
	})
	if err := c.Forward(ctx, "relay", 40000, 7444); err != nil {
		t.Error(err)
	}
	if len(calls) != 1 || !strings.Contains(calls[0], " port-forward pod/relay 40000:7444 --address=127.0.0.1") || strings.Contains(calls[0], "--request-timeout") {
		t.Errorf("%q", calls)
	}
	c.Run = script(t, &calls, answer{fault: "error: lost connection to pod"}, answer{})
	if err := c.Forward(t.Context(), "relay", 40000, 7444); err == nil || !strings.Contains(err.Error(), "lost connection to pod") {
		t.Errorf("an end by itself: %v", err)
	}
	if err := c.Forward(t.Context(), "relay", 40000, 7444); err == nil {
		t.Error("kubectl that ends without a word is no end")
	}
}
