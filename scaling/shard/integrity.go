package shard

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// orphans counts the rows that refer to none: a constraint that says validated
// has not seen those that came by replication or by this copy. Rows of others are
// none of the move's business; those of a table that reaches organisations by a key
// can't be told from them where that key leads nowhere.
//
// only is the condition on the rows t of a table; nil: all.
func orphans(ctx context.Context, conn *pgx.Conn, c *Catalog, only func(*Table) string) ([]string, error) {
	var faults []string
	for _, t := range c.moved() {
		for _, f := range t.ForeignKeys {
			to := c.table(f.To)
			match, set := make([]string, len(f.Columns)), make([]string, len(f.Columns))
			for i, column := range f.Columns {
				match[i] = "r." + ident(f.ToColumns[i]) + " = t." + ident(column)
				set[i] = "t." + ident(column) + " IS NOT NULL"
			}
			if only != nil {
				set = append(set, only(t))
			}
			if t.Class != ByKey {
				set = append(set, c.where(t, "t"))
			}
			var n int64
			err := conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s t WHERE %s AND NOT EXISTS (SELECT FROM %s r WHERE %s)",
				t.from(), strings.Join(set, " AND "), to.from(), strings.Join(match, " AND "))).Scan(&n)
			if err != nil {
				return nil, fmt.Errorf("looking for orphans in %s: %w", t, err)
			}
			if n == 0 {
				continue
			}
			fault := fmt.Sprintf("%d rows of %s refer by %s to rows of %s that are not there", n, t, f.Name, f.To)
			if to.Class == Reference {
				fault += ", which is shared by all: bring its new rows"
			}
			faults = append(faults, fault)
		}
	}
	return faults, nil
}

// outOfRange counts the rows of the target that belong to none of the moves that
// its ledger knows, where its tables were empty before the first: then nobody else
// has put rows there.
func outOfRange(ctx context.Context, conn *pgx.Conn, c *Catalog) ([]string, error) {
	ledger, err := exists(ctx, conn, "scaleproof.move")
	if err != nil || !ledger {
		return nil, err
	}
	var all []byte
	var empty bool
	err = conn.QueryRow(ctx, "SELECT coalesce(jsonb_agg(predicates), '[]'), coalesce(bool_or(empty), false) FROM scaleproof.move").Scan(&all, &empty)
	if err != nil || !empty {
		return nil, err
	}
	var moves []map[string]string
	if err := json.Unmarshal(all, &moves); err != nil {
		return nil, fmt.Errorf("reading the ranges of the ledger: %w", err)
	}
	var faults []string
	for _, t := range c.owned() {
		var conditions []string
		for _, m := range moves {
			if condition := m[t.String()]; condition != "" {
				conditions = append(conditions, condition)
			}
		}
		var n int64
		if err := conn.QueryRow(ctx, fmt.Sprintf("SELECT count(*) FROM %s t WHERE (%s) IS NOT TRUE", t.from(), strings.Join(conditions, " OR "))).Scan(&n); err != nil {
			return nil, fmt.Errorf("looking for foreign rows in %s: %w", t, err)
		}
		if n > 0 {
			faults = append(faults, fmt.Sprintf("%d rows of %s belong to organisations that were never moved here", n, t))
		}
	}
	return faults, nil
}

const invalidSQL = `
SELECT 'the constraint ' || conname || ' of ' || conrelid::regclass || ' is not validated' FROM pg_constraint
WHERE conrelid = ANY($1::text[]::regclass[]) AND NOT convalidated
UNION ALL SELECT 'the index ' || indexrelid::regclass || ' is not valid' FROM pg_index
WHERE indrelid = ANY($1::text[]::regclass[]) AND NOT (indisvalid AND indisready) ORDER BY 1`

// invalidObjects names constraints and indexes that Postgres does not vouch for.
func invalidObjects(ctx context.Context, conn *pgx.Conn, c *Catalog) ([]string, error) {
	rows, err := conn.Query(ctx, invalidSQL, c.names())
	if err != nil {
		return nil, fmt.Errorf("reading constraints and indexes: %w", err)
	}
	faults, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading constraints and indexes: %w", err)
	}
	return faults, nil
}

func (c *Catalog) names() []string {
	var names []string
	for _, t := range c.moved() {
		names = append(names, t.sql())
	}
	return names
}

const definitionsSQL = `
SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ': ' || replace(pg_get_constraintdef(oid), ' NOT VALID', '') FROM pg_constraint
WHERE conrelid = ANY($1::text[]::regclass[]) AND conparentid = 0
UNION ALL SELECT 'index ' || pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = ANY($1::text[]::regclass[])
UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) FROM pg_trigger
WHERE tgrelid = ANY($1::text[]::regclass[]) AND NOT tgisinternal AND tgname NOT LIKE 'scaleproof%'
UNION ALL SELECT 'policy ' || polrelid::regclass || ' ' || polname || ' ' || coalesce(pg_get_expr(polqual, polrelid), '') FROM pg_policy
WHERE polrelid = ANY($1::text[]::regclass[])
UNION ALL SELECT 'row security of ' || oid::regclass FROM pg_class WHERE oid = ANY($1::text[]::regclass[]) AND relrowsecurity
ORDER BY 1`

// readDefinitions writes down what stands around the tables.
func readDefinitions(ctx context.Context, conn *pgx.Conn, c *Catalog) ([]string, error) {
	rows, err := conn.Query(ctx, definitionsSQL, c.names())
	if err != nil {
		return nil, fmt.Errorf("reading constraints and indexes: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading constraints and indexes: %w", err)
	}
	return all, nil
}

func missingDefinitions(ctx context.Context, conn *pgx.Conn, c *Catalog, want []string) ([]string, error) {
	have, err := readDefinitions(ctx, conn, c)
	if err != nil {
		return nil, err
	}
	var faults []string
	for _, d := range want {
		if !slices.Contains(have, d) {
			faults = append(faults, "missing: "+d)
		}
	}
	return faults, nil
}
