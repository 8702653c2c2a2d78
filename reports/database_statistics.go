package reports

import (
	"cmp"
	"io"
	"maps"
	"slices"
	"strings"

	"scaleproof/dbbench"
	"scaleproof/internal/unit"
)

// topRows is how many rows of a view are shown.
const topRows = 10

// WriteStatisticsDelta writes what a node's counters counted between two captures:
// for each view its busiest rows.
func WriteStatisticsDelta(w io.Writer, d *dbbench.StatisticsDelta, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("  %s, over %s\n", plain(d.Node), unit.Format(d.Seconds, unit.Seconds))
	for _, view := range slices.Sorted(maps.Keys(d.Views)) {
		if len(d.Views[view]) > 0 {
			t.heading(view)
			t.deltaRows(busiest(d.Views[view]))
		}
	}
	t.notes(d.Doubts())
	return t.out.Flush()
}

// nameColumns are what tells a row of a statistics view to a person.
func nameColumns() []string {
	return []string{"schemaname", "relname", "indexrelname", "query", "datname", "backend_type", "object", "context", "slot_name", "application_name"}
}

// rankedBy are the counters that say best how busy a row was, in this order.
func rankedBy() []string {
	return []string{"total_exec_time", "seq_tup_read", "idx_tup_read", "heap_blks_hit", "idx_blks_hit", "idx_scan", "hits", "reads", "writes"}
}

// busiest sorts rows, the busiest first and those of which nothing is known last.
func busiest(rows []dbbench.DeltaRow) []dbbench.DeltaRow {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b dbbench.DeltaRow) int {
		for _, counter := range rankedBy() {
			if order := cmp.Compare(b.Counters[counter], a.Counters[counter]); order != 0 {
				return order
			}
		}
		return cmp.Compare(len(a.Unknown), len(b.Unknown))
	})
	return rows
}

func (t *terminal) deltaRows(rows []dbbench.DeltaRow) {
	for i, row := range rows {
		if i == topRows {
			t.printf("  and %d more\n", len(rows)-i)
			return
		}
		t.deltaRow(row)
	}
}

func (t *terminal) deltaRow(row dbbench.DeltaRow) {
	name := ""
	for _, column := range nameColumns() {
		if text := row.Row.Text(column); text != "" && text != "public" {
			name += " " + t.cut(text)
		}
	}
	if name == "" {
		name = " all"
	}
	if row.Unknown != "" {
		t.printf(" %s: %s\n", name, t.paint(yellow, plain(row.Unknown)))
		return
	}
	text := ""
	for _, counter := range slices.Sorted(maps.Keys(row.Counters)) {
		if v := row.Counters[counter]; v != 0 {
			text += " " + counter + " " + counterText(counter, v)
		}
	}
	t.printf(" %s\n", t.paint(bold, name))
	if text == "" {
		text = "nothing"
	}
	t.wrapped(text, 4)
}

// cut shortens a statement to a line of the terminal.
func (t *terminal) cut(text string) string {
	text = plain(strings.Join(strings.Fields(text), " "))
	if letters := []rune(text); len(letters) > t.style.Width-4 {
		return string(letters[:t.style.Width-5]) + "…"
	}
	return text
}

// counterText prints a counter in its unit: the server counts times in
// milliseconds.
func counterText(counter string, v float64) string {
	switch {
	case strings.HasSuffix(counter, "_time"):
		return unit.Format(v/1e3, unit.Seconds)
	case strings.HasSuffix(counter, "_bytes"):
		return unit.Format(v, unit.Bytes)
	}
	return unit.Format(v, unit.Count)
}

// WriteActivity writes for a terminal what the sessions of a node were doing.
func WriteActivity(w io.Writer, a *dbbench.Activity, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.heading("activity of " + plain(a.Node))
	if note := a.Note(); note != "" {
		t.printf("  %s %s\n", t.paint(yellow, "!"), plain(note))
	}
	if a.Samples > 0 {
		t.activity(a)
	}
	t.printf("\n")
	return t.out.Flush()
}

func (t *terminal) activity(a *dbbench.Activity) {
	count := func(name string, m dbbench.MeanMax) {
		t.printf("  %-22s %s on average, %s at most\n", name, unit.Format(m.Mean, unit.Count), unit.Format(m.Max, unit.Count))
	}
	t.printf("  %-22s %d over %s\n", "samples", a.Samples, unit.Format(a.Seconds, unit.Seconds))
	count("active sessions", a.Active)
	count("idle in transaction", a.IdleInTransaction)
	count("blocked by locks", a.Blocked)
	t.printf("  %-22s %s\n", "longest transaction", unit.Format(a.LongestTransaction, unit.Seconds))
	for _, wait := range a.Waits {
		t.printf("  %-22s %s, %s on average\n", "wait", plain(wait.Type+" "+wait.Event), unit.Format(wait.Mean, unit.Count))
	}
	for _, lag := range a.Lags {
		t.printf("  %-22s %s on average, %s and %s at most\n", "lag of "+plain(lag.Standby), unit.Format(lag.Bytes.Mean, unit.Bytes),
			unit.Format(lag.Bytes.Max, unit.Bytes), unit.Format(lag.Seconds.Max, unit.Seconds))
	}
	for _, b := range a.Blocks {
		t.printf("  %s waited for %s %s, held by %s\n", t.paint(bold, oneLine(b.Query)), b.Mode, plain(b.Relation), oneLine(b.Blocker))
	}
}
