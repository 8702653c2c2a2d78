// Package shard moves a set of organisations from one Postgres database to
// another: it reads how every table belongs to them, copies the rows on one
// snapshot, proves by checksums that both sides are equal, switches the routing
// behind a fence, and can go back until the source is cleaned up.
//
// What it needs to know later stands in the schema scaleproof of both databases,
// so that each phase can be killed at any moment and asked for again.
package shard

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// A Node is a Postgres database.
type Node struct {
	Name, DSN string

	idle *idleSessions // nil: none are kept
}

// sessionSettings make values print alike on every server, refuse to let row
// security hide rows, and let nothing of the database's own defaults end a long
// copy.
func sessionSettings() map[string]string {
	return map[string]string{
		"application_name":                    applicationName,
		"client_encoding":                     "UTF8",
		"standard_conforming_strings":         "on",
		"TimeZone":                            "UTC",
		"DateStyle":                           "ISO, YMD",
		"IntervalStyle":                       "postgres",
		"extra_float_digits":                  "1",
		"bytea_output":                        "hex",
		"row_security":                        "off",
		"statement_timeout":                   "0",
		"lock_timeout":                        "0",
		"idle_in_transaction_session_timeout": "0",
		"synchronize_seqscans":                "off",
	}
}

// applicationName is how the sessions of a move are known in pg_stat_activity.
const applicationName = "scaleproof shard"

// connect opens a session; settings are added to those of every session.
func (n Node) connect(ctx context.Context, settings map[string]string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(n.DSN)
	if err != nil {
		return nil, fmt.Errorf("reading the DSN of %s: %w", n.Name, err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	for _, set := range []map[string]string{sessionSettings(), settings} {
		for name, value := range set {
			config.RuntimeParams[name] = value
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", n.Name, err)
	}
	return conn, nil
}

// with runs f on a session that nobody else uses meanwhile. f leaves nothing in it:
// no settings, no locks.
func (n Node) with(ctx context.Context, f func(*pgx.Conn) error) error {
	conn := n.idle.take()
	if conn == nil {
		var err error
		if conn, err = n.connect(ctx, nil); err != nil {
			return err
		}
	}
	err := f(conn)
	if err != nil || conn.PgConn().TxStatus() != 'I' || !n.idle.put(conn) {
		closeConn(conn)
	}
	return err
}

// idleSessions are kept for the next that needs one, while a phase lasts: to begin
// one takes longer than most questions, and some are asked behind a fence.
type idleSessions struct {
	mu    sync.Mutex
	conns []*pgx.Conn
	since []time.Time
}

// The bounds of idle sessions.
const (
	maxIdle     = 4
	maxIdleTime = 10 * time.Second // beyond it something between may have dropped them
)

// take returns an idle session, or nil.
func (s *idleSessions) take() *pgx.Conn {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.conns) > 0 {
		last := len(s.conns) - 1
		conn, since := s.conns[last], s.since[last]
		s.conns, s.since = s.conns[:last], s.since[:last]
		if time.Since(since) < maxIdleTime && !conn.IsClosed() {
			return conn
		}
		closeConn(conn)
	}
	return nil
}

// put keeps a session, or reports that there are enough.
func (s *idleSessions) put(conn *pgx.Conn) bool {
	if s == nil || conn.IsClosed() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= maxIdle {
		return false
	}
	s.conns, s.since = append(s.conns, conn), append(s.since, time.Now())
	return true
}

// close ends those that are kept.
func (s *idleSessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, conn := range s.conns {
		closeConn(conn)
	}
	s.conns, s.since = nil, nil
}

// closeTimeout bounds saying good-bye to a server, which a context that has ended
// must not keep from being said.
const closeTimeout = 5 * time.Second

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = conn.Close(ctx) // the server ends the session of a lost connection by itself
}

// ident quotes a name, or a name and its schema.
func ident(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// execAll runs statements one by one.
func execAll(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", firstLine(s), err)
		}
	}
	return nil
}

// serverVersion returns server_version_num.
func serverVersion(ctx context.Context, conn *pgx.Conn) (version int, err error) {
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version); err != nil {
		return 0, fmt.Errorf("reading the version of the server: %w", err)
	}
	return version, nil
}

// inTx runs f in a transaction.
func inTx(ctx context.Context, conn *pgx.Conn, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, conn, f)
}
