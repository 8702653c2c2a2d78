package dbbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// The defaults of Config.
const (
	defaultRepetitions      = 5
	defaultWarmup           = 1
	defaultStatementTimeout = time.Minute
	lockTimeout             = 5 * time.Second
)

// A Bench is an open suite on one node. It is not safe for concurrent use.
type Bench struct {
	node    Node
	config  Config
	conn    *pgx.Conn
	version string
	cases   []benchCase
	rng     *rand.Rand
}

// Open connects to a node and draws the arguments of the suite's cases. Close
// ends the connection.
func Open(ctx context.Context, node Node, config Config) (*Bench, error) {
	queries := config.Queries
	if config.Suite != "" {
		suite, err := LoadSuite(config.Suite)
		if err != nil {
			return nil, err
		}
		queries = append(slices.Clone(suite), queries...)
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

func (b *Bench) prepare(ctx context.Context, queries []Query) error {
	if err := b.conn.QueryRow(ctx, "SELECT current_setting('server_version')").Scan(&b.version); err != nil {
		return fmt.Errorf("reading the version of %s: %w", b.node.Name, err)
	}
	for _, q := range queries {
		cases, err := expandCases(ctx, b.conn, q)
		if err != nil {
			return err
		}
		b.cases = append(b.cases, cases...)
	}
	if len(b.cases) == 0 {
		return errors.New("the suite has no queries")
	}
	return nil
}

// connect opens a connection on which nothing can hang, and nothing can write
// unless the configuration allows it.
func connect(ctx context.Context, node Node, c Config) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(node.DSN)
	if err != nil {
		return nil, fmt.Errorf("reading the DSN of %s: %w", node.Name, err)
	}
	// Without a cache of prepared statements each execution is planned for its
	// arguments, as EXPLAIN does.
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	timeout := c.StatementTimeout.Std()
	if timeout == 0 {
		timeout = defaultStatementTimeout
	}
	for name, value := range map[string]string{
		"application_name":                    "scaleproof",
		"statement_timeout":                   milliseconds(timeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(timeout + time.Minute),
	} {
		config.RuntimeParams[name] = value
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", node.Name, err)
	}
	return conn, nil
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// Close ends the connection.
func (b *Bench) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return b.conn.Close(ctx)
}

// Trial runs the suite once: for each case a warm-up, then the repetitions of
// all cases in random order, then one run that times the nodes. A case that
// fails has its error as its result. Trial itself fails only where the
// connection or ctx ends.
func (b *Bench) Trial(ctx context.Context) (*Result, error) {
	if b.config.Budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, b.config.Budget.Std(), fmt.Errorf("the suite's budget of %v is spent", b.config.Budget))
		defer cancel()
	}
	result := &Result{Node: b.node.Name, StartedAt: time.Now(), Version: b.version}
	runs := make([]*caseRun, len(b.cases))
	for i, c := range b.cases {
		runs[i] = newCaseRun(c)
		for range orDefault(b.config.Warmup, defaultWarmup) {
			if err := b.attempt(ctx, runs[i], runs[i].warmUp); err != nil {
				return nil, err
			}
		}
	}
	for _, i := range b.order(orDefault(b.config.Repetitions, defaultRepetitions)) {
		if err := b.attempt(ctx, runs[i], runs[i].measure); err != nil {
			return nil, err
		}
	}
	for _, r := range runs {
		if err := b.attempt(ctx, r, r.timeNodes); err != nil {
			return nil, err
		}
		result.Cases = append(result.Cases, r.result)
	}
	return result, nil
}

// order returns the case of each run, in random order, so that no case always
// finds the cache as another has left it.
func (b *Bench) order(repetitions int) []int {
	var order []int
	for i := range b.cases {
		for range repetitions {
			order = append(order, i)
		}
	}
	b.rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	return order
}

// attempt runs one execution of a case in a transaction that is rolled back. A
// fault of the statement goes into the case's result, and the case is not run
// again; a fault of the connection is returned.
func (b *Bench) attempt(ctx context.Context, r *caseRun, run func(context.Context, pgx.Tx) error) error {
	if r.result.Error != "" {
		return nil
	}
	access := pgx.ReadOnly
	if b.config.AllowWrites {
		access = pgx.ReadWrite
	}
	tx, err := b.conn.BeginTx(ctx, pgx.TxOptions{AccessMode: access})
	if err != nil {
		return fmt.Errorf("beginning a transaction on %s: %w", b.node.Name, err)
	}
	err = run(ctx, tx)
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
