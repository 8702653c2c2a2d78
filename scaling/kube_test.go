package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/redact"
	"scaleproof/internal/unit"
)

// service is a workload without pods, which nothing must converge.
const service = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"app"},"spec":{"a":1,"b":1}}`

func patchSpec(field string, value int) Step {
	return Step{Name: "patch", Timeout: unit.Duration(20 * time.Second), Patch: &Patch{
		Target: "service/app", Type: "merge", Patch: map[string]any{"spec": map[string]any{field: value}},
	}}
}

func assertSpec(t *testing.T, f *fakeAPI, want string) {
	t.Helper()
	if got, err := json.Marshal(f.objects["service/app"].At("spec")); err != nil || string(got) != want {
		t.Errorf("spec %s (%v), want %s", got, err, want)
	}
}

func TestWritesOutlastConflictsAndLostAnswers(t *testing.T) {
	const away = "Unable to connect to the server: EOF"
	for name, hooks := range map[string]func(f *fakeAPI){
		"another field changes at the same moment": func(f *fakeAPI) {
			f.before = func(n int) string {
				if n == 1 || n == 3 {
					f.set("service/app", "c", n)
				}
				return ""
			}
		},
		"the API server is away": func(f *fakeAPI) {
			f.before = func(n int) string { return map[int]string{1: away, 2: away, 4: away}[n] }
		},
		"answers are lost": func(f *fakeAPI) {
			f.after = func(n int) string { return map[int]string{1: away, 2: away}[n] }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeAPI(t, service)
			hooks(f)
			x := newExecutor(t, f.environment(t))
			o, err := x.Apply(t.Context(), "id", []Step{patchSpec("a", 5)})
			if err != nil || f.objects["service/app"].At("spec", "a") != json.Number("5") {
				t.Fatalf("%v, %v", err, f.objects)
			}
			if r := x.Rollback(t.Context(), o, "a test"); !r.Verified || f.objects["service/app"].At("spec", "a") != json.Number("1") {
				t.Errorf("rollback %+v, %v", r, f.objects)
			}
		})
	}
}

func TestTheSameFieldChangesAtTheSameMoment(t *testing.T) {
	f := newFakeAPI(t, service)
	f.before = func(n int) string {
		if n == 1 {
			f.set("service/app", "a", json.Number("7"))
		}
		return ""
	}
	x := newExecutor(t, f.environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{patchSpec("a", 5)})
	if err == nil || !strings.Contains(err.Error(), "someone else") || o.Steps[0].Status != Failed {
		t.Fatalf("%v, %+v", err, o)
	}
	assertSpec(t, f, `{"a":7,"b":1}`)
	r := x.Rollback(t.Context(), o, "it failed")
	if r.Verified || !strings.Contains(r.Differences[0], "from 5 to 7") {
		t.Errorf("rollback %+v", r)
	}
	assertSpec(t, f, `{"a":7,"b":1}`)
}

func TestAChangeDuringTheRollbackIsLeftAlone(t *testing.T) {
	f := newFakeAPI(t, service)
	x := newExecutor(t, f.environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{patchSpec("a", 5)})
	if err != nil {
		t.Fatal(err)
	}
	f.before = func(n int) string {
		if n == 2 {
			f.set("service/app", "a", json.Number("7"))
		}
		return ""
	}
	if r := x.Rollback(t.Context(), o, "a test"); r.Verified || !strings.Contains(r.Differences[0], "while it was undone") {
		t.Errorf("rollback %+v", r)
	}
	assertSpec(t, f, `{"a":7,"b":1}`)
}

func TestARollbackRestoresOnlyItsOwnFields(t *testing.T) {
	f := newFakeAPI(t, service)
	x := newExecutor(t, f.environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{patchSpec("a", 5), patchSpec("c", 9)})
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Steps[1].Before; got != `{"service/app":{"/spec/c":null}}` {
		t.Errorf("before %s", got)
	}
	f.set("service/app", "b", json.Number("8"))
	if r := x.Rollback(t.Context(), o, "a test"); !r.Verified {
		t.Errorf("rollback %+v", r)
	}
	assertSpec(t, f, `{"a":1,"b":8}`)
}

func TestAGoneObjectIsReported(t *testing.T) {
	f := newFakeAPI(t, service)
	x := newExecutor(t, f.environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{patchSpec("a", 5)})
	if err != nil {
		t.Fatal(err)
	}
	delete(f.objects, "service/app")
	if r := x.Rollback(t.Context(), o, "a test"); r.Verified || !strings.Contains(r.Differences[0], "from 5 to absent") {
		t.Errorf("rollback %+v", r)
	}
}

func TestNothingToChangeWritesNothing(t *testing.T) {
	f := newFakeAPI(t, service)
	x := newExecutor(t, f.environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{patchSpec("a", 1)})
	if err != nil || f.writes != 0 {
		t.Errorf("%v, %d writes", err, f.writes)
	}
	if r := x.Rollback(t.Context(), o, "a test"); !r.Verified || f.writes != 0 {
		t.Errorf("%+v, %d writes", r, f.writes)
	}
}

func TestTheJournalHoldsWhatIsIntended(t *testing.T) {
	f := newFakeAPI(t, service)
	dir := t.TempDir()
	journal, err := OpenJournal(dir, "id")
	if err != nil {
		t.Fatal(err)
	}
	var first Record // that of the step; what the journal is of stands before it
	f.before = func(int) string {
		records, err := ReadJournal(journal.Path())
		if err != nil || len(records) != 2 || records[0].Run == nil || records[0].Run.Context != "c" {
			t.Errorf("%+v, %v", records, err)
		}
		first = records[len(records)-1]
		return ""
	}
	x := NewExecutor(f.environment(t), journal, func(Event) {})
	if _, err := x.Apply(t.Context(), "id", []Step{patchSpec("a", 5)}); err != nil {
		t.Fatal(err)
	}
	if first.Before != `{"service/app":{"/spec/a":1}}` || first.Intended != `{"service/app":{"/spec/a":5}}` {
		t.Errorf("before the write the journal held %+v", first)
	}
}

// A secret that JSON escapes is in no state, summary or difference: they are JSON.
func TestEscapedSecretsStayOutOfStates(t *testing.T) {
	const secret = `pa"ss&trailing`
	f := newFakeAPI(t, service)
	env := f.environment(t)
	env.Secrets = &redact.Secrets{}
	env.Secrets.Add(secret)
	dir := t.TempDir()
	journal, err := OpenJournal(dir, "id")
	if err != nil {
		t.Fatal(err)
	}
	step := patchSpec("a", 0)
	step.Patch.Patch = map[string]any{"spec": map[string]any{"a": secret}}
	var events strings.Builder
	x := NewExecutor(env, journal, func(e Event) { fmt.Fprintln(&events, e) })
	previews := x.Preview(t.Context(), []Step{step})
	o, err := x.Apply(t.Context(), "id", []Step{step})
	if err != nil {
		t.Fatal(err)
	}
	f.set("service/app", "a", secret+"2")
	r := x.Rollback(t.Context(), o, "a test") // whose conflict tells what is there
	lines, err := os.ReadFile(journal.Path())
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprint(previews, o, r, events.String(), string(lines))
	if strings.Contains(all, "trailing") || !strings.Contains(all, redact.Mask) {
		t.Errorf("the secret is seen: %s", all)
	}
}

// A step that has nothing to change says so, and what one has changed can be read when
// it would change nothing any more.
func TestTheStateOfAStepThatHasWorked(t *testing.T) {
	f := newFakeAPI(t, service)
	journal, err := OpenJournal(t.TempDir(), "id")
	if err != nil {
		t.Fatal(err)
	}
	steps := []Step{patchSpec("a", 5), patchSpec("b", 1)}
	x := NewExecutor(f.environment(t), journal, func(Event) {})
	if p := x.Preview(t.Context(), steps)[1]; p.State != AsItWouldBe || len(p.Diff) != 0 {
		t.Errorf("preview %+v", p)
	}
	if _, err := x.Apply(t.Context(), "id", steps); err != nil {
		t.Fatal(err)
	}
	records, err := ReadJournal(journal.Path())
	if err != nil {
		t.Fatal(err)
	}
	y := newExecutor(t, f.environment(t))
	if _, err := y.Recall("id", steps, records); err != nil {
		t.Fatal(err)
	}
	if state, ok, err := y.Current(t.Context(), 0); state != `{"service/app":{"/spec/a":5}}` || !ok || err != nil {
		t.Errorf("%q, %v, %v", state, ok, err)
	}
	if state, ok, err := y.Current(t.Context(), 1); ok || err != nil {
		t.Errorf("%q, %v, %v", state, ok, err)
	}
}

// A wait ends at once where no later attempt can help.
func TestAHopelessWaitEnds(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		answer string // of kubectl, where it fails
		want   string
	}{
		"a kind that does not converge": {"service/app", "", "convergence is known of"},
		"no right to look":              {"deployment/app", "Error from server (Forbidden): no", "Forbidden"},
	} {
		env := newFakeAPI(t, service).environment(t)
		if c.answer != "" {
			env.Kubernetes.Run = func(context.Context, []byte, []string) ([]byte, []byte, error) {
				return nil, []byte(c.answer), errors.New("exit status 1")
			}
		}
		step := Step{Name: "wait", Wait: &Wait{For: converged, Target: c.target}} // of five minutes
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		_, err := newExecutor(t, env).Apply(ctx, "id", []Step{step})
		if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

// Only the pods of a StatefulSet that the action has broken are deleted, by whatever
// name it goes.
func TestOnlyBrokenPodsAreDeleted(t *testing.T) {
	pod := func(name, revision, ready string) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q,"labels":{"controller-revision-hash":%q}},"status":{"conditions":[{"type":"Ready","status":%q}]}}`, name, revision, ready)
	}
	set := `{"apiVersion":"apps/v1","kind":%q,"metadata":{"name":"db"},"spec":{"selector":{"matchLabels":{"a":"b"}}},"status":{"currentRevision":"old","updateRevision":"restored"}}`
	for kind, want := range map[string]string{"StatefulSet": "pod/broken", "Deployment": ""} {
		f := newFakeAPI(t, fmt.Sprintf(set, kind), pod("broken", "bad", "False"), pod("starting", "restored", "False"), pod("kept-by-a-partition", "old", "False"), pod("fine", "bad", "True"))
		f.objects["sts/db"] = f.objects[strings.ToLower(kind)+"/db"]
		if err := deleteStuckPods(t.Context(), f.environment(t).Kubernetes, "sts/db"); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(f.deleted, " "); got != want {
			t.Errorf("%s: deleted %q, want %q", kind, got, want)
		}
	}
}

func TestConvergence(t *testing.T) {
	deployment := func(generation int, status string) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x","generation":%d},"spec":{"replicas":2,"selector":{"matchLabels":{"a":"b"}}},"status":{%s}}`, generation, status)
	}
	set := func(spec, status string) string {
		return `{"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"x","generation":1},"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}}` + spec +
			`},"status":{"observedGeneration":1,"replicas":3,"readyReplicas":3,"availableReplicas":3,"currentRevision":"1","updateRevision":"2"` + status + `}}`
	}
	all := `"observedGeneration":1,"replicas":2,"updatedReplicas":2,"readyReplicas":2,"availableReplicas":2`
	for name, c := range map[string]struct{ text, want string }{
		"deployment":         {deployment(1, all), ""},
		"not yet observed":   {deployment(2, all), "generation 2 is not yet observed"},
		"surplus":            {deployment(1, strings.Replace(all, `"replicas":2`, `"replicas":3`, 1)), "replicas is 3 of 2"},
		"not updated":        {deployment(1, strings.Replace(all, `"updatedReplicas":2`, `"updatedReplicas":1`, 1)), "updatedReplicas is 1 of 2"},
		"not ready":          {deployment(1, strings.Replace(all, `"readyReplicas":2,`, ``, 1)), "readyReplicas is 0 of 2"},
		"not available":      {deployment(1, strings.Replace(all, `"availableReplicas":2`, `"availableReplicas":1`, 1)), "availableReplicas is 1 of 2"},
		"set not updated":    {set("", `,"updatedReplicas":2`), "updatedReplicas is 2 of 3"},
		"set updated":        {set("", `,"updatedReplicas":3`), ""},
		"set with partition": {set(`,"updateStrategy":{"rollingUpdate":{"partition":2}}`, `,"updatedReplicas":1`), ""},
		"set on delete":      {set(`,"updateStrategy":{"type":"OnDelete"}`, ``), ""},
		"daemon set":         {`{"kind":"DaemonSet","metadata":{"name":"x"},"spec":{"selector":{"matchLabels":{"a":"b"}}},"status":{"desiredNumberScheduled":1,"currentNumberScheduled":1,"updatedNumberScheduled":1,"numberReady":1}}`, "numberAvailable is 0 of 1"},
		"autoscaler":         {`{"kind":"HorizontalPodAutoscaler","metadata":{"name":"x"},"status":{"currentReplicas":2,"desiredReplicas":3,"conditions":[{"type":"ScalingActive","status":"True"}]}}`, "has 2 replicas and wants 3"},
		"blind autoscaler":   {`{"kind":"HorizontalPodAutoscaler","metadata":{"name":"x"},"status":{"conditions":[{"type":"ScalingActive","status":"False","reason":"FailedGetResourceMetric","message":"no metrics"}]}}`, "FailedGetResourceMetric: no metrics"},
		"service":            {`{"kind":"Service","metadata":{"name":"x"}}`, "convergence is known of"},
		"no selector":        {`{"kind":"Deployment","metadata":{"name":"x"},"spec":{"replicas":0}}`, "no selector"},
	} {
		f := newFakeAPI(t, c.text)
		target := object(t, c.text).Target()
		err := checkConverged(t.Context(), f.environment(t).Kubernetes, target)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestLabelSelector(t *testing.T) {
	o := object(t, `{"spec":{"selector":{"matchLabels":{"b":"2","a":"1"},"matchExpressions":[
		{"key":"c","operator":"In","values":["3","4"]},{"key":"d","operator":"NotIn","values":["5"]},{"key":"e","operator":"Exists"},{"key":"f","operator":"DoesNotExist"}]}}}`)
	if got, err := labelSelector(o); err != nil || got != "!f,a=1,b=2,c in (3,4),d notin (5),e" {
		t.Errorf("selector %s, %v", got, err)
	}
}
