package reports

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

// snap makes a snapshot of one metric, "m" in seconds, lower being better.
func snap(values ...float64) *snapshot.Snapshot {
	return &snapshot.Snapshot{Trials: len(values), Metrics: []snapshot.Metric{
		{Name: "m", Unit: unit.Seconds, Better: snapshot.Lower, Values: values},
	}}
}

// counted makes a snapshot of four trials, or of so many as are said, that count the
// events in all.
func counted(events, of int64, trials ...int) *snapshot.Snapshot {
	n := 4
	if len(trials) > 0 {
		n = trials[0]
	}
	m := snapshot.Metric{Name: "m", Unit: unit.Ratio, Better: snapshot.Lower, Events: make([]int64, n), Of: make([]int64, n), Values: make(snapshot.Values, n)}
	m.Events[0], m.Of[0], m.Values[0] = events, of, float64(events)/float64(of)
	return &snapshot.Snapshot{Trials: n, Metrics: []snapshot.Metric{m}}
}

func TestCompareOneMetric(t *testing.T) {
	base := []float64{.100, .101, .099, .102, .098, .100}
	nan := math.NaN()
	for name, c := range map[string]struct {
		before, after *snapshot.Snapshot
		change        Change
		says          string
	}{
		"improved":         {snap(base...), snap(.050, .051, .049, .052, .050, .048), Improved, "0.500 times what it was"},
		"a little":         {snap(base...), snap(.080, .081, .079, .082, .080, .078), Improved, "20 % lower"},
		"regressed":        {snap(base...), snap(.150, .149, .151, .152, .148, .150), Regressed, "50 % higher"},
		"equivalent":       {snap(base...), snap(.101, .100, .099, .101, .099, .100), Equivalent, "does not matter"},
		"noisy":            {snap(.08, .12, .10, .09, .11, .10), snap(.07, .12, .13, .11, .09, .10), Inconclusive, "not even 100 a side would find one of 10.3 %"},
		"too few":          {snap(.1, .1, .1), snap(.2, .2, .2), Inconclusive, "fewer than 4"},
		"half missing":     {snap(.1, .1, .1, nan, nan), snap(.2, .2, .2, .2, .2), Inconclusive, "fewer than 4"},
		"missing":          {snap(base...), snap(nan, nan, nan, nan), Inconclusive, "not measured after"},
		"gone":             {snap(base...), &snapshot.Snapshot{}, Inconclusive, "not measured after"},
		"new":              {&snapshot.Snapshot{}, snap(base...), Inconclusive, "not measured before"},
		"zeros":            {snap(0, 0, 0, 0), snap(0, 0, 0, 0), Equivalent, "0 s in every trial"},
		"one zero":         {snap(0, 100, 100, 100, 100, 100), snap(101, 101, 102, 101, 102, 101), Equivalent, "within the 5 % that does not matter"},
		"more, one zero":   {snap(0, 100, 100, 100, 100, 100), snap(131, 131, 132, 131, 132, 131), Regressed, "beyond the 5 % that matters"},
		"less, one zero":   {snap(90, 100, 100, 100, 100, 100), snap(0, 70, 70, 71, 70, 70), Improved, "beyond the 5 % that matters"},
		"noisy zeros":      {snap(0, 3, 0, 7, 2, 0), snap(1, 0, 4, 0, 0, 9), Inconclusive, "neither clearly beyond"},
		"few zeros":        {snap(0, 0, 0), snap(0, 0, 0), Inconclusive, "fewer than 4"},
		"from zero":        {snap(0, 0, 0, 0), snap(1, 1, 2, 1), Regressed, "from 0 s"},
		"to zero":          {snap(1, 1, 2, 1), snap(0, 0, 0, 0), Improved, "to 0 s"},
		"constant":         {snap(7, 7, 7, 7), snap(7, 7, 7, 7), Equivalent, "within"},
		"errors":           {counted(0, 10000), counted(50, 10000), Regressed, "0 of 10000 before, 50 of 10000 after"},
		"errors, 3 times":  {counted(0, 10000, 3), counted(5000, 10000, 3), Inconclusive, "5000 of 10000 after: 3 trials before and 3 after"},
		"no errors":        {counted(0, 10000), counted(0, 9000), Equivalent, "none of 10,000 before and none of 9,000 after: a rate of 0.033 % is excluded at 95 %"},
		"no requests":      {counted(0, 1), counted(0, 1), Inconclusive, "so few do not exclude a rate of 95 %; 299 a side exclude one of 1 %"},
		"just enough":      {counted(0, 299), counted(0, 299), Equivalent, "excluded"},
		"too few to count": {counted(0, 298), counted(0, 299), Inconclusive, "so few"},
		"as many errors":   {counted(3, 1000), counted(4, 1000), Inconclusive, "neither"},
		"hardly an error":  {counted(0, 1000000), counted(1, 1000000), Equivalent, "less than 0.00047 % of all apart"},
	} {
		rows := Compare(c.before, c.after, Criteria{}).Rows
		if len(rows) != 1 || rows[0].Change != c.change || !strings.Contains(rows[0].Reason, c.says) {
			t.Errorf("%s: %+v, want %s and %q", name, rows, c.change, c.says)
		}
	}
}

func TestDifferentWorkloadsAreRefused(t *testing.T) {
	a, b := snap(1, 1, 1, 1), snap(1, 1, 1, 1)
	a.WorkloadHash, b.WorkloadHash = "x", "y"
	b.Environment.CPUs = 8
	r := &Report{Before: a, After: b, Comparison: Compare(a, b, Criteria{})}
	if _, v := Judge(r, Criteria{}, Facts{}); r.Comparison.Refused == "" || v.Word != Broken {
		t.Errorf("%+v, %+v", r.Comparison, v)
	}
	allowed := Compare(a, b, Criteria{AllowDifferences: true})
	if allowed.Refused != "" || len(allowed.Rows) != 1 || len(allowed.Warnings) != 2 {
		t.Errorf("%+v", allowed)
	}
}

func TestManyGatesNeedMoreEvidence(t *testing.T) {
	before, after := &snapshot.Snapshot{Trials: 4}, &snapshot.Snapshot{Trials: 4}
	var c Criteria
	for i := range 20 {
		name := fmt.Sprintf("m%d", i)
		values := snapshot.Values{1, 1.001, .999, 1.002}
		before.Metrics = append(before.Metrics, snapshot.Metric{Name: name, Unit: unit.Seconds, Better: snapshot.Lower, Values: values})
		if i == 0 {
			values = snapshot.Values{2, 2.001, 1.999, 2.002}
		}
		after.Metrics = append(after.Metrics, snapshot.Metric{Name: name, Unit: unit.Seconds, Better: snapshot.Lower, Values: values})
		c.Gates = append(c.Gates, GateSpec{Metric: name})
	}
	// Alone p is .029; among 20 it is no discovery.
	if row := Compare(before, after, c).Rows[0]; row.Change != Inconclusive || !strings.Contains(row.Reason, "20 gates") {
		t.Errorf("%+v", row)
	}
	if row := Compare(before, after, Criteria{Gates: c.Gates[:1]}).Rows[0]; row.Change != Regressed {
		t.Errorf("%+v", row)
	}
}

func judged(t *testing.T, before, after *snapshot.Snapshot, f Facts, conditions ...string) ([]ConditionResult, Verdict) {
	t.Helper()
	var c Criteria
	for _, text := range conditions {
		condition, err := expr.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c.Objectives = append(c.Objectives, condition)
	}
	r := &Report{Before: before, After: after, Comparison: Compare(before, after, c)}
	return Judge(r, c, f)
}

func TestObjectives(t *testing.T) {
	before := snap(.100, .101, .099, .102, .098, .100)
	after := snap(.050, .051, .049, .052, .050, .048)
	for text, want := range map[string]Word{
		"m < 80ms":     Pass,
		"m < 50ms":     Unsure,
		"m < 40ms":     Fail,
		"m <= 0.6x":    Pass,
		"m <= 0.5x":    Unsure,
		"m <= 0.4x":    Fail,
		"m >= 2x":      Fail,
		"m == 50ms":    Unsure, // that no value is just there does not show that it is not
		"m == 0.5x":    Unsure,
		"m == 40ms":    Fail,
		"m == 2x":      Fail,
		"m < 80":       Unsure, // a bare number is no duration
		"other < 80ms": Unsure,
		"other < 2x":   Unsure,
	} {
		results, verdict := judged(t, before, after, Facts{}, text)
		if results[0].Outcome != want || results[0].Reason == "" || verdict.Word != want {
			t.Errorf("%s: %+v, verdict %+v; want %s", text, results[0], verdict, want)
		}
	}
}

// Multiples of what is, or may be, nothing.
func TestMultiplesOfZero(t *testing.T) {
	zeros, many := snap(0, 0, 0, 0, 0, 0), snap(100, 101, 100, 99, 100, 100)
	for name, c := range map[string]struct {
		before, after *snapshot.Snapshot
		text          string
		want          Word
	}{
		"no errors":               {counted(0, 10000), counted(0, 10000), "m <= 1.0x", Pass},
		"no requests to speak of": {counted(0, 2), counted(0, 2), "m <= 1.0x", Unsure},
		"no errors, a rise":       {counted(0, 10000), counted(0, 10000), "m >= 1.8x", Unsure},
		"errors gone":             {counted(90, 10000), counted(0, 10000), "m <= 0.5x", Pass},
		"errors came":             {counted(0, 10000), counted(90, 10000), "m <= 1.0x", Fail},
		"an error more":           {counted(1, 10000), counted(2, 10000), "m <= 1.0x", Unsure},
		"blocks of 0":             {zeros, zeros, "m <= 1.0x", Pass},
		"blocks of 0, strictly":   {zeros, zeros, "m < 0.5x", Unsure},
		"blocks came":             {zeros, many, "m <= 1.0x", Fail},
		"blocks gone":             {many, zeros, "m <= 0.5x", Pass},
		"one zero":                {snap(0, 100, 101, 100, 99, 100, 100, 100), snap(100, 101, 100, 99, 100, 100, 101, 99), "m <= 1.1x", Pass},
		"one zero, a half":        {snap(0, 100, 101, 100, 99, 100), many, "m <= 0.5x", Fail},
		"too few trials":          {snap(0, 0, 0), snap(0, 0, 0), "m <= 1.0x", Unsure},
	} {
		if results, _ := judged(t, c.before, c.after, Facts{}, c.text); results[0].Outcome != c.want {
			t.Errorf("%s: %+v, want %s", name, results[0], c.want)
		}
	}
}

func TestChangesInWords(t *testing.T) {
	for want, i := range map[string]Interval{
		"31 % lower (29 % to 34 % at 95 %)":                 {.69, .66, .71, .95},
		"10 % higher (5 % to 15 % at 90 %)":                 {1.1, 1.05, 1.15, .9},
		"unchanged (1 % lower to 1 % higher at 95 %)":       {1.0001, .99, 1.01, .95},
		"4.10 % higher (22 % lower to 30 % higher at 95 %)": {1.041, .78, 1.3, .95},
		"0.500 times what it was (0.400 to 0.600 at 95 %)":  {.5, .4, .6, .95},
	} {
		if got := (&Row{}).changeText(i); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Each row says the confidence of its interval; what is equivalent shows the narrow one.
func TestConfidenceIsStated(t *testing.T) {
	base := []float64{.100, .101, .099, .102, .098, .100}
	same := Compare(snap(base...), snap(base...), Criteria{}).Rows[0]
	if same.Same == nil || same.Shown() != same.Same || same.Same.Confidence < .9 || same.Same.Confidence >= same.Ratio.Confidence || !strings.Contains(same.Reason, "at "+percent(same.Same.Confidence)) {
		t.Errorf("%+v", same)
	}
	worse := Compare(snap(base...), snap(.2, .201, .199, .202, .198, .2), Criteria{}).Rows[0]
	if worse.Same != nil || worse.Shown() != worse.Ratio || worse.Ratio.Confidence < .95 || !strings.Contains(worse.Reason, "at "+percent(worse.Ratio.Confidence)) {
		t.Errorf("%+v", worse)
	}
}

func TestVerdictsByPrecedence(t *testing.T) {
	before, after := snap(1, 1.01, .99, 1), snap(.5, .51, .49, .5)
	broken := Facts{Guardrails: []ConditionResult{{Kind: Guardrail, Text: "g", Outcome: Fail, Reason: "r"}}}
	for name, c := range map[string]struct {
		facts      Facts
		conditions []string
		want       Word
		code       int
	}{
		"pass":                {Facts{}, []string{"m < 2s"}, Pass, 0},
		"nothing to judge":    {Facts{}, nil, Pass, 0},
		"fail before unsure":  {Facts{}, []string{"x < 2s", "m < 1ms"}, Fail, 1},
		"unsure before pass":  {Facts{}, []string{"x < 2s", "m < 2s"}, Unsure, 3},
		"guardrail":           {broken, []string{"m < 2s"}, Fail, 1},
		"action":              {Facts{ActionError: "step x failed"}, []string{"m < 2s"}, Fail, 1},
		"measurement":         {Facts{MeasureError: "no answer"}, []string{"m < 1ms"}, Broken, 4},
		"interruption":        {Facts{Interrupted: true, MeasureError: "x"}, nil, Interrupted, 130},
		"guardrail, no after": {Facts{Guardrails: broken.Guardrails, MeasureError: "guardrail"}, nil, Fail, 1},
	} {
		if _, v := judged(t, before, after, c.facts, c.conditions...); v.Word != c.want || v.ExitCode != c.code || v.Headline == "" {
			t.Errorf("%s: %+v, want %s", name, v, c.want)
		}
	}
	failed := newVerdict(Fail, "It failed.", nil)
	if v := AfterRollback(failed, &scaling.Rollback{Verified: true}); v.Word != Fail || v.ExitCode != 1 {
		t.Errorf("%+v", v)
	}
	if v := AfterRollback(failed, &scaling.Rollback{Differences: []string{"d"}}); v.Word != RollbackFailed || v.ExitCode != 5 || v.Reasons[0] != "d" {
		t.Errorf("%+v", v)
	}
}

// trials draws per-trial values with a deviation between runs, as a fraction,
// and autocorrelation from one trial to the next.
func trials(rng *rand.Rand, n int, level, deviation, correlation float64) []float64 {
	values, state := make([]float64, n), rng.NormFloat64()
	for i := range values {
		values[i] = level * math.Exp(deviation*state)
		state = correlation*state + math.Sqrt(1-correlation*correlation)*rng.NormFloat64()
	}
	return values
}

// Two snapshots of the same system must not be called different, and a change
// that is there must be found.
func TestSimulatedErrorRates(t *testing.T) {
	const pairs = 2000
	// calls counts the pairs of which a is called different from b, where what
	// matters is a change of margin.
	calls := func(margin float64, level, deviation, correlation float64) (called int) {
		rng := rand.New(rand.NewPCG(2026, 11))
		gate := Criteria{Gates: []GateSpec{{Metric: "m", MinChange: unit.Fraction(margin)}}}
		for range pairs {
			a, b := trials(rng, 6, .1, deviation, correlation), trials(rng, 6, level, deviation, correlation)
			if c := Compare(snap(a...), snap(b...), gate).Rows[0].Change; c == Improved || c == Regressed {
				called++
			}
		}
		return called
	}
	for _, c := range []struct{ margin, correlation float64 }{{.05, .3}, {.02, .3}, {.005, 0}} {
		called := calls(c.margin, .1, .05, c.correlation)
		t.Logf("false alarms where %g %% matters and trials correlate by %g: %.2f %%", 100*c.margin, c.correlation, 100*float64(called)/pairs)
		// 5 % and three standard errors of a proportion of 2,000.
		if share := float64(called) / pairs; share > .05+3*math.Sqrt(.05*.95/pairs) {
			t.Errorf("%.1f %% of equal systems were called different where %g %% matters", 100*share, 100*c.margin)
		}
	}
	// What docs/verdicts.md tells beside these has no bound to hold.
	t.Logf("false alarms where 1 %% matters and trials correlate by 0.3: %.2f %%", 100*float64(calls(.01, .1, .05, .3))/pairs)
	for _, margin := range []float64{.05, .03} {
		t.Logf("changes of 10 %% found where %g %% matters: %.1f %%", 100*margin, 100*float64(calls(margin, .11, .03, 0))/pairs)
	}
	found := calls(.02, .11, .03, 0)
	t.Logf("changes of 10 %% found where 2 %% matters: %.1f %%", 100*float64(found)/pairs)
	if share := float64(found) / pairs; share < .95 {
		t.Errorf("only %.1f %% of changes of 10 %% were found", 100*share)
	}
}

// The throughput of a load at a fixed rate tells nothing of what replicas bring.
func TestTheEfficiencyOfALoadAtAFixedRateIsNotTold(t *testing.T) {
	r := fixture(t)
	if len(r.Efficiency) != 1 || r.Efficiency[0].From != 1 || r.Efficiency[0].To != 5 {
		t.Fatalf("%+v", r.Efficiency)
	}
	if err := r.After.PutSection("load.api", loadgen.Result{OfferedRate: 390}); err != nil {
		t.Fatal(err)
	}
	r.FindEfficiency()
	if len(r.Efficiency) != 0 {
		t.Errorf("%+v", r.Efficiency)
	}
}

// Of trials that are fast or slow, the ratio of medians can be one that the interval
// excludes.
func TestTheEfficiencyLiesBetweenItsBounds(t *testing.T) {
	fastAndSlow := func(slow int) *snapshot.Snapshot {
		values := make(snapshot.Values, 20)
		for i := range values {
			if values[i] = 200 + float64(i); i < slow {
				values[i] -= 100
			}
		}
		return &snapshot.Snapshot{Trials: 20, Metrics: []snapshot.Metric{{Name: "load.api.capacity", Unit: unit.RequestsPerSecond, Better: snapshot.Higher, Values: values}}}
	}
	rows, err := Efficiencies(fastAndSlow(11), fastAndSlow(9), 1, 2)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	if r := rows[0]; r.Efficiency < r.Low || r.Efficiency > r.High || r.Gain != 2*r.Efficiency {
		t.Errorf("%s", r.Text())
	}
}
