package validation

import (
	"strings"
	"testing"

	"scaleproof/internal/plan"
	"scaleproof/reports"
	"scaleproof/scaling"
)

func conditionOf(r *reports.Report, kind reports.ConditionKind, text string) reports.ConditionResult {
	for _, c := range r.Conditions {
		if c.Kind == kind && c.Text == text {
			return c
		}
	}
	return reports.ConditionResult{}
}

func TestTheRollbackIsRehearsed(t *testing.T) {
	s := newTarget(t)
	opts, events := options(t)
	opts.JournalDir = t.TempDir()
	r, err := Run(t.Context(), planFor(t, s, 5, "objectives: [scrape.app_delay_seconds.a_b <= 0.5x]\nrollback: {rehearse: true}\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Pass || s.delay.Load() != 5 || s.puts.Load() != 3 { // there, back and there again
		t.Errorf("verdict %+v, delay %d, %d changes\n%s", r.Verdict, s.delay.Load(), s.puts.Load(), events())
	}
	if r.Rehearsal == nil || r.Rehearsal.Rollback == nil || !r.Rehearsal.Rollback.Verified || r.Action.Rollback != nil || r.Action.Status != scaling.Applied {
		t.Errorf("rehearsal %+v, action %+v", r.Rehearsal, r.Action)
	}
	if item := itemOf(r, "rollback"); item.State != reports.ItemDone || item.Known != reports.Measured || !strings.Contains(item.Evidence, "applied again") {
		t.Errorf("%+v", item)
	}
}

func TestARehearsalThatDoesNotGoBackFails(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	p := planFor(t, s, 5, "rollback: {rehearse: true}\n")
	p.Action.Steps = append(p.Action.Steps, scaling.Step{Name: "one-way", Exec: &scaling.Exec{Command: []string{"true"}, Undo: []string{"false"}}})
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.RollbackFailed || r.After != nil || s.delay.Load() != 20 {
		t.Errorf("verdict %+v, delay %d", r.Verdict, s.delay.Load())
	}
	if item := itemOf(r, "rollback"); item.State != reports.ItemFailed {
		t.Errorf("%+v", item)
	}
}

func TestABA(t *testing.T) {
	s := newTarget(t)
	opts, events := options(t)
	p := planFor(t, s, 5, "objectives: [scrape.app_delay_seconds.a_b <= 0.5x]\n")
	p.Measure.Design = plan.ABA
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Pass || r.Design != reports.ABA || s.delay.Load() != 5 || r.Return == nil || r.Action.Status != scaling.Applied {
		t.Errorf("verdict %+v, design %q, delay %d\n%s", r.Verdict, r.Design, s.delay.Load(), events())
	}
	if c := conditionOf(r, reports.Return, "scrape.app_delay_seconds.a_b"); c.Outcome != reports.Pass {
		t.Errorf("%+v", r.Conditions)
	}
	// The trials of both sides of the action count together.
	if row := r.Comparison.Rows[0]; len(row.Before.Values) != 8 || len(row.After.Values) != 4 {
		t.Errorf("%d values before and %d after", len(row.Before.Values), len(row.After.Values))
	}
	if item := itemOf(r, "rollback"); item.State != reports.ItemDone {
		t.Errorf("%+v", item)
	}
}

// What stays better once the action is undone was something else's doing.
func TestABADoesNotPassWhatDoesNotComeBack(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	p := planFor(t, s, 5, "objectives: [scrape.app_delay_seconds.a_b <= 0.5x]\n")
	p.Measure.Design = plan.ABA
	note := opts.OnEvent
	opts.OnEvent = func(e Event) {
		note(e)
		if e.Phase == Returning {
			s.delay.Store(4) // not by the action: its own trace is gone
		}
	}
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	c := conditionOf(r, reports.Return, "scrape.app_delay_seconds.a_b")
	if r.Verdict.Word == reports.Pass || c.Outcome != reports.Unsure || !strings.Contains(c.Reason, "did not come back") {
		t.Errorf("verdict %+v, %+v", r.Verdict, c)
	}
}

func TestAControlThatMovesLeavesTheRunUndecided(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	p := planFor(t, s, 5, "objectives: [load.api.errors < 90%]\ncontrols:\n  - {metric: scrape.app_delay_seconds.a_b}\n")
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	c := conditionOf(r, reports.Control, "scrape.app_delay_seconds.a_b")
	if r.Verdict.Word != reports.Unsure || r.Design != reports.Controlled || c.Outcome != reports.Unsure || !strings.Contains(c.Reason, "something else") {
		t.Errorf("verdict %+v, %q, %+v", r.Verdict, r.Design, c)
	}
}
