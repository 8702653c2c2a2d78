package reports

import (
	"bufio"
	"fmt"
	"io"

	"scaleproof/dbbench"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// WritePlan writes a decoded plan for a terminal: its shape, what it cost, and
// what is likely to be wrong with it.
func WritePlan(w io.Writer, name string, p *dbbench.Plan, style TerminalStyle) error {
	t := newTerminal(w, style)
	f := p.Figures()
	t.heading(plain(name))
	t.printf("  %-12s %s\n", "fingerprint", p.Fingerprint())
	if p.Root.Analyzed {
		t.printf("  %-12s %s planning, %s execution\n", "time", unit.Format(p.PlanningTime/1e3, unit.Seconds), unit.Format(p.ExecutionTime/1e3, unit.Seconds))
		t.printf("  %-12s %s, at worst\n", "q-error", unit.Format(f.QError, unit.Count))
		t.printf("  %-12s %s read, %s removed by filters\n", "rows", unit.Format(f.RowsRead, unit.Count), unit.Format(f.RowsRemoved, unit.Count))
	}
	if f.Blocks > 0 {
		t.printf("  %-12s %s touched, %s of temporary files\n", "blocks", unit.Format(f.Blocks, unit.Count), unit.Format(f.TempBlocks, unit.Count))
	}
	t.printf("\n")
	t.planTree(p.Root, 1)
	t.notes(p.Warnings())
	return t.out.Flush()
}

// WritePlanDiff writes how one plan differs from another.
func WritePlanDiff(w io.Writer, before, after *dbbench.Plan, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.heading("What changed")
	changes := dbbench.DiffPlans(before, after)
	if len(changes) == 0 {
		t.printf("  nothing that the plans tell\n")
	}
	for _, change := range changes {
		t.printf("  %s\n", plain(change))
	}
	return t.out.Flush()
}

func newTerminal(w io.Writer, style TerminalStyle) *terminal {
	if style.Width <= 0 {
		style.Width = 100
	}
	return &terminal{out: bufio.NewWriter(w), style: style}
}

func (t *terminal) planTree(n *dbbench.PlanNode, depth int) {
	t.printf("%*s%s", 2*depth, "", t.paint(bold, plain(n.Title())))
	rows := unit.Format(n.PlanRows, unit.Count) + " rows planned"
	if n.Analyzed {
		rows = fmt.Sprintf("%s rows of %s planned", unit.Format(n.ActualRows, unit.Count), unit.Format(n.PlanRows, unit.Count))
		if n.Loops != 1 {
			rows += fmt.Sprintf(" in each of %s loops", unit.Format(n.Loops, unit.Count))
		}
	}
	t.printf("  %s\n", t.paint(dim, rows))
	if n.Condition != "" {
		t.printf("%*s%s\n", 2*depth+4, "", plain(n.Condition))
	}
	for _, child := range n.Children {
		t.planTree(child, depth+1)
	}
}

func (t *terminal) notes(warnings []string) {
	for i, warning := range warnings {
		if i == 0 {
			t.printf("\n")
		}
		t.printf("  %s %s\n", t.paint(yellow, "!"), plain(warning))
	}
}

// muchOverhead is from how many times as long an execution takes with the clock at
// its nodes on that it is worth a word.
const muchOverhead = 1.2

// WriteBench writes one trial of a suite for a terminal.
func WriteBench(w io.Writer, r *dbbench.Result, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("  %s, PostgreSQL %s, reading the clock takes %s\n\n", plain(r.Node), plain(r.Version), unit.Format(r.ClockCost, unit.Seconds))
	width := len("case")
	for _, c := range r.Cases {
		width = max(width, min(len(c.Name), 36))
	}
	t.printf("  %-*s %10s %10s %9s %9s %9s %8s\n", width, "case", "server", "client", "rows", "read", "blocks", "q-error")
	for _, c := range r.Cases {
		if c.Error != "" {
			t.printf("  %-*s %s\n", width, plain(c.Name), t.paint(red, plain(c.Error)))
			continue
		}
		t.printf("  %-*s %10s %10s %9s %9s %9s %8s\n", width, plain(c.Name),
			unit.Format(stats.Median(c.ServerTime), unit.Seconds), unit.Format(stats.Median(c.ClientTime), unit.Seconds),
			unit.Format(c.Rows, unit.Count), unit.Format(c.RowsRead, unit.Count), unit.Format(c.Blocks, unit.Count), unit.Format(c.QError, unit.Count))
		if c.Generic != nil && c.Generic.Fingerprint != c.Fingerprint {
			t.printf("  %-*s %10s  %s\n", width, "", unit.Format(stats.Median(c.Generic.ServerTime), unit.Seconds), t.paint(dim, "with the generic plan, which has another shape"))
		}
		if c.TimingOverhead >= muchOverhead {
			t.printf("  %-*s %s\n", width, "", t.paint(dim, unit.Format(c.TimingOverhead, unit.Count)+" times as long with the clock at its nodes: their shares say too much of those with many rows"))
		}
	}
	for _, c := range r.Cases {
		if c.Plan == nil {
			continue
		}
		if warnings := c.Plan.Warnings(); len(warnings) > 0 {
			t.printf("\n  %s", t.paint(bold, plain(c.Name)))
			t.notes(warnings)
		}
	}
	t.notes(r.Warnings)
	return t.out.Flush()
}

// WriteDatabaseLoad writes what many clients measured for a terminal.
func WriteDatabaseLoad(w io.Writer, r *dbbench.LoadResult, style TerminalStyle) error {
	t := newTerminal(w, style)
	offered := "as fast as the clients allow"
	if r.OfferedRate > 0 {
		offered = "of " + unit.Format(r.OfferedRate, unit.PerSecond) + " offered"
	}
	t.printf("  %-14s %s, %s %s, by %d clients in %s\n", "transactions", unit.Format(float64(r.Transactions), unit.Count),
		unit.Format(r.TPS, unit.PerSecond), offered, r.Clients, unit.Format(r.DurationSeconds, unit.Seconds))
	if len(r.Errors) > 0 {
		t.printf("  %-14s %s\n  %-14s %s\n", "errors", t.paint(red, counts(r.Errors)), "", plain(r.FirstError))
	}
	for _, c := range r.Cases {
		if c.Fault != "" {
			t.printf("  %-14s %s, %s of the mix, can't run: %s\n", "", plain(c.Name), unit.Format(c.Share, unit.Ratio), plain(c.Fault))
		}
	}
	if r.Unsent > 0 {
		t.printf("  %-14s %s were due, and no client was free\n", "unsent", unit.Format(float64(r.Unsent), unit.Count))
	}
	if r.Transactions > 0 {
		width := quantileLabel
		for _, c := range r.Cases {
			width = max(width, len(c.Name))
		}
		t.printf("\n")
		t.quantileHead(width)
		t.quantiles(width, "response time", r.ResponseTime)
		t.quantiles(width, "service time", r.ServiceTime)
		for _, c := range r.Cases {
			t.quantiles(width, plain(c.Name), c.ServiceTime)
		}
	}
	return t.out.Flush()
}
