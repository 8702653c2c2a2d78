package reports

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// What is said to be seen is what the verdict calls a change four times of five, and
// what is said to need so many trials is called with so many.
func TestSimulatedSight(t *testing.T) {
	const pairs = 500
	for _, c := range []struct {
		deviation, minChange float64
		trials, gates        int
	}{{.025, .05, 6, 1}, {.1, .15, 6, 1}, {.05, .05, 5, 1}, {.03, .1, 4, 1}, {.03, .03, 8, 8}} {
		// The gates beside "m" see nothing, which is the worst for one that does.
		criteria := Criteria{Gates: []GateSpec{{Metric: "m", MinChange: unit.Fraction(c.minChange)}}}
		for i := 1; i < c.gates; i++ {
			criteria.Gates = append(criteria.Gates, GateSpec{Metric: fmt.Sprint("still", i)})
		}
		rng := rand.New(rand.NewPCG(2026, 12))
		draw := func(n int, level float64) *snapshot.Snapshot {
			s := snap(trials(rng, n, level, c.deviation, 0)...)
			for i := 1; i < c.gates; i++ {
				with(s, fmt.Sprint("still", i), snapshot.Lower, 1, 1, 1, 1)
			}
			return s
		}
		called := func(n int, change float64) float64 {
			count := 0
			for range pairs {
				if Compare(draw(n, 1), draw(n, 1+change), criteria).Rows[0].Change == Regressed {
					count++
				}
			}
			return float64(count) / pairs
		}
		s := criteria.sightOf("m", c.trials, c.trials)
		if s.gates != c.gates {
			t.Fatalf("%d gates, want %d", s.gates, c.gates)
		}
		seen := s.detectable(c.deviation)
		if share := called(c.trials, seen); share < .72 || share > .88 {
			t.Errorf("%+v: a change of %s is called %.1f %% of the time, want about 80 %%", c, percent(seen), 100*share)
		}
		if needed := s.needed(c.deviation); needed == 0 || called(needed, s.told()) < .75 {
			t.Errorf("%+v: %d trials do not find a change of %s", c, needed, percent(s.told()))
		}
		// A change of just what matters is called hardly ever.
		if share := called(c.trials, c.minChange); share > .05 {
			t.Errorf("%+v: a change of what matters is called %.1f %% of the time", c, 100*share)
		}
	}
}

func TestForeseeWarnsOfNoise(t *testing.T) {
	c := Criteria{Gates: []GateSpec{{Metric: "m", MinChange: .05}, {Metric: "absent"}}}
	if got := Foresee(snap(1, 1.6, .7, 1.1, 2, .9), c, 6, 6); len(got) != 1 || !strings.Contains(got[0], "m looks for a change beyond 5 %, and with 6 trials only") {
		t.Errorf("%q", got)
	}
	if got := Foresee(snap(1, 1.01, .99, 1, 1.01, 1), c, 6, 6); len(got) != 0 {
		t.Errorf("%q", got)
	}
	// A gate on a query as a whole looks at its time.
	query := with(&snapshot.Snapshot{}, "db.q.time.p50", snapshot.Lower, 1, 1.6, .7, 1.1, 2, .9)
	if got := Foresee(query, Criteria{Gates: []GateSpec{{Metric: "db.q"}}}, 6, 6); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestPowerless(t *testing.T) {
	gates := func(names ...string) (c Criteria) {
		for _, name := range names {
			c.Gates = append(c.Gates, GateSpec{Metric: name})
		}
		return c
	}
	for name, c := range map[string]struct {
		criteria      Criteria
		before, after int
		says          string
	}{
		"nothing to judge by":       {Criteria{}, 1, 1, ""},
		"one gate":                  {gates("a"), 4, 4, ""},
		"two gates, too few trials": {gates("a", "b"), 4, 4, "with 2 gates and 4 trials a regression of one gate alone can't be found but by counts, such as errors: the smallest p of its exact test is 0.029, and 2 gates need 0.025: it takes 5 trials a side"},
		"two gates":                 {gates("a", "b"), 5, 5, ""},
		"more trials before":        {gates("a", "b"), 8, 4, ""},
		"no chance in a result":     {gates("a", "db.q.result", "db.q.plan"), 4, 4, ""},
		"too few trials at all":     {gates("a"), 6, 3, "with 3 trials against 6 nothing can be found: it takes 4 trials a side"},
	} {
		got := c.criteria.Powerless(c.before, c.after)
		if got != c.says && (c.says == "" || !strings.HasPrefix(got, c.says)) {
			t.Errorf("%s: %q", name, got)
		}
	}
	// It stands in every comparison.
	if got := Compare(snap(1, 1, 1), snap(1, 1, 1), gates("m")); len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "nothing can be found") {
		t.Errorf("%+v", got)
	}
}

func TestCalibration(t *testing.T) {
	counts := snapshot.Metric{Name: "errors", Unit: unit.Ratio, Better: snapshot.Lower, Values: snapshot.Values{0, 0, 0, 0, 0, 0}, Of: []int64{9, 9, 9, 9, 9, 9}, Events: make([]int64, 6)}
	first, second := snap(1, 1.02, .98, 1.01, .99, 1), snap(1, .99, 1.02, 1, .98, 1.01)
	first.Metrics, second.Metrics = append(first.Metrics, counts), append(second.Metrics, counts)
	c := Criteria{Gates: []GateSpec{{Metric: "m"}, {Metric: "errors"}, {Metric: "other"}, {Metric: "db.q.plan"}}}
	cal := Calibrate(first, second, c)
	if len(cal.Metrics) != 1 || cal.Metrics[0].Detectable == nil || *cal.Metrics[0].Detectable < .05 || cal.Metrics[0].Needed == 0 {
		t.Fatalf("%+v", cal)
	}
	// What is counted needs no noise; what was not there has none.
	if got := cal.Blind(c, 6, 6); len(got) != 1 || !strings.Contains(got[0], "other is not in the calibration") {
		t.Errorf("%q", got)
	}
	if got := cal.Blind(Criteria{Gates: []GateSpec{{Metric: "m", MinChange: .001}}}, 6, 6); len(got) != 1 || !strings.Contains(got[0], "m looks for a change beyond 0.100 %") {
		t.Errorf("%q", got)
	}
	// Too few trials to see anything are no number that JSON lacks.
	few := Calibrate(snap(1, 1.1, 1.2), snap(1, 1.2, 1.1), Criteria{})
	if _, err := json.Marshal(few); err != nil || few.Metrics[0].Detectable != nil || math.IsNaN(few.Metrics[0].Deviation) {
		t.Errorf("%+v, %v", few, err)
	}
}
