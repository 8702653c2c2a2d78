package shard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// A MoveResult is what Move has done.
type MoveResult struct {
	State
	Copied      int64   `json:"copied"` // rows, by this call
	Bytes       int64   `json:"bytes"`  // that went through this process
	Seconds     float64 `json:"seconds"`
	CopySeconds float64 `json:"copy_seconds"` // of Seconds, those in which rows were copied
	Resumed     bool    `json:"resumed,omitempty"`
	CopiedAgain int64   `json:"copied_again,omitempty"` // rows that had changed between snapshots
}

// Move copies the organisations to the target, or goes on with a copy that was
// stopped. The source goes on taking writes; what they change is copied again at
// the cut-over, or follows by replication. Asked for again it does nothing.
func (j *Job) Move(ctx context.Context) (r *MoveResult, err error) {
	began := j.opts.Now()
	err = j.alone(ctx, func(ctx context.Context) error {
		r, err = j.move(ctx)
		return err
	})
	if r != nil {
		r.Seconds = j.opts.Now().Sub(began).Seconds()
	}
	return r, err
}

func (j *Job) move(ctx context.Context) (*MoveResult, error) {
	c, err := j.catalog(ctx)
	if err != nil {
		return nil, err
	}
	r := &MoveResult{}
	err = j.target.with(ctx, func(target *pgx.Conn) error {
		if r.State, err = j.prepare(ctx, target, c); err != nil || r.Phase != Copying {
			return err
		}
		r.Resumed = r.Snapshots > 0
		m := &meter{}
		if err := j.copyAll(ctx, target, c, r, m); err != nil {
			return err
		}
		r.Bytes = m.bytes.Load()
		if err := j.complete(ctx, target, c, r.SchemaMade); err != nil {
			return err
		}
		r.State, err = readState(ctx, target, j.config.Name)
		return err
	})
	return r, err
}

// prepare makes sure that the move can work, enters it in the ledger, and makes
// the tables where the target has none.
func (j *Job) prepare(ctx context.Context, target *pgx.Conn, c *Catalog) (State, error) {
	s, err := readState(ctx, target, j.config.Name)
	if err != nil {
		return s, err
	}
	if s.Phase == None {
		faults, err := j.faults(ctx, c)
		if err != nil {
			return s, err
		}
		if len(faults) > 0 {
			return s, fmt.Errorf("the move can't begin:\n  %s", strings.Join(faults, "\n  "))
		}
	}
	if s, err = j.begin(ctx, target, c); err != nil || s.Phase != Copying {
		return s, err
	}
	there, err := readTables(ctx, target, j.config.schemas())
	if err != nil {
		return s, err
	}
	if _, fresh := compareTables(c, there); fresh {
		j.say("making %d tables on %s", len(c.moved()), j.target.Name)
		if err := j.makeTables(ctx, c); err != nil {
			return s, err
		}
	}
	if err := j.checkPartitions(ctx, c, j.source, j.target); err != nil {
		return s, err
	}
	return readState(ctx, target, j.config.Name)
}

// faults says why a move that has not begun would fail.
func (j *Job) faults(ctx context.Context, c *Catalog) ([]string, error) {
	var faults []string
	err := j.source.with(ctx, func(conn *pgx.Conn) (err error) {
		faults, err = j.sourceFaults(ctx, conn, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	more, err := j.targetFaults(ctx, c)
	return append(faults, more...), err
}

// copyAll copies all chunks that are not on the target yet, on one snapshot.
func (j *Job) copyAll(ctx context.Context, target *pgx.Conn, c *Catalog, r *MoveResult, m *meter) error {
	return j.onSnapshot(ctx, c, func(ctx context.Context, source *pgx.Conn, snapshot string) error {
		if r.Chunks == 0 {
			if err := j.planChunks(ctx, source, target, c); err != nil {
				return err
			}
		}
		if err := j.setPhase(ctx, target, Copying, "snapshots = snapshots + 1"); err != nil {
			return err
		}
		chunks, err := j.pending(ctx, target, c)
		if err != nil {
			return err
		}
		began := j.opts.Now()
		r.Copied, err = j.copyChunks(ctx, c, snapshot, chunks, r.Resumed, m)
		r.CopySeconds = j.opts.Now().Sub(began).Seconds()
		if err != nil || !r.Resumed {
			return err
		}
		// What was copied from an earlier snapshot may have changed since, and the
		// chunks with it.
		j.say("comparing what earlier snapshots gave with this one")
		tables := c.owned()
		if r.SchemaMade {
			tables = c.moved()
		}
		r.CopiedAgain, err = j.reconcile(ctx, c, side{j.source, snapshot}, side{node: j.target}, tables)
		return err
	})
}

// onSnapshot runs f while a session holds a snapshot of the source that others
// can read on: online, the one at which the slot begins.
func (j *Job) onSnapshot(ctx context.Context, c *Catalog, f func(ctx context.Context, source *pgx.Conn, snapshot string) error) error {
	if j.config.mode() == Online {
		return j.onSlot(ctx, c, f)
	}
	return j.source.with(ctx, func(conn *pgx.Conn) error {
		if err := execAll(ctx, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"); err != nil {
			return err
		}
		var snapshot string
		if err := conn.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&snapshot); err != nil {
			return fmt.Errorf("exporting a snapshot: %w", err)
		}
		return f(ctx, conn, snapshot)
	})
}

// copyChunks copies chunks by several workers.
func (j *Job) copyChunks(ctx context.Context, c *Catalog, snapshot string, chunks []chunk, resumed bool, m *meter) (int64, error) {
	total := 0.0
	for _, k := range chunks {
		total += k.estimate
	}
	g := newGate()
	if j.config.Throttle != (Throttle{}) {
		g.set("the load of the source is not known yet")
	}
	stop := j.watch(ctx, "copying", int64(total), m, g.waiting)
	defer stop()
	queue := &chunkQueue{chunks: chunks}
	workers := &copyWorkers{job: j, catalog: c, snapshot: snapshot, queue: queue, gate: g, meter: m, resumed: resumed}
	group, ctx := errgroup.WithContext(ctx)
	throttled, endThrottle := context.WithCancel(ctx)
	defer endThrottle()
	group.Go(func() error { return j.throttle(throttled, g) })
	group.Go(func() error {
		defer endThrottle()
		return workers.run(ctx, j.config.workers())
	})
	err := group.Wait()
	return queue.rows, err
}

// A chunkQueue hands out chunks, each once.
type chunkQueue struct {
	mu     sync.Mutex
	chunks []chunk
	rows   int64 // of the chunks that are done
}

func (q *chunkQueue) next() (chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.chunks) == 0 {
		return chunk{}, false
	}
	k := q.chunks[0]
	q.chunks = q.chunks[1:]
	return k, true
}

func (q *chunkQueue) done(rows int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rows += rows
}

// copyWorkers are what the workers of a copy share.
type copyWorkers struct {
	job      *Job
	catalog  *Catalog
	snapshot string
	queue    *chunkQueue
	gate     *gate
	meter    *meter
	resumed  bool
}

func (w *copyWorkers) run(ctx context.Context, n int) error {
	group, ctx := errgroup.WithContext(ctx)
	for range n {
		group.Go(func() error { return w.work(ctx) })
	}
	return group.Wait()
}

func (w *copyWorkers) work(ctx context.Context) error {
	target, err := w.job.target.connect(ctx, writerSettings())
	if err != nil {
		return err
	}
	defer closeConn(target)
	p := &pipe{nil, target, w.gate, w.meter}
	defer func() {
		if p.source != nil {
			closeConn(p.source)
		}
	}()
	for k, ok := w.queue.next(); ok; k, ok = w.queue.next() {
		// A copy that the target has refused ends the source's session with it.
		if p.source == nil || p.source.IsClosed() {
			if p.source, err = (side{w.job.source, w.snapshot}).open(ctx); err != nil {
				return err
			}
		}
		rows, err := w.copyChunk(ctx, p, k)
		if err != nil {
			return fmt.Errorf("chunk %d: %w", k.number, err)
		}
		w.queue.done(rows)
	}
	return nil
}

// writerSettings are those of sessions that write copied rows: triggers and
// foreign keys don't act on them, which have acted on the source, and a commit
// need not wait for the disk: the ledger is in the same transaction, and would be
// lost with the rows.
func writerSettings() map[string]string {
	return map[string]string{"session_replication_role": "replica", "synchronous_commit": "off"}
}

// leftToReconcile marks a chunk of which some rows were on the target already:
// they had moved within their table between two snapshots.
const leftToReconcile = -1

// copyChunk copies one chunk and marks it, in one transaction.
func (w *copyWorkers) copyChunk(ctx context.Context, p *pipe, k chunk) (rows int64, err error) {
	err = inTx(ctx, p.target, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock_shared($1)", w.job.lockKey("worker")); err != nil {
			return err
		}
		if rows, err = p.copyRows(ctx, k.table, w.catalog.selectSQL(k.table, k.from, k.condition)); err != nil {
			return err
		}
		return w.mark(ctx, tx.Conn(), k, rows)
	})
	var fault *pgconn.PgError
	if w.resumed && errors.As(err, &fault) && fault.Code == "23505" { // unique_violation
		return 0, w.mark(ctx, p.target, k, leftToReconcile)
	}
	return rows, err
}

func (w *copyWorkers) mark(ctx context.Context, conn *pgx.Conn, k chunk, rows int64) error {
	_, err := conn.Exec(ctx, "UPDATE scaleproof.chunk SET rows = $4, done_at = now() WHERE move = $1 AND tbl = $2 AND chunk = $3",
		w.job.config.Name, k.table.String(), k.number, rows)
	if err != nil {
		return fmt.Errorf("marking the chunk: %w", err)
	}
	return nil
}

// complete does what follows the rows: indexes and constraints, sequences,
// statistics, and online the subscription.
func (j *Job) complete(ctx context.Context, target *pgx.Conn, c *Catalog, schemaMade bool) error {
	if schemaMade {
		j.say("making indexes and constraints on %s", j.target.Name)
		if err := j.finishTables(ctx, c); err != nil {
			return err
		}
	}
	if err := j.raiseSequences(ctx, c, j.source, j.target, 0); err != nil {
		return err
	}
	for _, t := range c.moved() {
		if err := execAll(ctx, target, "ANALYZE "+t.sql()); err != nil {
			return err
		}
	}
	// Nobody may write the range on the target before it is cut over.
	if err := j.fence(c, j.target, j.source.Name).shut(ctx); err != nil {
		return err
	}
	if j.config.mode() == Online {
		if err := j.subscribe(ctx, target); err != nil {
			return err
		}
		return j.setPhase(ctx, target, Following, "")
	}
	return j.setPhase(ctx, target, Copied, "")
}
