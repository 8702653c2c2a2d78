package main

import (
	"bytes"
	"fmt"
	"io"

	"scaleproof/internal/history"
	"scaleproof/internal/live"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

// writeTrends draws trends for a terminal.
func writeTrends(w io.Writer, trends []history.Trend, style reports.TerminalStyle) error {
	for _, t := range trends {
		first, last := t.Points[0], t.Points[len(t.Points)-1]
		shown := t.Points[max(0, len(t.Points)-max(style.Width-4, 10)):]
		var values []float64
		for _, p := range shown {
			values = append(values, p.Value)
		}
		fmt.Fprintf(w, "%s\n  %s\n  %d points from %s to %s, now %s\n", reports.Plain(t.Metric), live.Sparkline(values), len(t.Points),
			first.At.Format("2006-01-02"), last.At.Format("2006-01-02"), unit.Format(last.Value, t.Unit))
		for _, c := range t.Changes {
			commit := ""
			if c.Commit != "" {
				commit = " at commit " + reports.Plain(c.Commit)
			}
			fmt.Fprintf(w, "  changed on %s%s: from %s to %s (%s)\n", c.At.Format("2006-01-02 15:04"), commit, unit.Format(c.From, t.Unit), unit.Format(c.To, t.Unit), reports.Plain(c.ID))
		}
		if len(t.Changes) == 0 {
			fmt.Fprintln(w, "  no change that chance does not explain")
		}
	}
	fmt.Fprintf(w, "changes: %s\n", trends[0].Method)
	return nil
}

// writeTrendPage writes trends as a page.
func (a *app) writeTrendPage(path string, trends []history.Trend) error {
	var all []reports.Trend
	for _, t := range trends {
		shown := reports.Trend{Metric: t.Metric, Unit: t.Unit, Method: t.Method}
		for _, p := range t.Points {
			shown.Points = append(shown.Points, trendPoint(p))
		}
		for _, c := range t.Changes {
			shown.Changes = append(shown.Changes, reports.TrendChange{TrendPoint: trendPoint(c.Point), From: c.From, To: c.To})
		}
		all = append(all, shown)
	}
	var page bytes.Buffer
	if err := reports.WriteTrends(&page, all); err != nil {
		return err
	}
	if err := snapshot.WriteFileAtomically(path, page.Bytes()); err != nil {
		return &validation.EnvironmentError{Err: err}
	}
	fmt.Fprintf(a.err, "Wrote %s.\n", path)
	return nil
}

func trendPoint(p history.Point) reports.TrendPoint {
	return reports.TrendPoint{At: p.At, ID: p.ID, Commit: p.Commit, Value: p.Value}
}
