package main

import (
	"fmt"
	"io"

	"scaleproof/internal/history"
	"scaleproof/internal/live"
	"scaleproof/internal/unit"
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
		fmt.Fprintf(w, "%s\n  %s\n  %d points from %s to %s, now %s\n", t.Metric, live.Sparkline(values), len(t.Points),
			first.At.Format("2006-01-02"), last.At.Format("2006-01-02"), unit.Format(last.Value, t.Unit))
		for _, c := range t.Changes {
			commit := ""
			if c.Commit != "" {
				commit = " at commit " + c.Commit
			}
			fmt.Fprintf(w, "  changed on %s%s: from %s to %s (%s)\n", c.At.Format("2006-01-02 15:04"), commit, unit.Format(c.From, t.Unit), unit.Format(c.To, t.Unit), c.ID)
		}
		if len(t.Changes) == 0 {
			fmt.Fprintln(w, "  no change that chance does not explain")
		}
	}
	return nil
}
