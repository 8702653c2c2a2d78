package reports

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"scaleproof/capacity"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
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
	comparison := Compare(before, after, Criteria{AllowDifferences: true})
	var rows []EfficiencyRow
	for _, r := range comparison.Rows {
		if !strings.HasPrefix(r.Metric, "load.") || !strings.HasSuffix(r.Metric, ".throughput") && !strings.HasSuffix(r.Metric, ".capacity") {
			continue
		}
		if r.Before.Median == nil || r.After.Median == nil || *r.Before.Median <= 0 {
			continue
		}
		up := capacity.MeasuredScaleUp(from, *r.Before.Median, to, *r.After.Median)
		row := EfficiencyRow{Metric: r.Metric, ScaleUp: up, Low: up.Efficiency, High: up.Efficiency}
		if r.Ratio != nil {
			row.Low, row.High = r.Ratio.Low*from/to, r.Ratio.High*from/to
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, errors.New("the snapshots have no throughput or capacity of a load in common")
	}
	return rows, nil
}

// WriteEfficiencies writes efficiencies for a terminal.
func WriteEfficiencies(w io.Writer, rows []EfficiencyRow, style TerminalStyle) error {
	t := newTerminal(w, style)
	for _, r := range rows {
		t.printf("  %s: from %s to %s replicas %s times as much, an efficiency of %s (%s to %s)\n", t.paint(bold, plain(r.Metric)),
			unit.Format(r.From, unit.Count), unit.Format(r.To, unit.Count), unit.Format(r.Gain, unit.Count),
			unit.Format(r.Efficiency, unit.Ratio), unit.Format(r.Low, unit.Ratio), unit.Format(r.High, unit.Ratio))
		if strings.HasSuffix(r.Metric, ".throughput") {
			t.wrapped(t.paint(dim, "throughput tells the efficiency only where the load asked for all that there was: the closed model"), 6)
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
