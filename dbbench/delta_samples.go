package dbbench

import (
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// A counterMetric is the rate of one counter of a view of one row.
type counterMetric struct {
	view, counter, name string
	base                unit.Base
	better              snapshot.Direction
}

func counterMetrics() []counterMetric {
	return []counterMetric{
		{"pg_stat_database", "xact_commit", "database.commits", unit.PerSecond, snapshot.Neutral},
		{"pg_stat_database", "xact_rollback", "database.rollbacks", unit.PerSecond, snapshot.Neutral},
		{"pg_stat_database", "tup_returned", "database.rows_read", unit.PerSecond, snapshot.Lower},
		{"pg_stat_database", "temp_bytes", "database.temp_bytes", unit.BytesPerSecond, snapshot.Lower},
		{"pg_stat_database", "deadlocks", "database.deadlocks", unit.PerSecond, snapshot.Lower},
		{"pg_stat_wal", "wal_bytes", "wal.bytes", unit.BytesPerSecond, snapshot.Neutral},
		{"pg_stat_checkpointer", "num_requested", "checkpoints.requested", unit.PerSecond, snapshot.Lower},
		{"pg_stat_bgwriter", "checkpoints_req", "checkpoints.requested", unit.PerSecond, snapshot.Lower},
	}
}

// Samples returns the node's metrics, pg.<node>.database.* and its kin, as rates
// where they are counts, and none where they are unknown.
func (d *StatisticsDelta) Samples() []snapshot.Sample {
	if d.Unknown != "" || d.Seconds <= 0 {
		return nil
	}
	prefix := "pg." + d.Node + "."
	var samples []snapshot.Sample
	if row, ok := d.only("pg_stat_database"); ok {
		if hit, read := row.Counters["blks_hit"], row.Counters["blks_read"]; hit+read > 0 {
			samples = append(samples, snapshot.Sample{Name: prefix + "database.cache_hit", Unit: unit.Ratio, Better: snapshot.Higher, Value: hit / (hit + read)})
		}
	}
	for _, m := range counterMetrics() {
		row, ok := d.only(m.view)
		if _, has := row.Row[m.counter]; ok && has {
			samples = append(samples, snapshot.Sample{Name: prefix + m.name, Unit: m.base, Better: m.better, Value: row.Counters[m.counter] / d.Seconds})
		}
	}
	return samples
}

// only returns the row of a view that has but one. ok is false where nothing is
// known of it; a row that counted nothing is not in the delta.
func (d *StatisticsDelta) only(view string) (row DeltaRow, ok bool) {
	rows := d.Views[view]
	if len(rows) != 1 || rows[0].Unknown != "" {
		return DeltaRow{}, false
	}
	return rows[0], true
}
