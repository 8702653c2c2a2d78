package scaling

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/invalid"
)

func (s SQL) validate() error {
	var faults []error
	if len(s.Up) == 0 && s.Expect == "" {
		faults = append(faults, invalid.Field("up", "is missing: the statements, or read and expect for a check alone"))
	}
	if s.Expect != "" && s.Read == "" {
		faults = append(faults, invalid.Field("expect", "needs read, the query that gives the state"))
	}
	return errors.Join(faults...)
}

func (s SQL) change(env Environment) change { return &sqlChange{s, env} }

type sqlChange struct {
	SQL
	env Environment
}

func (c *sqlChange) describe() string {
	if len(c.Up) == 0 {
		return fmt.Sprintf("check that %s gives %s", c.Read, c.Expect)
	}
	return strings.Join(c.Up, "; ")
}

func (c *sqlChange) undoes() string {
	switch {
	case len(c.Up) == 0:
		return nothingToUndo
	case len(c.Down) == 0:
		return ""
	}
	return strings.Join(c.Down, "; ")
}

func (c *sqlChange) expects() string {
	_, expect := c.state()
	return expect
}

func (c *sqlChange) read(ctx context.Context) (state string, ok bool, err error) {
	query, _ := c.state()
	if query == "" {
		return "", false, nil
	}
	err = c.connected(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT coalesce(("+bare(query)+"\n)::text, '')").Scan(&state) // behind a remark, too
	})
	if err != nil {
		return "", true, fmt.Errorf("reading the state: %w", err)
	}
	return state, true, nil
}

// bare is a query without the semicolon that ends a statement.
func bare(query string) string { return strings.TrimRight(query, "; \t\r\n") }

func (c *sqlChange) apply(ctx context.Context) (string, error) { return "", c.run(ctx, c.Up) }

func (c *sqlChange) verify(state string) error { return expect(c.expects(), state) }

func (c *sqlChange) undo(ctx context.Context, _ string) (string, error) {
	return "", c.run(ctx, c.Down)
}

// run runs statements one by one, since some, such as CREATE INDEX CONCURRENTLY,
// refuse a transaction, or all in one transaction where the step says so.
func (c *sqlChange) run(ctx context.Context, statements []string) error {
	return c.connected(ctx, func(conn *pgx.Conn) error {
		if !c.Transaction {
			return execAll(ctx, conn.Exec, statements)
		}
		tx, err := conn.Begin(ctx)
		if err != nil {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after Commit it does nothing
		if err := execAll(ctx, tx.Exec, statements); err != nil {
			return err
		}
		if err := tx.Commit(ctx); err != nil {
			return fmt.Errorf("committing: %w", err)
		}
		return nil
	})
}

func execAll[T any](ctx context.Context, exec func(context.Context, string, ...any) (T, error), statements []string) error {
	for _, statement := range statements {
		if _, err := exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// connected runs f on a connection of its own. pgx cancels the running statement
// on the server when ctx ends.
func (c *sqlChange) connected(ctx context.Context, f func(*pgx.Conn) error) error {
	dsn, err := c.env.dsn(c.Node)
	if err != nil {
		return err
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("reading the DSN of %s: %w", c.Node, err)
	}
	config.RuntimeParams["application_name"] = "scaleproof"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return f(conn)
}
