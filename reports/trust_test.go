package reports

import (
	"strings"
	"testing"

	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/loadgen"
)

// loaded is a snapshot with a load of a validity, and a capacity with a limit.
func loaded(t *testing.T, v loadgen.Validity, limit string, rate float64) *snapshot.Snapshot {
	t.Helper()
	s := &snapshot.Snapshot{Phase: "x", Trials: 6}
	for _, name := range []string{"load.api.response.p99", "load.api.capacity", "load.apix.response.p99"} {
		with(s, name, snapshot.Higher, rate, rate*1.01, rate*.99, rate, rate*1.02, rate)
	}
	r := &loadgen.Result{Validity: v, ValidityReason: "why", Capacity: &loadgen.Capacity{Limit: limit}}
	if err := s.PutSection("load.api", r); err != nil {
		t.Fatal(err)
	}
	return s
}

// What the generator could not do is neither the target's success nor its failure.
func TestNoVerdictOnTheGeneratorsFigures(t *testing.T) {
	const valid, limited = loadgen.Valid, loadgen.GeneratorLimited
	for name, c := range map[string]struct {
		before, after  loadgen.Validity
		limitBefore    string
		limitAfter     string
		objective      string
		gate           string
		want           Word
		stopsTheAction bool
	}{
		"valid":                          {valid, valid, "target", "target", "load.api.capacity >= 1.8x", "load.api.response.p99", Pass, false},
		"target-limited":                 {loadgen.TargetLimited, loadgen.TargetLimited, "target", "target", "load.api.response.p99 >= 1.8x", "", Pass, false},
		"limited after":                  {valid, limited, "target", "target", "", "load.api.response.p99", Broken, false},
		"limited before":                 {limited, valid, "target", "target", "load.api.response.p99 >= 1.8x", "", Broken, true},
		"would have failed":              {valid, limited, "target", "target", "load.api.response.p99 >= 9x", "", Broken, false},
		"invalid":                        {valid, loadgen.Invalid, "target", "target", "load.api.response.p99 > 1s", "", Broken, false},
		"a bound on what is valid":       {limited, valid, "target", "target", "load.api.response.p99 > 1s", "", Pass, false},
		"another load":                   {limited, limited, "target", "target", "load.apix.response.p99 >= 1.8x", "", Pass, false},
		"another has failed":             {valid, limited, "target", "target", "load.apix.response.p99 >= 9x", "load.api.response.p99", Fail, false},
		"capacity beyond the generator":  {valid, valid, "target", "generator", "load.api.capacity >= 1.8x", "", Broken, false},
		"capacity beyond it before":      {valid, valid, "generator", "target", "load.api.capacity >= 1.8x", "", Broken, true},
		"capacity beyond what was tried": {valid, valid, "target", "bound", "load.api.capacity >= 9x", "", Broken, false},
		"at a rate that held":            {valid, valid, "generator", "generator", "load.api.response.p99 >= 1.8x", "", Pass, false},
	} {
		var criteria Criteria
		if c.objective != "" {
			o, err := expr.Parse(c.objective)
			if err != nil {
				t.Fatal(err)
			}
			criteria.Objectives = []expr.Condition{o}
		}
		if c.gate != "" {
			criteria.Gates = []GateSpec{{Metric: c.gate}}
		}
		before, after := loaded(t, c.before, c.limitBefore, 100), loaded(t, c.after, c.limitAfter, 200)
		r := &Report{Before: before, After: after, Comparison: Compare(before, after, criteria)}
		results, verdict := Judge(r, criteria, Facts{})
		if verdict.Word != c.want || verdict.Word == Broken && (verdict.ExitCode != 4 || results[len(results)-1].Outcome != Unsure) {
			t.Errorf("%s: %+v, %+v", name, verdict, results)
		}
		if stops := len(GeneratorFaults(before, criteria)) > 0; stops != c.stopsTheAction {
			t.Errorf("%s: stops before the action: %v", name, stops)
		}
	}
}

func TestGuardrailsThatNobodyCouldWatch(t *testing.T) {
	r := &Report{Through: &loadgen.Result{Validity: loadgen.GeneratorLimited}}
	unsure := Facts{Guardrails: []ConditionResult{{Kind: Guardrail, Outcome: Unsure, Reason: "the load through the action is generator-limited"}}}
	if _, v := Judge(r, Criteria{}, unsure); v.Word != Broken || !strings.Contains(v.Reasons[0], "through the action") {
		t.Errorf("%+v", v)
	}
	r.Through.Validity = loadgen.Valid
	if _, v := Judge(r, Criteria{}, unsure); v.Word != Unsure {
		t.Errorf("%+v", v)
	}
}

// A load test is completed by loads that speak of the target alone.
func TestALoadTestIsDoneByValidLoads(t *testing.T) {
	for v, want := range map[loadgen.Validity]ItemState{
		loadgen.Valid: ItemDone, loadgen.TargetLimited: ItemDone, loadgen.GeneratorLimited: ItemFailed, loadgen.Inconclusive: ItemFailed, loadgen.Invalid: ItemFailed,
	} {
		r, item := &Report{After: loaded(t, v, "target", 100)}, ChecklistItem{ID: "load-test"}
		if err := r.MeasureItem(&item); err != nil || item.State != want {
			t.Errorf("%s: %+v, %v", v, item, err)
		}
	}
}
