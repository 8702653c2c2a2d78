package validation

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// overload makes a plan's load one that no machine can make: each request takes
// ten microseconds to write, and a million a second are due, for so short a time
// that they are soon made.
func overload(t *testing.T, p *plan.Plan) {
	t.Helper()
	feeder := filepath.Join(t.TempDir(), "empty.csv")
	if err := os.WriteFile(feeder, []byte("empty,id\n,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	load := &p.Measure.Load[0]
	load.Rate, load.Connections, load.Feeder, load.Body = 1_000_000, 0, feeder, strings.Repeat("{{row.empty}}", 2_000)
	p.Measure.Trials, load.Duration, load.Warmup = 2, unit.Duration(10*time.Millisecond), 0
}

func TestAGeneratorThatIsTheLimitStopsARunBeforeItsAction(t *testing.T) {
	s := newTarget(t)
	opts, events := options(t)
	p := planFor(t, s, 5, "gates: [{metric: load.api.response.p99}]\n")
	overload(t, p)
	_, err := Run(t.Context(), p, opts)
	var environment *EnvironmentError
	if !errors.As(err, &environment) || !strings.Contains(err.Error(), "load api (before) is generator-limited") || s.puts.Load() != 0 {
		t.Errorf("%v, after %d actions", err, s.puts.Load())
	}
	if again := strings.Count(events(), "is made again"); again != loadAttempts-1 {
		t.Errorf("%d more attempts: a trial makes them, and no other once they were in vain", again)
	}
}

func TestAGeneratorThatIsTheLimitGatesNothing(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	p := planFor(t, s, 5, "gates: [{metric: load.api.response.p50, min_change: 50%}]\n")
	baseline, err := Measure(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	overload(t, p)
	r, err := Gate(t.Context(), p, baseline, true, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Calibrate(t.Context(), p, opts); err == nil || !strings.Contains(err.Error(), "the noise is the generator's") {
		t.Errorf("calibrated: %v", err)
	}
	if v := r.Verdict; v.Word != reports.Broken || v.ExitCode != 4 || !strings.Contains(strings.Join(v.Reasons, " "), "load api (gate) is generator-limited") {
		t.Errorf("%+v, conditions %+v", v, r.Conditions)
	}
}

// A load that could not be made is no reason to undo an action; a service that
// does not answer is.
func TestTheGeneratorUndoesNothing(t *testing.T) {
	opts, _ := options(t)
	r := newRunner(planFor(t, newTarget(t), 5, ""), opts)
	act := &action{outcome: &scaling.Outcome{Steps: []scaling.StepOutcome{{Status: scaling.Applied}}}}
	report := &reports.Report{Verdict: reports.Verdict{Word: reports.Broken}}
	lost := &EnvironmentError{&generatorError{errors.New("worker 2 was lost")}}
	if reason := r.rollbackReason(t.Context(), report, act, lost); reason != "" {
		t.Errorf("undone since %s", reason)
	}
	if reason := r.rollbackReason(t.Context(), report, act, &EnvironmentError{errors.New("refused")}); reason == "" {
		t.Error("not undone where the service can't be measured")
	}
	r.plan.Rollback.When = plan.Always
	if r.rollbackReason(t.Context(), report, act, lost) == "" {
		t.Error("not undone where the plan always does")
	}
}

func TestGuardrailsDontBreakForTheGeneratorsSake(t *testing.T) {
	late := loadgen.Second{Requests: 100, P99: .5, ServiceP99: .001, LatenessP99: .4}
	waited := late
	waited.Starved = 50
	failing := late
	failing.Errors = 50
	limited := &loadgen.Result{Validity: loadgen.GeneratorLimited, ValidityReason: "it was late"}
	for name, c := range map[string]struct {
		text    string
		second  loadgen.Second
		through *loadgen.Result
		want    reports.Word
	}{
		"late":                    {"load.api.response.p99 < 100ms", late, limited, reports.Unsure},
		"late all along":          {"load.api.response.p99 < 100ms", late, &loadgen.Result{Validity: loadgen.Valid}, reports.Unsure},
		"waiting for connections": {"load.api.response.p99 < 100ms", waited, &loadgen.Result{Validity: loadgen.TargetLimited}, reports.Fail},
		"failing":                 {"load.api.errors < 10%", failing, limited, reports.Fail},
		"answering":               {"load.api.errors < 10%", late, limited, reports.Pass},
		"a worker was lost":       {"load.api.errors < 10%", late, &loadgen.Result{Validity: loadgen.Invalid}, reports.Unsure},
	} {
		g := guardOf(t, c.text)
		for range guardWindow {
			g.see(c.second, stats.NewHistogram())
		}
		if results := g.results(c.through); results[0].Outcome != c.want {
			t.Errorf("%s: %+v, want %s", name, results, c.want)
		}
	}
}

func TestNoActionWithoutItsLoad(t *testing.T) {
	for want, end := range map[string]error{"no such host": errors.New("no such host"), "ended before the action": nil} {
		loaded := make(chan error, 1)
		loaded <- end
		if err := leadsIn(context.Background(), loaded); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A load that lost a worker is warned of, as one whose generator was the limit is.
func TestALoadThatIsNotValidIsWarnedOf(t *testing.T) {
	for v, warned := range map[loadgen.Validity]bool{
		loadgen.Valid: false, loadgen.TargetLimited: false, loadgen.GeneratorLimited: true, loadgen.Inconclusive: true, loadgen.Invalid: true,
	} {
		m := &measurement{runner: &runner{plan: &plan.Plan{}}, snap: &snapshot.Snapshot{}}
		m.noteValidity(&loadgen.Result{Name: "api", Validity: v, ValidityReason: "why"})
		if got := len(m.snap.Warnings) > 0; got != warned {
			t.Errorf("%s: %q", v, m.snap.Warnings)
		}
	}
}
