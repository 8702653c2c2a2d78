package dbbench

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/unit"
)

// The bounds from which on bloat and stale statistics are worth advice.
const (
	bloatBytes    = 10 << 20 // less is not worth a lock
	bloatShare    = 0.3
	deadShare     = 0.2
	staleShare    = 0.2 // of the rows, changed since the last ANALYZE
	staleRows     = 1000
	usedSequence  = 0.7
	usedIDs       = 0.5  // of the transaction ids, where autovacuum should have stopped it far earlier
	exactlyAtMost = 10e9 // bytes that may be read to measure bloat exactly
)

// bloatQuery estimates how many bytes each table and B-tree would take if it were
// written anew, from the widths that ANALYZE has found: a heap tuple has 23 bytes
// of header and a null bitmap, aligned to 8, and a line pointer of 4; a B-tree's
// tuple has 8 and 4, and its pages are filled to 90 %. The method is that of
// ioguix's pgsql-bloat-estimation. Tables without statistics are left out.
const bloatQuery = `WITH widths AS (
	SELECT a.attrelid, count(*) AS columns, count(s.attname) AS known, coalesce(sum((1 - coalesce(s.null_frac, 0)) * s.avg_width), 0) AS width
	FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
	LEFT JOIN pg_index x ON x.indexrelid = c.oid
	LEFT JOIN pg_class t ON t.oid = coalesce(x.indrelid, c.oid)
	LEFT JOIN pg_attribute ta ON x.indexrelid IS NOT NULL AND ta.attrelid = t.oid AND ta.attnum = x.indkey[a.attnum - 1]
	LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND NOT s.inherited
		AND s.tablename = CASE WHEN x.indexrelid IS NOT NULL AND ta.attname IS NULL THEN c.relname ELSE t.relname END AND s.attname = coalesce(ta.attname, a.attname)
	WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'm', 'i') AND ` + ours + ` GROUP BY 1),
sized AS (
	SELECT n.nspname, c.relname, c.relkind, c.reltuples, c.relpages, current_setting('block_size')::float8 AS block, w.width, w.columns,
		coalesce((SELECT regexp_replace(o, '^fillfactor=', '')::float8 FROM unnest(c.reloptions) o WHERE o LIKE 'fillfactor=%'), CASE WHEN c.relkind = 'i' THEN 90 ELSE 100 END) / 100 AS fill
	FROM widths w JOIN pg_class c ON c.oid = w.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = c.relam
	WHERE w.known = w.columns AND c.reltuples > 0 AND c.relpages > 0 AND (c.relkind <> 'i' OR am.amname = 'btree'))
SELECT quote_ident(nspname) || '.' || quote_ident(relname), relkind = 'i', relpages * block,
	block * ceil(reltuples / greatest(floor((block - CASE WHEN relkind = 'i' THEN 40 ELSE 24 END) * fill
		/ (CASE WHEN relkind = 'i' THEN 12 + 8 * ceil(width / 8) ELSE 4 + 8 * ceil((23 + ceil(columns / 8.0)) / 8) + 8 * ceil(width / 8) END)), 1))
FROM sized`

// A bloated relation takes more bytes than its rows need.
type bloated struct {
	Name         string
	IsIndex      bool
	Bytes, Needs float64
}

// bloat finds tables and indexes that take far more than their rows need, and
// tables full of dead rows.
func (a *adviser) bloat(ctx context.Context, conn *pgx.Conn) error {
	all, err := collect[bloated](ctx, conn, bloatQuery)
	if err != nil {
		return fmt.Errorf("estimating bloat: %w", err)
	}
	exact, err := exactBloat(ctx, conn)
	if err != nil {
		return err
	}
	var found []Advice
	for _, b := range all {
		if wasted := b.Bytes - b.Needs; wasted < bloatBytes || wasted < bloatShare*b.Bytes {
			continue
		}
		advice := b.advice()
		if exact != nil && b.Bytes <= exactlyAtMost {
			words, share, err := exact(ctx, b)
			if err != nil {
				advice.Doubts = append(advice.Doubts, "pgstattuple could not confirm it: "+err.Error())
			} else if share < bloatShare {
				a.note("%s looked bloated by its statistics, and is not: %s", b.Name, words)
				continue
			} else {
				advice.Evidence, advice.Bytes = append(advice.Evidence, words), share*b.Bytes
			}
		} else {
			advice.Doubts = append(advice.Doubts, "it is an estimate, from the widths that ANALYZE has found: the extension pgstattuple would measure it")
		}
		found = append(found, advice)
	}
	found = append(found, a.deadRows()...)
	sortAdvice(found)
	for _, advice := range found {
		a.say(advice)
	}
	return nil
}

func (b bloated) advice() Advice {
	advice := Advice{
		Kind: Bloat, Object: b.Name, Bytes: b.Bytes - b.Needs,
		Evidence: []string{fmt.Sprintf("it takes %s, and its rows need about %s", unit.Format(b.Bytes, unit.Bytes), unit.Format(b.Needs, unit.Bytes))},
	}
	if b.IsIndex {
		advice.Text, advice.SQL = "build the index "+b.Name+" anew", "REINDEX INDEX CONCURRENTLY "+b.Name
		return advice
	}
	advice.Text, advice.SQL = "write the table "+b.Name+" anew", "VACUUM (FULL, ANALYZE) "+b.Name
	advice.Doubts = []string{"VACUUM FULL locks the table against reading and writing while it runs; pg_repack does not"}
	return advice
}

// exactBloat returns a way to measure the free and dead share of a relation, or nil
// where pgstattuple is not there.
func exactBloat(ctx context.Context, conn *pgx.Conn) (func(context.Context, bloated) (words string, share float64, err error), error) {
	var schema *string
	if err := conn.QueryRow(ctx, `SELECT (SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pgstattuple')`).Scan(&schema); err != nil {
		return nil, fmt.Errorf("looking for pgstattuple: %w", err)
	}
	if schema == nil {
		return nil, nil
	}
	return func(ctx context.Context, b bloated) (string, float64, error) {
		query := `SELECT (approx_free_percent + dead_tuple_percent) / 100 FROM %s.pgstattuple_approx($1::text::regclass)`
		if b.IsIndex {
			query = `SELECT greatest(1 - avg_leaf_density / 90, 0) FROM %s.pgstatindex($1::text::regclass)`
		}
		var share float64
		err := conn.QueryRow(ctx, fmt.Sprintf(query, *schema), b.Name).Scan(&share)
		return fmt.Sprintf("pgstattuple measures %s of it free or dead", unit.Format(share, unit.Ratio)), share, err
	}, nil
}

// deadRows finds tables that autovacuum does not keep up with.
func (a *adviser) deadRows() []Advice {
	var found []Advice
	for _, row := range a.captures[0].Views["pg_stat_user_tables"] {
		dead, _ := row.Number("n_dead_tup")
		live, _ := row.Number("n_live_tup")
		if dead < manyRead*10 || dead < deadShare*(dead+live) {
			continue
		}
		last := "never"
		for _, column := range []string{"last_vacuum", "last_autovacuum"} {
			if at := row.Text(column); at != "" && (last == "never" || at > last) {
				last = at
			}
		}
		advice := Advice{
			Kind: Bloat, Object: shortName(row, "relname"), Text: "vacuum the table " + shortName(row, "relname"), SQL: "VACUUM (ANALYZE) " + row.Text("qualified"),
			Evidence: []string{fmt.Sprintf("%s of its %s rows are dead; last vacuumed: %s", unit.Format(dead, unit.Count), unit.Format(dead+live, unit.Count), last)},
		}
		for _, activity := range a.captures[0].Views["activity"] {
			if open, _ := activity.Number("longest_transaction_seconds"); open > 600 {
				advice.Doubts = append(advice.Doubts, fmt.Sprintf("a transaction has been open for %s, and VACUUM can't remove what it may still see", unit.Format(open, unit.Seconds)))
			}
		}
		found = append(found, advice)
	}
	return found
}

// staleStatistics finds tables that the planner knows too little of.
func (a *adviser) staleStatistics() {
	for _, row := range a.captures[0].Views["pg_stat_user_tables"] {
		live, _ := row.Number("n_live_tup")
		changed, _ := row.Number("n_mod_since_analyze")
		never := row.Text("last_analyze") == "" && row.Text("last_autoanalyze") == "" && a.hasNoPlannerRows(row)
		var evidence []string
		switch {
		case never && live > 0:
			evidence = []string{fmt.Sprintf("it was never analyzed, and has about %s rows", unit.Format(live, unit.Count))}
		case changed >= staleRows && changed > staleShare*max(live, 1):
			evidence = []string{fmt.Sprintf("%s of about %s rows changed since the last ANALYZE", unit.Format(changed, unit.Count), unit.Format(live, unit.Count))}
		default:
			continue
		}
		a.say(Advice{
			Kind: StaleStatistic, Object: shortName(row, "relname"), Text: "analyze the table " + shortName(row, "relname"), SQL: "ANALYZE " + row.Text("qualified"),
			Evidence: append(evidence, a.misestimates(row.Text("relname"))...),
		})
	}
}

// hasNoPlannerRows tells whether not even VACUUM has counted a table's rows:
// counters may have been reset since it was analyzed.
func (a *adviser) hasNoPlannerRows(row Row) bool {
	for _, size := range a.captures[0].Views["sizes"] {
		if size["relid"] == row["relid"] {
			rows, _ := size.Number("reltuples")
			return rows <= 0 // from 14, -1 is not known; before, 0 is
		}
	}
	return true
}

// misestimates says where the suite's plans are far off about a table.
func (a *adviser) misestimates(table string) []string {
	var words []string
	for _, c := range a.cases {
		ratios := c.Plan.Root.ratios()
		for _, n := range c.Plan.Root.All() {
			if ratio := ratios[n]; n.isAccess() && n.Relation == table && ratio > 0 && off(ratio) >= farOff {
				words = append(words, fmt.Sprintf("%s: rows of %s are estimated %s", c.Name, n.Title(), estimateWords(ratio)))
			}
		}
	}
	return slices.Compact(words)
}

// limits finds sequences and databases that come near to what they can't pass.
func (a *adviser) limits() {
	for _, row := range a.captures[0].Views["sequences"] {
		used, _ := row.Number("used")
		if used < usedSequence {
			continue
		}
		text := "make room for the sequence " + shortName(row, "sequencename")
		if column := row.Text("attname"); column != "" {
			text = fmt.Sprintf("make the column %s of %s a bigint", column, row.Text("relname"))
		}
		a.say(Advice{
			Kind: NearLimit, Object: shortName(row, "sequencename"), Text: text,
			Evidence: []string{fmt.Sprintf("%s of its values are used", unit.Format(used, unit.Ratio))},
		})
	}
	for _, row := range a.captures[0].Views["transaction_ids"] {
		if age, _ := row.Number("age"); age > usedIDs*xidLimit {
			a.say(Advice{
				Kind: NearLimit, Object: row.Text("datname"), Text: "freeze the database " + row.Text("datname"), SQL: "VACUUM (FREEZE)",
				Evidence: []string{fmt.Sprintf("%s of its transaction ids are used: at the end it refuses to write", unit.Format(age/xidLimit, unit.Ratio))},
			})
		}
	}
}
