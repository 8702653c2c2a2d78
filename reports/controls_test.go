package reports

import (
	"strings"
	"testing"

	"scaleproof/capacity"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// with adds a metric to a snapshot.
func with(s *snapshot.Snapshot, name string, better snapshot.Direction, values ...float64) *snapshot.Snapshot {
	s.Metrics = append(s.Metrics, snapshot.Metric{Name: name, Unit: unit.Seconds, Better: better, Values: values})
	return s
}

func TestControls(t *testing.T) {
	base := []float64{1, 1.01, .99, 1, 1.02, 1}
	for name, c := range map[string]struct {
		control []float64
		want    Word
		says    string
	}{
		"stayed":   {[]float64{1.01, 1, 1, .99, 1, 1.01}, Pass, "within"},
		"moved":    {[]float64{.5, .51, .49, .5, .5, .51}, Unsure, "something else than the action"},
		"is noisy": {[]float64{.5, 1.5, 1, 2, .7, 1}, Unsure, "not shown to have stayed"},
		"missing":  {nil, Unsure, "not measured after"},
	} {
		before := with(snap(2, 2.01, 1.99, 2, 2, 2.02), "other", snapshot.Lower, base...)
		after := with(snap(1, 1.01, .99, 1, 1, 1.02), "other", snapshot.Lower, c.control...)
		criteria := Criteria{Gates: []GateSpec{{Metric: "m"}}, Controls: []GateSpec{{Metric: "other"}}}
		r := &Report{Before: before, After: after, Comparison: Compare(before, after, criteria)}
		results, verdict := Judge(r, criteria, Facts{})
		last := results[len(results)-1]
		if verdict.Word != c.want || last.Kind != Control || !strings.Contains(last.Reason, c.says) || r.Design != Controlled {
			t.Errorf("a control that %s: %+v, %+v", name, verdict, last)
		}
	}
}

func TestEnvironmentsThatDifferAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*snapshot.Environment)
		refused bool
	}{
		"version of Postgres": {func(e *snapshot.Environment) { e.Facts = map[string]string{"postgres.primary.version": "16"} }, true},
		"number of CPUs":      {func(e *snapshot.Environment) { e.CPUs = 64 }, true},
		"system":              {func(e *snapshot.Environment) { e.OS = "plan9/mips" }, true},
		"host":                {func(e *snapshot.Environment) { e.Host = "other" }, false},
		"tool":                {func(e *snapshot.Environment) { e.Tool = "newer" }, false},
	} {
		a, b := snap(1, 1, 1, 1), snap(1, 1, 1, 1)
		c.change(&b.Environment)
		got := Compare(a, b, Criteria{})
		if (got.Refused != "") != c.refused || !c.refused && len(got.Warnings) != 1 {
			t.Errorf("another %s: %+v", name, got)
		}
		if got := Compare(a, b, Criteria{AllowDifferences: true}); got.Refused != "" || len(got.Warnings) != 1 || len(got.Rows) != 1 {
			t.Errorf("another %s, allowed: %+v", name, got)
		}
	}
}

// What the action changed must have come back once it was undone.
func TestReturn(t *testing.T) {
	base, better := []float64{1, 1.01, .99, 1, 1.02, 1}, []float64{.5, .51, .49, .5, .5, .52}
	for name, c := range map[string]struct {
		after, returned []float64
		want            Word
		says            string
	}{
		"came back":               {better, base, Pass, "it came back"},
		"stayed away":             {better, better, Unsure, "did not come back"},
		"came back, it seems":     {better, []float64{1.1, .93, 1.08, .95, 1.1, .96}, Pass, "more than half"},
		"not known":               {better, []float64{.6, 1.6, .7, 1.5, .65, 1.4}, Unsure, "not shown to have come back"},
		"a little, and not known": {[]float64{.9, .91, .89, .9, .92, .9}, []float64{1.1, .93, 1.08, .95, 1.1, .96}, Unsure, "not shown to have come back"},
		"nothing to come back":    {base, []float64{1.06, .95, 1.05, .96, 1.04, .95}, Pass, "had not changed it"},
		"not measured":            {better, nil, Unsure, "not measured again"},
	} {
		criteria := Criteria{Gates: []GateSpec{{Metric: "m"}}}
		r := &Report{Before: snap(base...), After: snap(c.after...), Return: snap(c.returned...)}
		r.Comparison = CompareReturn(r.Before, r.After, r.Return, criteria)
		results, _ := Judge(r, criteria, Facts{})
		if last := results[len(results)-1]; last.Kind != Return || last.Outcome != c.want || !strings.Contains(last.Reason, c.says) {
			t.Errorf("%s: %+v, want %s", name, last, c.want)
		}
	}
}

func TestSpreadIsTold(t *testing.T) {
	row := Compare(snap(1, 1.01, .99, 1.005, .995, 1.002, .998), snap(1, 1.5, .6, 1.3, .7, 1.45, .65), Criteria{}).Rows[0]
	if row.Spread == nil || row.Spread.P > .05 || row.Spread.After < row.Spread.Before || !strings.Contains(row.Reason, "varies more from trial to trial") {
		t.Errorf("%+v, spread %+v", row, row.Spread)
	}
}

func TestPerformanceDone(t *testing.T) {
	for want, changes := range map[ItemState][]Change{
		ItemDone: {Improved, Equivalent}, ItemFailed: {Improved, Regressed}, ItemUnknown: {Inconclusive, Equivalent},
	} {
		r := &Report{}
		for _, change := range changes {
			r.Comparison.Rows = append(r.Comparison.Rows, Row{Metric: "m", Gate: true, Change: change})
		}
		if state, evidence := r.performanceDone(); state != want {
			t.Errorf("%v is %s: %s", changes, state, evidence)
		}
	}
	// An objective is of its metric however it is written.
	for _, text := range []string{"load.api.response.p99<=0.5x", "load.api.p99 < 80ms"} {
		r := &Report{Conditions: []ConditionResult{{Kind: Objective, Text: text}}}
		r.Comparison.Rows = []Row{{Metric: "load.api.response.p99", Change: Improved}}
		if state, evidence := r.performanceDone(); state != ItemDone {
			t.Errorf("%s: %s, %s", text, state, evidence)
		}
	}
	if state, _ := (&Report{}).performanceDone(); state != ItemUnknown {
		t.Errorf("nothing judged is %s", state)
	}
}

func TestUtilisation(t *testing.T) {
	s := &snapshot.Snapshot{Metrics: []snapshot.Metric{
		{Name: "host.cpu", Unit: unit.Ratio, Values: snapshot.Values{.5, .6, .4}},
		{Name: "k8s.app.memory", Unit: unit.Bytes, Values: snapshot.Values{95}},
		{Name: "k8s.app.memory_limit", Unit: unit.Bytes, Values: snapshot.Values{100}},
	}}
	if err := s.PutSection("resources", capacity.Usage{MemoryUsed: 1, MemoryTotal: 4}); err != nil {
		t.Fatal(err)
	}
	r := &Report{After: s}
	state, evidence, err := r.utilisationDone()
	if err != nil || state != ItemFailed || !strings.Contains(evidence, "k8s.app.memory at 95 %, which should be below 90 %") || !strings.Contains(evidence, "host.memory.used at 25 %, which is below 90 %") {
		t.Errorf("%s, %s, %v", state, evidence, err)
	}
	if state, _, _ := (&Report{After: &snapshot.Snapshot{}}).utilisationDone(); state != ItemUnknown {
		t.Errorf("nothing measured is %s", state)
	}
}
