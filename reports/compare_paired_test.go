package reports

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// turns marks snapshots as of one interleaving.
func turns(snapshots ...*snapshot.Snapshot) {
	for _, s := range snapshots {
		s.Interleaving = "20260301T093000Z-abc123"
	}
}

// Trials that took turns are compared as pairs: a drift that both sides had is no noise.
func TestCompareInterleavedTrials(t *testing.T) {
	nan := math.NaN()
	drifting := []float64{.1, .2, .4, .15, .3, .25, .12}
	times := func(factors ...float64) []float64 {
		values := make([]float64, len(factors))
		for i, f := range factors {
			values[i] = drifting[i] * f
		}
		return values
	}
	for name, c := range map[string]struct {
		before, after []float64
		change        Change
		says          string
	}{
		"regressed":       {drifting, times(1.2, 1.21, 1.19, 1.2, 1.22, 1.2, 1.21), Regressed, "20.5 % higher (19.5 % to 21.5 % at 95.3 %, paired, signed rank), beyond the 5 % that matters"},
		"improved":        {drifting, times(.8, .81, .79, .8, .82, .8, .81), Improved, "19.5 % lower (18.5 % to 20.5 % at 95.3 %, paired, signed rank)"},
		"equivalent":      {drifting, times(1, 1.01, .99, 1, 1.01, .99, 1), Equivalent, "at 92.2 %, paired, signed rank), within"},
		"the same":        {drifting, drifting, Equivalent, "the same in every trial, within"},
		"noisy":           {drifting, times(1, 1.3, .7, 1.2, .9, 1.4, .8), Inconclusive, "with this noise not even 100 pairs would find one of 10.3 %"},
		"six":             {drifting[:6], times(1.2, 1.21, 1.19, 1.2, 1.22, 1.2), Regressed, "at 96.9 %, paired, signed rank"},
		"too few":         {drifting[:5], times(1.2, 1.21, 1.19, 1.2, 1.22), Inconclusive, "5 pairs of trials: with fewer than 6 nothing can be shown by pairs"},
		"a pair lacks":    {drifting, []float64{nan, .24, .48, .18, .36, .3, .144}, Regressed, "; left out: 1 of 7 pairs, which lack a value on a side"},
		"too many lack":   {[]float64{.1, .2, .4, .15, .3, nan, .12}, []float64{nan, .24, .48, .18, .36, .3, .144}, Inconclusive, "5 pairs of trials: with fewer than 6 nothing can be shown by pairs; left out: 2 of 7 pairs"},
		"no pair":         {[]float64{.1, nan, .4, nan, .3, nan}, []float64{nan, .2, nan, .2, nan, .2}, Inconclusive, "0 pairs of trials"},
		"zeros":           {make([]float64, 6), make([]float64, 6), Equivalent, "0 s in every trial"},
		"zeros, too few":  {make([]float64, 5), make([]float64, 5), Inconclusive, "5 pairs of trials"},
		"from zero":       {make([]float64, 6), []float64{1, 2, 1, 2, 1, 2}, Regressed, "a difference of 1 s to 2 s at 96.9 %, paired, signed rank, beyond"},
		"drift and zeros": {[]float64{0, 100, 300, 200, 150, 400}, []float64{0, 101, 303, 200, 151, 402}, Equivalent, "paired, signed rank, within the 5 % that does not matter"},
	} {
		before, after := snap(c.before...), snap(c.after...)
		turns(before, after)
		comparison := Compare(before, after, Criteria{})
		row := comparison.Rows[0]
		if row.Change != c.change || !strings.Contains(row.Reason, c.says) || !row.Paired || len(comparison.Warnings) != 0 {
			t.Errorf("%s: %+v, %q, want %s and %q", name, row, comparison.Warnings, c.change, c.says)
		}
	}
}

// Only what says that it is of the same interleaving is paired.
func TestOthersAreNotPaired(t *testing.T) {
	values := []float64{.1, .2, .4, .15, .3, .25}
	worse := []float64{.12, .24, .48, .18, .36, .30}
	for name, c := range map[string]struct {
		first, second string
		values        []float64
		warns         bool
	}{
		"neither":       {"", "", worse, false},
		"one":           {"x", "", worse, false},
		"another":       {"x", "y", worse, false},
		"a trial fewer": {"x", "x", worse[:5], true},
	} {
		before, after := snap(values...), snap(c.values...)
		before.Interleaving, after.Interleaving = c.first, c.second
		comparison := Compare(before, after, Criteria{})
		row := comparison.Rows[0]
		if row.Paired || row.Change != Inconclusive || strings.Contains(row.Reason, "paired") || (len(comparison.Warnings) > 0) != c.warns {
			t.Errorf("%s: %+v, %q", name, row, comparison.Warnings)
		}
		if r := (&Report{Before: before, After: after}); designOf(r, Criteria{}) != Uncontrolled {
			t.Errorf("%s: the design is %s", name, designOf(r, Criteria{}))
		}
	}
	// Counts of trials that took turns are added up as others are.
	before, after := counted(0, 10000, 6), counted(50, 10000, 6)
	turns(before, after)
	if row := Compare(before, after, Criteria{}).Rows[0]; row.Paired || row.Change != Regressed {
		t.Errorf("%+v", row)
	}
	// A-B-A joins what was measured at two times.
	both := snap(values...)
	turns(both)
	if joined(both, both).Interleaving != "" {
		t.Error("joined trials are still said to have taken turns")
	}
}

func TestObjectivesOnPairs(t *testing.T) {
	before, after := snap(.1, .2, .4, .15, .3, .25), snap(.12, .241, .476, .18, .366, .3)
	turns(before, after)
	zerosBefore, zerosAfter := snap(0, 100, 300, 200, 150, 400), snap(0, 101, 303, 200, 151, 402)
	turns(zerosBefore, zerosAfter)
	for _, c := range []struct {
		before, after *snapshot.Snapshot
		text          string
		want          Word
		says          string
	}{
		{before, after, "m <= 1.3x", Pass, "times what it was (1.19 to 1.22 at 96.9 %, paired, signed rank)"},
		{before, after, "m <= 1.1x", Fail, "paired, signed rank"},
		{before, after, "m <= 1.2x", Unsure, "paired, signed rank"},
		{zerosBefore, zerosAfter, "m <= 1.1x", Pass, "paired, signed rank"},
	} {
		results, _ := judged(t, c.before, c.after, Facts{}, c.text)
		if results[0].Outcome != c.want || !strings.Contains(results[0].Reason, c.says) {
			t.Errorf("%s: %+v, want %s and %q", c.text, results[0], c.want, c.says)
		}
	}
}

func TestPowerlessPairs(t *testing.T) {
	for gates, least := range map[int]int{0: 6, 1: 6, 2: 7, 3: 7, 4: 8, 10: 9, 20: 10, 50: 11} {
		if got := LeastPairs(gates); got != least {
			t.Errorf("%d gates take %d pairs, want %d", gates, got, least)
		}
	}
	two := Criteria{Gates: []GateSpec{{Metric: "m"}, {Metric: "n"}}}
	for trials, says := range map[int]string{
		5: "with 5 pairs of trials nothing can be found: it takes 7 pairs of trials",
		6: "with 2 gates and 6 pairs of trials a regression of one gate alone can't be found but by counts, such as errors: the smallest p of its exact test is 0.031, and 2 gates need 0.025: it takes 7 pairs of trials, or fewer gates",
		7: "",
	} {
		before, after := snap(make([]float64, trials)...), snap(make([]float64, trials)...)
		turns(before, after)
		if got := strings.Join(Compare(before, after, two).Warnings, "; "); got != says {
			t.Errorf("%d pairs: %q, want %q", trials, got, says)
		}
	}
}

// pairsOfTrials draws trials of two sides that share a large drift: the ratio of a pair
// varies by 3 %.
func pairsOfTrials(rng *rand.Rand, n int, change float64) (before, after *snapshot.Snapshot) {
	a, b, drift := make([]float64, n), make([]float64, n), 0.0
	for i := range a {
		drift += .2 * rng.NormFloat64()
		a[i] = .1 * math.Exp(drift+.03/math.Sqrt2*rng.NormFloat64())
		b[i] = .1 * (1 + change) * math.Exp(drift+.03/math.Sqrt2*rng.NormFloat64())
	}
	before, after = snap(a...), snap(b...)
	turns(before, after)
	return before, after
}

// judgedAlone is the row of the only gate, which needs no correction, without what the
// trials could have shown: that takes most of a comparison's time.
func judgedAlone(before, after *snapshot.Snapshot, c Criteria) Row {
	return bothSides(before, after)[0].row(c, interleaved(before, after))
}

// Equal systems whose trials took turns must not be called different, and a change must
// be found that a drift of both hides from a comparison of two samples.
func TestSimulatedPairs(t *testing.T) {
	// calls returns the share of runs in which n trials of two sides are called different.
	calls := func(runs, n int, change, margin float64, paired bool) float64 {
		gate := Criteria{Gates: []GateSpec{{Metric: "m", MinChange: unit.Fraction(margin)}}}
		rng := rand.New(rand.NewPCG(2026, 13))
		called := 0
		for range runs {
			before, after := pairsOfTrials(rng, n, change)
			if !paired {
				before.Interleaving = ""
			}
			if c := judgedAlone(before, after, gate).Change; c == Improved || c == Regressed {
				called++
			}
		}
		return float64(called) / float64(runs)
	}
	const runs = 2000
	for _, n := range []int{6, 9} {
		alarms := calls(runs, n, 0, .001, true)
		t.Logf("false alarms of %d pairs where 0.1 %% matters: %.1f %%", n, 100*alarms)
		// 5 % and three standard errors of a proportion of 2,000.
		if alarms > .05+3*math.Sqrt(.05*.95/runs) {
			t.Errorf("%.1f %% of equal systems were called different by %d pairs", 100*alarms, n)
		}
	}
	found, unpaired := calls(runs, 6, .10, .02, true), calls(runs, 6, .10, .02, false)
	t.Logf("changes of 10 %% found by 6 pairs where 2 %% matters: %.1f %%; by such trials unpaired: %.1f %%", 100*found, 100*unpaired)
	if found < .95 || unpaired > .1 {
		t.Errorf("of changes of 10 %% pairs found %.1f %%, and such trials unpaired %.1f %%", 100*found, 100*unpaired)
	}
}

// What pairs are said to see they call four times of five, and as many as are said to
// be needed call what they are said to.
func TestSimulatedSightOfPairs(t *testing.T) {
	const runs = 500
	criteria := Criteria{Gates: []GateSpec{{Metric: "m", MinChange: .03}}}
	called := func(n int, change float64) float64 {
		rng := rand.New(rand.NewPCG(2026, 14))
		count := 0
		for range runs {
			before, after := pairsOfTrials(rng, n, change)
			if judgedAlone(before, after, criteria).Change == Regressed {
				count++
			}
		}
		return float64(count) / runs
	}
	for _, n := range []int{6, 8} {
		s := sight{before: n, after: n, paired: true, minChange: .03, gates: 1}
		if share := called(n, s.detectable(.03)); share < .72 || share > .88 {
			t.Errorf("%d pairs: a change of %s is called %.1f %% of the time, want about 80 %%", n, percent(s.detectable(.03)), 100*share)
		}
		if needed := s.needed(.03); needed == 0 || called(needed, s.told()) < .75 {
			t.Errorf("%d pairs do not find a change of %s", needed, percent(s.told()))
		}
	}
}

// pairedFixture is a report of two databases that were measured in turns.
func pairedFixture(t *testing.T) *Report {
	t.Helper()
	before, after := snap(.1, .2, .4, .15, .3, .25, .12), snap(.12, .241, math.NaN(), .18, .366, .3, .143)
	with(before, "blocks", snapshot.Lower, 0, 8, 8, 8, 8, 8, 8)
	with(after, "blocks", snapshot.Lower, 0, 8, 8, 8, 8, 8, 8)
	turns(before, after)
	for _, s := range []*snapshot.Snapshot{before, after} {
		s.StartedAt, s.FinishedAt, s.SchemaVersion = fixtureTime, fixtureTime, snapshot.SchemaVersion
	}
	condition, err := expr.Parse("m <= 1.1x")
	if err != nil {
		t.Fatal(err)
	}
	c := Criteria{Gates: []GateSpec{{Metric: "m"}, {Metric: "blocks"}}, Objectives: []expr.Condition{condition}}
	r := &Report{
		SchemaVersion: SchemaVersion, Tool: "scaleproof test", ID: "20260301T093000Z-abc123", Plan: Plan{Name: "db-bench"},
		StartedAt: fixtureTime, FinishedAt: fixtureTime, Before: before, After: after, Comparison: Compare(before, after, c),
	}
	r.Conditions, r.Verdict = Judge(r, c, Facts{})
	return r
}

// Each writer says that the trials were paired, and by which test.
func TestPairedGoldens(t *testing.T) {
	r := pairedFixture(t)
	golden(t, "paired.txt", written(t, terminalOf(TerminalStyle{Width: 90}), r))
	golden(t, "paired.md", written(t, WriteMarkdown, r))
	page := string(written(t, WriteHTML, r))
	for _, text := range []string{"7 pairs of trials · interleaved trials: paired, signed rank", "at 96.9 %, paired, signed rank)"} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	for _, text := range []string{`"design": "interleaved"`, `"paired": true`, `"interleaving": "20260301T093000Z-abc123"`} {
		if got := string(written(t, WriteJSON, r)); !strings.Contains(got, text) {
			t.Errorf("report.json does not say %s", text)
		}
	}
}
