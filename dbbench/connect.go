package dbbench

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// The defaults of the limits that each connection has.
const (
	defaultStatementTimeout = time.Minute
	lockTimeout             = 5 * time.Second
)

// sessionOf returns how to connect to a node so that nothing can hang, and so
// that values print alike on every server.
func sessionOf(node Node, c Config) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(node.DSN)
	if err != nil {
		return nil, fmt.Errorf("reading the DSN of %s: %w", node.Name, err)
	}
	// Without a cache of prepared statements pgx prepares nothing by itself.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	timeout := statementTimeout(c)
	for name, value := range map[string]string{
		"application_name":                    "scaleproof",
		"statement_timeout":                   milliseconds(timeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(timeout + time.Minute),
		"client_encoding":                     "UTF8",
		"standard_conforming_strings":         "on",
		"TimeZone":                            "UTC",
		"DateStyle":                           "ISO",
		"IntervalStyle":                       "postgres",
		"extra_float_digits":                  "1",
		"bytea_output":                        "hex",
	} {
		config.RuntimeParams[name] = value
	}
	return config, nil
}

// connect opens a connection as sessionOf describes it.
func connect(ctx context.Context, node Node, c Config) (*pgx.Conn, error) {
	config, err := sessionOf(node, c)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", node.Name, err)
	}
	return conn, nil
}

func statementTimeout(c Config) time.Duration {
	if c.StatementTimeout == 0 {
		return defaultStatementTimeout
	}
	return c.StatementTimeout.Std()
}

// milliseconds rounds up: 0 would be no limit.
func milliseconds(d time.Duration) string {
	return fmt.Sprint((d + time.Millisecond - 1).Milliseconds())
}
