package shard

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// throttleInterval is the time between looks at the source.
const throttleInterval = 500 * time.Millisecond

// A gate holds writers back while it is shut.
type gate struct {
	mu     sync.Mutex
	reason string
	opened chan struct{} // closed while the gate is open
}

func newGate() *gate {
	g := &gate{opened: make(chan struct{})}
	close(g.opened)
	return g
}

// set shuts the gate for a reason, or opens it for none.
func (g *gate) set(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.reason == "" && reason != "":
		g.opened = make(chan struct{})
	case g.reason != "" && reason == "":
		close(g.opened)
	}
	g.reason = reason
}

// waiting says why the gate is shut.
func (g *gate) waiting() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason
}

func (g *gate) pass(ctx context.Context) error {
	g.mu.Lock()
	opened := g.opened
	g.mu.Unlock()
	select {
	case <-opened:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// writer is w behind the gate.
func (g *gate) writer(ctx context.Context, w io.Writer) io.Writer { return &gatedWriter{w, ctx, g} }

type gatedWriter struct {
	io.Writer
	ctx  context.Context
	gate *gate
}

func (w *gatedWriter) Write(p []byte) (int, error) {
	if err := w.gate.pass(w.ctx); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

// throttleSQL reads the lag of the slowest replica in seconds, and the sessions
// that work beside those of moves.
const throttleSQL = `SELECT
	coalesce((SELECT max(extract(epoch FROM greatest(replay_lag, '0'))) FROM pg_stat_replication
		WHERE application_name NOT LIKE 'scaleproof%' AND replay_lsn IS DISTINCT FROM sent_lsn), 0)::float8,
	(SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND application_name <> $1)`

// throttle shuts and opens the gate as the source's load asks, until ctx ends, which is
// no error whatever it was doing then. A source that can't be asked is one, which ends
// the copy.
func (j *Job) throttle(ctx context.Context, g *gate) error {
	if j.config.Throttle == (Throttle{}) {
		return nil
	}
	err := j.watchLoad(ctx, g)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (j *Job) watchLoad(ctx context.Context, g *gate) error {
	return j.source.with(ctx, func(conn *pgx.Conn) error {
		if warning, err := throttleWarning(ctx, conn, j.source.Name); err != nil {
			return err
		} else if warning != "" {
			j.say("%s", warning)
		}
		ticker := time.NewTicker(throttleInterval)
		defer ticker.Stop()
		defer g.set("")
		for {
			var lag float64
			var active int
			if err := conn.QueryRow(ctx, throttleSQL, applicationName).Scan(&lag, &active); err != nil {
				return fmt.Errorf("reading the load of %s: %w", j.source.Name, err)
			}
			g.set(j.config.Throttle.reason(lag, active))
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
			}
		}
	})
}

// throttleWarning says why the limits would never act: other roles' sessions and
// the replicas' lags are shown to some roles alone.
func throttleWarning(ctx context.Context, conn *pgx.Conn, node string) (string, error) {
	var role string
	var sees bool
	if err := conn.QueryRow(ctx, "SELECT current_user, pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')").Scan(&role, &sees); err != nil {
		return "", fmt.Errorf("reading the rights of %s: %w", node, err)
	}
	if sees {
		return "", nil
	}
	return fmt.Sprintf("the role %s does not see the lags and sessions of others on %s, so that throttle holds nothing back: GRANT pg_read_all_stats", role, node), nil
}

// reason says which limit is passed, or nothing.
func (t Throttle) reason(lag float64, active int) string {
	switch {
	case t.ReplicaLag > 0 && lag > t.ReplicaLag.Seconds():
		return fmt.Sprintf("a replica lags %.1f s behind", lag)
	case t.ActiveSessions > 0 && active > t.ActiveSessions:
		return fmt.Sprintf("%d other sessions are active", active)
	}
	return ""
}
