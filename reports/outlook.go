package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/expr"
	"scaleproof/internal/unit"
)

// An Outlook is the nightly report: how long everything lasts.
type Outlook struct {
	SchemaVersion int       `json:"schema_version"`
	GeneratedAt   time.Time `json:"generated_at"`
	Nights        int       `json:"nights"` // snapshots of the history
	Headline      string    `json:"headline"`
	// Limits are what has a limit, the most urgent first; Growing what has none,
	// the fastest first; Unknown what has too little history.
	Limits  []*Dated   `json:"limits"`
	Growing []*Dated   `json:"growing"`
	Unknown []*Undated `json:"unknown"`
	// Changes are what is different from the night before.
	Changes         []NightChange     `json:"changes"`
	Recommendations []Recommendation  `json:"recommendations"`
	Conditions      []ConditionResult `json:"conditions,omitempty"`
	Verdict         Verdict           `json:"verdict"`
	Warnings        []string          `json:"warnings,omitempty"`
}

// A Dated is a projection with what is told beside it.
type Dated struct {
	*capacity.Projection
	// History is what was measured.
	History capacity.Series `json:"history"`
	// Past is what was projected a month ago, and Score how that did; nil where there
	// was too little history. Announced tells that a report of then has told it;
	// else it is what would have been projected from what was known then.
	Past      *capacity.Projection `json:"past,omitempty"`
	Score     *capacity.Score      `json:"score,omitempty"`
	Announced bool                 `json:"announced,omitempty"`
	// Scenarios are projections under the plan's scenarios.
	Scenarios []*capacity.Projection `json:"scenarios,omitempty"`
}

// An Undated is what has too little history: its newest value is what is known.
type Undated struct {
	*capacity.Projection
	// LimitValue is what it must not reach, nil where it has no limit.
	LimitValue *float64 `json:"limit_value,omitempty"`
	// Silent tells that it has a history, and nothing has come lately: a collector
	// stopped, or a node does not answer.
	Silent bool `json:"silent,omitempty"`
}

// A NightChange is a difference from the night before.
type NightChange struct {
	Series string `json:"series"`
	Text   string `json:"text"`
}

// A Recommendation is what to do before a limit is reached.
type Recommendation struct {
	Resource string    `json:"resource"`
	Unit     unit.Base `json:"unit,omitempty"`
	Now      float64   `json:"now"`
	Limit    *float64  `json:"limit"` // nil: there is none, and should be
	// Needed is the limit that would hold to the horizon in nine of ten futures;
	// nil for a limit that nobody can raise, or that is missing.
	Needed *float64 `json:"needed"`
	// By is when the limit is reached; nil where there is none.
	By         *capacity.Passage   `json:"by"`
	Confidence capacity.Confidence `json:"confidence"`
	Why        string              `json:"why"`
	Action     string              `json:"action"`
	// Plan is a plan file that does it, empty where none can; File is its name.
	Plan string `json:"plan,omitempty"`
	File string `json:"file,omitempty"`
}

// Order puts the most urgent and the fastest first, and sets the headline.
func (o *Outlook) Order() {
	slices.SortStableFunc(o.Limits, func(a, b *Dated) int { return soonness(a.Limit).Compare(soonness(b.Limit)) })
	slices.SortStableFunc(o.Growing, func(a, b *Dated) int {
		if a.Unit != b.Unit {
			return cmp.Compare(a.Unit, b.Unit) // bytes first
		}
		return cmp.Compare(b.Growth.Value, a.Growth.Value)
	})
	limits := make([]*capacity.Projection, len(o.Limits))
	for i, d := range o.Limits {
		limits[i] = d.Projection
	}
	first := firstLimit(limits)
	switch {
	case first != nil:
		o.Headline = fmt.Sprintf("First comes %s: %s.", first.Series, first.Limit)
	case len(o.Limits) == 1:
		o.Headline = fmt.Sprintf("The limit of %s is not reached by %s.", o.Limits[0].Series, o.Limits[0].Limit.Horizon.Format(time.DateOnly))
	case len(o.Limits) > 0:
		o.Headline = fmt.Sprintf("None of %d limits is reached by %s.", len(o.Limits), nearestHorizon(o.Limits).Format(time.DateOnly))
	case len(o.Growing) > 0:
		o.Headline = "Nothing that was measured has a limit."
	default:
		o.Headline = "Insufficient history: nothing can be dated yet." + o.enough()
	}
}

// enough says when something can be dated.
func (o *Outlook) enough() string {
	var first *time.Time
	for _, p := range o.Unknown {
		if p.EnoughAt != nil && (first == nil || p.EnoughAt.Before(*first)) {
			first = p.EnoughAt
		}
	}
	if first == nil {
		return ""
	}
	return " There will be enough on " + first.Format(time.DateOnly) + ", at one night after another."
}

func nearestHorizon(limits []*Dated) time.Time {
	nearest := limits[0].Limit.Horizon
	for _, d := range limits {
		if d.Limit.Horizon.Before(nearest) {
			nearest = d.Limit.Horizon
		}
	}
	return nearest
}

// soonness orders limits: those that are not reached come last.
func soonness(p *capacity.Passage) time.Time {
	if p.P10 == nil && p.Status != capacity.Exceeded {
		return p.Horizon.AddDate(1000, 0, 0)
	}
	return urgency(p)
}

// Judge fails the outlook where a condition such as disk.p90 < 30d is true: the
// part before the last dot names series by a part of their name, and the last
// which date of theirs, as the time until then.
func (o *Outlook) Judge(conditions []expr.Condition) {
	if o.Headline == "" {
		o.Order()
	}
	for _, c := range conditions {
		o.Conditions = append(o.Conditions, o.judge(c))
	}
	failed, unsure := reasonsOf(o.Conditions, Fail), reasonsOf(o.Conditions, Unsure)
	switch {
	case len(failed) > 0:
		o.Verdict = newVerdict(Fail, o.Headline, failed)
	case len(unsure) > 0:
		o.Verdict = newVerdict(Unsure, o.Headline, unsure)
	default:
		o.Verdict = newVerdict(Pass, o.Headline, nil)
	}
}

func (o *Outlook) judge(c expr.Condition) ConditionResult {
	result := ConditionResult{Kind: Gate, Text: "not " + c.Text, Outcome: Unsure, Reason: "no series of that name has a limit"}
	at := strings.LastIndexByte(c.Metric, '.')
	name, quantile := c.Metric[:max(at, 0)], c.Metric[at+1:]
	unknown := ""
	for _, u := range o.Unknown {
		if u.LimitValue != nil && unknown == "" && capacity.Named(u.Series, name) {
			unknown = "there is too little history of " + u.Series
			if u.Silent {
				unknown = u.Series + " was last measured on " + u.To.Format(time.DateOnly)
			}
		}
	}
	for _, d := range o.Limits {
		if !capacity.Named(d.Series, name) {
			continue
		}
		least, most, ok := d.until(quantile, o.GeneratedAt)
		says := fmt.Sprintf("%s: %s", d.Series, d.Limit)
		switch {
		case !ok:
			result.Reason = fmt.Sprintf("%q is none of p10, p50 and p90", quantile)
			return result
		case c.Holds(least) && c.Holds(most):
			result.Outcome, result.Reason = Fail, says
			return result
		case c.Holds(least) != c.Holds(most) && unknown == "":
			unknown = says + ", and what comes later is not known: it takes a longer history, or a longer --horizon"
		case result.Outcome == Unsure:
			result.Outcome, result.Reason = Pass, says
		}
	}
	if unknown != "" {
		result.Outcome, result.Reason = Unsure, unknown
	}
	return result
}

// until returns between how many seconds from now a date of a limit lies. One
// beyond the horizon, of which nothing more is known, is at the step after it or
// any time later.
func (d *Dated) until(quantile string, now time.Time) (least, most float64, ok bool) {
	p := d.Limit
	date, ok := map[string]*time.Time{"p10": p.P10, "p50": p.P50, "p90": p.P90}[quantile]
	switch {
	case !ok:
		return 0, 0, false
	case p.Status == capacity.Exceeded:
		return 0, 0, true
	case date == nil:
		return p.Horizon.Add(d.Step.Std()).Sub(now).Seconds(), math.Inf(1), true
	}
	left := date.Sub(now).Seconds()
	return left, left, true
}

// keptSteps is of how many limits, and growing series, every step is kept.
const keptSteps = 24

// Trim drops the steps and points of what is not urgent, so that the report of a
// database with thousands of sequences can be sent. capacity project gives them.
func (o *Outlook) Trim() {
	for _, list := range [][]*Dated{o.Limits, o.Growing} {
		for _, d := range list[min(len(list), keptSteps):] {
			d.Steps, d.History.Times, d.History.Values, d.Past = nil, nil, nil, nil
			for _, s := range d.Scenarios {
				s.Steps = nil
			}
		}
	}
}
