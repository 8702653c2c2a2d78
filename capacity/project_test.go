package capacity

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scaleproof/internal/unit"
)

// sound fails if a projection contradicts itself or has no JSON form.
func sound(t *testing.T, p *Projection) {
	t.Helper()
	if _, err := json.Marshal(p); err != nil {
		t.Errorf("%s: %v", p.Series, err)
	}
	if p.Status == InsufficientHistory && (p.Steps != nil || p.Limit != nil) {
		t.Errorf("%s: insufficient history has steps", p.Series)
	}
	for i, s := range p.Steps {
		if !slices.IsSorted([]float64{s.Low95, s.Low80, s.Median, s.High80, s.High95}) {
			t.Errorf("%s, step %d: %+v is not in order", p.Series, i, s)
			return
		}
		if i > 0 && !s.Time.After(p.Steps[i-1].Time) {
			t.Errorf("%s, step %d is not after the one before", p.Series, i)
		}
	}
	if l := p.Limit; l != nil {
		if dated := l.P10 != nil; dated != (l.Status == Expected || l.Status == Possible || l.Status == Exceeded) {
			t.Errorf("%s: %+v", p.Series, l)
		}
		if l.P50 != nil && l.P50.Before(*l.P10) || l.P90 != nil && l.P90.Before(*l.P50) || l.Probability < 0 || l.Probability > 1 {
			t.Errorf("%s: %+v", p.Series, l)
		}
	}
}

func project(t *testing.T, s Series, opts ProjectOptions) *Projection {
	t.Helper()
	p, err := Project(s, opts)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, p)
	return p
}

func warned(p *Projection, text string) bool {
	return slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, text) })
}

// straight returns n values that grow by one, with some noise.
func straight(n int, noise float64) []float64 {
	random := rand.New(rand.NewPCG(7, 7))
	return build(n, func(i int) float64 { return 100 + float64(i) + noise*random.NormFloat64() })
}

func limitAt(v float64) *float64 { return &v }

func TestAStraightLineReachesItsLimitOnTheDay(t *testing.T) {
	for _, n := range []int{5, 13, 20, 28, 100, 400} {
		s := nightly("disk", Size, straight(n, 0))
		p := project(t, s, ProjectOptions{Limit: limitAt(100 + float64(n-1) + 3.5)})
		want := p.To.AddDate(0, 0, 4)
		for _, got := range []*time.Time{p.Limit.P10, p.Limit.P50, p.Limit.P90} {
			if p.Limit.Status != Expected || got == nil || !got.Equal(want) {
				t.Errorf("n = %d: %+v, want %s", n, p.Limit, want)
			}
		}
		if math.Abs(p.Growth.Value-1) > 1e-6 || p.Limit.Probability != 1 {
			t.Errorf("n = %d: growth %+v, probability %v", n, p.Growth, p.Limit.Probability)
		}
	}
}

func TestNoiseWidensTheDate(t *testing.T) {
	p := project(t, nightly("disk", Gauge, straight(100, 5)), ProjectOptions{Limit: limitAt(240)})
	at := func(d *time.Time) float64 { return d.Sub(*p.To).Hours() / 24 }
	if p.Limit.Status != Expected || at(p.Limit.P10) >= at(p.Limit.P50) || at(p.Limit.P50) >= at(p.Limit.P90) {
		t.Fatalf("%+v", p.Limit)
	}
	// Noise makes the first passage earlier than the line's, which is day 41.
	if at(p.Limit.P10) < 25 || at(p.Limit.P90) > 50 {
		t.Errorf("from day %v to %v", at(p.Limit.P10), at(p.Limit.P90))
	}
}

func TestWithoutGrowthThereIsNoDate(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	flat := build(100, func(int) float64 { return 70 + 3*random.NormFloat64() })
	shrinking := build(100, func(i int) float64 { return 90 - 0.3*float64(i) + random.NormFloat64() })
	walk := 50.0
	wandering := build(60, func(int) float64 { walk += random.NormFloat64(); return walk })
	for name, values := range map[string][]float64{"flat": flat, "shrinking": shrinking, "wandering": wandering} {
		p := project(t, nightly(name, Gauge, values), ProjectOptions{Limit: limitAt(slices.Max(values) + 1)})
		if p.Limit.Status != NotReached || p.Limit.P10 != nil || p.Limit.Reason == "" {
			t.Errorf("%s: %+v, growth %+v", name, p.Limit, p.Growth)
		}
	}
	// What shrinks reaches a floor.
	p := project(t, nightly("free", Gauge, shrinking), ProjectOptions{Limit: limitAt(50), Below: true})
	if p.Limit.Status != Expected {
		t.Errorf("free: %+v", p.Limit)
	}
	p = project(t, nightly("full", Gauge, flat), ProjectOptions{Limit: limitAt(60)})
	if p.Limit.Status != Exceeded || p.Limit.Probability != 1 {
		t.Errorf("full: %+v", p.Limit)
	}
}

func TestInsufficientHistory(t *testing.T) {
	for n := range 5 {
		p := project(t, nightly("new", Size, straight(n, 0)), ProjectOptions{Limit: limitAt(1000)})
		if p.Status != InsufficientHistory || p.Points != n {
			t.Errorf("%d points: %+v", n, p)
		}
		if n > 0 && !p.EnoughAt.Equal(p.To.AddDate(0, 0, 5-n)) {
			t.Errorf("%d points: enough at %v", n, p.EnoughAt)
		}
		if n > 1 && (p.LastChange != 1 || p.Last != 99+float64(n)) {
			t.Errorf("%d points: %v, %v", n, p.Last, p.LastChange)
		}
	}
}

func TestTheHistoryBoundsTheHorizon(t *testing.T) {
	for n, want := range map[int]int{5: 5, 13: 13, 14: 28, 27: 54, 28: 28, 80: 80, 200: 90} {
		p := project(t, nightly("x", Gauge, straight(n, 1)), ProjectOptions{})
		if len(p.Steps) != want || warned(p, "steps ahead") != (want < 90) {
			t.Errorf("%d points: %d steps, want %d; %v", n, len(p.Steps), want, p.Warnings)
		}
	}
}

func TestAWeeklySeasonIsFoundAndForecast(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	week := []float64{10, 9, 8, 9, 7, -20, -23}
	values := build(120, func(i int) float64 { return 200 + week[i%7] + random.NormFloat64() })
	p := project(t, nightly("requests", Gauge, values), ProjectOptions{})
	if p.Season != 7 || !warned(p, "yearly") {
		t.Fatalf("season %d, %v", p.Season, p.Warnings)
	}
	for i, s := range p.Steps[:28] {
		if want := 200 + week[(120+i)%7]; math.Abs(s.Median-want) > 2 {
			t.Errorf("step %d: %v, want %v", i, s.Median, want)
		}
	}
	found := 0
	for range 200 {
		noise := build(100, func(int) float64 { return random.NormFloat64() })
		if seasonTest(noise, 7) {
			found++
		}
	}
	if found > 20 {
		t.Errorf("a season was found in %d of 200 series of noise", found)
	}
}

func TestLevelShiftsAreNoGrowth(t *testing.T) {
	grow := func(drop func(i int) float64) []float64 {
		random := rand.New(rand.NewPCG(9, 9))
		level := 1000.0
		return build(100, func(i int) float64 { level += 2 + 0.2*random.NormFloat64() - drop(i); return level })
	}
	once := func(day int, size float64) func(int) float64 {
		return func(i int) float64 {
			if i == day {
				return size
			}
			return 0
		}
	}
	for name, c := range map[string]struct {
		values []float64
		kind   Kind
		shifts int
	}{
		"none":            {grow(once(-1, 0)), Size, 0},
		"truncate":        {grow(once(60, 700)), Size, 1},
		"bulk load":       {grow(once(30, -500)), Size, 1},
		"on the last day": {grow(once(99, 600)), Size, 1},
	} {
		p := project(t, nightly(name, c.kind, c.values), ProjectOptions{Limit: limitAt(c.values[99] + 50)})
		if len(p.Shifts) != c.shifts || math.Abs(p.Growth.Value-2) > 0.1 || p.Limit.Status != Expected {
			t.Errorf("%s: %d shifts %+v, growth %+v, %+v", name, len(p.Shifts), p.Shifts, p.Growth, p.Limit)
		}
	}
	spike := grow(once(-1, 0))
	spike[50] += 400
	if p := project(t, nightly("spike", Gauge, spike), ProjectOptions{}); len(p.Shifts) != 0 || !warned(p, "far off") || math.Abs(p.Growth.Value-2) > 0.1 {
		t.Errorf("spike: %+v, growth %+v, %v", p.Shifts, p.Growth, p.Warnings)
	}
}

func TestACounterGoesOnOverItsResets(t *testing.T) {
	values := build(50, func(i int) float64 { return float64(10 * (i % 20)) })
	p := project(t, nightly("scans", Counter, values), ProjectOptions{})
	if len(p.Shifts) != 2 || !p.Shifts[0].Reset || p.Last != 90 {
		t.Fatalf("%+v", p)
	}
	if p.Growth.Value < 9 || p.Growth.Value > 10.5 {
		t.Errorf("growth %+v", p.Growth)
	}
}

func TestDropsThatKeepComingAreExpected(t *testing.T) {
	values := build(120, func(i int) float64 { return 100 + 5*float64(i%30) })
	p := project(t, nightly("partitions", Size, values), ProjectOptions{})
	if len(p.Shifts) != 3 || !warned(p, "3 drops") {
		t.Fatalf("%+v, %v", p.Shifts, p.Warnings)
	}
	if end := p.Steps[89]; end.Low80 > 400 || end.High95 < 600 {
		t.Errorf("after 90 days %+v", end)
	}
}

func TestBadInputHasAStatedOutcome(t *testing.T) {
	good := func() Series { return nightly("x", Gauge, straight(60, 1)) }
	for name, c := range map[string]struct {
		change func(*Series)
		warn   string
		points int
	}{
		"NaN":                {func(s *Series) { s.Values[3], s.Values[4] = math.NaN(), math.Inf(1) }, "2 points are not a finite number", 58},
		"gap":                {func(s *Series) { s.Values, s.Times = cut(s, 20, 28) }, "8 steps have no point", 52},
		"duplicates":         {func(s *Series) { s.Times[7] = s.Times[6] }, "1 duplicate", 59},
		"clock goes back":    {func(s *Series) { s.Times[30], s.Times[31] = s.Times[31], s.Times[30] }, "the clock goes back 1 time", 60},
		"no time":            {func(s *Series) { s.Times[9] = time.Time{} }, "1 point has no time", 59},
		"far in the past":    {func(s *Series) { s.Times[0] = time.Unix(5, 0) }, "1 older point is left out", 59},
		"long gap":           {func(s *Series) { shiftBack(s.Times[:30], 200) }, "gaps longer than the history", 30},
		"the unit changed":   {func(s *Series) { scale(s.Values[:25], 1024) }, "as if the unit had changed", 35},
		"negative size":      {func(s *Series) { s.Kind, s.Values[5] = Size, -1 }, "negative", 59},
		"old":                {func(*Series) {}, "the newest point is 10 d old", 60},
		"only the last jump": {func(s *Series) { s.Values[59] += 90 }, "too early to tell", 60},
	} {
		s := good()
		c.change(&s)
		p := project(t, s, ProjectOptions{Limit: limitAt(1e6), Now: good().Times[59].AddDate(0, 0, 10)})
		if p.Points != c.points || !warned(p, c.warn) || p.Status != Projected {
			t.Errorf("%s: %d points of %d, %q", name, p.Points, c.points, p.Warnings)
		}
	}
	constant := project(t, nightly("max_connections", Gauge, slices.Repeat([]float64{100}, 40)), ProjectOptions{Limit: limitAt(101)})
	if constant.Limit.Status != NotReached || constant.Method != "constant" || constant.Steps[20].High95 != 100 {
		t.Errorf("constant: %+v", constant)
	}
	for name, s := range map[string]Series{
		"lengths": {Times: make([]time.Time, 3), Values: make([]float64, 4)},
		"kind":    {Kind: "rocket"},
	} {
		if _, err := Project(s, ProjectOptions{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, opts := range []ProjectOptions{{Horizon: -1}, {Limit: limitAt(math.NaN())}, {Scenario: Scenario{Growth: -1}}, {Scenario: Scenario{Add: math.Inf(1)}}} {
		if _, err := Project(good(), opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}

func cut(s *Series, from, to int) ([]float64, []time.Time) {
	return slices.Delete(s.Values, from, to), slices.Delete(s.Times, from, to)
}

func shiftBack(times []time.Time, days int) {
	for i := range times {
		times[i] = times[i].AddDate(0, 0, -days)
	}
}

func scale(values []float64, factor float64) {
	for i := range values {
		values[i] *= factor
	}
}

// What was filled in before the unit changed takes nothing from what was measured since.
func TestGapsBeforeAnotherUnitAreNoneAfterIt(t *testing.T) {
	s := nightly("x", Gauge, straight(60, 1))
	scale(s.Values[:40], 1024)
	for i := 35; i > 0; i -= 3 {
		s.Values, s.Times = cut(&s, i, i+1)
	}
	p := project(t, s, ProjectOptions{})
	if p.Points != 20 || len(p.Steps) != 40 || !warned(p, "as if the unit had changed") {
		t.Errorf("%d points and %d steps, %q", p.Points, len(p.Steps), p.Warnings)
	}
}

func TestPointsCloserThanAStepAreSummedUp(t *testing.T) {
	var hourly Series
	for i := range 24 * 30 {
		hourly.Times = append(hourly.Times, time.Date(2024, 1, 1, i, 0, 0, 0, time.UTC))
		hourly.Values = append(hourly.Values, float64(100*(i/24))+float64(i%24))
	}
	peaks := project(t, hourly, ProjectOptions{})
	if peaks.Points != 30 || peaks.Last != 2923 || !warned(peaks, "the peak of each") {
		t.Errorf("%d points to %v, %v", peaks.Points, peaks.Last, peaks.Warnings)
	}
	if valleys := project(t, hourly, ProjectOptions{Limit: limitAt(-1), Below: true}); valleys.Last != 2900 {
		t.Errorf("valleys end at %v", valleys.Last)
	}
	var weekly Series
	for i := range 30 {
		weekly.Times = append(weekly.Times, time.Date(2024, 1, 1+7*i, 0, 0, 0, 0, time.UTC))
		weekly.Values = append(weekly.Values, float64(70*i))
	}
	if p := project(t, weekly, ProjectOptions{}); p.Step != unit.Duration(7*24*time.Hour) || math.Abs(p.Growth.Value-10) > 1e-6 {
		t.Errorf("step %s, growth %+v", p.Step, p.Growth)
	}
}

func TestScenarios(t *testing.T) {
	s := nightly("table", Size, straight(100, 0)) // 199 today, 1 a day
	at := func(sc Scenario) float64 {
		return project(t, s, ProjectOptions{Scenario: sc, Horizon: 50 * 24 * time.Hour}).Steps[49].Median
	}
	for name, c := range map[string]struct {
		scenario Scenario
		want     float64
	}{
		"none":             {Scenario{}, 249},
		"twice the growth": {Scenario{Growth: 2}, 299},
		"twice the load":   {Scenario{Load: 2}, 498},
		"organisation":     {Scenario{Add: 30, AddPerDay: 2}, 379},
		"retention":        {Scenario{Retention: unit.Duration(30 * 24 * time.Hour)}, 30},
		"long retention":   {Scenario{Retention: unit.Duration(80 * 24 * time.Hour)}, 80},
		"both":             {Scenario{Growth: 3, Retention: unit.Duration(10 * 24 * time.Hour)}, 30},
	} {
		if got := at(c.scenario); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if _, err := Project(s, ProjectOptions{Scenario: Scenario{Retention: unit.Duration(101 * 24 * time.Hour)}}); err == nil {
		t.Error("a retention longer than the history was taken")
	}
	// A constant series has a date only by the scenario.
	flat := nightly("flat", Gauge, slices.Repeat([]float64{100}, 40))
	if p := project(t, flat, ProjectOptions{Limit: limitAt(110), Scenario: Scenario{AddPerDay: 1}}); p.Limit.Status != Expected || !p.Limit.P50.Equal(p.To.AddDate(0, 0, 10)) {
		t.Errorf("%+v", p.Limit)
	}
}

func TestProjectAllIsReproducible(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var jobs, reversed []ProjectJob
	for _, d := range syntheticSeries() {
		jobs = append(jobs, ProjectJob{nightly(d.name, d.kind, d.make(60, 0, random)), ProjectOptions{Limit: limitAt(1050), Seed: 3, Paths: 100}})
	}
	reversed = slices.Clone(jobs)
	slices.Reverse(reversed)
	first, err := ProjectAll(t.Context(), jobs)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ProjectAll(t.Context(), reversed)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(second)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	jobs[0].Options.Seed = 4
	if other := project(t, jobs[0].Series, jobs[0].Options); cmp.Equal(other, first[0]) {
		t.Error("another seed drew the same")
	}
	if _, err := ProjectAll(t.Context(), append(jobs, ProjectJob{Series: Series{Kind: "x"}})); err == nil {
		t.Error("a series that is none gave no error")
	}
}

// What is needed is by each future's own peak: ten that peak on different days are
// all below a quantile of every day.
func TestWhatIsNeededIsByThePeakOfEachFuture(t *testing.T) {
	paths := make([][]float64, 10)
	for step := range paths {
		paths[step] = slices.Repeat([]float64{5}, 10)
		paths[step][step] = 100 + float64(step)
	}
	if got := extreme(paths, 5, false); got != 108 {
		t.Errorf("nine of ten stay below %v, want 108", got)
	}
	for step := range paths {
		paths[step][step] = -float64(step)
	}
	if got := extreme(paths, 5, true); got != -8 {
		t.Errorf("nine of ten stay above %v, want -8", got)
	}
	p := project(t, nightly("x", Gauge, straight(60, 5)), ProjectOptions{Limit: limitAt(500)})
	if last := p.Steps[len(p.Steps)-1]; p.Limit.Needed <= last.High80 {
		t.Errorf("needed %v, and one step alone has %v", p.Limit.Needed, last.High80)
	}
}

func TestRetentionIsOfWhatAccumulates(t *testing.T) {
	keep := ScenarioRule{Name: "keep", Retention: unit.Duration(30 * 24 * time.Hour)}
	named := keep
	named.Metrics = []string{"rows"}
	for _, c := range []struct {
		rule   ScenarioRule
		metric string
		base   unit.Base
		kind   Kind
		want   bool
	}{
		{keep, "host.filesystem.root", unit.Bytes, Size, true},
		{keep, "host.cpu", unit.Ratio, Gauge, false},
		{keep, "pg.primary.connections", unit.Count, Gauge, false},
		{keep, "pg.primary.transaction_ids", unit.Count, Size, false},
		{named, "pg.primary.rows.table.public.a", unit.Count, Size, true},
		{named, "prom.rows", unit.Count, Gauge, false},
		{ScenarioRule{Name: "x", Growth: 2}, "host.cpu", unit.Ratio, Gauge, true},
	} {
		if got := c.rule.Applies(c.metric, c.base, c.kind); got != c.want {
			t.Errorf("%+v of %s: %v, want %v", c.rule, c.metric, got, c.want)
		}
	}
	if _, err := Project(nightly("cpu", Gauge, straight(60, 1)), ProjectOptions{Scenario: keep.Scenario()}); err == nil || !strings.Contains(err.Error(), "accumulates") {
		t.Errorf("a gauge was retained: %v", err)
	}
}
