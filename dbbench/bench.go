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
	deadline   time.Time // of the trial's budget; zero without
}

// Open connects to a node and draws the arguments of the suite's cases. Close
// ends the connection.
func Open(ctx context.Context, node Node, config Config) (*Bench, error) {
	return OpenLike(ctx, node, config, nil)
}

// OpenLike is Open with the arguments that the cases of an earlier result had, so
// that both are of the same work though the data have changed. Queries that it
// lacks, or had no arguments for, are drawn anew; nil draws all.
func OpenLike(ctx context.Context, node Node, config Config, earlier *Result) (*Bench, error) {
	queries, err := config.AllQueries()
	if err != nil {
		return nil, err
	}
	conn, err := connect(ctx, node, Config{})
	if err != nil {
		return nil, err
	}
	b := &Bench{node: node, config: config, conn: conn, rng: rand.New(rand.NewPCG(config.Seed, 0x5ca1e))}
	if err := b.prepare(ctx, queries, earlier); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bench) prepare(ctx context.Context, queries []Query, earlier *Result) (err error) {
	if b.version, b.versionNum, err = serverVersion(ctx, b.conn); err != nil {
		return fmt.Errorf("reading the version of %s: %w", b.node.Name, err)
	}
	if b.cases, err = b.expandCases(ctx, queries, earlier); err != nil {
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

// Close ends the connection. It returns once the server was told to cancel what
// runs on it.
func (b *Bench) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	err := b.conn.Close(ctx)
	<-b.conn.PgConn().CleanupDone()
	return err
}

// reopen makes a new connection for one that broke, and prepares again what runs
// need that have not failed.
func (b *Bench) reopen(ctx context.Context, runs []*caseRun) error {
	<-b.conn.PgConn().CleanupDone()
	conn, err := connect(ctx, b.node, Config{})
	if err != nil {
		return err
	}
	b.conn = conn
	for _, r := range runs {
		if r.prepared && r.result.Error == "" {
			if err := r.prepare(ctx, conn); err != nil {
				r.result.Error = err.Error()
			}
		}
	}
	return nil
}

func orDefault(value, byDefault int) int {
	if value == 0 {
		return byDefault
	}
	return value
}
