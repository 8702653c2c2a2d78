package dbbench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/unit"
)

// missingIndexes proposes indexes for what the suite's plans read in vain, and
// keeps those that prove useful.
func (a *adviser) missingIndexes(ctx context.Context, conn *pgx.Conn) error {
	if err := a.runSuite(ctx); err != nil {
		return err
	}
	a.wholeReads()
	// The planner of custom plans alone is asked: a generic one is kept.
	if err := prepareCases(ctx, conn, a.cases); err != nil {
		return err
	}
	if err := a.findSchemas(ctx, conn); err != nil {
		return err
	}
	candidates, err := a.findCandidates(ctx, conn)
	if err != nil || len(candidates) == 0 {
		return err
	}
	found, err := a.check(ctx, conn, candidates)
	if err != nil {
		return err
	}
	sortAdvice(found)
	for _, advice := range found {
		a.addWrites(&advice)
		a.say(advice)
	}
	return nil
}

// findCandidates looks through the plans of all cases.
func (a *adviser) findCandidates(ctx context.Context, conn *pgx.Conn) ([]candidate, error) {
	tables, err := a.readTables(ctx, conn)
	if err != nil {
		return nil, err
	}
	var all []candidate
	for _, c := range a.cases {
		all = append(all, c.candidates(tables)...)
	}
	return mergeCandidates(all, a.captures[0].Views["indexes"]), nil
}

// findSchemas asks the planner for the schemas of the tables in the plans, which
// those that were run leave out: a name is not of the search path's first schema only.
func (a *adviser) findSchemas(ctx context.Context, conn *pgx.Conn) error {
	for _, c := range a.cases {
		plan, err := explainCase(ctx, conn, c, "VERBOSE, FORMAT JSON")
		if err != nil {
			return fmt.Errorf("asking for the tables of %s: %w", c.Name, err)
		}
		schemas := map[[2]string]string{}
		for _, n := range plan.Root.All() {
			schemas[[2]string{n.Alias, n.Relation}] = n.Schema
		}
		for _, n := range c.Plan.Root.All() {
			if !n.isAccess() {
				continue
			}
			if n.Schema = schemas[[2]string{n.Alias, n.Relation}]; n.Schema == "" {
				a.note("%s was planned in another way when its tables' schemas were asked for: no index on %s is proposed for it", c.Name, n.Relation)
			}
		}
	}
	return nil
}

// table names what an access reads, with its schema where that is known.
func (n *PlanNode) table() string { return pgx.Identifier{n.Schema, n.Relation}.Sanitize() }

// readTables reads what candidates need to know of the tables in the plans, by
// PlanNode.table.
func (a *adviser) readTables(ctx context.Context, conn *pgx.Conn) (map[string]tableInfo, error) {
	tables := map[string]tableInfo{}
	for _, c := range a.cases {
		for _, n := range c.Plan.Root.All() {
			if _, done := tables[n.table()]; done || !n.isAccess() {
				continue
			}
			t, err := readTable(ctx, conn, n.Schema, n.Relation)
			if err != nil {
				return nil, fmt.Errorf("reading about the table %s: %w", n.table(), err)
			}
			tables[n.table()] = t
		}
	}
	maps.DeleteFunc(tables, func(_ string, t tableInfo) bool { return t.Qualified == "" })
	return tables, nil
}

// readTable reads about a table; of something else it returns a table without a
// name.
func readTable(ctx context.Context, conn *pgx.Conn, schema, name string) (tableInfo, error) {
	t := tableInfo{Name: name, Distinct: map[string]float64{}, Alike: map[string][]string{}}
	rows, err := conn.Query(ctx, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), pg_table_is_visible(c.oid), a.attname::text,
		coalesce(CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * greatest(c.reltuples, 1) ELSE s.n_distinct END, 0)::float8,
		array(SELECT format_type(y.typbasetype, NULL) WHERE y.typtype = 'd' UNION ALL
			SELECT format_type(casttarget, NULL) FROM pg_cast WHERE castsource = coalesce(nullif(y.typbasetype, 0), y.oid) AND castmethod = 'b')
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		JOIN pg_type y ON y.oid = a.atttypid
		LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
		WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'm') AND n.nspname <> 'pg_catalog'`, schema, name)
	if err != nil {
		return t, err
	}
	var column string
	var distinct float64
	var alike []string
	_, err = pgx.ForEachRow(rows, []any{&t.Qualified, &t.Visible, &column, &distinct, &alike}, func() error {
		t.Columns, t.Alike[column] = append(t.Columns, column), alike
		t.Distinct[pgx.Identifier{column}.Sanitize()], t.Distinct[column] = distinct, distinct
		return nil
	})
	return t, err
}

// check tries the candidates where there is a way to, and else gives them as what
// they are: guesses.
func (a *adviser) check(ctx context.Context, conn *pgx.Conn, candidates []candidate) ([]Advice, error) {
	if a.how.Scratch {
		s, err := a.openScratch(ctx)
		if err != nil {
			return nil, err
		}
		found, err := a.search(ctx, s, candidates)
		return found, errors.Join(err, s.close())
	}
	h, reason, err := openHypothetical(ctx, conn)
	if err != nil {
		return nil, err
	}
	if h != nil {
		return a.search(ctx, h, candidates)
	}
	var guesses []Advice
	for _, c := range candidates {
		guesses = append(guesses, c.guess(reason+", or build it on a copy by --scratch"))
	}
	return guesses, nil
}

// guess is the advice of a candidate that was not tried.
func (c candidate) guess(reason string) Advice {
	advice := c.advice()
	advice.Doubts = append(advice.Doubts, "not checked: "+reason)
	return advice
}

// advice is that of a candidate, with what the plans say.
func (c candidate) advice() Advice {
	columns := strings.Join(c.columns, ", ")
	return Advice{
		Kind: MissingIndex, Object: c.key(),
		Text:     fmt.Sprintf("make an index on %s of %s", columns, c.table),
		SQL:      fmt.Sprintf("CREATE INDEX CONCURRENTLY ON %s (%s)", c.table, columns),
		Evidence: []string{fmt.Sprintf("%s: %s", strings.Join(c.cases, ", "), c.why)},
	}
}

// addWrites says what an index costs: each write of the table has to maintain it.
func (a *adviser) addWrites(advice *Advice) {
	table, _, _ := strings.Cut(advice.Object, " (")
	row := tableRow(a.captures[0], "pg_stat_user_tables", table)
	var writes float64
	for _, counter := range []string{"n_tup_ins", "n_tup_upd", "n_tup_del"} {
		n, _ := row.Number(counter)
		writes += n
	}
	if writes > 0 {
		advice.Doubts = append(advice.Doubts, fmt.Sprintf("%s rows of the table were written %s, each of which such an index has to be kept for", unit.Format(writes, unit.Count), since(a.captures[0])))
	}
}

// readWhole are the scans of a whole table from which on it is worth a word.
const readWhole = 10

// wholeReads names large tables that are read whole often, by whatever statement:
// the suite may lack it.
func (a *adviser) wholeReads() {
	for _, s := range a.captures {
		for _, row := range s.Views["pg_stat_user_tables"] {
			scans, _ := row.Number("seq_scan")
			rows, _ := row.Number("seq_tup_read")
			live, _ := row.Number("n_live_tup")
			inSuite := slices.ContainsFunc(a.cases, func(c advisedCase) bool { return slices.Contains(c.Plan.Root.relations(), row.Text("relname")) })
			if scans >= readWhole && rows/scans >= 10*manyRead && live >= 10*manyRead && !inSuite {
				a.note("%s was read whole %s times on %s, %s rows each time, and no query of the suite does so: add the statement that does", shortName(row, "relname"),
					unit.Format(scans, unit.Count), s.Node, unit.Format(rows/scans, unit.Count))
			}
		}
	}
}

// relations returns the tables that the node and those below it read.
func (n *PlanNode) relations() []string {
	var names []string
	for _, node := range n.All() {
		if node.isAccess() {
			names = append(names, node.Relation)
		}
	}
	return names
}
