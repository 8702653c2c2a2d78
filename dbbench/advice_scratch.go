package dbbench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// scratch tries indexes for real, on copies of the tables.
type scratch struct {
	conn    *pgx.Conn
	node    Node
	config  Config
	schema  string
	tables  map[string]string   // the copy of each table, both quoted
	reads   map[string][]string // the tables whose copies a case reads, by its name
	counter int
}

// scratchPrefix begins the names of the schemas, so that one that a killed process
// has left is known.
const scratchPrefix = "scaleproof_scratch_"

// openScratch copies the tables that the cases read.
func (a *adviser) openScratch(ctx context.Context) (_ *scratch, err error) {
	writes := a.config
	writes.AllowWrites = true
	conn, err := connect(ctx, a.nodes[0], writes)
	if err != nil {
		return nil, err
	}
	s := &scratch{conn: conn, node: a.nodes[0], config: writes, schema: scratchPrefix + strings.ToLower(rand.Text()[:10]), tables: map[string]string{}, reads: map[string][]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := a.notScratchLeft(ctx, conn); err != nil {
		return nil, err
	}
	tables, err := a.readTables(ctx, conn)
	if err != nil {
		return nil, err
	}
	// The copies stand before the tables in the search path, and are found instead
	// of those that are found by their name alone.
	maps.DeleteFunc(tables, func(_ string, t tableInfo) bool { return !t.Visible })
	if err := s.checkSize(ctx, tables, a.how.ScratchLimit); err != nil {
		return nil, err
	}
	// A copy takes as long as it takes; Ctrl-C ends it.
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0; SET synchronize_seqscans = off; CREATE SCHEMA "+s.schema); err != nil {
		return nil, fmt.Errorf("making a schema for copies: %w", err)
	}
	for _, t := range tables {
		if err := s.copyTable(ctx, t); err != nil {
			return nil, fmt.Errorf("copying %s: %w", t.Qualified, err)
		}
	}
	if _, err := conn.Exec(ctx, "SELECT set_config('search_path', '"+s.schema+", ' || current_setting('search_path'), false); SET statement_timeout = "+milliseconds(statementTimeout(s.config))); err != nil {
		return nil, fmt.Errorf("turning to the copies: %w", err)
	}
	if err := prepareCases(ctx, conn, a.cases); err != nil {
		return nil, err
	}
	return s, s.findReads(ctx, a.cases, tables)
}

// findReads asks the planner which cases read copies: a statement that names a
// schema, a view and a partitioned table lead past them.
func (s *scratch) findReads(ctx context.Context, cases []advisedCase, tables map[string]tableInfo) error {
	for _, c := range cases {
		plan, err := explainCase(ctx, s.conn, c, "VERBOSE, FORMAT JSON")
		if err != nil {
			return fmt.Errorf("planning %s on the copies: %w", c.Name, err)
		}
		for _, n := range plan.Root.All() {
			for _, t := range tables {
				if n.Schema == s.schema && n.Relation == t.Name {
					s.reads[c.Name] = append(s.reads[c.Name], t.Qualified)
				}
			}
		}
	}
	return nil
}

func (s *scratch) unreached(c candidate) []string {
	return slices.DeleteFunc(slices.Clone(c.cases), func(name string) bool { return slices.Contains(s.reads[name], c.table) })
}

// notScratchLeft notes the schemas that killed processes have left.
func (a *adviser) notScratchLeft(ctx context.Context, conn *pgx.Conn) error {
	names, err := collect[struct{ Name string }](ctx, conn, `SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'scaleproof\_scratch\_%'`)
	if err != nil {
		return fmt.Errorf("looking for copies that are left: %w", err)
	}
	for _, n := range names {
		a.note("the schema %s holds copies of another run; if none is running, DROP SCHEMA %s CASCADE", n.Name, n.Name)
	}
	return nil
}

// checkSize refuses to copy more than the limit.
func (s *scratch) checkSize(ctx context.Context, tables map[string]tableInfo, limit float64) error {
	if limit == 0 {
		limit = defaultScratchLimit
	}
	var total float64
	for _, t := range tables {
		var bytes float64
		if err := s.conn.QueryRow(ctx, "SELECT pg_total_relation_size($1::text::regclass)::float8", t.Qualified).Scan(&bytes); err != nil {
			return fmt.Errorf("reading the size of %s: %w", t.Qualified, err)
		}
		total += bytes
	}
	if total > limit {
		return fmt.Errorf("the tables that the suite reads take %s, more than the %s that may be copied: allow more, or advise on a copy of the database", unit.Format(total, unit.Bytes), unit.Format(limit, unit.Bytes))
	}
	return nil
}

// copyTable copies a table in the order of its rows, with its indexes and
// statistics. Unlogged tables write no log, and so burden no replica.
func (s *scratch) copyTable(ctx context.Context, t tableInfo) error {
	name := pgx.Identifier{s.schema, t.Name}.Sanitize()
	var columns string
	if err := s.conn.QueryRow(ctx, `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`, t.Qualified).Scan(&columns); err != nil {
		return err
	}
	for _, sql := range []string{
		fmt.Sprintf("CREATE UNLOGGED TABLE %s (LIKE %s INCLUDING ALL)", name, t.Qualified),
		fmt.Sprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s", name, columns, columns, t.Qualified),
		"VACUUM ANALYZE " + name,
	} {
		if _, err := s.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	s.tables[t.Qualified] = name
	return nil
}

// close drops the copies, over a connection of its own where the other is gone.
func (s *scratch) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if s.conn.IsClosed() {
		<-s.conn.PgConn().CleanupDone() // until then a statement may still hold its locks
		var err error
		if s.conn, err = connect(ctx, s.node, s.config); err != nil {
			return fmt.Errorf("dropping the copies: run DROP SCHEMA IF EXISTS %s CASCADE: %w", s.schema, err)
		}
	}
	_, err := s.conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+s.schema+" CASCADE")
	closeQuietly(s.conn)
	if err != nil {
		return fmt.Errorf("dropping the copies: run DROP SCHEMA %s CASCADE: %w", s.schema, err)
	}
	return nil
}

func (s *scratch) build(ctx context.Context, c candidate) (index builtIndex, err error) {
	s.counter++
	index.name = fmt.Sprintf("scratch_%d", s.counter)
	if _, err := s.conn.Exec(ctx, fmt.Sprintf("CREATE INDEX %s ON %s (%s)", index.name, s.tables[c.table], strings.Join(c.columns, ", "))); err != nil {
		return index, err
	}
	err = s.conn.QueryRow(ctx, "SELECT pg_relation_size($1::text::regclass)::float8", s.schema+"."+index.name).Scan(&index.bytes)
	return index, err
}

func (s *scratch) drop(ctx context.Context, index builtIndex) error {
	_, err := s.conn.Exec(ctx, "DROP INDEX "+s.schema+"."+index.name)
	return err
}

// scratchRuns is how often a case runs, after one that warms the cache.
const scratchRuns = 3

// measure runs a case; its cost is the blocks that it touches, which do not depend
// on what else the server does.
func (s *scratch) measure(ctx context.Context, c advisedCase) (labResult, error) {
	var times []float64
	var r labResult
	for i := range 1 + scratchRuns {
		plan, err := s.run(ctx, c)
		if err != nil {
			return r, err
		}
		if i > 0 {
			times = append(times, plan.ExecutionTime/1e3)
		}
		r.cost, r.indexes = plan.Root.Blocks, plan.Root.indexes()
	}
	slices.Sort(times)
	r.time = stats.Median(times)
	return r, nil
}

// run runs a case once, and undoes it.
func (s *scratch) run(ctx context.Context, c advisedCase) (plan *Plan, err error) {
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	plan, err = explainCase(ctx, s.conn, c, "ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON")
	return plan, errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
}

func (s *scratch) words(before, after labResult) string {
	return fmt.Sprintf("%s blocks touched, before %s; %s, before %s", unit.Format(after.cost, unit.Count), unit.Format(before.cost, unit.Count),
		unit.Format(after.time, unit.Seconds), unit.Format(before.time, unit.Seconds))
}

func (s *scratch) method() string {
	return fmt.Sprintf("built and run on a copy, medians of %d runs", scratchRuns)
}

// closeQuietly ends a connection that nothing more is expected of.
func closeQuietly(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	_ = conn.Close(ctx) // it is gone in either case
	<-conn.PgConn().CleanupDone()
}
