package shard

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A chunk is a part of a table's rows that is copied in one transaction, which
// also marks it in the ledger: it is on the target entirely or not at all.
type chunk struct {
	table     *Table
	number    int
	from      string // what it is read from: a table or a partition
	condition string // on the row t, beside that it moves
	estimate  float64
}

// The blocks of a chunk: 8 MiB at least, so that a session's round trips don't
// matter, and 64 MiB at most, which is what a crash can cost.
const (
	minChunkBlocks = 1024
	maxChunkBlocks = 8192
	blockSize      = 8192 // bytes
)

// planChunks writes the chunks of all tables into the ledger, once.
func (j *Job) planChunks(ctx context.Context, source, target *pgx.Conn, c *Catalog) error {
	var chunks []chunk
	for _, t := range c.moved() {
		if t.Class == Reference {
			var filled bool
			if err := target.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+t.from()+")").Scan(&filled); err != nil {
				return fmt.Errorf("looking into %s of the target: %w", t, err)
			}
			if filled {
				continue // an earlier move has brought it, or the shard's own people
			}
		}
		n := 0
		for _, l := range t.leaves {
			of, err := j.chunksOf(ctx, source, c, t, l)
			if err != nil {
				return fmt.Errorf("planning the copy of %s: %w", t, err)
			}
			for _, k := range of {
				k.number = n
				chunks = append(chunks, k)
				n++
			}
		}
	}
	return inTx(ctx, target, func(tx pgx.Tx) error {
		for _, k := range chunks {
			if _, err := tx.Exec(ctx, "INSERT INTO scaleproof.chunk (move, tbl, chunk, leaf, condition, estimate) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
				j.config.Name, k.table.String(), k.number, k.from, k.condition, k.estimate); err != nil {
				return fmt.Errorf("writing the chunks: %w", err)
			}
		}
		return nil
	})
}

// chunksOf cuts a leaf into ranges of blocks, which several workers read one after
// the other as the table lies on the disk. Few rows that an index finds are one
// chunk, and so are all before version 14, which can't read a range of blocks.
func (j *Job) chunksOf(ctx context.Context, conn *pgx.Conn, c *Catalog, t *Table, l leaf) ([]chunk, error) {
	e, err := explain(ctx, conn, "SELECT t.* FROM "+l.from()+" t WHERE "+c.where(t, "t"), l)
	if err != nil {
		return nil, err
	}
	version, err := serverVersion(ctx, conn)
	if err != nil {
		return nil, err
	}
	step := min(max(minChunkBlocks, l.blocks/int64(4*j.config.workers())), maxChunkBlocks)
	if !e.scans && e.bytes <= maxChunkBlocks*blockSize || version < typedVersion {
		step = l.blocks + 1
	}
	conditions := blockRanges(l.blocks, step)
	chunks := make([]chunk, len(conditions))
	for i, condition := range conditions {
		chunks[i] = chunk{table: t, from: l.from(), condition: condition, estimate: e.rows / float64(len(conditions))}
	}
	return chunks, nil
}

// An explanation is what the planner expects of a query.
type explanation struct {
	rows, bytes float64
	scans       bool // all of a leaf
}

func explain(ctx context.Context, conn *pgx.Conn, query string, l leaf) (e explanation, err error) {
	var text string
	if err := conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+query).Scan(&text); err != nil {
		return e, fmt.Errorf("explaining %s: %w", query, err)
	}
	type node struct {
		Kind  string  `json:"Node Type"`
		Rows  float64 `json:"Plan Rows"`
		Width float64 `json:"Plan Width"`
		Name  string  `json:"Relation Name"`
		Alias string  `json:"Alias"`
		Plans []node  `json:"Plans"`
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) == 0 {
		return e, fmt.Errorf("reading the plan of %s: %w", query, err)
	}
	var walk func(node) bool
	walk = func(n node) bool {
		if n.Kind == "Seq Scan" && n.Name == l.name && n.Alias == "t" {
			return true
		}
		for _, child := range n.Plans {
			if walk(child) {
				return true
			}
		}
		return false
	}
	return explanation{plans[0].Plan.Rows, plans[0].Plan.Rows * plans[0].Plan.Width, walk(plans[0].Plan)}, nil
}

// pending reads the chunks that are not on the target yet, the large tables'
// first.
func (j *Job) pending(ctx context.Context, target *pgx.Conn, c *Catalog) ([]chunk, error) {
	rows, err := target.Query(ctx, `SELECT tbl, chunk, leaf, condition, estimate FROM scaleproof.chunk
		WHERE move = $1 AND done_at IS NULL ORDER BY estimate DESC, tbl, chunk`, j.config.Name)
	if err != nil {
		return nil, fmt.Errorf("reading the chunks: %w", err)
	}
	chunks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k chunk, err error) {
		var name string
		if err := row.Scan(&name, &k.number, &k.from, &k.condition, &k.estimate); err != nil {
			return k, err
		}
		if k.table = c.table(name); k.table == nil {
			return k, fmt.Errorf("the ledger has chunks of %s, which is gone from the source: abandon the move", name)
		}
		return k, nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the chunks: %w", err)
	}
	return chunks, nil
}
