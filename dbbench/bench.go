package dbbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// The defaults of Config.
const (
	defaultRepetitions = 5
	defaultWarmup      = 1
)

// A Bench is an open suite on one node. It is not safe for concurrent use.
type Bench struct {
	node       Node
	config     Config
	conn       *pgx.Conn
	version    string
	versionNum int // 150004
	cases      []benchCase
	rng        *rand.Rand
}

// Open connects to a node and draws the arguments of the suite's cases. Close
// ends the connection.
func Open(ctx context.Context, node Node, config Config) (*Bench, error) {
	queries, err := config.queries()
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, node, config)
	if err != nil {
		return nil, err
	}
	b := &Bench{node: node, config: config, conn: conn, rng: rand.New(rand.NewPCG(config.Seed, 0x5ca1e))}
	if err := b.prepare(ctx, queries); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bench) prepare(ctx context.Context, queries []Query) (err error) {
	if b.version, b.versionNum, err = serverVersion(ctx, b.conn); err != nil {
		return fmt.Errorf("reading the version of %s: %w", b.node.Name, err)
	}
	if b.cases, err = expandCases(ctx, b.conn, queries, b.config.Seed); err != nil {
		return err
	}
	if len(b.cases) == 0 {
		return errors.New("the suite has no queries")
	}
	return nil
}

// serverVersion returns the version as text and as a number, "15.4" and 150004.
func serverVersion(ctx context.Context, conn *pgx.Conn) (text string, number int, err error) {
	err = conn.QueryRow(ctx, "SELECT current_setting('server_version'), current_setting('server_version_num')::int").Scan(&text, &number)
	return text, number, err
}

// Close ends the connection.
func (b *Bench) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return b.conn.Close(ctx)
}

// Trial runs the suite once: the cost of the server's clock; for each case a
// warm-up; then the repetitions of all cases and kinds of plan in random order,
// without timing of the nodes; then, in random order too, some that time the
// nodes. A case that fails has its error as its result. Trial itself fails only
// where the connection or ctx ends.
func (b *Bench) Trial(ctx context.Context) (*Result, error) {
	if b.config.Budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.config.Budget.Std(), fmt.Errorf("the suite's budget of %v is spent", b.config.Budget))
		defer cancel()
	}
	result := &Result{Node: b.node.Name, StartedAt: time.Now(), Version: b.version}
	var err error
	if result.ClockCost, err = measureClock(ctx, b.conn.PgConn()); err != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	runs := make([]*caseRun, len(b.cases))
	for i, c := range b.cases {
		runs[i] = b.newCaseRun(i, c)
	}
	err = b.runAll(ctx, runs)
	for _, r := range runs {
		result.Cases = append(result.Cases, r.finish())
	}
	if err != nil {
		return nil, err
	}
	result.warn(runs)
	return result, nil
}

// runAll makes all runs of a trial, and drops what it has prepared.
func (b *Bench) runAll(ctx context.Context, runs []*caseRun) error {
	for _, r := range runs {
		if err := b.attempt(ctx, r, r.prepare); err != nil {
			return err
		}
		for range orDefault(b.config.Warmup, defaultWarmup) {
			if err := b.attempt(ctx, r, r.warmUp); err != nil {
				return err
			}
		}
	}
	repetitions := orDefault(b.config.Repetitions, defaultRepetitions)
	if err := b.pass(ctx, runs, repetitions, (*planRun).measure); err != nil {
		return err
	}
	if err := b.pass(ctx, runs, min(repetitions, timedRuns), (*planRun).timeNodes); err != nil {
		return err
	}
	_, err := b.conn.Exec(ctx, "DEALLOCATE ALL")
	return err
}

// timedRuns is how often a case runs with the clock at its nodes: the middle one
// of three is spared what disturbs a single run.
const timedRuns = 3

// pass runs each case with each kind of plan as often as repetitions says, in
// random order, so that none always finds the cache as another has left it.
func (b *Bench) pass(ctx context.Context, runs []*caseRun, repetitions int, run func(*planRun, context.Context, *pgx.Conn) error) error {
	type turn struct {
		run  *caseRun
		plan *planRun
	}
	var turns []turn
	for _, r := range runs {
		for _, p := range r.plans {
			for range repetitions {
				turns = append(turns, turn{r, p})
			}
		}
	}
	b.rng.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
	for _, t := range turns {
		if err := b.attempt(ctx, t.run, func(ctx context.Context, conn *pgx.Conn) error { return run(t.plan, ctx, conn) }); err != nil {
			return err
		}
	}
	return nil
}

// attempt runs one execution of a case in a transaction that is rolled back. A
// fault of the statement goes into the case's result, and the case is not run
// again; a fault of the connection is returned.
func (b *Bench) attempt(ctx context.Context, r *caseRun, run func(context.Context, *pgx.Conn) error) error {
	if r.result.Error != "" {
		return nil
	}
	access := pgx.ReadOnly
	if b.config.AllowWrites {
		access = pgx.ReadWrite
	}
	tx, err := b.conn.BeginTx(ctx, pgx.TxOptions{AccessMode: access})
	if err != nil {
		return fmt.Errorf("beginning a transaction on %s: %w", b.node.Name, errors.Join(context.Cause(ctx), err))
	}
	err = run(ctx, b.conn)
	if rollback := tx.Rollback(context.WithoutCancel(ctx)); rollback != nil && err == nil {
		err = rollback
	}
	if err == nil {
		return nil
	}
	if b.conn.IsClosed() || ctx.Err() != nil {
		return fmt.Errorf("query %s: %w", r.result.Name, errors.Join(context.Cause(ctx), err))
	}
	r.result.Error = err.Error()
	return nil
}

func orDefault(value, byDefault int) int {
	if value == 0 {
		return byDefault
	}
	return value
}
