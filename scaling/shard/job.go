package shard

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/nap"
)

// Options are what a job needs of the process that it runs in.
type Options struct {
	Environ []string // of pg_dump, as os.Environ gives it
	Now     func() time.Time
	// Routing is where applications read who has an organisation. It is used by
	// the cut-over and the way back alone.
	Routing Routing
	// OnProgress is told how far a copy or a check is, about once a second; nil
	// tells nobody. It is never called by two goroutines at once.
	OnProgress func(Progress)
	// OnEvent is told what the job does, in a line; nil tells nobody.
	OnEvent func(string)
}

// A Job is one move, at any point of it. It keeps nothing in memory between
// phases: what has been done stands in the databases.
type Job struct {
	config         Config
	source, target Node
	opts           Options
}

// New returns the job of a valid configuration; nodes are the connection strings
// of the environment by name.
func New(c Config, nodes map[string]string, opts Options) (*Job, error) {
	j := &Job{config: c, opts: opts}
	for _, n := range []struct {
		name string
		node *Node
	}{{c.source(), &j.source}, {c.Target, &j.target}} {
		dsn, ok := nodes[n.name]
		if !ok {
			return nil, fmt.Errorf("the environment has no Postgres node %q", n.name)
		}
		*n.node = Node{n.name, dsn, &idleSessions{}}
	}
	if j.opts.OnEvent == nil {
		j.opts.OnEvent = func(string) {}
	}
	if j.opts.OnProgress == nil {
		j.opts.OnProgress = func(Progress) {}
	}
	return j, nil
}

func (j *Job) say(format string, args ...any) { j.opts.OnEvent(fmt.Sprintf(format, args...)) }

// catalog reads and classifies the tables of the source.
func (j *Job) catalog(ctx context.Context) (*Catalog, error) {
	var c *Catalog
	err := j.source.with(ctx, func(conn *pgx.Conn) (err error) {
		c, err = j.catalogOf(ctx, conn)
		return err
	})
	return c, err
}

func (j *Job) catalogOf(ctx context.Context, conn *pgx.Conn) (*Catalog, error) {
	tables, err := readTables(ctx, conn, j.config.schemas())
	if err != nil {
		return nil, err
	}
	schema, name := j.config.RoutingTable()
	tables = slices.DeleteFunc(tables, func(t *Table) bool { return t.Schema == schema && t.Name == name })
	if len(tables) == 0 {
		return nil, errNoTables
	}
	return classify(tables, j.config)
}

// ErrRunning is that another process works on the same move.
var ErrRunning = errors.New("another scaleproof works on this move")

// alone runs f while no other process works on the move: the lock is a session's
// on the target, so that it goes with the process however that ends.
func (j *Job) alone(ctx context.Context, f func(context.Context) error) error {
	conn, err := j.target.connect(ctx, nil)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	defer j.release()
	if err := j.lock(ctx, conn); err != nil {
		return err
	}
	defer j.unlock(conn)
	// Sessions that a killed process has left may still be committing.
	if err := execAll(ctx, conn, fmt.Sprintf("SELECT pg_advisory_lock(%d), pg_advisory_unlock(%[1]d)", j.lockKey("worker"))); err != nil {
		return err
	}
	return f(ctx)
}

// afterlife is how long a lock is asked for: a server notices only a moment later that
// the process which held it was killed.
const afterlife = 3 * time.Second

func (j *Job) lock(ctx context.Context, conn *pgx.Conn) error {
	for deadline := time.Now().Add(afterlife); ; {
		var free bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", j.lockKey("job")).Scan(&free); err != nil {
			return fmt.Errorf("locking the move: %w", err)
		}
		if free {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %w", j.config.Name, ErrRunning)
		}
		if !nap.Pause(ctx, afterlife/60) {
			return fmt.Errorf("locking the move: %w", context.Cause(ctx))
		}
	}
}

// unlock gives the lock back at once. The session that has it outlives its end by a
// moment, in which the next phase would be refused.
func (j *Job) unlock(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_, _ = conn.Exec(ctx, "SELECT pg_advisory_unlock($1)", j.lockKey("job")) // with a lost connection it goes by itself
}

// release ends the sessions that a phase has kept.
func (j *Job) release() {
	j.source.idle.close()
	j.target.idle.close()
}

// lockKey is the key of an advisory lock of this move.
func (j *Job) lockKey(what string) int64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "scaleproof shard %s %s", what, j.config.Name)
	return int64(h.Sum64())
}
