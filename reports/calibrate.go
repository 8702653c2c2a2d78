package reports

import (
	"fmt"
	"io"
	"math"
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
}

// Noise is the calibration of one metric. Changes are fractions.
type Noise struct {
	Metric string `json:"metric"`
	Gate   bool   `json:"gate,omitempty"`
	// Deviation is the standard deviation from trial to trial, of logarithms: a
	// fraction of the value where it is small.
	Deviation float64 `json:"deviation"`
	// Detectable is the smallest change that as many trials a side find four
	// times of five; Needed is how many trials find one of MinChange, 0 where a
	// hundred don't.
	Detectable float64 `json:"detectable"`
	MinChange  float64 `json:"min_change"`
	Needed     int     `json:"trials_needed"`
	// Change is what the comparison made of the two sides, which are equal.
	Change Change `json:"change"`
}

// mostTrials is how many trials a calibration counts up to.
const mostTrials = 100

// Calibrate compares two snapshots of the same thing. Metrics that have no
// logarithm, or fewer than two values a side, are left out.
func Calibrate(first, second *snapshot.Snapshot, c Criteria) *Calibration {
	result := &Calibration{
		SchemaVersion: SchemaVersion, Plan: first.Plan, WorkloadHash: first.WorkloadHash, TakenAt: second.FinishedAt, Trials: first.Trials,
		Metrics: []Noise{},
	}
	for _, row := range Compare(first, second, c).Rows {
		a, okA := logs(row.Before.Values.Observed())
		b, okB := logs(row.After.Values.Observed())
		if !okA || !okB || len(a) < 2 || len(b) < 2 || row.Better == snapshot.Neutral {
			continue
		}
		deviation := pooledDeviation(a, b)
		result.Metrics = append(result.Metrics, Noise{
			Metric: row.Metric, Gate: row.Gate, Deviation: deviation,
			Detectable: math.Expm1(stats.Detectable(deviation, first.Trials, 1-changeConfidence)),
			MinChange:  row.MinChange, Needed: stats.TrialsNeeded(deviation, math.Log1p(row.MinChange), 1-changeConfidence, mostTrials),
			Change: row.Change,
		})
	}
	return result
}

// Noise returns the calibration of a metric, or nil.
func (c *Calibration) Noise(metric string) *Noise {
	for i := range c.Metrics {
		if c.Metrics[i].Metric == metric {
			return &c.Metrics[i]
		}
	}
	return nil
}

// Blind says which gates look for changes smaller than trials of a side can show
// with this noise.
func (c *Calibration) Blind(gates []GateSpec, byDefault float64, trials int) (warnings []string) {
	for _, g := range gates {
		noise := c.Noise(g.Metric)
		change := float64(g.MinChange)
		if change == 0 {
			change = byDefault
		}
		if noise == nil {
			warnings = append(warnings, fmt.Sprintf("gate %s is not in the calibration: its noise is not known", g.Metric))
			continue
		}
		if warning := noise.blind(change, trials); warning != "" {
			warnings = append(warnings, "gate "+warning)
		}
	}
	return warnings
}

// blind says why trials of a side can't show a change, or returns nothing.
func (n *Noise) blind(change float64, trials int) string {
	seen := math.Expm1(stats.Detectable(n.Deviation, trials, 1-changeConfidence))
	if seen <= change {
		return ""
	}
	need := fmt.Sprintf("more than %d trials a side", mostTrials)
	if needed := stats.TrialsNeeded(n.Deviation, math.Log1p(change), 1-changeConfidence, mostTrials); needed > 0 {
		need = fmt.Sprintf("%d trials a side", needed)
	}
	return fmt.Sprintf("%s looks for a change of %s, and with %d trials only one of %s can be seen: it needs %s", n.Metric, percent(change), trials, percent(seen), need)
}

// WriteCalibration writes a calibration for a terminal.
func WriteCalibration(w io.Writer, c *Calibration, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("  %s, measured twice with %d trials: nothing has changed, so that what differs is noise\n\n", plain(c.Plan), c.Trials)
	width := len("metric")
	for _, m := range c.Metrics {
		width = max(width, min(len(m.Metric), 44))
	}
	t.printf("  %-*s %9s %12s %15s\n", width, "metric", "noise", "can be seen", "trials needed")
	for _, m := range c.Metrics {
		needed := unit.Format(float64(m.Needed), unit.Count)
		if m.Needed == 0 {
			needed = fmt.Sprintf("over %d", mostTrials)
		}
		t.printf("  %-*s %9s %12s %15s", width, plain(m.Metric), percent(m.Deviation), percent(m.Detectable), fmt.Sprintf("%s for %s", needed, percent(m.MinChange)))
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
