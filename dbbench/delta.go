package dbbench

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
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
	// are too small.
	Lossy []string `json:"lossy,omitempty"`
}

// A DeltaRow is what the counters of one row counted.
type DeltaRow struct {
	Row      Row                `json:"row"` // as it was after
	Counters map[string]float64 `json:"counters"`
	// Unknown says why a row has no counters: it was reset, or counted
	// backwards, or was not there before and may be older than that.
	Unknown string `json:"unknown,omitempty"`
}

// Delta subtracts captures of one node. What can't be known is unknown, never
// zero: a server that is another one or was restarted, counters that were reset,
// a counter that went backwards.
func Delta(before, after *Statistics) *StatisticsDelta {
	d := &StatisticsDelta{Node: after.Node, Seconds: after.CapturedAt.Sub(before.CapturedAt).Seconds(), Views: map[string][]DeltaRow{}}
	switch {
	case before.SystemIdentifier != after.SystemIdentifier:
		d.Unknown = "it is another server than before"
	case !before.ServerStartedAt.Equal(after.ServerStartedAt):
		d.Unknown = "the server was restarted in between"
	case before.InRecovery != after.InRecovery:
		d.Unknown = "the server was promoted in between"
	}
	if d.Unknown != "" {
		return d
	}
	for _, v := range views() {
		if len(v.counters) == 0 {
			continue
		}
		rowsBefore, known := before.Views[v.name]
		if rowsAfter, ok := after.Views[v.name]; ok && known {
			d.Views[v.name] = v.delta(rowsBefore, rowsAfter)
		}
	}
	if dealloc(before) != dealloc(after) {
		d.Lossy = append(d.Lossy, "pg_stat_statements")
	}
	return d
}

// dealloc counts how often pg_stat_statements has thrown entries away.
func dealloc(s *Statistics) float64 {
	for _, row := range s.Views["pg_stat_statements_info"] {
		value, _ := row["dealloc"].(float64)
		return value
	}
	return 0
}

func (v view) delta(before, after []Row) []DeltaRow {
	old := map[string]Row{}
	for _, row := range before {
		old[v.keyOf(row)] = row
	}
	var rows []DeltaRow
	for _, row := range after {
		was, known := old[v.keyOf(row)]
		switch {
		case !known:
			// A new table or statement starts at zero.
			was = Row{}
		case was["stats_reset"] != row["stats_reset"] || was["stats_since"] != row["stats_since"]:
			rows = append(rows, DeltaRow{Row: row, Unknown: "its statistics were reset in between"})
			continue
		}
		if d := v.subtract(was, row); d.Unknown != "" || len(d.Counters) > 0 {
			rows = append(rows, d)
		}
	}
	return rows
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

// Samples returns the node's metrics, pg.<node>.database.*, as rates where they
// are counts, and none where they are unknown.
func (d *StatisticsDelta) Samples() []snapshot.Sample {
	if d.Unknown != "" || d.Seconds <= 0 || len(d.Views["pg_stat_database"]) != 1 {
		return nil
	}
	row := d.Views["pg_stat_database"][0]
	if row.Unknown != "" {
		return nil
	}
	prefix := "pg." + d.Node + ".database."
	var samples []snapshot.Sample
	if hit, read := row.Counters["blks_hit"], row.Counters["blks_read"]; hit+read > 0 {
		samples = append(samples, snapshot.Sample{Name: prefix + "cache_hit", Unit: unit.Ratio, Better: snapshot.Higher, Value: hit / (hit + read)})
	}
	for _, m := range []struct {
		counter, name string
		base          unit.Base
		better        snapshot.Direction
	}{
		{"xact_commit", "commits", unit.PerSecond, snapshot.Neutral},
		{"xact_rollback", "rollbacks", unit.PerSecond, snapshot.Neutral},
		{"tup_returned", "rows_read", unit.PerSecond, snapshot.Lower},
		{"temp_bytes", "temp_bytes", unit.BytesPerSecond, snapshot.Lower},
		{"deadlocks", "deadlocks", unit.PerSecond, snapshot.Lower},
	} {
		samples = append(samples, snapshot.Sample{Name: prefix + m.name, Unit: m.base, Better: m.better, Value: row.Counters[m.counter] / d.Seconds})
	}
	return samples
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

// ViewNames returns the names of the views that were captured, sorted.
func (s *Statistics) ViewNames() []string { return slices.Sorted(maps.Keys(s.Views)) }
