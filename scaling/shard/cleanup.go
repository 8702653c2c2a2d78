package shard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/unit"
)

// A CleanupResult is what a clean-up has done.
type CleanupResult struct {
	State
	Deleted int64 `json:"deleted"` // rows, by this call
}

// defaultSoak is how long the target has the range before the source is cleaned
// up, where the plan names no time.
const defaultSoak = 24 * time.Hour

// Cleanup takes the rows away from the source, once the target has had them for
// the soak and is whole. From then on there is no way back. It goes on where an
// earlier one was stopped.
func (j *Job) Cleanup(ctx context.Context) (r *CleanupResult, err error) {
	r = &CleanupResult{}
	err = j.alone(ctx, func(ctx context.Context) error {
		if r.State, err = j.state(ctx); err != nil {
			return err
		}
		c, err := j.catalog(ctx)
		if err != nil {
			return err
		}
		switch r.Phase {
		case Cleaned:
			return nil
		case Cleaning:
		case Moved:
			if err := j.mayClean(ctx, c, r.State); err != nil {
				return err
			}
		default:
			return &PhaseError{r.Phase, "the source still has the organisations: cut over first"}
		}
		return j.cleanup(ctx, c, r)
	})
	return r, err
}

// mayClean makes sure that nothing is lost by a clean-up.
func (j *Job) mayClean(ctx context.Context, c *Catalog, s State) error {
	soak := orDefault(j.config.Soak.Std(), defaultSoak)
	if since := j.opts.Now().Sub(*s.CutAt); since < soak {
		return &PhaseError{s.Phase, fmt.Sprintf("it has soaked for %s of %s: wait, or lower shard.soak (of which 0s is the default of 24h, and 1s next to none)",
			unit.Format(since.Seconds(), unit.Seconds), unit.Format(soak.Seconds(), unit.Seconds))}
	}
	routes, err := j.opts.Routing.Read(ctx)
	if err != nil {
		return err
	}
	if !routes.has(j.target.Name, c.organizations) {
		return fmt.Errorf("the routing does not say that %s has the organisations %s: nothing is deleted", j.target.Name, c.organizations)
	}
	closed, err := j.fence(c, j.source, j.target.Name).closed(ctx)
	if err != nil {
		return err
	}
	if !closed {
		return fmt.Errorf("the fence of %s is not closed, so that it may have been written to since the cut-over: nothing is deleted", j.source.Name)
	}
	faults, err := j.integrity(ctx, c, j.source, j.target)
	if err != nil {
		return err
	}
	if len(faults) > 0 {
		return &FaultsError{j.target.Name, faults}
	}
	return j.target.with(ctx, func(conn *pgx.Conn) error {
		faults, err := sequenceFaults(ctx, conn, c)
		if err == nil && len(faults) > 0 {
			err = &FaultsError{j.target.Name, faults}
		}
		if err != nil {
			return err
		}
		return j.setPhase(ctx, conn, Moved, "verified_at = now()")
	})
}

func (j *Job) cleanup(ctx context.Context, c *Catalog, r *CleanupResult) error {
	// Else the deletes would be replicated.
	if err := j.dropReplication(ctx); err != nil {
		return err
	}
	if err := j.source.with(ctx, func(conn *pgx.Conn) error { return staying(ctx, conn, c) }); err != nil {
		return err
	}
	if err := j.lost(ctx, c); err != nil {
		return err
	}
	if err := j.target.with(ctx, func(conn *pgx.Conn) error { return j.setPhase(ctx, conn, Cleaning, "") }); err != nil {
		return err
	}
	deleted, err := j.deleteRows(ctx, j.source, c)
	r.Deleted = deleted
	if err != nil {
		return err
	}
	if err := errors.Join(j.fence(c, j.source, j.target.Name).lift(ctx), j.fence(c, j.target, j.source.Name).lift(ctx), recorder{j, c}.remove(ctx), j.tracker(c, j.source, j.target).remove(ctx)); err != nil {
		return err
	}
	return j.target.with(ctx, func(conn *pgx.Conn) error {
		if err := j.setPhase(ctx, conn, Cleaned, ""); err != nil {
			return err
		}
		r.State, err = readState(ctx, conn, j.config.Name)
		return err
	})
}

// staying fails where rows that stay refer to rows that go: no foreign key acts on
// the deletes, which would take a scan for each row where it has no index.
func staying(ctx context.Context, conn *pgx.Conn, c *Catalog) error {
	var faults []string
	for _, t := range c.moved() {
		for _, f := range t.ForeignKeys {
			to := c.table(f.To)
			if !to.owned() {
				continue
			}
			match := make([]string, len(f.Columns))
			for i, column := range f.Columns {
				match[i] = "r." + ident(f.ToColumns[i]) + " = t." + ident(column)
			}
			var n int64
			if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s t JOIN %s r ON %s WHERE %s AND (%s) IS NOT TRUE",
				t.from(), to.from(), strings.Join(match, " AND "), c.where(to, "r"), c.where(t, "t"))).Scan(&n); err != nil {
				return fmt.Errorf("looking for rows that stay and refer to rows that go: %w", err)
			}
			if n > 0 {
				faults = append(faults, fmt.Sprintf("%d rows of %s stay and refer by %s to rows of %s that would go", n, t, f.Name, f.To))
			}
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("nothing is deleted:\n  %s", strings.Join(faults, "\n  "))
	}
	return nil
}

// manyParts asks for parts that are as small as they get.
const manyParts = 1 << 20

// deleteRows deletes the rows of the organisations from a node, children first,
// some blocks at a time, each for itself: what is deleted stays so.
func (j *Job) deleteRows(ctx context.Context, node Node, c *Catalog) (deleted int64, err error) {
	conn, err := node.connect(ctx, writerSettings())
	if err != nil {
		return 0, err
	}
	defer closeConn(conn)
	m, g := &meter{}, newGate()
	throttled, end := context.WithCancel(ctx)
	failed := make(chan error, 1)
	go func() { failed <- j.throttle(throttled, g) }()
	defer func() {
		end()
		if throttleErr := <-failed; err == nil {
			err = throttleErr
		}
	}()
	stop := j.watch(ctx, "deleting", 0, m, g.waiting)
	defer stop()
	for _, t := range slices.Backward(c.owned()) {
		parts, err := side{node: node}.parts(ctx, t, manyParts)
		if err != nil {
			return m.rows.Load(), err
		}
		j.say("deleting from %s on %s", t, node.Name)
		for _, p := range parts {
			if err := g.pass(ctx); err != nil {
				return m.rows.Load(), err
			}
			tag, err := conn.Exec(ctx, "DELETE FROM "+p.from+" t WHERE "+p.condition+" AND "+c.where(t, "t"))
			if err != nil {
				return m.rows.Load(), fmt.Errorf("deleting from %s on %s: %w", t, node.Name, err)
			}
			m.rows.Add(tag.RowsAffected())
		}
	}
	return m.rows.Load(), nil
}

// Abandon undoes a move that has not been cut over: the target gives the rows up,
// and the ledger forgets them. Tables that the move has made stay, empty.
func (j *Job) Abandon(ctx context.Context) error {
	return j.alone(ctx, func(ctx context.Context) error {
		s, err := j.state(ctx)
		if err != nil || s.Phase == None {
			return err
		}
		if s.Phase != Copying && s.Phase != Copied && s.Phase != Following {
			return &PhaseError{s.Phase, "go back first: scaleproof shard cutover --back"}
		}
		c, err := j.catalog(ctx)
		if err != nil {
			return err
		}
		if err := j.dropReplication(ctx); err != nil {
			return err
		}
		if err := j.fence(c, j.source, j.target.Name).lift(ctx); err != nil {
			return err
		}
		if err := j.forgetRows(ctx, c, s); err != nil {
			return err
		}
		if err := errors.Join(j.fence(c, j.target, j.source.Name).lift(ctx), recorder{j, c}.remove(ctx), j.tracker(c, j.source, j.target).remove(ctx)); err != nil {
			return err
		}
		return j.target.with(ctx, func(conn *pgx.Conn) error {
			return inTx(ctx, conn, func(tx pgx.Tx) error {
				for _, table := range []string{"chunk", "entry", "move"} {
					column := map[bool]string{true: "name", false: "move"}[table == "move"]
					if _, err := tx.Exec(ctx, "DELETE FROM scaleproof."+table+" WHERE "+column+" = $1", j.config.Name); err != nil {
						return fmt.Errorf("forgetting the move: %w", err)
					}
				}
				return nil
			})
		})
	})
}

// forgetRows takes the rows from the target: all at once where nothing else can be
// in the tables.
func (j *Job) forgetRows(ctx context.Context, c *Catalog, s State) error {
	alone, there := false, false
	if err := j.target.with(ctx, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT (SELECT count(*) FROM scaleproof.move) = 1, to_regclass($1) IS NOT NULL", c.owned()[0].sql()).Scan(&alone, &there)
	}); err != nil {
		return fmt.Errorf("reading the ledger: %w", err)
	}
	if !there {
		return nil
	}
	if alone && s.SchemaMade {
		// While the target served, organisations may have begun there.
		if err := j.target.with(ctx, func(conn *pgx.Conn) error {
			others, err := outOfRange(ctx, conn, c)
			alone = len(others) == 0
			return err
		}); err != nil {
			return err
		}
	}
	if !alone || !s.SchemaMade {
		_, err := j.deleteRows(ctx, j.target, c)
		return err
	}
	return j.target.with(ctx, func(conn *pgx.Conn) error {
		return patiently(ctx, conn, "SET LOCAL session_replication_role = replica", "TRUNCATE "+strings.Join(c.names(), ", "))
	})
}
