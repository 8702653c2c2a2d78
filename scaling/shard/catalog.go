package shard

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A Table is a table of the source, with what a move must know of it.
type Table struct {
	Schema, Name string
	Class        Class
	Column       string      // names the organisation, for Root and ByColumn
	Via          *ForeignKey // leads to the table that it belongs through, for ByKey
	Columns      []Column
	Key          []string // the primary key; empty: none
	ForeignKeys  []ForeignKey
	Partitioned  bool
	Unlogged     bool

	oid    uint32
	leaves []leaf
}

// A leaf is what holds rows: the table itself, or one of its partitions.
type leaf struct {
	schema, name string
	blocks       int64
}

// A Column is a column of a table.
type Column struct {
	Name      string
	Type      string
	NotNull   bool
	Generated bool // computed from others
	typeOID   uint32
}

// A ForeignKey leads from columns of a table to those of another.
type ForeignKey struct {
	Name      string
	Columns   []string
	To        string // schema.name
	ToColumns []string
}

// String names the table with its schema.
func (t *Table) String() string { return t.Schema + "." + t.Name }

func (t *Table) sql() string { return ident(t.Schema, t.Name) }

// from is the table as a FROM clause reads exactly its rows: those of partitions
// with it, those of tables that inherit from it without.
func (t *Table) from() string {
	if t.Partitioned {
		return t.sql()
	}
	return "ONLY " + t.sql()
}

func (l leaf) from() string { return "ONLY " + ident(l.schema, l.name) }

func (t *Table) column(name string) (Column, bool) {
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// stored are the columns that COPY reads and writes: a generated one is computed
// anew.
func (t *Table) stored() []string {
	var names []string
	for _, c := range t.Columns {
		if !c.Generated {
			names = append(names, c.Name)
		}
	}
	return names
}

const tablesSQL = `
SELECT c.oid, n.nspname, c.relname, c.relkind = 'p', c.relpersistence = 'u'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname`

const columnsSQL = `
SELECT attname, format_type(atttypid, atttypmod), attnotnull, attgenerated <> '', atttypid
FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum`

const keySQL = `
SELECT coalesce((SELECT array_agg(a.attname::text ORDER BY k.n)
	FROM pg_constraint c, unnest(c.conkey) WITH ORDINALITY k(num, n) JOIN pg_attribute a ON a.attnum = k.num
	WHERE c.conrelid = $1 AND c.contype = 'p' AND a.attrelid = $1), '{}')`

const foreignKeysSQL = `
SELECT c.conname,
	(SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k(num, n) JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.num),
	n.nspname || '.' || r.relname,
	(SELECT array_agg(a.attname::text ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY k(num, n) JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.num)
FROM pg_constraint c JOIN pg_class r ON r.oid = c.confrelid JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE c.conrelid = $1 AND c.contype = 'f' AND c.conparentid = 0 ORDER BY c.conname`

const leavesSQL = `
SELECT n.nspname, c.relname, pg_relation_size(c.oid) / current_setting('block_size')::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = $1 AND c.relkind = 'r' OR c.oid IN (SELECT relid FROM pg_partition_tree($1) WHERE isleaf AND relid <> $1)
ORDER BY 1, 2`

// relations names the table and its partitions, as they are on a node.
func (t *Table) relations(ctx context.Context, conn *pgx.Conn) ([]string, error) {
	rows, err := conn.Query(ctx, `SELECT c.oid::regclass::text FROM pg_class c
		WHERE c.oid = to_regclass($1) OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass($1))) ORDER BY 1`, t.sql())
	if err != nil {
		return nil, fmt.Errorf("reading the partitions of %s: %w", t, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading the partitions of %s: %w", t, err)
	}
	return names, nil
}

// readTables reads the tables of schemas, in the order of their names.
func readTables(ctx context.Context, conn *pgx.Conn, schemas []string) ([]*Table, error) {
	rows, err := conn.Query(ctx, tablesSQL, schemas)
	if err != nil {
		return nil, fmt.Errorf("reading the tables: %w", err)
	}
	tables, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Table, error) {
		t := &Table{}
		return t, row.Scan(&t.oid, &t.Schema, &t.Name, &t.Partitioned, &t.Unlogged)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the tables: %w", err)
	}
	for _, t := range tables {
		if err := t.read(ctx, conn); err != nil {
			return nil, fmt.Errorf("reading the catalogue of %s: %w", t, err)
		}
	}
	return tables, nil
}

// read fills in what stands in other catalogues.
func (t *Table) read(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, columnsSQL, t.oid)
	if err != nil {
		return err
	}
	if t.Columns, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Column, err error) {
		return c, row.Scan(&c.Name, &c.Type, &c.NotNull, &c.Generated, &c.typeOID)
	}); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, keySQL, t.oid).Scan(&t.Key); err != nil {
		return err
	}
	if rows, err = conn.Query(ctx, foreignKeysSQL, t.oid); err != nil {
		return err
	}
	if t.ForeignKeys, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (k ForeignKey, err error) {
		return k, row.Scan(&k.Name, &k.Columns, &k.To, &k.ToColumns)
	}); err != nil {
		return err
	}
	if rows, err = conn.Query(ctx, leavesSQL, t.oid); err != nil {
		return err
	}
	t.leaves, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l leaf, err error) {
		return l, row.Scan(&l.schema, &l.name, &l.blocks)
	})
	return err
}

// idents quotes names and joins them, each behind prefix.
func idents(prefix string, names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = prefix + ident(name)
	}
	return strings.Join(quoted, ", ")
}

func firstLine(text string) string {
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if more {
		line += " ..."
	}
	return line
}
