package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"scaleproof/capacity"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// An EfficiencyRow is what a scaling action has brought a load.
type EfficiencyRow struct {
	Metric string `json:"metric"`
	capacity.ScaleUp
	// Low and High are the bounds of the efficiency, from the interval of the ratio
	// of the trials; both are the efficiency where there are too few trials for one.
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Efficiencies returns the efficiency of going from one number of replicas to
// another, for every load's throughput and capacity that both snapshots have. It
// fails where there is none, or the numbers are not those of a scaling.
func Efficiencies(before, after *snapshot.Snapshot, from, to float64) ([]EfficiencyRow, error) {
	if !(from > 0) || !(to > 0) || from == to {
		return nil, fmt.Errorf("an action from %v to %v replicas is no scaling: name both numbers by --from and --to", from, to)
	}
	rows := efficiencyRows(Compare(before, after, Criteria{AllowDifferences: true}), from, to)
	if len(rows) == 0 {
		return nil, errors.New("the snapshots have no throughput or capacity of a load in common")
	}
	return rows, nil
}

// FindEfficiency fills in what an action that scaled one workload has brought its
// loads: of capacities, and of throughputs in the closed model, which asks for all
// that there is. With several workloads, or from or to none, nothing can be told.
func (r *Report) FindEfficiency() {
	if r.Action == nil {
		return
	}
	if changes := r.Action.ReplicaChanges(); len(changes) == 1 && changes[0].From > 0 && changes[0].To > 0 {
		r.Efficiency = slices.DeleteFunc(efficiencyRows(r.Comparison, changes[0].From, changes[0].To), func(row EfficiencyRow) bool {
			load, throughput := strings.CutSuffix(row.Metric, ".throughput")
			return throughput && !(inClosedModel(r.Before, load) && inClosedModel(r.After, load))
		})
	}
}

// inClosedModel tells whether a load of a snapshot asked for all that there was.
func inClosedModel(s *snapshot.Snapshot, load string) bool {
	var result loadgen.Result
	there, err := s.Section(load, &result)
	return there && err == nil && result.OfferedRate == 0
}

func efficiencyRows(comparison Comparison, from, to float64) []EfficiencyRow {
	var rows []EfficiencyRow
	for _, r := range comparison.Rows {
		if !strings.HasPrefix(r.Metric, "load.") || !strings.HasSuffix(r.Metric, ".throughput") && !strings.HasSuffix(r.Metric, ".capacity") {
			continue
		}
		if r.Before.Median == nil || r.After.Median == nil || *r.Before.Median <= 0 {
			continue
		}
		// The estimate is the one that the bounds are of: the ratio of medians may lie
		// beyond them.
		gain := Interval{Value: *r.After.Median / *r.Before.Median}
		gain.Low, gain.High = gain.Value, gain.Value
		if r.Ratio != nil {
			gain = *r.Ratio
		}
		up := capacity.MeasuredScaleUp(from, 1, to, gain.Value)
		rows = append(rows, EfficiencyRow{Metric: r.Metric, ScaleUp: up, Low: gain.Low * from / to, High: gain.High * from / to})
	}
	return rows
}

// Text says it in words.
func (r EfficiencyRow) Text() string {
	return fmt.Sprintf("%s: from %s to %s replicas %s times as much, an efficiency of %s (%s to %s)", r.Metric,
		unit.Format(r.From, unit.Count), unit.Format(r.To, unit.Count), unit.Format(r.Gain, unit.Count),
		unit.Format(r.Efficiency, unit.Ratio), unit.Format(r.Low, unit.Ratio), unit.Format(r.High, unit.Ratio))
}

// efficiencyTitle is the heading of what an action has brought.
const efficiencyTitle = "What the replicas brought"

func (t *terminal) efficiency(rows []EfficiencyRow) {
	for i, r := range rows {
		if i == 0 {
			t.heading(efficiencyTitle)
		}
		t.printf("  %s\n", plain(r.Text()))
	}
}

func markdownEfficiency(b *bytes.Buffer, rows []EfficiencyRow) {
	for i, r := range rows {
		if i == 0 {
			fmt.Fprintf(b, "\n### %s\n\n", efficiencyTitle)
		}
		fmt.Fprintf(b, "- %s\n", md(r.Text()))
	}
}

// WriteEfficiencies writes efficiencies for a terminal.
func WriteEfficiencies(w io.Writer, rows []EfficiencyRow, style TerminalStyle) error {
	t := newTerminal(w, style)
	for _, r := range rows {
		t.printf("  %s\n", plain(r.Text()))
		if strings.HasSuffix(r.Metric, ".throughput") {
			t.wrapped("throughput tells the efficiency only where the load asked for all that there was: the closed model", 6)
		}
	}
	return t.out.Flush()
}

// WritePool writes the size of a pool for a terminal.
func WritePool(w io.Writer, p *capacity.Pool, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("  %s %d servers: the wait of %s of the requests stays within %s\n", t.paint(bold, "needed"), p.Needed, unit.Format(p.Quantile, unit.Ratio), unit.Format(p.Wait, unit.Seconds))
	t.printf("  the square-root rule says %d\n\n", p.SquareRoot)
	t.printf("  %8s %12s %10s %10s %10s %10s\n", "servers", "utilisation", "waiting", "mean wait", "p95", "p99")
	for _, f := range p.Forecasts {
		t.printf("  %8d %12s %10s %10s %10s %10s\n", f.Servers, unit.Format(f.Utilisation, unit.Ratio), unit.Format(f.Waiting, unit.Ratio),
			unit.Format(f.MeanWait, unit.Seconds), unit.Format(f.P95Wait, unit.Seconds), unit.Format(f.P99Wait, unit.Seconds))
	}
	return t.out.Flush()
}
