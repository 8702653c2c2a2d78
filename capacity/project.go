package capacity

import (
	"fmt"
	"math"
	"time"

	"scaleproof/internal/unit"
)

// ProjectOptions say what to project. The zero value projects 90 days ahead.
type ProjectOptions struct {
	// Horizon is how far ahead to look; zero: 90 days. A short history shortens
	// it: see Project.
	Horizon time.Duration
	// Limit is the value whose first passage is dated, nil for none. Below says
	// that it is a floor, such as for free space, rather than a ceiling.
	Limit *float64
	Below bool
	// Scenario changes what is expected.
	Scenario Scenario
	// Paths is how many futures are simulated; zero: 1000.
	Paths int
	// Seed makes the simulation reproducible; it is mixed with the series' name.
	Seed uint64
	// Now is the present, to say how old the newest point is; zero: unknown.
	Now time.Time
}

// projectedStep is the distance of the values that are looked at. Where points are
// closer, each step takes the peak of a gauge (the lowest value with Below) and the
// last value of the other kinds.
const projectedStep = 24 * time.Hour

// A Status says what came of a projection.
type Status string

// The outcomes of a projection.
const (
	Projected           Status = "projected"
	InsufficientHistory Status = "insufficient_history"
)

// A Confidence says how much a projection stands on.
type Confidence string

// The degrees of confidence.
const (
	Low    Confidence = "low"    // under 14 points, or no method that beats the naive one
	Medium Confidence = "medium" // under 28 points, or intervals that missed in the backtest
	High   Confidence = "high"
)

// A Range is a value with its 80 % interval.
type Range struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// A Step is what is expected at one time: half of the futures lie below the
// median, and 80 and 95 % of them in the intervals.
type Step struct {
	Time   time.Time `json:"time"`
	Median float64   `json:"median"`
	Low80  float64   `json:"low_80"`
	High80 float64   `json:"high_80"`
	Low95  float64   `json:"low_95"`
	High95 float64   `json:"high_95"`
}

// A Projection is what is known of a series and expected of it. With
// insufficient history only Last, LastChange and EnoughAt are told.
type Projection struct {
	Series     string        `json:"series"`
	Unit       unit.Base     `json:"unit,omitempty"`
	Kind       Kind          `json:"kind"`
	Scenario   string        `json:"scenario,omitempty"`
	Status     Status        `json:"status"`
	Points     int           `json:"points"` // that were used
	From       *time.Time    `json:"from,omitempty"`
	To         *time.Time    `json:"to,omitempty"`
	Step       unit.Duration `json:"step"`
	Last       float64       `json:"last"`
	LastChange float64       `json:"last_change"` // since the step before
	// EnoughAt is when there will be enough history, at one point per step.
	EnoughAt *time.Time `json:"enough_at,omitempty"`

	Method     string     `json:"method,omitempty"`
	Confidence Confidence `json:"confidence,omitempty"`
	// Growth is per day, as the history has it: scenarios are not in it.
	Growth   Range     `json:"growth_per_day"`
	Season   int       `json:"season_steps,omitempty"` // 0: none was found
	Shifts   []Shift   `json:"shifts,omitempty"`
	Steps    []Step    `json:"steps,omitempty"`
	Limit    *Passage  `json:"limit,omitempty"`
	Backtest *Backtest `json:"backtest,omitempty"`
	// Warnings tell what was wrong with the input and what it was taken for.
	Warnings []string `json:"warnings,omitempty"`
}

// Project says how a series goes on. What it does depends on the number of
// points n: under 5 nothing (InsufficientHistory); up to 13 the median of
// Theil-Sen, drift and local linear trend, at most n steps ahead, with low
// confidence; up to 27 at most 2n steps, and from there on n steps, by whichever
// of local linear trend, combination of methods and naive forecast the backtest
// prefers, with a weekly season if there is one. The intervals come from
// simulated futures whose spread is that of the local linear trends, corrected
// by the errors of the backtest.
//
// What is wrong with the input is in Warnings; an error means that there is no
// series or that the options contradict each other.
func Project(series Series, opts ProjectOptions) (*Projection, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, fmt.Errorf("projecting %s: %w", series.Name, err)
	}
	h, err := clean(series, projectedStep, opts.Below)
	if err != nil {
		return nil, fmt.Errorf("projecting %s: %w", series.Name, err)
	}
	p := describe(series, h, opts)
	switch {
	case h.observed < fewestPoints:
		p.Status = InsufficientHistory
		if h.observed > 0 {
			enough := h.last.Add(time.Duration(fewestPoints-h.observed) * h.step)
			p.EnoughAt = &enough
		}
		return p, nil
	case !opts.Scenario.applies(series.Kind):
		return nil, fmt.Errorf("projecting %s: a retention is of what accumulates, a %s, and this is a %s", series.Name, Size, p.Kind)
	case opts.Scenario.retains() && int(opts.Scenario.Retention.Std()/h.step) > len(h.values):
		return nil, fmt.Errorf("projecting %s: a retention of %s takes a history as long, and there are %s", series.Name, opts.Scenario.Retention, count(len(h.values), "step", "steps"))
	case h.constant():
		p.constant(h, opts)
		return p, nil
	}
	p.project(h, opts)
	return p, nil
}

func (o ProjectOptions) complete() (ProjectOptions, error) {
	if o.Horizon < 0 || o.Paths < 0 {
		return o, fmt.Errorf("horizon %s and paths %d must not be negative", o.Horizon, o.Paths)
	}
	if o.Limit != nil && (math.IsNaN(*o.Limit) || math.IsInf(*o.Limit, 0)) {
		return o, fmt.Errorf("the limit is %v", *o.Limit)
	}
	if o.Horizon == 0 {
		o.Horizon = 90 * 24 * time.Hour
	}
	if o.Paths == 0 {
		o.Paths = 1000
	}
	return o, o.Scenario.validate()
}

// describe fills in what is known without any forecast.
func describe(series Series, h *history, opts ProjectOptions) *Projection {
	p := &Projection{
		Series: series.Name, Unit: series.Unit, Kind: series.Kind, Scenario: opts.Scenario.Name,
		Status: Projected, Points: h.observed, Step: unit.Duration(h.step), LastChange: h.lastJump,
		Shifts: h.shifts, Warnings: h.warnings,
	}
	if p.Kind == "" {
		p.Kind = Gauge
	}
	if h.observed == 0 {
		return p
	}
	from, to := h.at(0), h.last
	p.Last, p.From, p.To = h.current(), &from, &to
	if age := opts.Now.Sub(h.last); !opts.Now.IsZero() && age > 3*h.step {
		p.warnf("the newest point is %s old", unit.Format(age.Seconds(), unit.Seconds))
	}
	return p
}

func (p *Projection) warnf(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// horizon returns how many steps are looked ahead.
func (p *Projection) horizon(h *history, opts ProjectOptions) int {
	steps := max(1, int(math.Ceil(float64(opts.Horizon)/float64(h.step))))
	most := h.observed
	if h.observed >= shortHistory && h.observed < longHistory {
		most = 2 * h.observed
	}
	if steps > most {
		p.warnf("%s of history allow to look %d steps ahead, not %d", count(h.observed, "point", "points"), most, steps)
		steps = most
	}
	return steps
}

// constant projects what never changed: nothing but the scenario changes it.
func (p *Projection) constant(h *history, opts ProjectOptions) {
	p.Method, p.Confidence = "constant", Low
	if h.observed >= longHistory {
		p.Confidence = High
	}
	p.warnf("the value never changed: it is taken to stay")
	paths := make([][]float64, p.horizon(h, opts))
	for i := range paths {
		paths[i] = []float64{h.current()}
	}
	p.conclude(paths, h, opts, false)
}

// methodName tells which candidate was taken.
func methodName(c candidate, points, season int) string {
	switch {
	case c == trend:
		return "local linear trend"
	case c == combined:
		return combination(points)
	case season > 0:
		return "seasonal naive"
	}
	return "naive"
}

// confidence judges by the length of the history and by the backtest.
func (p *Projection) confidence(c candidate) Confidence {
	switch {
	case p.Points < shortHistory, c == naive:
		return Low
	case p.Points < longHistory, p.Backtest == nil, p.Backtest.Coverage80 < 0.6:
		return Medium
	}
	return High
}
