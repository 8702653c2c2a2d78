package scaling

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

// twoObjects are those of a manifest that changes both.
func twoObjects(t *testing.T) (live []string, step Step) {
	t.Helper()
	const other = `{"apiVersion":"v1","kind":"Service","metadata":{"name":"other"},"spec":{"a":1}}`
	manifest := writeFile(t, "m.yaml", strings.NewReplacer(`"a":1`, `"a":5`).Replace(service+"\n---\n"+other))
	return []string{service, other}, Step{Name: "both", Timeout: unit.Duration(20 * time.Second), Apply: &Apply{File: manifest}}
}

// owned is a workload whose replicas an autoscaler owns.
var owned = []string{
	`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"app"},"spec":{"replicas":2,"selector":{"matchLabels":{"a":"b"}}}}`,
	`{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"app"},"spec":{"minReplicas":2,"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"app"}}}`,
}

// A process that dies between a record and the write that it tells of leaves a step
// that is to be made, not one that was.
func TestAKillBeforeAWriteIsMadeGood(t *testing.T) {
	two, both := twoObjects(t)
	four := 4
	adjust := Step{Name: "adjust", Timeout: unit.Duration(20 * time.Second), Scale: &Scale{Target: "deployment/app", Replicas: &four, Owner: Adjust}}
	for name, c := range map[string]struct {
		objects []string
		step    Step
		dies    int  // before this write
		ends    bool // it learns of the failure before it dies
		want    map[string]any
	}{
		"before the write":        {[]string{service}, patchSpec("a", 5), 1, false, map[string]any{"service/app": "5"}},
		"once the step failed":    {[]string{service}, patchSpec("a", 5), 1, true, map[string]any{"service/app": "5"}},
		"between two objects":     {two, both, 2, false, map[string]any{"service/app": "5", "service/other": "5"}},
		"before an owner's write": {owned, adjust, 1, false, map[string]any{"horizontalpodautoscaler/app": "4"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeAPI(t, c.objects...)
			journal, err := OpenJournal(t.TempDir(), "id")
			if err != nil {
				t.Fatal(err)
			}
			var records []Record
			look := func() {
				if records, err = ReadJournal(journal.Path()); err != nil {
					t.Error(err)
				}
			}
			f.before = func(n int) string {
				if n < c.dies {
					return ""
				}
				look()
				return "Error from server (Forbidden): dead"
			}
			steps := []Step{c.step}
			if _, err := NewExecutor(f.environment(t), journal, func(Event) {}).Apply(t.Context(), "id", steps); err == nil {
				t.Fatal("it was not killed")
			}
			if c.ends {
				look()
			}
			writes := 0
			f.before = func(int) string { writes++; return "" }
			f.after = func(int) string { // the autoscaler's controller
				if hpa := f.objects["horizontalpodautoscaler/app"]; hpa != nil {
					f.set("deployment/app", "replicas", hpa.At("spec", "minReplicas"))
				}
				return ""
			}
			x := newExecutor(t, f.environment(t))
			o, err := x.Recall("id", steps, records)
			if err != nil {
				t.Fatal(err)
			}
			if err := x.Resume(t.Context(), o); err != nil || writes == 0 || o.Steps[0].Status != Applied {
				t.Fatalf("%v, %d writes, %+v", err, writes, o.Steps)
			}
			for target, value := range c.want {
				field := "a"
				if target == "horizontalpodautoscaler/app" {
					field = "minReplicas"
				}
				if got := f.objects[target].At("spec", field); fmt.Sprint(got) != value {
					t.Errorf("%s has %v, want %v", target, got, value)
				}
			}
			if c.want["horizontalpodautoscaler/app"] != nil && fmt.Sprint(f.objects["deployment/app"].At("spec", "replicas")) != "4" {
				t.Error("it did not wait for the autoscaler")
			}
			f.after = nil
			if r := x.Rollback(t.Context(), o, "a test"); !r.Verified {
				t.Errorf("rollback %+v", r)
			}
		})
	}
}

// What can't be taken up again has begun all the same: it is undone.
func TestAStepThatCannotBeTakenUpIsUndone(t *testing.T) {
	f := newFakeAPI(t, service)
	before := `{"service/app":{"/spec/a":1}}`
	records := []Record{{Event: eventBegin, Name: "patch", Before: before, Intended: `{"service/app":{"/spec/a":5}}`}}
	f.set("service/app", "a", json.Number("5"))
	steps := []Step{patchSpec("a", 5)}
	steps[0].Patch.Target = "service/another" // as where an owner has changed
	f.objects["service/another"] = object(t, service)
	x := newExecutor(t, f.environment(t))
	o, err := x.Recall("id", steps, records)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Resume(t.Context(), o); err == nil || !strings.Contains(err.Error(), "had begun with service/app") || o.Steps[0].Status != Failed {
		t.Fatalf("%v, %+v", err, o.Steps)
	}
	if r := x.Rollback(t.Context(), o, "a test"); !r.Verified {
		t.Errorf("rollback %+v", r)
	}
	assertSpec(t, f, `{"a":1,"b":1}`)
}

// Pods that read a configuration at their start read the one from before again, once it
// is back.
func TestARestartIsMadeAgainLast(t *testing.T) {
	const idle = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"app"},"spec":{"replicas":0,"selector":{"matchLabels":{"a":"b"}}}}`
	restart := Step{Name: "restart", Restart: &Restart{Target: "deployment/app"}}
	config := writeFile(t, "config", "1")
	same := fileStep(writeFile(t, "same", "1"), "1")
	for name, c := range map[string]struct {
		steps  []Step
		order  string // in which they are undone
		writes int
	}{
		"alone":              {[]Step{restart}, "restart", 1},
		"after a change":     {[]Step{fileStep(config, "2"), restart, patchSpec("a", 5)}, "patch file restart", 4},
		"after none":         {[]Step{same, restart}, "restart file", 1},
		"before a change":    {[]Step{restart, fileStep(config, "2")}, "file restart", 1},
		"after its own sort": {[]Step{patchSpec("a", 5), restart}, "restart patch", 3},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeAPI(t, service, idle)
			x := newExecutor(t, f.environment(t))
			o, err := x.Apply(t.Context(), "id", c.steps)
			if err != nil {
				t.Fatal(err)
			}
			r := x.Rollback(t.Context(), o, "a test")
			var order []string
			for _, s := range r.Steps {
				order = append(order, s.Name)
			}
			if got := strings.Join(order, " "); !r.Verified || got != c.order || f.writes != c.writes {
				t.Errorf("undone %s by %d writes, want %s by %d: %+v", got, f.writes, c.order, c.writes, r)
			}
		})
	}
}

// Whatever an autoscaler has made of the replicas that it was given, they go back.
func TestFollowedFieldsGoBack(t *testing.T) {
	state := func(text string) fieldState {
		s, err := parseState(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const before, after = `{"deployment/app":{"?/spec/replicas":2,"/spec/replicas":2,"/spec/a":1}}`, `{"deployment/app":{"?/spec/replicas":3,"/spec/replicas":3,"/spec/a":1}}`
	for now, conflicts := range map[string]int{
		`{"deployment/app":{"?/spec/replicas":6,"/spec/replicas":6,"/spec/a":1}}`:          0,
		`{"deployment/app":{"?/spec/replicas":6,"/spec/replicas":6,"/spec/a":7}}`:          1,
		`{"deployment/app":{"?/spec/replicas":null,"/spec/replicas":null,"/spec/a":null}}`: 3, // it is gone
	} {
		want, told := mergeFields(state(before), state(after), state(now))
		if len(told) != conflicts || conflicts < 3 && fmt.Sprint(want["deployment/app"]["?/spec/replicas"]) != "2" {
			t.Errorf("%s: %v, %v", now, want, told)
		}
	}
	if got := restoreOrder(state(`{"configmap/new":{"":null},"deployment/app":{"?/spec/replicas":2},"horizontalpodautoscaler/app":{"":null}}`)); strings.Join(got, " ") != "horizontalpodautoscaler/app deployment/app configmap/new" {
		t.Errorf("order %s", got)
	}
}
