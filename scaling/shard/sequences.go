package shard

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A sequence gives numbers, to a column or to whoever asks.
type sequence struct {
	Schema, Name, Column string // column: empty where the sequence feeds none
}

func (s sequence) sql() string    { return ident(s.Schema, s.Name) }
func (s sequence) String() string { return s.Schema + "." + s.Name }

// nextSQL is a query of the value that the sequence would give next, and of its step:
// who draws blocks of keys takes all up to the next value.
func (s sequence) nextSQL() string {
	return "SELECT last_value + CASE WHEN is_called THEN seqincrement ELSE 0 END AS next, seqincrement AS step, seqmax, last_value FROM " +
		s.sql() + ", pg_sequence WHERE seqrelid = " + quote(s.sql()) + "::regclass"
}

// sequencesSQL finds those that a table owns, or takes its defaults from.
const sequencesSQL = `
SELECT DISTINCT n.nspname, s.relname, a.attname FROM (
	SELECT d.objid AS seq, d.refobjid AS rel, d.refobjsubid AS num FROM pg_depend d
	WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
	UNION SELECT d.refobjid, f.adrelid, f.adnum FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
	WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
) u JOIN pg_class s ON s.oid = u.seq AND s.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_attribute a ON a.attrelid = u.rel AND a.attnum = u.num
WHERE u.rel = to_regclass($1) AND q.seqincrement > 0 ORDER BY 1, 2, 3`

// looseSQL finds those of schemas that no table owns: functions, triggers and
// applications take numbers from them too.
const looseSQL = `
SELECT n.nspname, s.relname, ''
FROM pg_class s JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_namespace n ON n.oid = s.relnamespace
WHERE n.nspname = ANY($1) AND q.seqincrement > 0
	AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid AND d.deptype IN ('a', 'i', 'e')) ORDER BY 1, 2`

func sequencesOf(ctx context.Context, conn *pgx.Conn, t *Table) ([]sequence, error) {
	return readSequences(ctx, conn, "the sequences of "+t.String(), sequencesSQL, t.sql())
}

func readSequences(ctx context.Context, conn *pgx.Conn, what, sql string, arg any) ([]sequence, error) {
	rows, err := conn.Query(ctx, sql, arg)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[sequence])
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", what, err)
	}
	return all, nil
}

// headroom is how far the target's sequences are put ahead at a cut-over, so that
// rows which both sides make afterwards have different keys and the range can go
// back. A sequence with less left takes an eighth of that.
const headroom = 1_000_000_000

// raiseSequences puts the sequences of to at or above those of from and their own,
// and ahead by so many, and makes sure that they give new keys.
func (j *Job) raiseSequences(ctx context.Context, c *Catalog, from, to Node, ahead int64) error {
	return from.with(ctx, func(a *pgx.Conn) error {
		return to.with(ctx, func(b *pgx.Conn) error {
			sequences, err := readSequences(ctx, b, "the sequences of no table", looseSQL, j.config.schemas())
			if err != nil {
				return err
			}
			for _, t := range c.moved() {
				of, err := sequencesOf(ctx, b, t)
				if err != nil {
					return err
				}
				sequences = append(sequences, of...)
			}
			raised := map[string]bool{} // one may feed several columns, or defaults and nobody own it
			for _, s := range sequences {
				if raised[s.String()] {
					continue
				}
				if err := raiseSequence(ctx, a, b, s, ahead); err != nil {
					return fmt.Errorf("raising the sequence %s: %w", s, err)
				}
				raised[s.String()] = true
			}
			if ahead == 0 {
				return nil
			}
			faults, err := sequenceFaults(ctx, b, c)
			if err == nil && len(faults) > 0 {
				err = &FaultsError{to.Name, faults}
			}
			return err
		})
	})
}

func raiseSequence(ctx context.Context, a, b *pgx.Conn, s sequence, ahead int64) error {
	there, err := exists(ctx, a, s.sql())
	if err != nil || !there {
		return err
	}
	var next int64 // the value that the source would give next
	if err := a.QueryRow(ctx, "SELECT next FROM ("+s.nextSQL()+") s").Scan(&next); err != nil {
		return err
	}
	// By whole steps: of databases that share keys out, each keeps to its own.
	_, err = b.Exec(ctx, fmt.Sprintf(`SELECT setval($1::text::regclass, v + least($3, (seqmax - v) / 8) / step * step, false)
		FROM (SELECT *, next + greatest(ceil(($2::numeric - next) / step), 0)::bigint * step AS v FROM (%s) n) s
		WHERE $3 > 0 OR v > last_value`, s.nextSQL()), s.sql(), next, ahead)
	return err
}

// sequenceFaults says which sequences of a node would give keys that rows have.
func sequenceFaults(ctx context.Context, conn *pgx.Conn, c *Catalog) ([]string, error) {
	var faults []string
	for _, t := range c.moved() {
		sequences, err := sequencesOf(ctx, conn, t)
		if err != nil {
			return nil, err
		}
		for _, s := range sequences {
			switch c, _ := t.column(s.Column); c.Type {
			case "smallint", "integer", "bigint":
			default:
				continue // 'INC-' || nextval(...) can't be compared
			}
			var next, largest int64
			err := conn.QueryRow(ctx, fmt.Sprintf("SELECT next, (SELECT coalesce(max(%s), 0)::bigint FROM %s) FROM (%s) s",
				ident(s.Column), t.sql(), s.nextSQL())).Scan(&next, &largest)
			if err != nil {
				return nil, fmt.Errorf("reading the sequence %s: %w", s, err)
			}
			if next <= largest {
				faults = append(faults, fmt.Sprintf("the sequence %s would give %d next, and %s.%s has up to %d", s, next, t, s.Column, largest))
			}
		}
	}
	return faults, nil
}
