// Package reports compares two snapshots, gives a verdict with its reasons, and
// writes the result for people and for machines.
package reports

import (
	"time"

	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

// SchemaVersion is the version of report.json.
const SchemaVersion = 1

// A Report is everything about one run: what was measured before and after, what
// was done, how it compares, and the verdict. It is what every writer takes, and
// what report.json holds.
type Report struct {
	SchemaVersion int       `json:"schema_version"`
	Tool          string    `json:"tool"`
	ID            string    `json:"id"`
	Plan          Plan      `json:"plan"`
	StartedAt     time.Time `json:"started_at"`
	FinishedAt    time.Time `json:"finished_at"`

	// Design says what kept other things than the action from making the
	// difference.
	Design     Design            `json:"design,omitempty"`
	Verdict    Verdict           `json:"verdict"`
	Conditions []ConditionResult `json:"conditions"`
	Comparison Comparison        `json:"comparison"`
	// Action is nil where nothing was changed (compare, gate, calibrate).
	Action *scaling.Outcome `json:"action,omitempty"`
	// Rehearsal is the first application where the action was undone, verified
	// and applied again; Action is then the second.
	Rehearsal *scaling.Outcome `json:"rehearsal,omitempty"`
	// Through is the load that went on through the action.
	Through *loadgen.Result `json:"through,omitempty"`
	// Efficiency is what an action that scaled one workload has brought its loads.
	Efficiency []EfficiencyRow `json:"efficiency,omitempty"`
	Markers    []Marker        `json:"markers,omitempty"`
	Events     []Event         `json:"events,omitempty"` // what the run did, in order
	Checklist  []ChecklistItem `json:"checklist,omitempty"`
	Warnings   []string        `json:"warnings,omitempty"`
	// Signatures stand beside report.json, which they sign, and not in it.
	Signatures []Signature `json:"-"`
	// file is report.json as it was read, nil for a report that is being made.
	file []byte

	Before *snapshot.Snapshot `json:"before,omitempty"`
	After  *snapshot.Snapshot `json:"after,omitempty"`
	// Return was measured once the action was undone again, in the design A-B-A.
	Return *snapshot.Snapshot `json:"return,omitempty"`
}

// Standing returns what was measured of the state in which the run has left things:
// after the action where that stands, else without it. It is nil where that was not
// measured, or where nobody knows the state.
func (r *Report) Standing() *snapshot.Snapshot {
	switch {
	case r.Action == nil && r.After == nil:
		return r.Before
	case r.Action == nil || r.Action.Status == scaling.Applied:
		return r.After
	case r.Action.Status != scaling.RolledBack:
		return nil
	case r.Return != nil:
		return r.Return
	}
	return r.Before
}

// took is how long the run was, empty where nothing ran, as in a comparison of files.
func (r *Report) took() string {
	took := r.FinishedAt.Sub(r.StartedAt).Round(100 * time.Millisecond)
	if took <= 0 {
		return ""
	}
	return took.String()
}

// Design says how a comparison guards against other causes than the action.
type Design string

// The designs, the weakest first.
const (
	// Uncontrolled: whatever else changed between the snapshots counts as the
	// action's doing.
	Uncontrolled Design = "uncontrolled"
	// Controlled: metrics that the action can't touch had to stay as they were.
	Controlled Design = "controlled"
	// Interleaved: the trials of both sides took turns, so that what else changed met
	// both alike.
	Interleaved Design = "interleaved"
	// ABA: the action was undone, and what it changed had to come back.
	ABA Design = "a-b-a"
)

// Label says a design in words.
func (d Design) Label() string {
	switch d {
	case Uncontrolled:
		return "uncontrolled before/after"
	case Controlled:
		return "before/after with control metrics"
	case Interleaved:
		return "interleaved trials: paired, signed rank"
	case ABA:
		return "A-B-A: measured again after the action was undone"
	}
	return string(d)
}

// Plan identifies the plan of a run.
type Plan struct {
	Name       string `json:"name"`
	Hypothesis string `json:"hypothesis,omitempty"`
	Hash       string `json:"hash,omitempty"`   // of the plan's text, sha256 in hex
	Source     string `json:"source,omitempty"` // the text, without secrets
}

// Word is a verdict in a word.
type Word string

// The words, with the exit codes that they stand for.
const (
	Pass           Word = "pass"            // 0
	Fail           Word = "fail"            // 1: a condition failed; a rollback, if any, is verified
	Unsure         Word = "inconclusive"    // 3
	Broken         Word = "error"           // 4: the measurement or its environment failed
	RollbackFailed Word = "rollback-failed" // 5: or could not be verified
	Interrupted    Word = "interrupted"     // 130
)

// ExitCode returns the exit code that w stands for.
func (w Word) ExitCode() int {
	switch w {
	case Pass:
		return 0
	case Fail:
		return 1
	case Unsure:
		return 3
	case RollbackFailed:
		return 5
	case Interrupted:
		return 130
	}
	return 4
}

// A Verdict is the answer of a run.
type Verdict struct {
	Word     Word     `json:"word"`
	ExitCode int      `json:"exit_code"`
	Headline string   `json:"headline"` // one sentence
	Reasons  []string `json:"reasons"`
}

// ConditionKind says where in the plan a condition stands.
type ConditionKind string

// The kinds of conditions.
const (
	Objective ConditionKind = "objective"
	Gate      ConditionKind = "gate"
	Guardrail ConditionKind = "guardrail"
	// A Control is a metric that the action can't touch: where it moved, something
	// else did too.
	Control ConditionKind = "control"
	// A Return is a metric that must come back once the action is undone.
	Return ConditionKind = "return"
)

// A ConditionResult is whether one objective, gate or guardrail held.
type ConditionResult struct {
	Kind ConditionKind `json:"kind"`
	Text string        `json:"text"`
	// Outcome is Pass, Fail or Unsure (also where data is missing).
	Outcome Word   `json:"outcome"`
	Reason  string `json:"reason"` // in words, with the figures
}

// Criteria are what a comparison is judged by.
type Criteria struct {
	Objectives []expr.Condition
	Gates      []GateSpec
	// Controls are metrics that the action can't touch.
	Controls []GateSpec
	// MinChange is the smallest change that matters where a gate names none, as
	// a fraction; zero: 5 %.
	MinChange unit.Fraction
	// AllowDifferences compares snapshots of different workloads or environments.
	AllowDifferences bool
}

// A GateSpec is a metric that must not regress or, as a control, not change. Its
// YAML form stands in plans under gates and controls.
type GateSpec struct {
	Metric    string        `yaml:"metric" json:"metric"`
	MinChange unit.Fraction `yaml:"min_change" json:"min_change,omitempty"`
}

// A Comparison is what changed from one snapshot to another.
type Comparison struct {
	Rows     []Row    `json:"rows"`
	Warnings []string `json:"warnings,omitempty"`
	// Refused says why the snapshots can't be compared, or is empty.
	Refused string `json:"refused,omitempty"`
}

// Change is what a comparison says of one metric.
type Change string

// The changes.
const (
	Improved     Change = "improved"
	Equivalent   Change = "equivalent"
	Regressed    Change = "regressed"
	Inconclusive Change = "inconclusive"
	// Changed is for a metric without a direction.
	Changed Change = "changed"
)

// A Row compares one metric.
type Row struct {
	Metric string             `json:"metric"`
	Unit   unit.Base          `json:"unit"`
	Better snapshot.Direction `json:"better"`
	Gate   bool               `json:"gate,omitempty"` // the verdict depends on it
	// Control is that the action can't touch it.
	Control bool `json:"control,omitempty"`

	Before Side `json:"before"`
	After  Side `json:"after"`
	// Paired is that trials of both sides were measured side by side, and that trial i
	// before is held against trial i after: estimate, interval and P are of the
	// signed-rank test. Where a side lacks a value the pair is left out.
	Paired bool `json:"paired,omitempty"`
	// Ratio is after over before (Hodges-Lehmann on logarithms) with its exact
	// interval at Confidence; nil where it can't be given. Same is the interval,
	// at 90 % or a little more, that makes it equivalent; nil for other changes.
	Ratio *Interval `json:"ratio,omitempty"`
	Same  *Interval `json:"same,omitempty"`
	// P is two-sided, PAdjusted after Benjamini-Hochberg over the gates.
	P         *float64 `json:"p,omitempty"`
	PAdjusted *float64 `json:"p_adjusted,omitempty"`
	MinChange float64  `json:"min_change"` // the smallest change that matters, a fraction
	// Detectable is the smallest true change, a fraction, that so many trials with
	// this noise call improved or regressed four times of five; nil where they
	// never do.
	Detectable *float64 `json:"detectable,omitempty"`
	// Spread is how much it varies from trial to trial; nil where that can't be
	// told. It informs and never gates.
	Spread *Spread `json:"spread,omitempty"`

	Change Change `json:"change"`
	Reason string `json:"reason"` // in words
}

// Shown is the interval that the change rests on: that for sameness where it is
// equivalent, else that for a change; nil where there is none.
func (row Row) Shown() *Interval {
	if row.Change == Equivalent && row.Same != nil {
		return row.Same
	}
	return row.Ratio
}

// A Side is one metric in one snapshot.
type Side struct {
	Median *float64        `json:"median,omitempty"` // nil: not measured
	Values snapshot.Values `json:"values,omitempty"`
	// Events of Of, over all trials, of what is counted, such as failed requests.
	Events int64 `json:"events,omitempty"`
	Of     int64 `json:"of,omitempty"`
}

// Spread compares how much a metric varies from trial to trial: standard
// deviations of logarithms, which are fractions of the value where small, and
// the exact p of their difference. Pairs is the standard deviation of the ratio of a
// pair, where trials are compared as pairs: what both share is not in it.
type Spread struct {
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	P      float64 `json:"p"`
	Pairs  float64 `json:"pairs,omitempty"`
}

// An Interval is an estimate with its bounds.
type Interval struct {
	Value      float64 `json:"value"`
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Confidence float64 `json:"confidence"`
}

// A Marker is an event in the time series of the load.
type Marker struct {
	At    time.Time `json:"at"`
	Label string    `json:"label"`
}

// An Event is something that the run did or saw.
type Event struct {
	At    time.Time `json:"at"`
	Phase string    `json:"phase"`
	Text  string    `json:"text"`
}
