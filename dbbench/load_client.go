package dbbench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// A loadClient is one connection and the goroutine that uses it.
type loadClient struct {
	run      *loadRun
	rng      *rand.Rand
	recorder *recorder
	cases    []clientCase
	limits   []float64 // the running sum of the weights of cases, up to 1
	out      []byte    // what is sent
	alone    bool      // it runs by itself, and not in a loop

	mu   sync.Mutex // guards conn against cancel
	conn *pgconn.PgConn
}

// A clientCase is a case with its arguments ready to send.
type clientCase struct {
	statement string
	sql       string
	args      [][]byte
	draws     []draw // of the arguments that are drawn anew
	fault     error  // why it can't run
}

func (r *loadRun) newClient(i int) *loadClient {
	c := &loadClient{run: r, rng: r.newRand(i), recorder: r.shards[i%len(r.shards)]}
	total, sum := 0.0, 0.0
	for _, b := range r.cases {
		total += b.weight
	}
	statements := map[string]string{}
	for _, b := range r.cases {
		if statements[b.query] == "" {
			statements[b.query] = "scaleproof_" + strconv.Itoa(len(statements))
		}
		cc := clientCase{statement: statements[b.query], sql: b.sql, args: b.args, fault: b.fault}
		if len(b.random) > 0 {
			cc.args = make([][]byte, len(b.random))
		}
		for _, g := range b.random {
			cc.draws = append(cc.draws, g(c.rng))
		}
		c.cases = append(c.cases, cc)
		sum += b.weight
		c.limits = append(c.limits, sum/total)
	}
	return c
}

// connect opens the client's connection and prepares its statements.
func (c *loadClient) connect(ctx context.Context) error {
	config, err := sessionOf(c.run.node, c.run.config)
	if err != nil {
		return err
	}
	if !c.run.config.AllowWrites {
		config.RuntimeParams["default_transaction_read_only"] = "on"
	}
	if modes := c.run.config.planModes(true); len(modes) == 1 {
		config.RuntimeParams[planCacheMode] = modes[0]
	}
	if c.run.direct() && !c.alone {
		config.DialFunc = dialDirect
	}
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", c.run.node.Name, err)
	}
	if err := c.prepare(ctx, conn); err != nil {
		return errors.Join(err, conn.Close(ctx))
	}
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
	return nil
}

// prepare prepares the statement of each query once. One that the server refuses
// is the fault of its cases; an error is of the connection.
func (c *loadClient) prepare(ctx context.Context, conn *pgconn.PgConn) error {
	faults := map[string]error{}
	for i := range c.cases {
		cc := &c.cases[i]
		if c.run.cases[i].fault != nil {
			continue
		}
		fault, done := faults[cc.statement]
		if !done {
			var refused *pgconn.PgError
			if _, fault = conn.Prepare(ctx, cc.statement, cc.sql, nil); fault != nil {
				fault = fmt.Errorf("preparing %q: %w", cc.sql, fault)
				if !errors.As(fault, &refused) || conn.IsClosed() || ctx.Err() != nil {
					return fault
				}
			}
			faults[cc.statement] = fault
		}
		cc.fault = fault
	}
	return nil
}

func (c *loadClient) close() {
	if c.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	_ = c.conn.Close(ctx) // the connection is gone in either case
}

// giveUpAfter bounds what the client waits for an answer.
func (c *loadClient) giveUpAfter(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.Conn().SetDeadline(time.Now().Add(d)) // fails only on a closed connection
}

// cancel ends the running statement on the server.
func (c *loadClient) cancel() {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	_ = conn.CancelRequest(ctx) // where the server does not take it, the deadline ends the wait
	_ = conn.Conn().SetDeadline(time.Now().Add(cancelGrace))
}

// work runs transactions until the load ends.
func (c *loadClient) work(ctx context.Context) {
	now := time.Now()
	for {
		due, ok := c.run.next(now)
		if !ok {
			return
		}
		if c.run.load.Rate > 0 {
			now = time.Now()
		}
		sent, i := now, c.choose()
		err := c.transaction(&c.cases[i])
		now = time.Now()
		if !due.Before(c.run.from) {
			c.recorder.record(i, due, sent, now, err)
		}
		if err != nil && c.cases[i].fault == nil && c.broken(err) {
			c.close()
			c.reconnect(ctx)
			now = time.Now()
		}
	}
}

// broken tells whether an error is of the connection and not of the statement.
func (c *loadClient) broken(err error) bool {
	var fault *pgconn.PgError
	return c.conn.IsClosed() || !errors.As(err, &fault) || fault.SeverityUnlocalized == "FATAL" || fault.SeverityUnlocalized == "PANIC"
}

// choose draws a case by its weight.
func (c *loadClient) choose() int {
	if len(c.limits) == 1 {
		return 0
	}
	x := c.rng.Float64()
	for i, limit := range c.limits {
		if x < limit {
			return i
		}
	}
	return len(c.limits) - 1
}

// transaction runs one statement, in a transaction of its own that is rolled
// back where it may write. It uses no context: watching one costs as much as a
// short query's work at the client, and cancel ends a statement without.
func (c *loadClient) transaction(cc *clientCase) error {
	if cc.fault != nil {
		return cc.fault
	}
	if !c.run.config.AllowWrites {
		return c.execute(cc)
	}
	if err := c.simple("BEGIN"); err != nil {
		return err
	}
	err := c.execute(cc)
	return errors.Join(err, c.simple("ROLLBACK"))
}

// execute sends the statement with its arguments and reads all rows, without
// decoding them.
func (c *loadClient) execute(cc *clientCase) error {
	c.out = cc.encode(c.out[:0])
	if _, err := c.conn.Conn().Write(c.out); err != nil {
		return err
	}
	f := c.conn.Frontend()
	var fault error
	for {
		message, err := f.Receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			fault = pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			return fault
		}
	}
}

func (c *loadClient) simple(sql string) error {
	_, err := c.conn.Exec(context.Background(), sql).ReadAll()
	return err
}

// reconnect tries until it has a connection again, or the load ends.
func (c *loadClient) reconnect(ctx context.Context) {
	const pause = 100 * time.Millisecond
	for !c.run.stopped.Load() {
		attempt, cancel := context.WithTimeout(ctx, cancelGrace)
		err := c.connect(attempt)
		cancel()
		if err == nil {
			c.recorder.reconnected()
			return
		}
		retry := time.NewTimer(pause)
		select {
		case <-retry.C:
		case <-c.run.ended:
			retry.Stop()
		}
	}
}
