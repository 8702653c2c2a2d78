package shard

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// reconcile makes b have what a has of the organisations, as repair does. It
// returns how many rows it copied.
func (j *Job) reconcile(ctx context.Context, c *Catalog, a, b side, tables []*Table) (int64, error) {
	k, err := j.comparer(ctx, c, a, b)
	if err != nil {
		return 0, err
	}
	m := &meter{}
	k.progress = func(rows int64) { m.rows.Add(rows) }
	stop := j.watch(ctx, "comparing", 0, m, newGate().waiting)
	defer stop()
	return j.repair(ctx, k, tables, k.compareEstimated, func(tableComparison) error { return nil })
}

// repair compares tables, and copies what differs again. last takes the last
// comparison of each. Tables that refer to others come
// first: which rows of them belong to the organisations on b is told by the rows
// that they refer to there, which must not be gone yet.
func (j *Job) repair(ctx context.Context, k *comparer, tables []*Table, compare func(context.Context, *Table) (tableComparison, error), last func(tableComparison) error) (copied int64, err error) {
	again := map[*Table]bool{}
	for _, t := range slices.Backward(tables) {
		r, err := compare(ctx, t)
		if err != nil {
			return copied, err
		}
		if len(r.differing) == 0 && t.Class != ByKey {
			if err := last(r); err != nil {
				return copied, err
			}
			continue
		}
		again[t] = true
		if len(r.differing) == 0 {
			continue
		}
		n, err := j.repairTable(ctx, k, r)
		if err != nil {
			return copied, err
		}
		copied += n
	}
	for _, t := range tables {
		if !again[t] {
			continue
		}
		r, err := compare(ctx, t)
		if err == nil {
			err = last(r)
		}
		if err != nil {
			return copied, err
		}
	}
	return copied, nil
}

// level repairs, or where one side follows the other compares.
func (j *Job) level(ctx context.Context, p passage, k *comparer, tables []*Table, compare func(context.Context, *Table) (tableComparison, error), last func(tableComparison) error) (int64, error) {
	m := &meter{}
	k.progress = func(rows int64) { m.rows.Add(rows) }
	stop := j.watch(ctx, "comparing", 0, m, newGate().waiting)
	defer stop()
	if !p.following {
		return j.repair(ctx, k, tables, compare, last)
	}
	for _, t := range tables {
		r, err := compare(ctx, t)
		if err == nil {
			err = last(r)
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func (r tableComparison) verification() TableVerification {
	return TableVerification{r.hasher.table.String(), r.a.rows, r.b.rows, r.hasher.buckets, len(r.differing), r.changing}
}

func (k *comparer) compareEstimated(ctx context.Context, t *Table) (tableComparison, error) {
	estimate, err := k.estimate(ctx, t)
	if err != nil {
		return tableComparison{}, err
	}
	return k.compare(ctx, t, estimate)
}

// repairTable replaces the rows of the buckets that differ, in one transaction.
func (j *Job) repairTable(ctx context.Context, k *comparer, r tableComparison) (int64, error) {
	t := r.hasher.table
	if r.condition == "" {
		j.say("%s: %d of %d parts differ, copying them again", t, len(r.differing), r.hasher.buckets)
	}
	source, err := k.a.open(ctx)
	if err != nil {
		return 0, err
	}
	defer closeConn(source)
	target, err := k.b.node.connect(ctx, writerSettings())
	if err != nil {
		return 0, err
	}
	defer closeConn(target)
	in := r.differs()
	var rows int64
	err = inTx(ctx, target, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock_shared($1)", j.lockKey("worker")); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM "+t.from()+" t WHERE "+in+" AND "+k.catalog.where(t, "t")); err != nil {
			return fmt.Errorf("taking the differing rows of %s away on %s: %w", t, k.b.node.Name, err)
		}
		p := &pipe{source, target, newGate(), &meter{}}
		rows, err = p.copyRows(ctx, t, k.catalog.selectSQL(t, t.from(), in))
		return err
	})
	return rows, err
}
