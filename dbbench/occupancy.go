package dbbench

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// LargestTables is how many tables, and indexes, have figures of their own.
const LargestTables = 50

// xidLimit is how many transaction ids a database may use before it refuses
// writes: 2^31 less the three million that are kept for the administrator.
const xidLimit = 1<<31 - 3_000_000

// CaptureOccupancy reads how much of its limits a node uses, for a history: sizes
// and rows of the database, its largest tables and indexes, what was written to
// and read from them, connections, transaction ids, log positions, slots and what
// they hold back, and sequences. No lock is waited for longer than 5 s. Metrics
// are called pg.<node>.<name>; one that ends in _limit is what its namesake must
// not reach. What the role may not read is left out and named in the notes.
func CaptureOccupancy(ctx context.Context, node Node) (samples []snapshot.Sample, notes []string, err error) {
	conn, err := pgx.Connect(ctx, node.DSN)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the occupancy of %s: %w", node.Name, err)
	}
	defer closeQuietly(conn)
	if _, err := conn.Exec(ctx, "SET lock_timeout = '5s'; SET statement_timeout = '1min'"); err != nil {
		return nil, nil, fmt.Errorf("reading the occupancy of %s: %w", node.Name, err)
	}
	for _, q := range occupancyQueries() {
		rows, err := conn.Query(ctx, q.sql, q.args...)
		if err == nil {
			var name string
			var value float64
			_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
				samples = append(samples, snapshot.Sample{Name: "pg." + node.Name + "." + name, Unit: q.unit, Better: snapshot.Neutral, Value: value})
				return nil
			})
		}
		if ctx.Err() != nil {
			return nil, nil, fmt.Errorf("reading the occupancy of %s: %w", node.Name, ctx.Err())
		}
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s of %s can't be read: %v", q.what, node.Name, err))
		}
	}
	var hidden int
	switch err := conn.QueryRow(ctx, hiddenSequences).Scan(&hidden); {
	case err != nil:
		notes = append(notes, fmt.Sprintf("which sequences of %s can be read is not known: %v", node.Name, err))
	case hidden > 0:
		notes = append(notes, fmt.Sprintf("%d sequences of %s can't be read: GRANT SELECT on them, or pg_read_all_data, to the role", hidden, node.Name))
	}
	return samples, notes, nil
}

// WALPosition returns how many bytes of log a node has ever written. It fails on a
// standby, which writes none.
func WALPosition(ctx context.Context, node Node) (position float64, err error) {
	conn, err := pgx.Connect(ctx, node.DSN)
	if err != nil {
		return 0, fmt.Errorf("reading the log position of %s: %w", node.Name, err)
	}
	defer closeQuietly(conn)
	if err := conn.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8").Scan(&position); err != nil {
		return 0, fmt.Errorf("reading the log position of %s: %w", node.Name, err)
	}
	return position, nil
}

// An occupancyQuery gives rows of a metric's name and its value.
type occupancyQuery struct {
	what string
	unit unit.Base
	sql  string
	args []any
}

func occupancyQueries() []occupancyQuery {
	// A name becomes part of a metric's: what is no letter, digit or _ is _.
	const clean = `regexp_replace(n.nspname || '.' || c.relname, '[^A-Za-z0-9_.]', '_', 'g')`
	largest := func(relkinds, name, value string) string {
		return `SELECT ` + name + `, (` + value + `)::float8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN (` + relkinds + `) AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%'
			ORDER BY pg_total_relation_size(c.oid) DESC LIMIT $1`
	}
	count := []any{LargestTables}
	return []occupancyQuery{
		{"the size", unit.Bytes, `SELECT 'size.database', pg_database_size(current_database())::float8`, nil},
		{"sizes of tables", unit.Bytes, largest(`'r', 'm'`, `'size.table.' || `+clean, `pg_total_relation_size(c.oid)`), count},
		{"rows of tables", unit.Count, largest(`'r', 'm'`, `'rows.table.' || `+clean, `greatest(c.reltuples, 0)`), count},
		{"rows inserted", unit.Count, largest(`'r', 'm'`, `'inserted.table.' || `+clean, `pg_stat_get_tuples_inserted(c.oid)`), count},
		{"rows updated", unit.Count, largest(`'r', 'm'`, `'updated.table.' || `+clean, `pg_stat_get_tuples_updated(c.oid)`), count},
		{"rows deleted", unit.Count, largest(`'r', 'm'`, `'deleted.table.' || `+clean, `pg_stat_get_tuples_deleted(c.oid)`), count},
		{"dead rows", unit.Count, largest(`'r', 'm'`, `'dead.table.' || `+clean, `pg_stat_get_dead_tuples(c.oid)`), count},
		{"scans of indexes", unit.Count, largest(`'i'`, `'scans.index.' || `+clean, `pg_stat_get_numscans(c.oid)`), count},
		{"rows read from indexes", unit.Count, largest(`'i'`, `'read.index.' || `+clean, `pg_stat_get_tuples_returned(c.oid)`), count},
		{"sizes of indexes", unit.Bytes, largest(`'i'`, `'size.index.' || `+clean, `pg_relation_size(c.oid)`), count},
		{"connections", unit.Count, `SELECT 'connections', count(*)::float8 FROM pg_stat_activity WHERE backend_type = 'client backend'
			UNION ALL SELECT 'connections_limit', current_setting('max_connections')::float8 - current_setting('superuser_reserved_connections')::float8`, nil},
		{"transaction ids", unit.Count, fmt.Sprintf(`SELECT 'transaction_ids', max(age(datfrozenxid))::float8 FROM pg_database
			UNION ALL SELECT 'transaction_ids_limit', %d::float8`, xidLimit), nil},
		{"the log position", unit.Bytes, `SELECT 'wal', pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 WHERE NOT pg_is_in_recovery()`, nil},
		{"what slots hold back", unit.Bytes, `SELECT 'slots', coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::float8
			FROM pg_replication_slots WHERE NOT pg_is_in_recovery()
			UNION ALL SELECT 'slots_limit', setting::float8 * 1024 * 1024 FROM pg_settings WHERE name = 'max_slot_wal_keep_size' AND setting::bigint > 0`, nil},
		{"what inactive slots hold back", unit.Bytes, `SELECT 'slots_inactive', max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn))::float8
			FROM pg_replication_slots WHERE NOT pg_is_in_recovery() AND NOT active AND restart_lsn IS NOT NULL HAVING count(*) > 0`, nil},
		{"whether it is a standby", unit.Count, `SELECT 'standby', pg_is_in_recovery()::int::float8`, nil},
		{"replication slots", unit.Count, `SELECT 'replication_slots', count(*)::float8 FROM pg_replication_slots
			UNION ALL SELECT 'replication_slots_limit', current_setting('max_replication_slots')::float8`, nil},
		{"sequences", unit.Ratio, sequencesQuery, nil},
	}
}

// sequencesQuery gives the share that is used of each sequence.
const sequencesQuery = `SELECT 'sequence.' || regexp_replace(schemaname || '.' || sequencename, '[^A-Za-z0-9_.]', '_', 'g'), used FROM (` + sequenceUse + `) s`

// sequenceUse gives the share that is used of each sequence, of its own maximum or
// that of the integer column that it feeds, if that is smaller.
const sequenceUse = `SELECT s.schemaname, s.sequencename, s.last_value, d.refobjid::regclass::text AS relname, a.attname,
	s.last_value::float8 / least(s.max_value, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 ELSE s.max_value END) AS used
FROM pg_sequences s
JOIN pg_namespace n ON n.nspname = s.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
LEFT JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE s.last_value IS NOT NULL AND s.increment_by > 0`

// hiddenSequences counts those whose value the role may not read, which for
// pg_sequences are like those that were never used. The order in which conditions
// are looked at is that of a CASE alone.
const hiddenSequences = `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE CASE WHEN c.relkind = 'S' AND NOT pg_is_other_temp_schema(n.oid) THEN NOT has_sequence_privilege(c.oid, 'SELECT, USAGE') ELSE false END`
