package reports

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// A Calibration is what measuring the same thing twice says of a plan: how much
// each metric varies from trial to trial when nothing has changed, and so which
// changes can be seen at all.
type Calibration struct {
	SchemaVersion int       `json:"schema_version"`
	Plan          string    `json:"plan"`
	WorkloadHash  string    `json:"workload_hash,omitempty"`
	TakenAt       time.Time `json:"taken_at"`
	Trials        int       `json:"trials"` // a side
	Metrics       []Noise   `json:"metrics"`
	// Counts are the metrics that are counted, such as errors of requests: their
	// exact tests need no noise.
	Counts []string `json:"counts,omitempty"`
}

// Noise is the calibration of one metric. Changes are fractions.
type Noise struct {
	Metric string `json:"metric"`
	Gate   bool   `json:"gate,omitempty"`
	// Deviation is the standard deviation from trial to trial, of logarithms: a
	// fraction of the value where it is small.
	Deviation float64 `json:"deviation"`
	// Detectable is the smallest true change that as many trials a side call
	// improved or regressed four times of five; nil where they never do. It is
	// beyond MinChange, by as much as the noise asks for.
	Detectable *float64 `json:"detectable,omitempty"`
	MinChange  float64  `json:"min_change"`
	// Needed is how many trials a side find a change of Told, which is beyond
	// MinChange by as much again; 0 where a hundred don't.
	Told   float64 `json:"told"`
	Needed int     `json:"trials_needed"`
	// Change is what the comparison made of the two sides, which are equal.
	Change Change `json:"change"`
}

// Calibrate compares two snapshots of the same thing. Metrics that have no
// logarithm, or fewer than two values a side, are left out.
func Calibrate(first, second *snapshot.Snapshot, c Criteria) *Calibration {
	result := &Calibration{
		SchemaVersion: SchemaVersion, Plan: first.Plan, WorkloadHash: first.WorkloadHash, TakenAt: second.FinishedAt, Trials: first.Trials,
		Metrics: []Noise{},
	}
	for _, row := range Compare(first, second, c).Rows {
		if m := first.Metric(row.Metric); m != nil && len(m.Of) > 0 {
			result.Counts = append(result.Counts, row.Metric)
			continue
		}
		a, okA := logs(row.Before.Values.Observed())
		b, okB := logs(row.After.Values.Observed())
		if !okA || !okB || len(a) < 2 || len(b) < 2 || row.Better == snapshot.Neutral {
			continue
		}
		deviation := math.Hypot(stats.StandardDeviation(a), stats.StandardDeviation(b)) / math.Sqrt2
		s := c.sightOf(row.Metric, first.Trials, second.Trials)
		noise := Noise{
			Metric: row.Metric, Gate: row.Gate, Deviation: deviation, MinChange: s.minChange,
			Told: s.told(), Needed: s.needed(deviation), Change: row.Change,
		}
		if seen := s.detectable(deviation); !math.IsInf(seen, 0) {
			noise.Detectable = &seen
		}
		result.Metrics = append(result.Metrics, noise)
	}
	return result
}

// Blind says which gates and controls look for changes smaller than so many trials
// can show with this noise.
func (cal *Calibration) Blind(c Criteria, before, after int) (warnings []string) {
	for _, g := range slices.Concat(c.tested(), c.Controls) {
		known := slices.ContainsFunc(cal.Counts, g.looksAt)
		for _, noise := range cal.Metrics {
			if !g.looksAt(noise.Metric) {
				continue
			}
			known = true
			if warning := c.sightOf(noise.Metric, before, after).blind(noise.Metric, noise.Deviation); warning != "" {
				warnings = append(warnings, "by the calibration, "+warning)
			}
		}
		if !known {
			warnings = append(warnings, fmt.Sprintf("%s is not in the calibration: its noise is not known", g.Metric))
		}
	}
	return warnings
}

// WriteCalibration writes a calibration for a terminal.
func WriteCalibration(w io.Writer, c *Calibration, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("  %s, measured twice with %d trials: nothing has changed, so that what differs is noise\n\n", plain(c.Plan), c.Trials)
	width := len("metric")
	for _, m := range c.Metrics {
		width = max(width, min(len(m.Metric), 44))
	}
	t.printf("  %-*s %9s %12s %17s\n", width, "metric", "noise", "can be seen", "trials needed")
	for _, m := range c.Metrics {
		needed := unit.Format(float64(m.Needed), unit.Count)
		if m.Needed == 0 {
			needed = fmt.Sprintf("over %d", mostTrials)
		}
		seen := "nothing"
		if m.Detectable != nil {
			seen = percent(*m.Detectable)
		}
		t.printf("  %-*s %9s %12s %17s", width, plain(m.Metric), percent(m.Deviation), seen, fmt.Sprintf("%s for %s", needed, percent(m.Told)))
		if m.Gate {
			t.printf("  gate")
		}
		if m.Change == Regressed || m.Change == Improved {
			t.printf("  %s", t.paint(yellow, "false alarm: "+string(m.Change)))
		}
		t.printf("\n")
	}
	return t.out.Flush()
}
