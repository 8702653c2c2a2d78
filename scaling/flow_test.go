package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"scaleproof/internal/unit"
)

// meeting is a step that works only while another one runs: each writes to its pipe
// and reads the other's.
func meeting(name, mine, others string) Step {
	return Step{Name: name, Parallel: "both", Timeout: unit.Duration(60e9), Irreversible: true, Exec: &Exec{
		Command: []string{"sh", "-c", "(echo here > " + mine + ") & read line < " + others + " && wait"},
	}}
}

func TestAGroupRunsAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, pipe := range []string{a, b} {
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	steps := []Step{meeting("one", a, b), meeting("two", b, a)}
	if err := ValidateSteps(steps); err != nil {
		t.Fatal(err)
	}
	o, err := newExecutor(t, environment(t)).Apply(t.Context(), "id", steps)
	if err != nil {
		t.Fatalf("%v, %+v", err, o)
	}
}

func TestAFailureStopsTheOthersOfItsGroup(t *testing.T) {
	path := writeFile(t, "a", "1")
	after := fileStep(path, "2")
	steps := []Step{
		{Name: "long", Parallel: "g", Irreversible: true, Exec: &Exec{Command: []string{"sleep", "600"}}},
		{Name: "breaks", Parallel: "g", Irreversible: true, Exec: &Exec{Command: []string{"false"}}},
		after,
	}
	o, err := newExecutor(t, environment(t)).Apply(t.Context(), "id", steps)
	if err == nil || !strings.Contains(err.Error(), "breaks") || errors.Is(err, context.Canceled) {
		t.Errorf("error %v: it must be that of the step that failed by itself", err)
	}
	if o.Steps[0].Status != Failed || !strings.Contains(o.Steps[0].Error, errBeside.Error()) || o.Steps[2].Status != Skipped {
		t.Errorf("outcome %+v", o.Steps)
	}
	assertFile(t, path, "1")
}

func TestStepsDependOnEarlierOnes(t *testing.T) {
	config, canary, fallback, restart := writeFile(t, "config", "1"), writeFile(t, "canary", "1"), writeFile(t, "fallback", "1"), writeFile(t, "restart", "1")
	for _, c := range []struct {
		name      string
		wanted    string // of the configuration, which holds 1
		canary    string // what the canary expects of the 2 that it writes
		files     string // canary, fallback, restart
		statuses  string
		thenFiles string // after a rollback
	}{
		{"nothing to do", "1", "2", "211", "applied applied skipped skipped", "111"},
		{"it fails", "3", "never", "122", "applied rolled-back applied applied", "111"},
	} {
		t.Run(c.name, func(t *testing.T) {
			steps := []Step{fileStep(config, c.wanted), fileStep(canary, "2"), fileStep(fallback, "2"), fileStep(restart, "2")}
			for i, name := range []string{"config", "canary", "fallback", "restart"} {
				steps[i].Name = name
			}
			steps[1].Exec.Expect, steps[1].MayFail = c.canary, true
			steps[2].When = &When{"canary", BecameFailed}
			steps[3].When = &When{"config", BecameChanged}
			if err := ValidateSteps(steps); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "id.jsonl")
			journal, err := OpenJournal(filepath.Dir(path), "id")
			if err != nil {
				t.Fatal(err)
			}
			defer journal.Close()
			x := NewExecutor(environment(t), journal, func(Event) {})
			o, err := x.Apply(t.Context(), "id", steps)
			if err != nil {
				t.Fatal(err)
			}
			var statuses []string
			for _, s := range o.Steps {
				statuses = append(statuses, string(s.Status))
			}
			if got := strings.Join(statuses, " "); got != c.statuses {
				t.Errorf("statuses %s, want %s", got, c.statuses)
			}
			assertFile(t, canary, c.files[:1])
			assertFile(t, fallback, c.files[1:2])
			assertFile(t, restart, c.files[2:])
			// Another process that resumes it has nothing to do, and one that undoes it
			// undoes all.
			records, err := ReadJournal(path)
			if err != nil {
				t.Fatal(err)
			}
			other := newExecutor(t, environment(t))
			recalled, err := other.Recall("id", steps, records)
			if err != nil {
				t.Fatal(err)
			}
			if err := other.Resume(t.Context(), recalled); err != nil {
				t.Fatal(err)
			}
			assertFile(t, canary, c.files[:1])
			if r := other.Rollback(t.Context(), recalled, "a test"); !r.Verified {
				t.Fatalf("rollback %+v", r)
			}
			assertFile(t, config, "1")
			assertFile(t, canary, c.thenFiles[:1])
			assertFile(t, fallback, c.thenFiles[1:2])
			assertFile(t, restart, c.thenFiles[2:])
		})
	}
}

func TestFaultsOfStepsTogether(t *testing.T) {
	ok := func(name string) Step {
		return Step{Name: name, Exec: &Exec{Command: []string{"true"}, Undo: []string{"true"}}}
	}
	with := func(s Step, change func(*Step)) Step { change(&s); return s }
	in := func(group string) func(*Step) { return func(s *Step) { s.Parallel = group } }
	three := 3
	apply := Step{Name: "apply", Apply: &Apply{File: writeFile(t, "m.yaml", owned[1]+"\n---\n"+service)}}
	adjust := Step{Name: "adjust", Scale: &Scale{Target: "deployment/app", Replicas: &three, Owner: Adjust}}
	scale := Step{Name: "x", Parallel: "g", Scale: &Scale{Target: "deployment/app", Replicas: &three}}
	for want, steps := range map[string][]Step{
		`[0].when.step: no earlier step is named "later"`:               {with(ok("a"), func(s *Step) { s.When = &When{"later", BecameApplied} }), ok("later")},
		`[1].when.is: where step a fails, the action ends`:              {ok("a"), with(ok("b"), func(s *Step) { s.When = &When{"a", BecameFailed} })},
		`[1].when.is: must be applied, failed`:                          {ok("a"), with(ok("b"), func(s *Step) { s.When = &When{"a", "fine"} })},
		`[1].when.step: step a runs at the same time`:                   {with(ok("a"), in("g")), with(ok("b"), func(s *Step) { s.Parallel, s.When = "g", &When{"a", BecameApplied} })},
		`[0].parallel: no neighbouring step is of the group "g"`:        {with(ok("a"), in("g")), ok("b"), with(ok("c"), in("g"))},
		`[1].parallel: it writes deployment/app at the same time as`:    {scale, scale},
		`[1].parallel: it writes the autoscaler of deployment/app`:      {with(apply, in("g")), with(adjust, in("g"))},
		`[1].parallel: it writes service/app at the same time as`:       {with(apply, in("g")), with(patchSpec("a", 1), in("g"))},
		`[1].name: "a" stands twice`:                                    {ok("a"), ok("a")},
		`[0].exec.command: is missing`:                                  {{Exec: &Exec{Undo: []string{"true"}}}},
		`[0].notify: needs exactly one of text and json`:                {{Notify: &Notify{URL: "http://hook/x"}}},
		`[0].notify.url: must be an http or https URL`:                  {{Notify: &Notify{URL: "hook", Text: "x"}}},
		`[0].pause.question: is missing: what is to be approved`:        {{Pause: &Pause{}}},
		`[0]: does 2 things (notify, pause): a step does one of exec, `: {{Notify: &Notify{}, Pause: &Pause{}}},
	} {
		if err := ValidateSteps(steps); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// A condition looks at its step alone: others of its group may be at work.
func TestAConditionInAGroup(t *testing.T) {
	busy := Step{Name: "busy", Parallel: "both", Exec: &Exec{Command: []string{"true"}, Undo: []string{"true"}, Read: []string{"date", "+%N"}}}
	steps := []Step{{Name: "first", Exec: &Exec{Command: []string{"true"}, Undo: []string{"true"}}}, busy, busy, busy}
	for i := range 5 {
		steps = append(steps, Step{Name: fmt.Sprint("waits-", i), Parallel: "both", When: &When{Step: "first", Is: BecameSkipped}, Exec: &Exec{Command: []string{"true"}, Undo: []string{"true"}}})
	}
	if o, err := newExecutor(t, environment(t)).Apply(t.Context(), "id", steps); err != nil || o.Steps[len(steps)-1].Status != Skipped {
		t.Errorf("%v, %+v", err, o)
	}
}

func TestNotify(t *testing.T) {
	var bodies []string
	status := http.StatusOK
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Header.Get("Content-Type")+" "+string(body))
		w.WriteHeader(status)
	}))
	defer hook.Close()
	env := environment(t)
	env.Origin = "plan p, run r"
	url := hook.URL + "/services/sentinel-secret"
	steps := []Step{
		{Name: "slack", Notify: &Notify{URL: url, Text: "scaling", UndoText: "undone"}},
		{Name: "json", Notify: &Notify{URL: url, JSON: map[string]any{"event": "scaling", "replicas": 5}}},
	}
	var said strings.Builder
	x := NewExecutor(env, nil, func(e Event) { said.WriteString(e.Detail) })
	o, err := x.Apply(t.Context(), "id", steps)
	if err != nil {
		t.Fatal(err)
	}
	if r := x.Rollback(t.Context(), o, "a test"); !r.Verified {
		t.Errorf("rollback %+v", r)
	}
	want := []string{
		`application/json {"text":"scaling\nplan p, run r"}`, `application/json {"event":"scaling","replicas":5}`, `application/json {"text":"undone\nplan p, run r"}`,
	}
	if strings.Join(bodies, "|") != strings.Join(want, "|") {
		t.Errorf("sent %q", bodies)
	}
	// A hook that refuses, and one that is not there, fail the step and don't tell
	// its URL.
	status = http.StatusForbidden
	_, refused := x.Apply(t.Context(), "id", steps[:1])
	hook.Close()
	// net/http writes a URL with a password in a form of its own.
	steps[0].Notify.URL = strings.Replace(url, "://", "://bot:pass@", 1)
	o, absent := x.Apply(t.Context(), "id", steps[:1])
	if refused == nil || absent == nil || !strings.Contains(refused.Error(), "403") || !strings.Contains(absent.Error(), "refused") {
		t.Errorf("errors %v and %v", refused, absent)
	}
	outcome, err := json.Marshal([]any{o, x.Preview(t.Context(), steps), steps})
	if err != nil {
		t.Fatal(err)
	}
	if all := said.String() + refused.Error() + absent.Error() + string(outcome); strings.Contains(all, "sentinel-secret") {
		t.Errorf("the URL is told: %s", all)
	}
}

func TestPause(t *testing.T) {
	env := environment(t)
	step := Step{Name: "look", Pause: &Pause{Question: "is it well?"}}
	if _, err := newExecutor(t, env).Apply(t.Context(), "id", []Step{step}); err == nil || !strings.Contains(err.Error(), "nobody can be asked") {
		t.Errorf("error %v", err)
	}
	env.Approve = func(_ context.Context, step, question string) (string, error) {
		if step != "look" || question != "is it well?" {
			t.Errorf("asked %q, %q", step, question)
		}
		return "ann", nil
	}
	o, err := newExecutor(t, env).Apply(t.Context(), "id", []Step{step})
	if err != nil || o.Steps[0].Output != "approved by ann" {
		t.Errorf("%v, %+v", err, o.Steps[0])
	}
	path := writeFile(t, "a", "1")
	env.Approve = func(context.Context, string, string) (string, error) { return "", os.ErrPermission }
	x := newExecutor(t, env)
	o, err = x.Apply(t.Context(), "id", []Step{fileStep(path, "2"), step})
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("error %v", err)
	}
	if r := x.Rollback(t.Context(), o, "refused"); !r.Verified {
		t.Errorf("rollback %+v", r)
	}
	assertFile(t, path, "1")
}

func TestPreviewTellsTheDifference(t *testing.T) {
	path := writeFile(t, "a", "1")
	odd := fileStep(path, "2")
	odd.When, odd.MayFail = &When{"before", BecameChanged}, true
	previews := newExecutor(t, environment(t)).Preview(t.Context(), []Step{odd, {Name: "gone", Irreversible: true, Exec: &Exec{Command: []string{"true"}}}})
	if p := previews[0]; len(p.Diff) != 1 || p.Diff[0] != "1 -> 2" || p.When != "if step before is changed" || !p.MayFail || p.Irreversible {
		t.Errorf("preview %+v", p)
	}
	if p := previews[1]; !p.Irreversible || p.Undo != "can't be undone" {
		t.Errorf("preview %+v", p)
	}
	before := `{"deployment/app":{"/spec/replicas":2,"/spec/paused":null},"service/app":{"":null}}`
	after := `{"deployment/app":{"/spec/replicas":5,"/spec/paused":null},"service/app":{"":"content x"}}`
	if got := strings.Join(diff(before, after), "|"); got != "deployment/app /spec/replicas: 2 -> 5|service/app: absent -> made" {
		t.Errorf("diff %s", got)
	}
	assertFile(t, path, "1")
}

func TestReplicaChangesAreThoseThatWereCaptured(t *testing.T) {
	step := func(before, after string) StepOutcome { return StepOutcome{Before: before, After: after} }
	replicas := func(target string, n int) string { return fmt.Sprintf(`{%q:{"/spec/replicas":%d}}`, target, n) }
	for name, c := range map[string]struct {
		steps []StepOutcome
		want  []ReplicaChange
	}{
		"one":              {[]StepOutcome{step(replicas("deployment/a", 2), replicas("deployment/a", 5))}, []ReplicaChange{{"deployment/a", 2, 5}}},
		"in two steps":     {[]StepOutcome{step(replicas("deployment/a", 2), replicas("deployment/a", 3)), step(replicas("deployment/a", 3), replicas("deployment/a", 5))}, []ReplicaChange{{"deployment/a", 2, 5}}},
		"there and back":   {[]StepOutcome{step(replicas("deployment/a", 2), replicas("deployment/a", 3)), step(replicas("deployment/a", 3), replicas("deployment/a", 2))}, nil},
		"two workloads":    {[]StepOutcome{step(replicas("statefulset/b", 1), replicas("statefulset/b", 4)), step(replicas("deployment/a", 2), replicas("deployment/a", 5))}, []ReplicaChange{{"deployment/a", 2, 5}, {"statefulset/b", 1, 4}}},
		"not applied":      {[]StepOutcome{step(replicas("deployment/a", 2), "")}, nil},
		"of another kind":  {[]StepOutcome{step("1", "4"), step(`{"a":1}`, `{"a":2}`), step(`{"hpa/a":{"/spec/minReplicas":1}}`, `{"hpa/a":{"/spec/minReplicas":4}}`)}, nil},
		"without replicas": {[]StepOutcome{step(`{"deployment/a":{"/spec/replicas":null}}`, replicas("deployment/a", 5))}, nil},
	} {
		if got := (&Outcome{Steps: c.steps}).ReplicaChanges(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
