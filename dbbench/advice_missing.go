package dbbench

import (
	"context"
	"errors"
	"fmt"
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

// readTables reads what candidates need to know of the tables in the plans, which
// name them without a schema: it is the one that the search path finds.
func (a *adviser) readTables(ctx context.Context, conn *pgx.Conn) (map[string]tableInfo, error) {
	tables := map[string]tableInfo{}
	for _, c := range a.cases {
		for _, n := range c.Plan.Root.All() {
			if n.isAccess() {
				tables[n.Relation] = tableInfo{}
			}
		}
	}
	for name := range tables {
		t := tableInfo{Name: name, Distinct: map[string]float64{}}
		rows, err := conn.Query(ctx, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname::text, coalesce(CASE WHEN s.n_distinct < 0 THEN -s.n_distinct * greatest(c.reltuples, 1) ELSE s.n_distinct END, 0)::float8
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
			LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
			WHERE c.oid = to_regclass(quote_ident($1)) AND c.relkind IN ('r', 'm') AND n.nspname <> 'pg_catalog'`, name)
		if err == nil {
			var column string
			var distinct float64
			_, err = pgx.ForEachRow(rows, []any{&t.Qualified, &column, &distinct}, func() error {
				t.Columns = append(t.Columns, column)
				t.Distinct[pgx.Identifier{column}.Sanitize()], t.Distinct[column] = distinct, distinct
				return nil
			})
		}
		if err != nil {
			return nil, fmt.Errorf("reading about the table %s: %w", name, err)
		}
		if tables[name] = t; t.Qualified == "" {
			delete(tables, name)
		}
	}
	return tables, nil
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
	h, reason, err := a.openHypothetical(ctx, conn)
	if err != nil {
		return nil, err
	}
	if h != nil {
		return a.search(ctx, h, candidates)
	}
	var guesses []Advice
	for _, c := range candidates {
		advice := c.advice()
		advice.Doubts = append(advice.Doubts, "not checked: "+reason+", or build it on a copy by --scratch")
		guesses = append(guesses, advice)
	}
	return guesses, nil
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
