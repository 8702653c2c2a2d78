package dbbench

import "strconv"

// A view is what to read and how to tell its rows and counters.
type view struct {
	name  string
	query string   // empty: all of the view
	key   []string // the columns that identify a row
	// counters only grow. Those that a version lacks are left out.
	counters []string
	// resetWith names the view of one row whose stats_reset is also this one's.
	resetWith string
	// extension says that the query has a place for its schema.
	extension string
}

const (
	statements       = "pg_stat_statements"
	statementsInfo   = "pg_stat_statements_info"
	topStatements    = 200  // by total time: these have their text in a capture
	statementLetters = 2000 // of each of them
)

// views lists what a capture reads. Which columns exist is for the server to say.
func views() []view {
	all := activityViews()
	all = append(all, relationViews()...)
	all = append(all, serverViews()...)
	return append(all, replicationViews()...)
}

// activityViews count what was done in the database, and by which statements.
func activityViews() []view {
	return []view{
		{
			name:  "pg_stat_database",
			query: "SELECT * FROM pg_stat_database WHERE datname = current_database()",
			key:   []string{"datid"},
			counters: []string{
				"xact_commit", "xact_rollback", "blks_read", "blks_hit", "tup_returned", "tup_fetched", "tup_inserted",
				"tup_updated", "tup_deleted", "conflicts", "temp_files", "temp_bytes", "deadlocks", "checksum_failures", "blk_read_time",
				"blk_write_time", "session_time", "active_time", "idle_in_transaction_time", "sessions", "sessions_abandoned",
				"sessions_fatal", "sessions_killed", "parallel_workers_to_launch", "parallel_workers_launched",
			},
		},
		{
			// All rows for the delta, but the text of those that matter only.
			name: statements, extension: statements, key: []string{"userid", "dbid", "queryid", "toplevel"}, resetWith: statementsInfo,
			query: `SELECT s.*, CASE WHEN row_number() OVER (ORDER BY total_exec_time DESC) <= ` + strconv.Itoa(topStatements) + ` THEN left(s.query, ` + strconv.Itoa(statementLetters) + `) END AS query
				FROM %s.pg_stat_statements s WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
			counters: []string{
				"calls", "total_exec_time", "plans", "total_plan_time", "rows", "shared_blks_hit", "shared_blks_read", "shared_blks_dirtied",
				"shared_blks_written", "temp_blks_read", "temp_blks_written", "blk_read_time", "blk_write_time", "shared_blk_read_time",
				"shared_blk_write_time", "temp_blk_read_time", "temp_blk_write_time", "wal_records", "wal_fpi", "wal_bytes", "wal_buffers_full",
				"jit_functions", "jit_generation_time", "parallel_workers_to_launch", "parallel_workers_launched",
			},
		},
		{name: statementsInfo, extension: statements, query: "SELECT * FROM %s.pg_stat_statements_info"},
		{name: "activity", query: `SELECT coalesce(state, '') AS state, coalesce(wait_event_type, '') AS wait_event_type, coalesce(wait_event, '') AS wait_event,
			backend_type, count(*) AS count, max(extract(epoch FROM clock_timestamp() - xact_start)) AS longest_transaction_seconds
			FROM pg_stat_activity WHERE pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4`, key: []string{"state", "wait_event_type", "wait_event", "backend_type"}},
		{name: "locks", query: `SELECT locktype, mode, granted, coalesce(relation::regclass::text, '') AS relation, count(*) AS count
			FROM pg_locks WHERE pid <> pg_backend_pid() AND (database IS NULL OR database = (SELECT oid FROM pg_database WHERE datname = current_database()))
			GROUP BY 1, 2, 3, 4`, key: []string{"locktype", "mode", "granted", "relation"}},
	}
}

// ours selects the relations that users have made.
const ours = `n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%' AND n.nspname NOT LIKE 'pg_temp%'`

// relationViews count what was done to tables and indexes, and describe them.
func relationViews() []view {
	return []view{
		{
			name: "pg_stat_user_tables", key: []string{"relid"}, resetWith: "pg_stat_database",
			query: "SELECT *, quote_ident(schemaname) || '.' || quote_ident(relname) AS qualified FROM pg_stat_user_tables",
			counters: []string{
				"seq_scan", "seq_tup_read", "idx_scan", "idx_tup_fetch", "n_tup_ins", "n_tup_upd", "n_tup_del",
				"n_tup_hot_upd", "n_tup_newpage_upd", "vacuum_count", "autovacuum_count", "analyze_count", "autoanalyze_count",
				"total_vacuum_time", "total_autovacuum_time", "total_analyze_time", "total_autoanalyze_time",
			},
		},
		{
			name: "pg_stat_user_indexes", key: []string{"indexrelid"}, resetWith: "pg_stat_database",
			counters: []string{"idx_scan", "idx_tup_read", "idx_tup_fetch"},
		},
		{
			name: "pg_statio_user_tables", key: []string{"relid"}, resetWith: "pg_stat_database",
			counters: []string{"heap_blks_read", "heap_blks_hit", "idx_blks_read", "idx_blks_hit", "toast_blks_read", "toast_blks_hit", "tidx_blks_read", "tidx_blks_hit"},
		},
		{
			name: "pg_statio_user_indexes", key: []string{"indexrelid"}, resetWith: "pg_stat_database",
			counters: []string{"idx_blks_read", "idx_blks_hit"},
		},
		{name: "sizes", query: `SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, c.relkind, c.reltuples, c.relpages,
			pg_relation_size(c.oid) AS bytes, pg_total_relation_size(c.oid) AS total_bytes
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'm', 'i') AND ` + ours, key: []string{"relid"}},
		{name: "indexes", query: indexesQuery, key: []string{"indexrelid"}},
		{name: "sequences", query: sequenceUse, key: []string{"schemaname", "sequencename"}},
	}
}

// indexesQuery describes each index as far as it takes to tell whether another
// can do its work: from the same access method, on the same keys, under the same
// condition.
const indexesQuery = `SELECT x.indexrelid, x.indrelid, n.nspname AS schemaname, t.relname, c.relname AS indexrelname, am.amname,
	quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS qualified, quote_ident(n.nspname) || '.' || quote_ident(t.relname) AS of_table,
	x.indisvalid, x.indisunique, x.indisprimary, x.indisexclusion, x.indisreplident, x.indimmediate, x.indnkeyatts, pg_relation_size(c.oid) AS bytes,
	EXISTS (SELECT FROM pg_constraint WHERE conindid = x.indexrelid AND contype IN ('p', 'u', 'x', 'f')) AS for_constraint,
	EXISTS (SELECT FROM pg_inherits WHERE inhrelid = x.indexrelid) AS of_partition,
	(SELECT array_agg(pg_get_indexdef(x.indexrelid, k, true) ORDER BY k) FROM generate_series(1, x.indnkeyatts) k) AS keys,
	(SELECT array_agg(x.indclass[k - 1] || ' ' || x.indcollation[k - 1] || ' ' || x.indoption[k - 1] ORDER BY k) FROM generate_series(1, x.indnkeyatts) k) AS orders,
	(SELECT array_agg(pg_get_indexdef(x.indexrelid, k, true) ORDER BY 1) FROM generate_series(x.indnkeyatts + 1, x.indnatts) k) AS included,
	coalesce(pg_get_expr(x.indpred, x.indrelid), '') AS condition, pg_get_indexdef(x.indexrelid) AS definition
	FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
	JOIN pg_am am ON am.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE c.relkind = 'i' AND ` + ours

// serverViews are of the whole server.
func serverViews() []view {
	return []view{
		{
			name: "pg_stat_io", key: []string{"backend_type", "object", "context"},
			counters: []string{
				"reads", "writes", "writebacks", "extends", "hits", "evictions", "reuses", "fsyncs", "read_bytes", "write_bytes", "extend_bytes",
				"read_time", "write_time", "writeback_time", "extend_time", "fsync_time",
			},
		},
		{name: "pg_stat_wal", counters: []string{"wal_records", "wal_fpi", "wal_bytes", "wal_buffers_full", "wal_write", "wal_sync", "wal_write_time", "wal_sync_time"}},
		{
			name: "pg_stat_bgwriter",
			counters: []string{
				"checkpoints_timed", "checkpoints_req", "checkpoint_write_time", "checkpoint_sync_time", "buffers_checkpoint", "buffers_clean",
				"maxwritten_clean", "buffers_backend", "buffers_backend_fsync", "buffers_alloc",
			},
		},
		{
			name: "pg_stat_checkpointer",
			counters: []string{
				"num_timed", "num_requested", "num_done", "restartpoints_timed", "restartpoints_req", "restartpoints_done",
				"write_time", "sync_time", "buffers_written", "slru_written",
			},
		},
		{name: "pg_stat_archiver", counters: []string{"archived_count", "failed_count"}},
		{name: "transaction_ids", query: `SELECT datname, age(datfrozenxid) AS age, mxid_age(datminmxid) AS multixact_age,
			current_setting('autovacuum_freeze_max_age')::int AS freeze_max_age FROM pg_database WHERE datallowconn`, key: []string{"datname"}},
		{name: "settings", query: "SELECT name, setting, unit, source, pending_restart FROM pg_settings WHERE source NOT IN ('default', 'client', 'session')", key: []string{"name"}},
	}
}

// logPosition is where the log of a server is: written by a primary, received by
// a standby that others stream from.
const logPosition = `CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END`

// replicationViews say how far others are behind. The lags of
// pg_stat_replication are intervals, NULL on an idle server, so that they stand
// beside the bytes.
func replicationViews() []view {
	return []view{
		{name: "pg_stat_replication", query: `SELECT *, extract(epoch FROM write_lag)::float8 AS write_lag_seconds,
			extract(epoch FROM flush_lag)::float8 AS flush_lag_seconds, extract(epoch FROM replay_lag)::float8 AS replay_lag_seconds,
			pg_wal_lsn_diff(` + logPosition + `, sent_lsn) AS sent_lag_bytes, pg_wal_lsn_diff(` + logPosition + `, flush_lsn) AS flush_lag_bytes,
			pg_wal_lsn_diff(` + logPosition + `, replay_lsn) AS replay_lag_bytes FROM pg_stat_replication`, key: []string{"pid"}},
		{name: "pg_replication_slots", query: `SELECT *, pg_wal_lsn_diff(` + logPosition + `, restart_lsn) AS retained_bytes FROM pg_replication_slots`, key: []string{"slot_name"}},
		{name: "pg_stat_wal_receiver", query: "SELECT * FROM pg_stat_wal_receiver WHERE pg_is_in_recovery()", key: []string{"pid"}},
		{name: "replica", query: `SELECT pg_last_wal_receive_lsn() AS receive_lsn, pg_last_wal_replay_lsn() AS replay_lsn,
			pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) AS replay_lag_bytes, ` + replicaDelay + ` AS replay_lag_seconds,
			pg_is_wal_replay_paused() AS paused WHERE pg_is_in_recovery()`},
		{
			name: "pg_stat_database_conflicts", query: "SELECT * FROM pg_stat_database_conflicts WHERE datname = current_database() AND pg_is_in_recovery()", key: []string{"datid"}, resetWith: "pg_stat_database",
			counters: []string{"confl_tablespace", "confl_lock", "confl_snapshot", "confl_bufferpin", "confl_deadlock", "confl_active_logicalslot"},
		},
	}
}

// replicaDelay is the seconds since the last transaction that a standby has
// replayed; 0 where it has replayed all that it received, since a primary without
// writes sends none.
const replicaDelay = `CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
	ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8 END`
