package dbbench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/stats"
)

// A caseRun gathers the executions of one case.
type caseRun struct {
	benchCase
	result CaseResult
}

func newCaseRun(c benchCase) *caseRun {
	return &caseRun{c, CaseResult{Name: c.name, SQL: c.sql, Histogram: stats.NewHistogram()}}
}

// warmUp runs the query once, and takes its result's hash.
func (r *caseRun) warmUp(ctx context.Context, tx pgx.Tx) error {
	_, err := r.execute(ctx, tx)
	return err
}

// measure runs the query once plainly, timed at the client, and once under
// EXPLAIN without the clock at the nodes, whose own cost would be part of the
// time.
func (r *caseRun) measure(ctx context.Context, tx pgx.Tx) error {
	took, err := r.execute(ctx, tx)
	if err != nil {
		return err
	}
	plan, err := r.explain(ctx, tx, "ANALYZE, BUFFERS, FORMAT JSON, TIMING OFF")
	if err != nil {
		return err
	}
	r.result.ClientTime = append(r.result.ClientTime, took.Seconds())
	r.result.Histogram.RecordNanos(took.Nanoseconds())
	r.result.ServerTime = append(r.result.ServerTime, (plan.PlanningTime+plan.ExecutionTime)/1e3)
	r.keep(plan)
	return nil
}

// timeNodes runs the query once with the clock at the nodes, for their shares.
func (r *caseRun) timeNodes(ctx context.Context, tx pgx.Tx) error {
	plan, err := r.explain(ctx, tx, "ANALYZE, BUFFERS, FORMAT JSON, TIMING ON")
	if err != nil {
		return err
	}
	r.keep(plan)
	r.result.Plan = plan
	return nil
}

// keep takes what does not depend on the clock from a plan.
func (r *caseRun) keep(p *Plan) {
	r.result.Fingerprint = p.Fingerprint()
	r.result.Shape = p.Root.Shape()
	r.result.Blocks = p.Root.Blocks
	r.result.TempBlocks = p.Root.TempBlocks
	r.result.RowsRemoved = p.RowsRemoved()
	r.result.QError = p.QError()
}

func (r *caseRun) explain(ctx context.Context, tx pgx.Tx, options string) (*Plan, error) {
	var text []byte
	if err := tx.QueryRow(ctx, "EXPLAIN ("+options+") "+r.sql, r.args...).Scan(&text); err != nil {
		return nil, err
	}
	return DecodePlan(text)
}

// execute runs the query, reads all of its rows, and hashes them without regard
// to their order, which SQL leaves open.
func (r *caseRun) execute(ctx context.Context, tx pgx.Tx) (time.Duration, error) {
	started := time.Now()
	rows, err := tx.Query(ctx, r.sql, r.args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	var count float64
	var digest [sha256.Size]byte
	hash := r.result.ResultHash == ""
	for rows.Next() {
		count++
		if hash {
			addRow(&digest, rows.RawValues())
		}
	}
	took := time.Since(started)
	if err := rows.Err(); err != nil {
		return 0, err
	}
	r.result.Rows = count
	if hash {
		r.result.ResultHash = fmt.Sprintf("%s-%.0f", hex.EncodeToString(digest[:8]), count)
	}
	return took, nil
}

// addRow adds the hash of a row to a sum, which does not depend on the order.
// A NULL differs from an empty text.
func addRow(sum *[sha256.Size]byte, values [][]byte) {
	h := sha256.New()
	for _, v := range values {
		fmt.Fprintf(h, "%d,%t,", len(v), v == nil)
		h.Write(v)
	}
	carry := 0
	row := h.Sum(nil)
	for i := range sum {
		carry += int(sum[i]) + int(row[i])
		sum[i] = byte(carry)
		carry >>= 8
	}
}
