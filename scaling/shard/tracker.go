package shard

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/unit"
)

// A tracker notes, on the side that has the organisations, the keys of their rows
// that are written while both sides are compared: behind the fence those alone must
// be compared again, so that it lasts as long as they take and not as long as all.
//
// It notes while its session holds an advisory lock. A writer that finds the lock
// free holds it shared until its transaction ends: once the tracker has it, no write
// that is not noted is on its way.
type tracker struct {
	job     *Job
	catalog *Catalog
	node    Node
	other   Node // which is compared with it
	conn    *pgx.Conn
	// whole are tables to compare as a whole behind the fence: for what is written to
	// them the keys of their own rows do not tell.
	whole map[*Table]bool
}

func (j *Job) tracker(c *Catalog, node, other Node) *tracker {
	return &tracker{job: j, catalog: c, node: node, other: other, whole: map[*Table]bool{}}
}

func (t *tracker) rowTrigger() string  { return "scaleproof_touch_" + t.job.config.Name }
func (t *tracker) bulkTrigger() string { return "scaleproof_wipe_" + t.job.config.Name }
func (t *tracker) key() int64          { return t.job.lockKey("tracker") }

// batch is what the notes stand under that are looked at: no move has such a name.
func (t *tracker) batch() string { return t.job.config.Name + ".batch" }

func (t *tracker) forgetSQL() string {
	return "DELETE FROM scaleproof.touched WHERE move IN (" + quote(t.job.config.Name) + ", " + quote(t.batch()) + ")"
}

// functionSQL makes the function that notes a write. Of a table that reaches
// organisations by a key each write is noted: when the row goes together with the
// one that it refers to, that is gone first. A row crosses where its organisation
// changes to or from one that moves; rows that refer to it then come or go unwritten.
func (t *tracker) functionSQL(table *Table) string {
	mine := func(row string) string { return t.catalog.where(table, row) }
	crossing := "was IS DISTINCT FROM is_now"
	if table.Class == ByKey {
		mine = func(string) string { return "true" }
		crossing = "(" + idents("OLD.", table.Via.Columns) + ") IS DISTINCT FROM (" + idents("NEW.", table.Via.Columns) + ")"
	}
	note := func(key string) string {
		return fmt.Sprintf("INSERT INTO scaleproof.touched VALUES (%s, %s, %s, crosses);", quote(t.job.config.Name), quote(table.String()), key)
	}
	return functionHead(t.job.function("touch", table)) + dollarQuote(fmt.Sprintf(`
DECLARE was boolean := false; is_now boolean := false; crosses boolean := false;
BEGIN
	IF TG_OP = 'INSERT' OR TG_OP = 'UPDATE' THEN is_now := coalesce(%[1]s, false); END IF;
	IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE' THEN was := coalesce(%[2]s, false); END IF;
	IF NOT was AND NOT is_now AND TG_OP <> 'TRUNCATE' OR pg_try_advisory_xact_lock_shared(%[3]d) THEN RETURN NULL; END IF;
	IF TG_OP = 'UPDATE' THEN crosses := %[4]s; END IF;
	IF TG_OP = 'TRUNCATE' THEN %[5]s RETURN NULL; END IF;
	IF was THEN %[6]s END IF;
	IF is_now THEN %[7]s END IF;
	RETURN NULL;
END `, mine("NEW"), mine("OLD"), t.key(), crossing, note("NULL"), note(table.keyTexts("OLD")), note(table.keyTexts("NEW"))))
}

// start begins to note, with nothing noted, and waits until writes that are not
// noted have ended.
func (t *tracker) start(ctx context.Context) (err error) {
	if t.conn, err = t.node.connect(ctx, nil); err != nil {
		return err
	}
	if err := makeLedger(ctx, t.conn); err != nil {
		return err
	}
	for _, table := range t.catalog.owned() {
		if len(table.Key) == 0 {
			t.whole[table] = true
			continue
		}
		if err := t.install(ctx, table); err != nil {
			return fmt.Errorf("following the writes to %s on %s: %w", table, t.node.Name, err)
		}
	}
	return execAll(ctx, t.conn, t.forgetSQL(), fmt.Sprintf("SELECT pg_advisory_lock(%d)", t.key()))
}

func (t *tracker) install(ctx context.Context, table *Table) error {
	statements := []string{t.functionSQL(table)}
	execute := " EXECUTE FUNCTION " + t.job.function("touch", table) + "()"
	row, err := triggerSQL(ctx, t.conn, table.sql(), t.rowTrigger(), "AFTER INSERT OR UPDATE OR DELETE ON "+table.sql()+" FOR EACH ROW"+execute)
	if err != nil {
		return err
	}
	if len(row) > 0 { // for what comes by replication too
		row = append(row, "ALTER TABLE "+table.sql()+" ENABLE ALWAYS TRIGGER "+ident(t.rowTrigger()))
	}
	statements = append(statements, row...)
	relations, err := table.relations(ctx, t.conn)
	if err != nil {
		return err
	}
	for _, name := range relations {
		bulk, err := triggerSQL(ctx, t.conn, name, t.bulkTrigger(), "AFTER TRUNCATE ON "+name+" FOR EACH STATEMENT"+execute)
		if err != nil {
			return err
		}
		statements = append(statements, bulk...)
	}
	return patiently(ctx, t.conn, statements...)
}

// end ends noting, and takes away what that took, if need be later: see tidyUp.
func (t *tracker) end(ctx context.Context) {
	if t.conn != nil {
		closeConn(t.conn)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyTimeout)
	defer cancel()
	err := t.other.with(ctx, func(conn *pgx.Conn) error { return execAll(ctx, conn, t.forgetSQL()) })
	if err = errors.Join(err, t.remove(ctx)); err != nil {
		t.job.say("what followed the writes to %s stays, and notes nothing: %v", t.node.Name, err)
	}
}

func (t *tracker) remove(ctx context.Context) error {
	return t.node.with(ctx, func(conn *pgx.Conn) error {
		there, err := exists(ctx, conn, "scaleproof.touched")
		if err != nil || !there {
			return err
		}
		for _, table := range t.catalog.owned() {
			relations, err := table.relations(ctx, conn)
			if err != nil {
				return err
			}
			if len(relations) == 0 {
				continue // the target's tables were never made
			}
			statements := []string{"DROP TRIGGER IF EXISTS " + ident(t.rowTrigger()) + " ON " + table.sql()}
			for _, name := range relations {
				statements = append(statements, "DROP TRIGGER IF EXISTS "+ident(t.bulkTrigger())+" ON "+name)
			}
			if err := patiently(ctx, conn, append(statements, "DROP FUNCTION IF EXISTS "+t.job.function("touch", table)+"()")...); err != nil {
				return err
			}
		}
		return execAll(ctx, conn, t.forgetSQL())
	})
}

// touched is the condition that a row of a table is among those noted in the batch.
func (t *tracker) touched(table *Table) string {
	columns, keys := "", ""
	for i, name := range table.Key {
		if i > 0 {
			columns, keys = columns+", ", keys+", "
		}
		c, _ := table.column(name)
		columns += "t." + ident(name)
		keys += fmt.Sprintf("(g.key[%d])::%s", i+1, c.Type)
	}
	return fmt.Sprintf("(%s) IN (SELECT %s FROM scaleproof.touched g WHERE g.move = %s AND g.tbl = %s AND g.key IS NOT NULL)",
		columns, keys, quote(t.batch()), quote(table.String()))
}

// take makes a batch of what has been noted until now, puts it on the other node
// too, and returns how many rows of each table are in it. It asks by the session that
// holds the lock: where that is gone, nobody has noted anything, and it fails.
func (t *tracker) take(ctx context.Context) (rows map[*Table]int64, err error) {
	if err := execAll(ctx, t.conn, "DELETE FROM scaleproof.touched WHERE move = "+quote(t.batch()),
		"UPDATE scaleproof.touched SET move = "+quote(t.batch())+" WHERE move = "+quote(t.job.config.Name), "ANALYZE scaleproof.touched"); err != nil {
		return nil, fmt.Errorf("reading what was written on %s: %w", t.node.Name, err)
	}
	rows = map[*Table]int64{}
	found, err := t.conn.Query(ctx, "SELECT tbl, count(*), bool_or(key IS NULL), bool_or(crosses) FROM scaleproof.touched WHERE move = $1 GROUP BY tbl", t.batch())
	if err != nil {
		return nil, fmt.Errorf("reading what was written on %s: %w", t.node.Name, err)
	}
	var name string
	var n int64
	var emptied, crosses bool
	if _, err := pgx.ForEachRow(found, []any{&name, &n, &emptied, &crosses}, func() error {
		table := t.catalog.table(name)
		rows[table] = n
		t.whole[table] = t.whole[table] || emptied
		// A row that goes to another partition is deleted and inserted.
		if crosses || emptied || table.Partitioned {
			t.dependants(table)
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("reading what was written on %s: %w", t.node.Name, err)
	}
	return rows, t.handOver(ctx)
}

// dependants marks the tables that reach organisations by rows of a table.
func (t *tracker) dependants(of *Table) {
	for _, table := range t.catalog.owned() {
		for up := table; up.Class == ByKey; {
			if up = t.catalog.table(up.Via.To); up == of {
				t.whole[table] = true
			}
		}
	}
}

func (t *tracker) handOver(ctx context.Context) error {
	conn, err := t.other.connect(ctx, nil)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	if err := makeLedger(ctx, conn); err != nil {
		return err
	}
	if err := execAll(ctx, conn, t.forgetSQL()); err != nil {
		return err
	}
	p := &pipe{t.conn, conn, newGate(), &meter{}}
	if _, err := p.copyInto(ctx, "what was written", "binary", "SELECT move, tbl, key, crosses FROM scaleproof.touched WHERE move = "+quote(t.batch()), "scaleproof.touched (move, tbl, key, crosses)"); err != nil {
		return err
	}
	return execAll(ctx, conn, "ANALYZE scaleproof.touched")
}

// maxSuspects is how many rows of a table are looked at one by one at most: what
// their keys take in memory.
const maxSuspects = 200_000

// suspect notes the rows that a comparison has found to differ: behind the fence they
// are looked at with those that were written.
func (t *tracker) suspect(ctx context.Context, k *comparer, r tableComparison) error {
	table := r.hasher.table
	if len(r.differing) == 0 || t.whole[table] {
		return nil
	}
	if most := max(r.a.rows, r.b.rows) / int64(r.hasher.buckets) * int64(len(r.differing)); most > maxSuspects {
		t.whole[table] = true
		return nil
	}
	key := "array_to_json(" + table.keyTexts("t") + ")::text"
	a, err := k.rowsOf(ctx, k.a, r, key)
	if err != nil {
		return err
	}
	b, err := k.rowsOf(ctx, k.b, r, key)
	if err != nil {
		return err
	}
	var keys []string
	for _, d := range differences(table.String(), a, b) {
		keys = append(keys, d.Key)
	}
	_, err = t.conn.Exec(ctx, `INSERT INTO scaleproof.touched SELECT $1, $2, ARRAY(SELECT e.v FROM json_array_elements_text(k::json) WITH ORDINALITY e(v, n) ORDER BY e.n), false
		FROM unnest($3::text[]) k`, t.job.config.Name, table.String(), keys)
	if err != nil {
		return fmt.Errorf("noting the rows of %s that differ: %w", table, err)
	}
	return nil
}

// fewRows end the rounds before a fence, which can take so many; so does a round that
// has not half of the one before.
const fewRows = 2000

// approach makes both sides equal, or waits until they are, but for what is written
// meanwhile: that is noted for the fence. It returns how many rows it compared at
// first, and copied.
func (t *tracker) approach(ctx context.Context, p passage, k *comparer) (compared, copied int64, err error) {
	began := t.job.opts.Now()
	suspect := func(r tableComparison) error { return t.suspect(ctx, k, r) }
	copied, err = t.job.level(ctx, p, k, t.catalog.owned(), k.compareEstimated, func(r tableComparison) error {
		compared += r.a.rows
		return suspect(r)
	})
	if err != nil {
		return compared, copied, err
	}
	t.job.say("both sides were compared in %s", unit.Format(t.job.opts.Now().Sub(began).Seconds(), unit.Seconds))
	for last := int64(-1); ; {
		rows, err := t.take(ctx)
		if err != nil {
			return compared, copied, err
		}
		if p.following {
			if err := t.job.catchUp(ctx, t.catalog); err != nil {
				return compared, copied, err
			}
		}
		n, err := t.job.level(ctx, p, k, t.keyed(rows), t.comparing(k, rows), suspect)
		copied += n
		var total int64
		for _, of := range rows {
			total += of
		}
		if err != nil || total < fewRows || last >= 0 && total > last/2 {
			return compared, copied, err
		}
		last = total
	}
}

// keyed are the tables of a batch of which keys were noted, parents first.
func (t *tracker) keyed(rows map[*Table]int64) []*Table {
	var tables []*Table
	for _, table := range t.catalog.owned() {
		if rows[table] > 0 && !t.whole[table] {
			tables = append(tables, table)
		}
	}
	return tables
}

// comparing returns a comparison that looks at the rows of a batch alone, or at whole
// tables where it must.
func (t *tracker) comparing(k *comparer, rows map[*Table]int64) func(context.Context, *Table) (tableComparison, error) {
	return func(ctx context.Context, table *Table) (tableComparison, error) {
		switch {
		case t.whole[table]:
			return k.compareEstimated(ctx, table)
		case rows[table] == 0:
			return tableComparison{hasher: hasher{table, 1, k.typed}}, nil
		}
		return k.compareSome(ctx, table, t.touched(table))
	}
}
