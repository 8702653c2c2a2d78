package shard

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A WholeTable has no primary key, by which what is written to it could be noted: a
// fenced move compares all of its rows behind the fence, which lasts as long.
type WholeTable struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"` // that move, as the planner expects
	// Seconds is about how long reading and hashing them takes on the source, by a
	// sample; where Longer is set, at least.
	Seconds float64 `json:"seconds"`
	Longer  bool    `json:"longer,omitempty"`
}

// The bounds of a sample.
const (
	sampleRows = 20_000
	sampleTime = 5 * time.Second
)

// wholeTables are those that will be compared as a whole behind the fence.
func (j *Job) wholeTables(ctx context.Context, conn *pgx.Conn, c *Catalog) ([]WholeTable, error) {
	var all []WholeTable
	for _, t := range c.owned() {
		if len(t.Key) > 0 || j.config.mode() == Online { // which wants keys
			continue
		}
		w, err := j.sample(ctx, conn, c, t)
		if err != nil {
			return nil, fmt.Errorf("looking how long comparing %s takes: %w", t, err)
		}
		all = append(all, w)
	}
	return all, nil
}

// FenceNotes says what a person should know of how long the fence of a cut-over will
// last. It changes nothing.
func (j *Job) FenceNotes(ctx context.Context) (notes []string, err error) {
	defer j.release()
	c, err := j.catalog(ctx)
	if err != nil {
		return nil, err
	}
	err = j.source.with(ctx, func(conn *pgx.Conn) error {
		whole, err := j.wholeTables(ctx, conn, c)
		notes = j.wholeWarnings(whole)
		return err
	})
	return notes, err
}

// sample hashes some of a table's rows as a comparison does.
func (j *Job) sample(ctx context.Context, conn *pgx.Conn, c *Catalog, t *Table) (WholeTable, error) {
	w := WholeTable{Table: t.String()}
	e, err := explain(ctx, conn, "SELECT FROM "+t.from()+" t WHERE "+c.where(t, "t"), leaf{})
	if err != nil {
		return w, err
	}
	w.Rows = int64(e.rows)
	version, err := serverVersion(ctx, conn)
	if err != nil {
		return w, err
	}
	h := hasher{t, bucketsFor(t, w.Rows), version >= typedVersion}
	var hashed int64
	began := time.Now()
	err = inTx(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL statement_timeout = %d", sampleTime.Milliseconds())); err != nil {
			return err
		}
		return tx.QueryRow(ctx, fmt.Sprintf("SELECT coalesce(sum(n), 0)::bigint FROM (%s) d (b, n)",
			h.digestSQL("(SELECT * FROM "+t.from()+" t WHERE "+c.where(t, "t")+fmt.Sprintf(" LIMIT %d)", sampleRows), "true"))).Scan(&hashed)
	})
	w.Seconds = time.Since(began).Seconds()
	var fault *pgconn.PgError
	switch {
	case errors.As(err, &fault) && fault.Code == "57014": // query_canceled
		w.Longer = true
	case err != nil:
		return w, err
	case hashed >= sampleRows && w.Rows > hashed:
		w.Seconds *= float64(w.Rows) / float64(hashed)
	default:
		w.Rows = hashed // these are all
	}
	return w, nil
}

// wholeWarnings says what the tables without a primary key mean for the fence.
func (j *Job) wholeWarnings(tables []WholeTable) []string {
	var warnings []string
	var seconds float64
	for _, w := range tables {
		takes := fmt.Sprintf("about %.1f s", w.Seconds)
		if w.Longer {
			takes = fmt.Sprintf("more than %.0f s", w.Seconds)
		}
		seconds += w.Seconds
		warnings = append(warnings, fmt.Sprintf("%s has no primary key, so that it is compared as a whole behind the fence: about %d rows, which takes %s, and longer where they must be copied again: give it a primary key, or be ready for the fence", w.Table, w.Rows, takes))
	}
	if limit := j.fenceLimit(); seconds > limit.Seconds() {
		warnings = append(warnings, fmt.Sprintf("comparing the tables without a primary key takes longer than the fence may last, %v: the cut-over would be given up: raise shard.fence", limit))
	}
	return warnings
}
