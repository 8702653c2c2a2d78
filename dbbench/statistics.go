package dbbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Statistics is what a node's statistics views held at one time. A row keeps
// every column that the server's version has, under the server's own names.
type Statistics struct {
	Node       string    `json:"node"`
	CapturedAt time.Time `json:"captured_at"`
	Version    string    `json:"version"`
	// SystemIdentifier and StartedAt tell a server from another, and from itself
	// before a restart.
	SystemIdentifier string           `json:"system_identifier"`
	ServerStartedAt  time.Time        `json:"server_started_at"`
	InRecovery       bool             `json:"in_recovery"`
	Views            map[string][]Row `json:"views"`
	// Notes say what could not be read, and how to allow it.
	Notes []string `json:"notes,omitempty"`
}

// A Row is one row of a view: numbers are float64, as JSON has them.
type Row map[string]any

// A view is what to read and how to tell its rows and counters.
type view struct {
	name  string
	query string   // empty: all of the view
	key   []string // the columns that identify a row
	// counters only grow. Those that a version lacks are left out.
	counters []string
	missing  string // what to do where the view is not there; empty: nothing
}

// views lists what Capture reads. Which columns exist is for the server to say.
func views() []view {
	return []view{
		{
			name:  "pg_stat_database",
			query: "SELECT * FROM pg_stat_database WHERE datname = current_database()",
			key:   []string{"datid"},
			counters: []string{
				"xact_commit", "xact_rollback", "blks_read", "blks_hit", "tup_returned", "tup_fetched", "tup_inserted",
				"tup_updated", "tup_deleted", "conflicts", "temp_files", "temp_bytes", "deadlocks", "blk_read_time",
				"blk_write_time", "session_time", "active_time", "sessions",
			},
		},
		{
			name: "pg_stat_user_tables", key: []string{"relid"},
			counters: []string{
				"seq_scan", "seq_tup_read", "idx_scan", "idx_tup_fetch", "n_tup_ins", "n_tup_upd", "n_tup_del",
				"n_tup_hot_upd", "vacuum_count", "autovacuum_count", "analyze_count", "autoanalyze_count",
			},
		},
		{
			name: "pg_stat_user_indexes", key: []string{"indexrelid"},
			counters: []string{"idx_scan", "idx_tup_read", "idx_tup_fetch"},
		},
		{
			name: "pg_statio_user_tables", key: []string{"relid"},
			counters: []string{"heap_blks_read", "heap_blks_hit", "idx_blks_read", "idx_blks_hit"},
		},
		{
			name: "pg_stat_io", key: []string{"backend_type", "object", "context"},
			counters: []string{"reads", "writes", "extends", "hits", "evictions", "fsyncs", "read_bytes", "write_bytes", "extend_bytes"},
		},
		{name: "pg_stat_wal", counters: []string{"wal_records", "wal_fpi", "wal_bytes", "wal_buffers_full"}},
		{
			name:     "pg_stat_bgwriter",
			counters: []string{"checkpoints_timed", "checkpoints_req", "buffers_checkpoint", "buffers_clean", "buffers_backend", "buffers_alloc"},
		},
		{name: "pg_stat_checkpointer", counters: []string{"num_timed", "num_requested", "buffers_written"}},
		{name: "pg_stat_replication", query: `SELECT *, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS replay_lag_bytes
			FROM pg_stat_replication WHERE NOT pg_is_in_recovery()`, key: []string{"pid"}},
		{name: "pg_replication_slots", key: []string{"slot_name"}},
		{
			name: "pg_stat_statements", key: []string{"userid", "dbid", "queryid", "toplevel"},
			query: "SELECT * FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
			counters: []string{
				"calls", "total_exec_time", "total_plan_time", "rows", "shared_blks_hit", "shared_blks_read",
				"temp_blks_read", "temp_blks_written", "wal_bytes",
			},
			missing: "add pg_stat_statements to shared_preload_libraries, restart, and run CREATE EXTENSION pg_stat_statements",
		},
		{name: "pg_stat_statements_info"},
		{name: "activity", query: `SELECT coalesce(state, 'background') AS state, coalesce(wait_event_type, '') AS wait_event_type, count(*) AS count
			FROM pg_stat_activity GROUP BY 1, 2`, key: []string{"state", "wait_event_type"}},
		{name: "sizes", query: `SELECT c.oid AS relid, n.nspname AS schemaname, c.relname, c.relkind, c.reltuples,
			pg_relation_size(c.oid) AS bytes, pg_total_relation_size(c.oid) AS total_bytes
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE c.relkind IN ('r', 'm', 'i') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%'`, key: []string{"relid"}},
		{name: "indexes", query: `SELECT x.indexrelid, c.relname, x.indisvalid, pg_get_indexdef(x.indexrelid) AS definition
			FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%'`, key: []string{"indexrelid"}},
		{name: "transaction_ids", query: `SELECT datname, age(datfrozenxid) AS age FROM pg_database WHERE datname = current_database()`, key: []string{"datname"}},
		{name: "settings", query: "SELECT name, setting, unit FROM pg_settings WHERE source NOT IN ('default', 'client', 'session')", key: []string{"name"}},
	}
}

// CaptureStatistics reads the statistics views of a node. A view that the server
// does not have, or that the role may not read, is left out with a note; it
// never resets anything.
func CaptureStatistics(ctx context.Context, node Node) (*Statistics, error) {
	conn, err := connect(ctx, node, Config{})
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	s := &Statistics{Node: node.Name, Views: map[string][]Row{}}
	if err := conn.QueryRow(ctx, `SELECT now(), current_setting('server_version'), pg_postmaster_start_time(), pg_is_in_recovery(),
		(SELECT system_identifier::text FROM pg_control_system())`).Scan(&s.CapturedAt, &s.Version, &s.ServerStartedAt, &s.InRecovery, &s.SystemIdentifier); err != nil {
		return nil, fmt.Errorf("identifying %s: %w", node.Name, err)
	}
	for _, v := range views() {
		rows, err := v.read(ctx, conn)
		var fault *pgconn.PgError
		switch {
		case err == nil:
			s.Views[v.name] = rows
		case !errors.As(err, &fault):
			return nil, fmt.Errorf("reading %s of %s: %w", v.name, node.Name, err)
		case fault.Code == "42P01": // undefined_table: another version, or no extension
			if v.missing != "" {
				s.Notes = append(s.Notes, fmt.Sprintf("%s is not there: %s", v.name, v.missing))
			}
		case fault.Code == "42501": // insufficient_privilege
			s.Notes = append(s.Notes, fmt.Sprintf("%s can't be read: GRANT pg_monitor TO the role of this connection", v.name))
		default:
			s.Notes = append(s.Notes, fmt.Sprintf("%s can't be read: %s", v.name, fault.Message))
		}
	}
	return s, nil
}

func (v view) read(ctx context.Context, conn *pgx.Conn) ([]Row, error) {
	query := v.query
	if query == "" {
		query = "SELECT * FROM " + v.name
	}
	rows, err := conn.Query(ctx, "SELECT to_jsonb(v) FROM ("+query+") v")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Row, error) {
		var text []byte
		if err := row.Scan(&text); err != nil {
			return nil, err
		}
		var decoded Row
		return decoded, json.Unmarshal(text, &decoded)
	})
}
