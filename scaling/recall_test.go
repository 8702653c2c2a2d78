package scaling

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scaleproof/internal/redact"
)

// A process that dies after any record of its journal leaves what another one can
// undo exactly.
func TestAnotherExecutorUndoesWhatAJournalTells(t *testing.T) {
	for _, dies := range []int{1, 2, 3, 4} { // records that were written
		dir := t.TempDir()
		a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
		for _, path := range []string{a, b} {
			if err := os.WriteFile(path, []byte("1"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		steps := []Step{fileStep(a, "10"), fileStep(b, "20")}
		steps[0].Name, steps[1].Name = "first", "second"
		journal, err := OpenJournal(dir, "id")
		if err != nil {
			t.Fatal(err)
		}
		x := NewExecutor(environment(t), journal, func(Event) {})
		if _, err := x.Apply(t.Context(), "id", steps); err != nil {
			t.Fatal(err)
		}
		journal.Close()
		data, err := os.ReadFile(journal.Path())
		if err != nil {
			t.Fatal(err)
		}
		// The last record is cut in the middle, as a crash leaves it.
		lines := strings.SplitAfter(string(data), "\n")
		cut := strings.Join(lines[:dies], "")
		if dies < len(lines)-1 {
			cut += lines[dies][:len(lines[dies])/2]
		}
		if err := os.WriteFile(journal.Path(), []byte(cut), 0o600); err != nil {
			t.Fatal(err)
		}
		if dies <= 2 { // the second step never began
			if err := os.WriteFile(b, []byte("1"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		records, err := ReadJournal(journal.Path())
		if err != nil || len(records) != dies {
			t.Fatalf("%d records, %v", len(records), err)
		}
		y := newExecutor(t, environment(t))
		o, err := y.Recall("id", steps, records)
		if err != nil {
			t.Fatal(err)
		}
		if r := y.Rollback(t.Context(), o, "a test"); !r.Verified {
			t.Errorf("after %d records: %+v", dies, r)
		}
		for _, path := range []string{a, b} {
			if got, _ := os.ReadFile(path); string(got) != "1" {
				t.Errorf("after %d records %s holds %q", dies, filepath.Base(path), got)
			}
		}
	}
}

func TestRecallRefusesWhatItCannotKnow(t *testing.T) {
	dir := t.TempDir()
	steps := []Step{fileStep(filepath.Join(dir, "a"), "10")}
	for want, records := range map[string][]Record{
		"the plan has changed": {{Event: "begin", Step: 0, Name: "another"}},
		"plan has changed":     {{Event: "begin", Step: 3, Name: steps[0].Title()}},
		"unknown event":        {{Event: "explode", Step: 0, Name: steps[0].Title()}},
	} {
		if _, err := newExecutor(t, environment(t)).Recall("id", steps, records); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	damaged := filepath.Join(dir, "damaged.jsonl")
	if err := os.WriteFile(damaged, []byte("{}\nnot JSON\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadJournal(damaged); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a damaged journal: %v", err)
	}
	if _, err := ReadJournal(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no journal: %v", err)
	}
}

// secretsOf know some secrets.
func secretsOf(secrets ...string) *redact.Secrets {
	s := &redact.Secrets{}
	s.Add(secrets...)
	return s
}

// A journal keeps no secret, and a rollback from it restores states that hold some,
// as long as the environment has them. Where it has one no longer, that step is undone
// by hand, and the others all the same.
func TestStatesWithSecretsAreRestoredFromAJournal(t *testing.T) {
	const first, second = `to"ken&1`, "token-two"
	for _, c := range []struct {
		name     string
		knows    *redact.Secrets // who undoes
		file     string
		verified bool
	}{
		{"it has them", secretsOf(first, second), "a " + first + ", and again " + first, true},
		{"it has the new one", secretsOf(second), "new", false},
		{"it has none", secretsOf("another"), "new", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeAPI(t, service)
			env := f.environment(t)
			env.Secrets = secretsOf(first, second)
			path, plain := writeFile(t, "a", "a "+first+", and again "+first), writeFile(t, "b", "1")
			steps := []Step{fileStep(plain, "2"), fileStep(path, "new"), patchSpec("a", 0)}
			steps[0].Name, steps[1].Name = "plain", "secret"
			steps[2].Patch.Patch = map[string]any{"spec": map[string]any{"a": second}}
			journal, err := OpenJournal(t.TempDir(), "id")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := NewExecutor(env, journal, func(Event) {}).Apply(t.Context(), "id", steps); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(journal.Path())
			if err != nil || strings.Contains(string(text), "ken&1") || strings.Contains(string(text), second) {
				t.Fatalf("the journal holds a secret, or %v: %s", err, text)
			}
			records, err := ReadJournal(journal.Path())
			if err != nil {
				t.Fatal(err)
			}
			env.Secrets = c.knows
			x := newExecutor(t, env)
			o, err := x.Recall("id", steps, records)
			if err != nil {
				t.Fatal(err)
			}
			r := x.Rollback(t.Context(), o, "a test")
			if r.Verified != c.verified || !c.verified && !strings.Contains(strings.Join(r.Differences, "\n"), "undo it by hand") {
				t.Errorf("rollback %+v", r)
			}
			assertFile(t, plain, "1")
			assertFile(t, path, c.file)
			// What is there tells the state that the step had made.
			if got := f.objects["service/app"].At("spec", "a"); got != json.Number("1") {
				t.Errorf("the service has %v", got)
			}
		})
	}
}

func TestTwoSecretsThatLookAlikeAreAChange(t *testing.T) {
	env := environment(t)
	env.Secrets = secretsOf("token-one", "token-two")
	path, other := writeFile(t, "a", "token-one"), writeFile(t, "b", "1")
	steps := []Step{fileStep(path, "token-two"), fileStep(other, "2")}
	steps[0].Name, steps[1].When = "rotate", &When{"rotate", BecameChanged}
	if _, err := newExecutor(t, env).Apply(t.Context(), "id", steps); err != nil {
		t.Fatal(err)
	}
	assertFile(t, other, "2")
}

// A step that may fail and has, is left alone by who resumes; one that had worked and
// went back with all others is made again.
func TestStepsThatMayFailAreResumed(t *testing.T) {
	path := writeFile(t, "a", "1")
	step := fileStep(path, "2")
	step.MayFail = true
	begin := Record{Event: eventBegin, Name: "file", Before: "1"}
	back := Record{Event: string(RolledBack), Name: "file"}
	for name, c := range map[string]struct {
		records []Record
		status  Status
		file    string
	}{
		"it failed":           {[]Record{begin, {Event: string(Failed), Name: "file", Error: "broken"}, back}, RolledBack, "1"},
		"it went back":        {[]Record{begin, {Event: string(Applied), Name: "file", After: "2"}, back}, Applied, "2"},
		"it failed, unundone": {[]Record{begin, {Event: string(Failed), Name: "file", Error: "broken"}}, Applied, "2"},
	} {
		if err := os.WriteFile(path, []byte("1"), 0o600); err != nil {
			t.Fatal(err)
		}
		x := newExecutor(t, environment(t))
		o, err := x.Recall("id", []Step{step}, c.records)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Resume(t.Context(), o); err != nil || o.Steps[0].Status != c.status {
			t.Errorf("%s: %v, %+v", name, err, o.Steps)
		}
		assertFile(t, path, c.file)
	}
}

// Wherever the process dies within a rollback, its journal tells that it was one; once
// the steps were made again it does so no more.
func TestAJournalTellsThatItsRunIsUndone(t *testing.T) {
	path := writeFile(t, "a", "1")
	journal, err := OpenJournal(t.TempDir(), "id")
	if err != nil {
		t.Fatal(err)
	}
	x := NewExecutor(environment(t), journal, func(Event) {})
	steps := []Step{fileStep(path, "2")}
	want := func(undone bool) {
		t.Helper()
		records, err := ReadJournal(journal.Path())
		if err != nil {
			t.Fatal(err)
		}
		if reason, ok := Undoing(records); ok != undone || ok && reason != "a test" {
			t.Errorf("%q, %t, want %t of %+v", reason, ok, undone, records)
		}
		cut := len(records) - 1
		if _, ok := Undoing(records[:cut]); ok != (undone && records[cut].Event != eventRollback) {
			t.Errorf("without its last record: %t, of %+v", ok, records)
		}
		if _, err := x.Recall("id", steps, records); err != nil {
			t.Error(err)
		}
	}
	o, err := x.Apply(t.Context(), "id", steps)
	if err != nil {
		t.Fatal(err)
	}
	want(false)
	if r := x.Rollback(t.Context(), o, "a test"); !r.Verified {
		t.Fatalf("%+v", r)
	}
	want(true)
	if _, err := x.Apply(t.Context(), "id", steps); err != nil {
		t.Fatal(err)
	}
	want(false)
	assertFile(t, path, "2")
}

// A journal is of its steps on its cluster and namespace, and of no other.
func TestRecallRefusesAnotherTarget(t *testing.T) {
	f := newFakeAPI(t, service)
	env := f.environment(t)
	env.StepsHash, env.ServerUID = "hash", "uid"
	journal, err := OpenJournal(t.TempDir(), "id")
	if err != nil {
		t.Fatal(err)
	}
	steps := []Step{patchSpec("a", 5)}
	if _, err := NewExecutor(env, journal, func(Event) {}).Apply(t.Context(), "id", steps); err != nil {
		t.Fatal(err)
	}
	records, err := ReadJournal(journal.Path())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Environment)
		want   error
		says   string
	}{
		"the same":          {func(*Environment) {}, nil, ""},
		"a UID nobody told": {func(e *Environment) { e.ServerUID = "" }, nil, ""},
		"steps":             {func(e *Environment) { e.StepsHash = "other" }, ErrOtherSteps, "the plan has changed"},
		"context":           {func(e *Environment) { e.Kubernetes.Context = "prod" }, ErrOtherTarget, "in context c, and the plan names prod"},
		"namespace":         {func(e *Environment) { e.Kubernetes.Namespace = "prod" }, ErrOtherTarget, "in namespace n, and the plan names prod"},
		"cluster":           {func(e *Environment) { e.ServerUID = "another" }, ErrOtherTarget, "on the cluster uid, and context c leads to another"},
	} {
		now := env
		client := *env.Kubernetes
		now.Kubernetes = &client
		c.change(&now)
		_, err := newExecutor(t, now).Recall("id", steps, records)
		if !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
