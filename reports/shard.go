package reports

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"scaleproof/internal/unit"
	"scaleproof/scaling/shard"
)

// largestShown is how many of the largest organisations a plan names.
const largestShown = 5

// WriteMovePlan writes what a move would do for a terminal.
func WriteMovePlan(w io.Writer, p *shard.Plan, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("%s  organisations %s from %s to %s, %s\n", t.paint(bold, plain(p.Name)), plain(p.Organizations.String()), plain(p.Source), plain(p.Target), p.Mode)
	t.printf("%s\n", t.paint(dim, fmt.Sprintf("%s organisations of %s, %s, %s of all", unit.Format(float64(p.Moving.Count), unit.Count),
		unit.Format(float64(len(p.Sizes)), unit.Count), unit.Format(float64(p.Moving.Bytes), unit.Bytes), unit.Format(p.Moving.Weight, unit.Ratio))))
	t.heading("Tables, parents first")
	rows := [][]string{{"table", "belongs by", "rows that move", "of", "size"}}
	for _, table := range p.Tables {
		row := []string{plain(table.Table), plain(table.How), "", "", ""}
		if table.Class != shard.Omitted {
			row = []string{
				plain(table.Table), plain(table.How), unit.Format(float64(table.Rows), unit.Count),
				unit.Format(float64(table.Of), unit.Count), unit.Format(float64(table.Bytes), unit.Bytes),
			}
		}
		rows = append(rows, row)
	}
	t.table(rows)
	t.largest(p.Sizes)
	if p.Proposal != nil {
		t.proposal(p.Proposal)
	}
	t.notes(p.Warnings)
	if len(p.Faults) > 0 {
		t.heading("The move can't begin")
		for _, fault := range p.Faults {
			t.printf("  %s ", t.paint(red, "fault"))
			t.wrapped(plain(fault), 8)
		}
	}
	return t.out.Flush()
}

func (t *terminal) largest(sizes []shard.Size) {
	sorted := slices.Clone(sizes)
	slices.SortStableFunc(sorted, func(a, b shard.Size) int { return cmp.Compare(b.Bytes, a.Bytes) })
	t.heading("The largest organisations")
	rows := [][]string{{"organisation", "rows", "size", "load"}}
	for _, s := range sorted[:min(len(sorted), largestShown)] {
		rows = append(rows, []string{plain(s.Organization), unit.Format(float64(s.Rows), unit.Count), unit.Format(float64(s.Bytes), unit.Bytes), unit.Format(s.Load, unit.Ratio)})
	}
	t.table(rows)
}

func (t *terminal) proposal(p *shard.Proposal) {
	for _, way := range []struct {
		title  string
		shares []shard.Share
	}{{"Proposed ranges", p.Ranges}, {"Proposed lists, if any may go anywhere", p.Lists}} {
		t.heading(way.title)
		rows := [][]string{{"organisations", "how many", "size", "part of all"}}
		for _, s := range way.shares {
			rows = append(rows, []string{shortened(plain(s.Organizations.String()), 40), unit.Format(float64(s.Count), unit.Count), unit.Format(float64(s.Bytes), unit.Bytes), unit.Format(s.Weight, unit.Ratio)})
		}
		t.table(rows)
	}
	if p.Breaks != "" {
		t.printf("  %s\n", t.paint(yellow, "Organisation "+plain(p.Breaks)+" alone is more than a shard's fair part: no cut can balance."))
	}
}

func shortened(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:width-3]) + "..."
	}
	return text
}

// WriteMoveVerification writes what a comparison of both sides came to for a
// terminal.
func WriteMoveVerification(w io.Writer, v *shard.Verification, style TerminalStyle) error {
	t := newTerminal(w, style)
	rows := [][]string{{"table", "source", "target", ""}}
	for _, table := range v.Tables {
		state := "equal"
		if table.Differing > 0 {
			state = fmt.Sprintf("%d of %d parts differ", table.Differing, table.Buckets)
		}
		if table.Changing > 0 {
			state += fmt.Sprintf(", %d rows change all the time", table.Changing)
		}
		rows = append(rows, []string{plain(table.Table), unit.Format(float64(table.Source), unit.Count), unit.Format(float64(table.Target), unit.Count), state})
	}
	t.table(rows)
	if len(v.Differences) > 0 {
		t.heading("Rows that differ, as the target has them")
		for _, d := range v.Differences {
			t.printf("  %s  %s (%s)\n", t.paint(red, pad(d.What, 8)), plain(d.Table), plain(d.Key))
		}
	}
	for _, fault := range v.Faults {
		t.printf("  %s ", t.paint(red, "fault"))
		t.wrapped(plain(fault), 8)
	}
	if v.Live && len(v.Differences) > 0 {
		t.printf("\n")
		t.wrapped(shard.LiveNote, 0)
	}
	color, word := green, "EQUAL"
	if !v.Equal {
		color, word = red, "NOT EQUAL"
	}
	t.printf("\n%s  %s rows compared in %s, the rest checked in %s\n", t.paint(bold+";"+color, word), unit.Format(float64(v.Rows), unit.Count),
		unit.Format(v.ChecksumSeconds, unit.Seconds), unit.Format(v.IntegritySeconds, unit.Seconds))
	return t.out.Flush()
}
