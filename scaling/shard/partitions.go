package shard

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// A partition is one of a table, of any level.
type partition struct {
	Name, Parent, Bound string
	Key                 string // of its own partitions; empty: it has none
}

const partitionsSQL = `
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), quote_ident(pn.nspname) || '.' || quote_ident(p.relname),
	pg_get_expr(c.relpartbound, c.oid), coalesce(pg_get_partkeydef(c.oid), '')
FROM pg_partition_tree(to_regclass($1)) t JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
	JOIN pg_class p ON p.oid = t.parentrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE t.level > 0 ORDER BY t.level, 1`

// readPartitions returns the partitions of a table on a node, parents first.
func readPartitions(ctx context.Context, conn *pgx.Conn, t *Table) ([]partition, error) {
	rows, err := conn.Query(ctx, partitionsSQL, t.sql())
	if err != nil {
		return nil, fmt.Errorf("reading the partitions of %s: %w", t, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[partition])
	if err != nil {
		return nil, fmt.Errorf("reading the partitions of %s: %w", t, err)
	}
	return all, nil
}

// makeSQL makes the partition.
func (p partition) makeSQL() string {
	text := "CREATE TABLE " + p.Name + " PARTITION OF " + p.Parent + " " + p.Bound
	if p.Key != "" {
		text += " PARTITION BY " + p.Key
	}
	return text
}

// missingPartitions returns those of a that b has no place for: none of the name, of
// the bounds or for all others beside it. Partitions are no table of their own for a
// move, so that b may have others than a.
func missingPartitions(a, b []partition) []partition {
	if len(b) == 0 {
		return nil // b has the table in one piece
	}
	return slices.DeleteFunc(slices.Clone(a), func(p partition) bool {
		return slices.ContainsFunc(b, func(other partition) bool {
			return other.Name == p.Name || other.Parent == p.Parent && (other.Bound == p.Bound || other.Bound == "DEFAULT")
		})
	})
}

// checkPartitions fails with a *FaultsError where a has partitions that b lacks, as
// when one was made since the tables of b were: rows that come there have no place.
func (j *Job) checkPartitions(ctx context.Context, c *Catalog, a, b Node) error {
	faults, err := j.partitionFaults(ctx, c, a, b)
	if err == nil && len(faults) > 0 {
		err = &FaultsError{b.Name, faults}
	}
	return err
}

func (j *Job) partitionFaults(ctx context.Context, c *Catalog, a, b Node) (faults []string, err error) {
	tables := slices.DeleteFunc(c.moved(), func(t *Table) bool { return !t.Partitioned })
	if len(tables) == 0 {
		return nil, nil
	}
	err = a.with(ctx, func(from *pgx.Conn) error {
		return b.with(ctx, func(to *pgx.Conn) error {
			for _, t := range tables {
				have, err := readPartitions(ctx, from, t)
				if err != nil {
					return err
				}
				there, err := readPartitions(ctx, to, t)
				if err != nil {
					return err
				}
				for _, p := range missingPartitions(have, there) {
					faults = append(faults, j.partitionFault(t, p, a, b))
				}
			}
			return nil
		})
	})
	return faults, err
}

// partitionFault says what to do about a partition that b lacks. While a publication
// filters the table's rows, those of a partition without the filter's column in its
// replica identity can't be changed on the source.
func (j *Job) partitionFault(t *Table, p partition, a, b Node) string {
	fault := fmt.Sprintf("the partition %s of %s is on %s, and %s has no place for its rows: run there: %s", p.Name, t, a.Name, b.Name, p.makeSQL())
	if j.config.mode() == Online && a.Name == j.source.Name && p.Key == "" && !slices.Contains(t.Key, t.Column) {
		fault += fmt.Sprintf("; and on %s, so that its rows can be changed while the move lasts: ALTER TABLE %s REPLICA IDENTITY FULL", a.Name, p.Name)
	}
	return fault
}
