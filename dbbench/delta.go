package dbbench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A StatisticsDelta is what a node's counters counted between two captures.
type StatisticsDelta struct {
	Node string `json:"node"`
	// Seconds is the time between the captures.
	Seconds float64 `json:"seconds"`
	// Unknown says why nothing can be said of the node, or is empty.
	Unknown string `json:"unknown,omitempty"`
	// Views holds, per view, the rows of which the counters moved or are
	// unknown.
	Views map[string][]DeltaRow `json:"views,omitempty"`
	// Lossy names views that have lost rows meanwhile, so that sums over them
	// are too small. Absent names those that one of the captures lacks: its
	// notes say why.
	Lossy  []string `json:"lossy,omitempty"`
	Absent []string `json:"absent,omitempty"`
	// Hidden counts, per view, the rows after that the role may not tell apart,
	// and that are left out. Unwatched names views of which nobody counts what was
	// reset or thrown away.
	Hidden    map[string]int `json:"hidden,omitempty"`
	Unwatched []string       `json:"unwatched,omitempty"`
}

// A DeltaRow is what the counters of one row counted.
type DeltaRow struct {
	Row      Row                `json:"row"` // as it was after, or before it was gone
	Counters map[string]float64 `json:"counters"`
	// Unknown says why a row has no counters: it was reset, counted backwards, or
	// is gone. One that is new has counted from zero, and is known.
	Unknown string `json:"unknown,omitempty"`
}

// Delta subtracts captures of one node. What can't be known is unknown, never
// zero: a server that is another one or was restarted, counters that were reset,
// statistics that a crash has taken, a counter that went backwards.
func Delta(before, after *Statistics) *StatisticsDelta {
	d := &StatisticsDelta{Node: after.Node, Seconds: after.CapturedAt.Sub(before.CapturedAt).Seconds(), Views: map[string][]DeltaRow{}}
	switch {
	case before.SystemIdentifier != after.SystemIdentifier:
		d.Unknown = "it is another server than before"
	case !before.ServerStartedAt.Equal(after.ServerStartedAt):
		d.Unknown = "the server was restarted in between"
	case before.InRecovery != after.InRecovery:
		d.Unknown = "the server was promoted in between"
	case crashed(before, after):
		d.Unknown = "all of the server's statistics began anew in between, as they do after a crash"
	}
	if d.Unknown != "" {
		return d
	}
	for _, v := range views() {
		if len(v.counters) > 0 {
			d.subtract(v, before, after)
		}
	}
	switch _, there := d.Views[statements]; {
	case there && (before.Views[statementsInfo] == nil || after.Views[statementsInfo] == nil):
		d.Unwatched = append(d.Unwatched, statements)
	case dealloc(before) != dealloc(after):
		d.Lossy = append(d.Lossy, statements)
	}
	return d
}

// Doubts says in words what the delta does not know: of the node, of whole views,
// and of how many rows.
func (d *StatisticsDelta) Doubts() []string {
	if d.Unknown != "" {
		return []string{"nothing is known: " + d.Unknown}
	}
	var doubts []string
	say := func(format string, args ...any) { doubts = append(doubts, fmt.Sprintf(format, args...)) }
	for _, view := range d.Absent {
		say("%s is in one of the captures only: what it counted is unknown", view)
	}
	for _, view := range d.Lossy {
		say("%s has thrown entries away meanwhile: its sums are too small", view)
	}
	for _, view := range d.Unwatched {
		say("whether %s was reset, or has thrown entries away, is unknown, since %s is lacking (it comes with version 1.9 of the extension, from PostgreSQL 14 on): its sums may be too small", view, statementsInfo)
	}
	for _, view := range slices.Sorted(maps.Keys(d.Hidden)) {
		say("%d rows of %s can't be told apart, since they are hidden from the role, and are left out: GRANT pg_monitor to it", d.Hidden[view], view)
	}
	for _, view := range slices.Sorted(maps.Keys(d.Views)) {
		unknown := map[string]int{}
		for _, row := range d.Views[view] {
			if row.Unknown != "" {
				unknown[row.Unknown]++
			}
		}
		for _, reason := range slices.Sorted(maps.Keys(unknown)) {
			say("%s: %s unknown: %s", view, rowsAre(unknown[reason]), reason)
		}
	}
	return doubts
}

// rowsAre says how many rows something is said of.
func rowsAre(n int) string {
	if n == 1 {
		return "one row is"
	}
	return fmt.Sprintf("%d rows are", n)
}

// DeltaAll subtracts the captures of several nodes, each from its namesake. A node
// that was not captured before is unknown, and so is one that was not after.
func DeltaAll(before, after []*Statistics) []*StatisticsDelta {
	var deltas []*StatisticsDelta
	find := func(all []*Statistics, node string) *Statistics {
		i := slices.IndexFunc(all, func(s *Statistics) bool { return s.Node == node })
		if i < 0 {
			return nil
		}
		return all[i]
	}
	for _, s := range after {
		if was := find(before, s.Node); was != nil {
			deltas = append(deltas, Delta(was, s))
			continue
		}
		deltas = append(deltas, &StatisticsDelta{Node: s.Node, Unknown: "it was not captured before"})
	}
	for _, s := range before {
		if find(after, s.Node) == nil {
			deltas = append(deltas, &StatisticsDelta{Node: s.Node, Unknown: "it was not captured after"})
		}
	}
	return deltas
}

// subtract adds the rows of one view.
func (d *StatisticsDelta) subtract(v view, before, after *Statistics) {
	rowsBefore, was := before.Views[v.name]
	rowsAfter, is := after.Views[v.name]
	rowsBefore, hiddenBefore := v.distinct(rowsBefore)
	rowsAfter, hidden := v.distinct(rowsAfter)
	if hidden > 0 && was && is {
		if d.Hidden == nil {
			d.Hidden = map[string]int{}
		}
		d.Hidden[v.name] = hidden
	}
	switch {
	case was != is:
		d.Absent = append(d.Absent, v.name)
	case v.resetWith != "" && resetTime(before, v.resetWith) != resetTime(after, v.resetWith):
		// The rows do not tell by themselves: one that has counted past its old
		// value since looks as if nothing was.
		for _, row := range rowsAfter {
			d.Views[v.name] = append(d.Views[v.name], DeltaRow{Row: row, Unknown: wasReset})
		}
	case is:
		d.Views[v.name] = v.delta(rowsBefore, rowsAfter, hiddenBefore > 0)
	}
}

// resetTime returns when a view of one row was last reset, nil where it never was
// or the view is lacking.
func resetTime(s *Statistics, view string) any {
	if rows := s.Views[view]; len(rows) == 1 {
		return rows[0]["stats_reset"]
	}
	return nil
}

// began returns when all of a server's statistics began at once: when it was made, or
// lost them without a restart, as where one of its processes is killed. From 15 on those
// of databases, tables and indexes do not tell of that. nil: it is not known.
func began(s *Statistics) any {
	if at := resetTime(s, "pg_stat_bgwriter"); at == resetTime(s, "pg_stat_archiver") {
		return at
	}
	return nil
}

// crashed tells whether all of a server's statistics began anew between two captures.
func crashed(before, after *Statistics) bool {
	was, is := resetTime(before, "pg_stat_bgwriter"), began(after)
	return was != nil && is != nil && was != is
}

const wasReset = "its statistics were reset in between"

// dealloc counts how often pg_stat_statements has thrown entries away.
func dealloc(s *Statistics) float64 {
	for _, row := range s.Views[statementsInfo] {
		value, _ := row.Number("dealloc")
		return value
	}
	return 0
}

// delta subtracts rows. hidden says that others were there before and could not be
// told apart, so that a row which looks new may be one of them.
func (v view) delta(before, after []Row, hidden bool) []DeltaRow {
	old := map[string]Row{}
	for _, row := range before {
		old[v.keyOf(row)] = row
	}
	var rows []DeltaRow
	for _, row := range after {
		was, known := old[v.keyOf(row)]
		delete(old, v.keyOf(row))
		switch {
		case !known && hidden:
			rows = append(rows, DeltaRow{Row: row, Unknown: "it may have been hidden from the role before"})
			continue
		case !known:
			// A new table or statement starts at zero.
			was = Row{}
		case was["stats_reset"] != row["stats_reset"] || was["stats_since"] != row["stats_since"]:
			rows = append(rows, DeltaRow{Row: row, Unknown: wasReset})
			continue
		}
		// A view of one row says by its zeros that nothing happened.
		if d := v.subtract(was, row); d.Unknown != "" || len(d.Counters) > 0 || len(v.key) == 0 {
			rows = append(rows, d)
		}
	}
	for _, row := range before {
		if _, gone := old[v.keyOf(row)]; gone {
			rows = append(rows, DeltaRow{Row: row, Unknown: "it is gone, and with it what it counted"})
		}
	}
	return rows
}

// distinct returns the rows that can be told apart, and how many can't: those of
// which the server hides a part of the key, as it does the queryid of other roles'
// statements, all look like one.
func (v view) distinct(rows []Row) (known []Row, hidden int) {
	known = slices.DeleteFunc(slices.Clone(rows), func(row Row) bool {
		return slices.ContainsFunc(v.key, func(column string) bool {
			value, there := row[column]
			return there && value == nil // what this version lacks is no part of the key
		})
	})
	return known, len(rows) - len(known)
}

func (v view) keyOf(row Row) string {
	var b strings.Builder
	for _, column := range v.key {
		fmt.Fprintf(&b, "%v\x00", row[column])
	}
	return b.String()
}

// subtract returns the counters that moved.
func (v view) subtract(before, after Row) DeltaRow {
	d := DeltaRow{Row: after, Counters: map[string]float64{}}
	for _, counter := range v.counters {
		now, ok := after[counter].(float64)
		if !ok {
			continue // this version lacks it, or it is NULL: impossible here
		}
		was, _ := before[counter].(float64)
		switch {
		case now < was:
			return DeltaRow{Row: after, Unknown: counter + " went backwards"}
		case now > was:
			d.Counters[counter] = now - was
		}
	}
	return d
}

// Top returns up to n rows of a view by one counter, the largest first.
func (d *StatisticsDelta) Top(view, counter string, n int) []DeltaRow {
	rows := slices.DeleteFunc(slices.Clone(d.Views[view]), func(r DeltaRow) bool { return r.Counters[counter] == 0 })
	slices.SortStableFunc(rows, func(a, b DeltaRow) int {
		switch x, y := a.Counters[counter], b.Counters[counter]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return rows[:min(n, len(rows))]
}
