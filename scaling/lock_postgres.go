package scaling

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// advisoryKey is the key of the advisory lock: "scalepro" in ASCII.
const advisoryKey int64 = 0x7363616c6570726f

// The times of an advisory lock.
const (
	advisoryInterval = 5 * time.Second
	advisoryPatience = time.Minute
)

// An AdvisoryConfig says which database is locked, by whom.
type AdvisoryConfig struct {
	Node   string // for messages
	DSN    string
	Holder string // stands in pg_stat_activity, of which Postgres keeps 63 bytes
	// Interval is the time between looks at the session; zero: 5 s.
	Interval time.Duration
	// Patience is how long the server may be away, as when a step restarts it, or
	// silent, before the lock counts as lost; zero: a minute.
	Patience time.Duration
}

// An AdvisoryLock is a lock of a database: an advisory lock of a session. It goes
// with the session, however that ends; after a loss of the connection it is taken
// again, unless another run was quicker.
type AdvisoryLock struct {
	config AdvisoryConfig
	conn   *pgx.Conn // nil after a loss
}

// AcquireAdvisoryLock takes the lock, or returns a *LockedError.
func AcquireAdvisoryLock(ctx context.Context, config AdvisoryConfig) (*AdvisoryLock, error) {
	if config.Interval == 0 {
		config.Interval = advisoryInterval
	}
	if config.Patience == 0 {
		config.Patience = advisoryPatience
	}
	l := &AdvisoryLock{config: config}
	if err := l.take(ctx); err != nil {
		return nil, fmt.Errorf("taking the lock of node %s: %w", config.Node, err)
	}
	return l, nil
}

// take connects and takes the lock.
func (l *AdvisoryLock) take(ctx context.Context) error {
	config, err := pgx.ParseConfig(l.config.DSN)
	if err != nil {
		return err
	}
	config.RuntimeParams["application_name"] = l.config.Holder
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	var taken bool
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", advisoryKey).Scan(&taken)
	if err == nil && taken {
		l.conn = conn
		return nil
	}
	if err == nil {
		err = &LockedError{Holder: advisoryHolder(ctx, conn), Target: "the database of node " + l.config.Node}
	}
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// InTheWay reports whether err says that this very lock is held: two nodes may lead to
// one database. It is asked before Keep.
func (l *AdvisoryLock) InTheWay(err error) bool {
	var locked *LockedError
	if !errors.As(err, &locked) {
		return false
	}
	session := l.conn.PgConn()
	return locked.Holder == fmt.Sprintf("%s (pid %d)", session.ParameterStatus("application_name"), session.PID())
}

// advisoryHolder tells who holds the lock, as far as this role may see it.
func advisoryHolder(ctx context.Context, conn *pgx.Conn) string {
	var holder string
	err := conn.QueryRow(ctx, `SELECT coalesce(nullif(a.application_name, ''), 'another run') || ' (pid ' || l.pid || ')'
		FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND (l.classid::bigint << 32 | l.objid::bigint) = $1 AND l.objsubid = 1`, advisoryKey).Scan(&holder)
	if err != nil {
		return "another run"
	}
	return holder
}

// Keep implements Lock.
func (l *AdvisoryLock) Keep(ctx context.Context) (kept context.Context, stop func()) {
	kept, cancel := context.WithCancelCause(ctx)
	watching, end := context.WithCancel(context.WithoutCancel(ctx)) // a rollback still needs the lock
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := l.watch(watching); err != nil {
			cancel(err)
		}
	}()
	return kept, func() {
		end()
		<-ended
		cancel(nil)
	}
}

// watch returns why the lock is lost, or nil when ctx ends.
func (l *AdvisoryLock) watch(ctx context.Context) error {
	ticker := time.NewTicker(l.config.Interval)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		attempt, end := context.WithDeadline(ctx, last.Add(l.config.Patience))
		err := l.look(attempt)
		end()
		var locked *LockedError
		switch {
		case err == nil:
			last = time.Now()
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &locked), time.Since(last) > l.config.Patience:
			return fmt.Errorf("%w: %w", ErrLockLost, err)
		}
	}
}

// look makes sure that the session lives, or takes the lock in another one.
func (l *AdvisoryLock) look(ctx context.Context) error {
	if l.conn != nil {
		err := l.conn.Ping(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		_ = l.conn.Close(ctx) // it is dead: what it says of its end tells nothing
		l.conn = nil
	}
	return l.take(ctx)
}

// Release implements Lock.
func (l *AdvisoryLock) Release(ctx context.Context) error {
	if l.conn == nil {
		return nil
	}
	if err := l.conn.Close(ctx); err != nil {
		return fmt.Errorf("releasing the lock of node %s: %w", l.config.Node, err)
	}
	return nil
}
