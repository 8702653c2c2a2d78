package shard

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A recorder notes on the target, from the cut-over on, which rows are deleted
// there or get another key. A row that the source still has and the target has
// not was either deleted by someone, which stands there, or is lost: TRUNCATE and
// sessions that fire no triggers leave no note.
type recorder struct {
	job     *Job
	catalog *Catalog
}

func (r recorder) trigger(event string) string {
	return "scaleproof_" + event + "_" + r.job.config.Name
}

// keyTexts writes a row's identity as an array of texts.
func (t *Table) keyTexts(row string) string {
	var texts []string
	for _, name := range t.identity() {
		texts = append(texts, row+"."+ident(name)+"::text")
	}
	return "ARRAY[" + strings.Join(texts, ", ") + "]"
}

// functionHead begins the function of a trigger that writes values as the sessions
// of a move do, whatever the application's session has set.
func functionHead(name string) string {
	sql := "CREATE OR REPLACE FUNCTION " + name + "() RETURNS trigger LANGUAGE plpgsql\nSECURITY DEFINER SET search_path = pg_catalog, pg_temp"
	for _, name := range []string{"TimeZone", "DateStyle", "IntervalStyle", "extra_float_digits", "bytea_output"} {
		sql += " SET " + name + " = " + quote(sessionSettings()[name])
	}
	return sql + " AS "
}

// functionSQL makes the function that notes a row.
func (r recorder) functionSQL(t *Table) string {
	return functionHead(r.job.function("gone", t)) + dollarQuote(fmt.Sprintf(" BEGIN INSERT INTO scaleproof.gone VALUES (%s, %s, %s); RETURN NULL; END ",
		quote(r.job.config.Name), quote(t.String()), t.keyTexts("OLD")))
}

// install begins to note, with no note of earlier times.
func (r recorder) install(ctx context.Context) error {
	return r.job.target.with(ctx, func(conn *pgx.Conn) error {
		if err := makeLedger(ctx, conn); err != nil {
			return err
		}
		for _, t := range r.catalog.owned() {
			execute := "EXECUTE FUNCTION " + r.job.function("gone", t) + "()"
			gone, err := triggerSQL(ctx, conn, t.sql(), r.trigger("gone"), "AFTER DELETE ON "+t.sql()+" FOR EACH ROW "+execute)
			if err != nil {
				return err
			}
			rekeyed, err := triggerSQL(ctx, conn, t.sql(), r.trigger("rekeyed"), "AFTER UPDATE ON "+t.sql()+
				" FOR EACH ROW WHEN ("+t.keyTexts("OLD")+" IS DISTINCT FROM "+t.keyTexts("NEW")+") "+execute)
			if err != nil {
				return err
			}
			if err := patiently(ctx, conn, append(append([]string{r.functionSQL(t)}, gone...), rekeyed...)...); err != nil {
				return fmt.Errorf("recording what is deleted from %s on %s: %w", t, r.job.target.Name, err)
			}
		}
		return r.forget(ctx, conn)
	})
}

func (r recorder) forget(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "DELETE FROM scaleproof.gone WHERE move = $1", r.job.config.Name); err != nil {
		return fmt.Errorf("forgetting what was deleted: %w", err)
	}
	return nil
}

// remove ends noting.
func (r recorder) remove(ctx context.Context) error {
	return r.job.target.with(ctx, func(conn *pgx.Conn) error {
		there, err := exists(ctx, conn, "scaleproof.gone")
		if err != nil || !there {
			return err
		}
		for _, t := range r.catalog.owned() {
			on, err := exists(ctx, conn, t.sql())
			if err != nil {
				return err
			}
			if !on {
				continue // the target's tables were never made
			}
			if err := patiently(ctx, conn, "DROP TRIGGER IF EXISTS "+ident(r.trigger("gone"))+" ON "+t.sql(), "DROP TRIGGER IF EXISTS "+ident(r.trigger("rekeyed"))+" ON "+t.sql(),
				"DROP FUNCTION IF EXISTS "+r.job.function("gone", t)+"()"); err != nil {
				return fmt.Errorf("ending the record of what is deleted from %s on %s: %w", t, r.job.target.Name, err)
			}
		}
		return r.forget(ctx, conn)
	})
}

// exists reports whether a node has a table.
func exists(ctx context.Context, conn *pgx.Conn, table string) (there bool, err error) {
	if err := conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there); err != nil {
		return false, fmt.Errorf("looking for %s: %w", table, err)
	}
	return there, nil
}

// lost fails where the source has rows of the organisations that the target has
// not, and whose deletion nobody has recorded: then what the source has is the
// only copy.
func (j *Job) lost(ctx context.Context, c *Catalog) error {
	m := &meter{}
	stop := j.watch(ctx, "looking for each row on "+j.target.Name, 0, m, newGate().waiting)
	defer stop()
	source, err := j.source.connect(ctx, nil)
	if err != nil {
		return err
	}
	defer closeConn(source)
	target, err := j.target.connect(ctx, nil)
	if err != nil {
		return err
	}
	defer closeConn(target)
	p := &pipe{source, target, newGate(), m}
	var faults []string
	for _, t := range c.owned() {
		var n int64
		var example string
		err := inTx(ctx, target, func(tx pgx.Tx) error {
			n, example, err = p.unaccounted(ctx, tx, c, t, j.config.Name)
			return err
		})
		if err != nil {
			return fmt.Errorf("looking for the rows of %s on %s: %w", t, j.target.Name, err)
		}
		if n > 0 {
			faults = append(faults, fmt.Sprintf("%d rows of %s are on %s alone, such as (%s), and no DELETE on %s has taken them away", n, t, j.source.Name, example, j.target.Name))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("rows would be lost, and nothing was changed: bring them back to %s, or where they were meant to go (TRUNCATE leaves no record), delete them on %s with session_replication_role = replica:\n  %s",
			j.target.Name, j.source.Name, strings.Join(faults, "\n  "))
	}
	return nil
}

// unaccounted counts the rows of a table which the source has, and of which the
// target knows nothing, and names one. Their keys go into a temporary table there.
func (p *pipe) unaccounted(ctx context.Context, tx pgx.Tx, c *Catalog, t *Table, move string) (n int64, example string, err error) {
	const keys = "scaleproof_keys"
	columns := t.identity()
	if err := execAll(ctx, tx.Conn(), "CREATE TEMPORARY TABLE "+keys+" ON COMMIT DROP AS SELECT "+idents("t.", columns)+" FROM "+t.from()+" t WITH NO DATA"); err != nil {
		return 0, "", err
	}
	query := "SELECT " + idents("t.", columns) + " FROM " + t.from() + " t WHERE " + c.where(t, "t")
	if _, err := p.copyInto(ctx, t.String(), copyFormat(t), query, "pg_temp."+keys+" ("+idents("", columns)+")"); err != nil {
		return 0, "", err
	}
	same := t.keyTexts("t") + " = " + t.keyTexts("k") // values of some types can't be compared, nulls never
	if len(t.Key) > 0 {
		same = "(" + idents("t.", columns) + ") = (" + idents("k.", columns) + ")"
	}
	if err := execAll(ctx, tx.Conn(), "ANALYZE pg_temp."+keys); err != nil {
		return 0, "", err
	}
	err = tx.QueryRow(ctx, fmt.Sprintf(`SELECT count(*), coalesce(min(concat_ws(', ', %s)), '') FROM pg_temp.%s k
		WHERE NOT EXISTS (SELECT FROM %s t WHERE %s) AND NOT EXISTS (SELECT FROM scaleproof.gone g WHERE g.move = $1 AND g.tbl = $2 AND g.key = %s)`,
		idents("k.", columns), keys, t.from(), same, t.keyTexts("k")), move, t.String()).Scan(&n, &example)
	return n, example, err
}
