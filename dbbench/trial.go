package dbbench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Trial runs the suite once: the cost of the server's clock; for each case a
// warm-up; then the repetitions of all cases and kinds of plan in random order,
// without timing of the nodes; then, in random order too, some that time the
// nodes. A case that fails, breaks its connection or is not reached within the
// budget has its error as its result. Trial itself fails only where the server is
// gone or ctx ends.
func (b *Bench) Trial(ctx context.Context) (*Result, error) {
	results, err := trials(ctx, b)
	if err != nil {
		return nil, err
	}
	return results[0], nil
}

// TrialABBA runs the suites of two benches once, in turns: each execution on a is
// followed by the same on b, and the next begins with b, so that a drift of what
// both share meets both alike. Both must have cases of the same names.
func TrialABBA(ctx context.Context, a, b *Bench) (onA, onB *Result, err error) {
	names := func(b *Bench) (names []string) {
		for _, c := range b.cases {
			names = append(names, c.name)
		}
		return names
	}
	if !slices.Equal(names(a), names(b)) {
		err := fmt.Errorf("the suite gives other cases on %s (%v) than on %s (%v)", a.name(), names(a), b.name(), names(b))
		for _, c := range slices.Concat(a.cases, b.cases) {
			err = errors.Join(err, c.fault)
		}
		return nil, nil, err
	}
	results, err := trials(ctx, a, b)
	if err != nil {
		return nil, nil, err
	}
	for i, c := range results[0].Cases {
		if other := results[1].Cases[i]; !slices.Equal(c.Args, other.Args) {
			results[1].note("%s has other arguments on %s (%v) than on %s (%v): their data differ", c.Name, b.name(), other.Args, a.name(), c.Args)
		}
	}
	results[1].warn()
	return results[0], results[1], nil
}

// name is that of the first node.
func (b *Bench) name() string { return b.sessions[0].node.Name }

// A side is one bench in a trial.
type side struct {
	*Bench
	runs   []*caseRun
	result *Result
}

func trials(ctx context.Context, benches ...*Bench) ([]*Result, error) {
	var sides []*side
	for _, b := range benches {
		s, err := b.begin(ctx)
		if err != nil {
			return nil, err
		}
		sides = append(sides, s)
	}
	if err := runAll(ctx, sides); err != nil {
		return nil, err
	}
	var results []*Result
	for _, s := range sides {
		for _, r := range s.runs {
			s.result.Cases = append(s.result.Cases, r.finish())
		}
		s.result.warn()
		results = append(results, s.result)
	}
	return results, nil
}

// begin makes a bench ready for a trial.
func (b *Bench) begin(ctx context.Context) (*side, error) {
	b.deadline = time.Time{}
	if b.config.Budget > 0 {
		b.deadline = time.Now().Add(b.config.Budget.Std())
	}
	s := &side{Bench: b, result: &Result{StartedAt: time.Now()}}
	for i, on := range b.sessions {
		node := NodeResult{Node: on.node.Name, Version: on.version}
		if b.has(on) {
			var err error
			if node.ClockCost, err = s.clock(ctx, on); err != nil {
				return nil, err
			}
		}
		if i == 0 {
			s.result.NodeResult = node
		} else {
			s.result.Others = append(s.result.Others, node)
		}
	}
	for i, c := range b.cases {
		s.runs = append(s.runs, b.newCaseRun(i, c))
	}
	return s, nil
}

// clock measures the cost of a node's clock; 0 where the server does not say.
func (s *side) clock(ctx context.Context, on *session) (float64, error) {
	cost, err := measureClock(ctx, on.conn.PgConn())
	var fault *pgconn.PgError
	switch {
	case ctx.Err() == nil && errors.As(err, &fault) && !on.conn.IsClosed():
		s.result.note("the cost of the clock of %s is unknown: %v", on.node.Name, err)
	case err != nil:
		return 0, errors.Join(context.Cause(ctx), err)
	}
	return cost, nil
}

// runAll makes all runs of a trial, and drops what it has prepared.
func runAll(ctx context.Context, sides []*side) error {
	first := sides[0]
	for i := range first.runs {
		for _, s := range sides {
			r := s.runs[i]
			if err := s.attempt(ctx, r, r.prepare); err != nil {
				return err
			}
			for range orDefault(s.config.Warmup, defaultWarmup) {
				if err := s.attempt(ctx, r, r.warmUp); err != nil {
					return err
				}
			}
		}
	}
	repetitions := orDefault(first.config.Repetitions, defaultRepetitions)
	if err := pass(ctx, sides, repetitions, (*planRun).measure); err != nil {
		return err
	}
	if err := pass(ctx, sides, min(repetitions, timedRuns), (*planRun).timeNodes); err != nil {
		return err
	}
	for _, s := range sides {
		for _, on := range s.sessions {
			if !s.has(on) {
				continue
			}
			if _, err := on.conn.Exec(ctx, "DEALLOCATE ALL"); err != nil {
				return fmt.Errorf("dropping what was prepared on %s: %w", on.node.Name, errors.Join(context.Cause(ctx), err))
			}
		}
	}
	return nil
}

// timedRuns is how often a case runs with the clock at its nodes: the middle one
// of three is spared what disturbs a single run.
const timedRuns = 3

// pass runs each case with each kind of plan as often as repetitions says, in
// random order, so that none always finds the cache as another has left it; and
// on all sides, of which now one and now the other begins.
func pass(ctx context.Context, sides []*side, repetitions int, run func(*planRun, context.Context, *pgx.Conn) error) error {
	type turn struct{ run, plan int }
	var turns []turn
	for i, r := range sides[0].runs {
		for j := range r.plans {
			for range repetitions {
				turns = append(turns, turn{i, j})
			}
		}
	}
	sides[0].rng.Shuffle(len(turns), func(i, j int) { turns[i], turns[j] = turns[j], turns[i] })
	order := slices.Clone(sides)
	for _, t := range turns {
		for _, s := range order {
			r := s.runs[t.run]
			if err := s.attempt(ctx, r, func(ctx context.Context, conn *pgx.Conn) error { return run(r.plans[t.plan], ctx, conn) }); err != nil {
				return err
			}
		}
		slices.Reverse(order)
	}
	return nil
}

// attempt runs one execution of a case in a transaction that is rolled back. A
// fault of the statement goes into the case's result, and the case is not run
// again; so does one that breaks the connection, which is then made anew. Only
// where that fails, or ctx ends, an error is returned.
func (s *side) attempt(ctx context.Context, r *caseRun, run func(context.Context, *pgx.Conn) error) error {
	if r.result.Error != "" || r.result.Cut {
		return nil
	}
	if s.spent() {
		r.result.Cut = true
		return nil
	}
	err := s.inTransaction(ctx, r.on, func() error { return run(ctx, r.on.conn) })
	var fault *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("query %s: %w", r.result.Name, errors.Join(context.Cause(ctx), err))
	case errors.As(err, &fault) && fault.Code == queryCanceled && s.spent():
		r.result.Cut = true
	default:
		r.result.Error = err.Error()
	}
	if !r.on.conn.IsClosed() {
		return nil
	}
	if again := r.on.reopen(ctx, s.runs); again != nil {
		return fmt.Errorf("query %s broke the connection to %s: %w", r.result.Name, r.on.node.Name, errors.Join(err, again))
	}
	return nil
}

const queryCanceled = "57014"

// inTransaction runs statements in a transaction that is rolled back, and that may
// write with consent alone.
func (b *Bench) inTransaction(ctx context.Context, on *session, run func() error) error {
	access := pgx.ReadOnly
	if b.config.AllowWrites {
		access = pgx.ReadWrite
	}
	tx, err := on.conn.BeginTx(ctx, pgx.TxOptions{AccessMode: access})
	if err != nil {
		return fmt.Errorf("beginning a transaction on %s: %w", on.node.Name, err)
	}
	if _, err = on.conn.PgConn().Exec(ctx, b.setTimeout()).ReadAll(); err == nil {
		err = run()
	}
	if rollback := tx.Rollback(context.WithoutCancel(ctx)); rollback != nil && err == nil {
		err = rollback
	}
	return err
}

// setTimeout bounds the next statement of a transaction by its timeout and by what
// is left of the budget, rounded up: one that the server ends for the latter must
// find the budget spent. The session's own timeout is the default, so that what
// scaleproof itself asks is not bound by the suite's.
func (b *Bench) setTimeout() string {
	timeout := statementTimeout(b.config)
	if !b.deadline.IsZero() {
		timeout = min(timeout, max(time.Until(b.deadline), time.Millisecond))
	}
	return "SET LOCAL statement_timeout = " + milliseconds(timeout)
}

// spent tells whether the budget is.
func (b *Bench) spent() bool { return !b.deadline.IsZero() && !time.Now().Before(b.deadline) }
