package dbbench

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func advise(t *testing.T, nodes []Node, config Config, how AdviceConfig) *AdviceResult {
	t.Helper()
	r, err := Advise(t.Context(), nodes, config, how)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *AdviceResult) of(kind AdviceKind) (objects []string) {
	for _, a := range r.Advice {
		if a.Kind == kind {
			objects = append(objects, a.Object)
		}
	}
	return objects
}

func (r *AdviceResult) find(t *testing.T, kind AdviceKind, object string) Advice {
	t.Helper()
	for _, a := range r.Advice {
		if a.Kind == kind && strings.Contains(a.Object, object) {
			return a
		}
	}
	t.Fatalf("no %s of %s in %+v, rejected %+v, notes %q", kind, object, r.Advice, r.Rejected, r.Notes)
	return Advice{}
}

// busy has a table that is read by organisation, the newest first, and one of
// which every row is read.
func busy(t *testing.T) Node {
	t.Helper()
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node,
		`CREATE TABLE incidents (id bigint PRIMARY KEY, organization_id int NOT NULL, status varchar(20) NOT NULL, "Created At" timestamptz NOT NULL, note text, double bigint GENERATED ALWAYS AS (id * 2) STORED) WITH (autovacuum_enabled = off)`,
		`INSERT INTO incidents SELECT g, (g * 7919) % 500, CASE g % 3 WHEN 0 THEN 'open' ELSE 'closed' END, timestamptz '2025-01-01' + ((g * 1049) % 30000) * interval '1 minute', repeat('x', 80) FROM generate_series(1, 30000) g`,
		"VACUUM ANALYZE incidents")
	return node
}

var busySuite = Config{Queries: []Query{
	{Name: "newest", SQL: `SELECT id, note FROM incidents WHERE organization_id = $1 ORDER BY "Created At" DESC LIMIT 20`, Args: []string{"7"}},
	{Name: "open", SQL: `SELECT id FROM incidents WHERE organization_id = $1 AND status = 'open'`, Args: []string{"9"}},
	{Name: "all", SQL: "SELECT count(*) FROM incidents WHERE id > 0"},
	{Name: "most", SQL: "SELECT count(note) FROM incidents WHERE status = 'closed'"},
	{Name: "broken", SQL: "SELECT * FROM nowhere"},
}}

func TestAMissingIndexIsBuiltOnACopyAndMeasured(t *testing.T) {
	node := busy(t)
	before := relations(t, node)
	r := advise(t, []Node{node}, busySuite, AdviceConfig{Scratch: true})
	found := r.find(t, MissingIndex, "organization_id")
	if !strings.HasPrefix(found.SQL, "CREATE INDEX CONCURRENTLY ON public.incidents (organization_id") {
		t.Errorf("statement %q", found.SQL)
	}
	evidence := strings.Join(found.Evidence, "\n")
	for _, want := range []string{"newest: ", "open: ", "blocks touched, before", "built and run on a copy", "threw 29,940 away"} {
		if !strings.Contains(evidence, want) {
			t.Errorf("%q is not in the evidence:\n%s", want, evidence)
		}
	}
	if found.Bytes <= 0 || strings.Contains(evidence, "all: ") {
		t.Errorf("%v bytes, evidence %s", found.Bytes, evidence)
	}
	if len(r.Rejected) != 1 || !strings.Contains(r.Rejected[0].Object, "(status)") {
		t.Errorf("an index on what most rows have is of no use: %+v", r.Rejected)
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "broken gives no plan") {
		t.Errorf("notes %q", notes)
	}
	if after := relations(t, node); !slices.Equal(before, after) {
		t.Errorf("the advice left %v, before %v", after, before)
	}
	// What it says is true.
	execute(t, node, found.SQL)
	again := advise(t, []Node{node}, busySuite, AdviceConfig{Scratch: true})
	for _, a := range again.Advice {
		if a.Kind == MissingIndex && a.Object == found.Object {
			t.Errorf("it is advised again: %+v", a)
		}
	}
}

// A copy is found by its table's name alone. What leads past it can't be tried, and
// is not said to be of no use.
func TestWhatDoesNotReadTheCopyIsNotTried(t *testing.T) {
	node := busy(t)
	execute(t, node, "CREATE VIEW opened AS SELECT * FROM incidents WHERE status = 'open'",
		"CREATE SCHEMA app", "CREATE TABLE app.incidents AS SELECT g AS id, g % 500 AS kind FROM generate_series(1, 30000) g", "ANALYZE app.incidents")
	for name, c := range map[string]struct{ sql, object string }{
		"qualified":     {"SELECT id FROM public.incidents WHERE organization_id = 9", "public.incidents (organization_id)"},
		"by_a_view":     {"SELECT id FROM opened WHERE organization_id = 9", "public.incidents (organization_id, status)"},
		"of_one_s_name": {"SELECT id FROM app.incidents WHERE kind = 9", "app.incidents (kind)"},
	} {
		r := advise(t, []Node{node}, Config{Queries: []Query{{Name: name, SQL: c.sql}}}, AdviceConfig{Scratch: true})
		if found := r.find(t, MissingIndex, c.object); len(r.Rejected) > 0 || !strings.Contains(strings.Join(found.Doubts, " "), "not checked: it could not be tried for "+name+", which reads the table itself") {
			t.Errorf("%s: %+v, rejected %+v", name, found, r.Rejected)
		}
	}
	// Of two cases one can try it, and has no use for it.
	both := Config{Queries: []Query{{Name: "plain", SQL: "SELECT count(note) FROM incidents WHERE status = 'closed'"}, {Name: "past", SQL: "SELECT count(note) FROM public.incidents WHERE status = 'closed'"}}}
	if r := advise(t, []Node{node}, both, AdviceConfig{Scratch: true}); len(r.Rejected) > 0 || !strings.Contains(strings.Join(r.find(t, MissingIndex, "(status)").Doubts, " "), "could not be tried for past") {
		t.Errorf("%+v", r)
	}
}

// relations lists every table and index of a database.
func relations(t *testing.T, node Node) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "SELECT relnamespace::regnamespace || '.' || relname FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace) ORDER BY 1")
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestAMissingIndexIsJudgedByThePlanner(t *testing.T) {
	node := busy(t)
	r := advise(t, []Node{node}, busySuite, AdviceConfig{})
	guess := r.find(t, MissingIndex, "organization_id")
	if len(guess.Doubts) == 0 || !strings.Contains(guess.Doubts[0], "hypopg") || !strings.Contains(guess.Doubts[0], "--scratch") {
		t.Errorf("without a check it must say so: %+v", guess)
	}
	conn, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "CREATE SCHEMA tools; CREATE EXTENSION hypopg SCHEMA tools"); err != nil {
		t.Skipf("HypoPG is not installed: %v", err)
	}
	r = advise(t, []Node{node}, busySuite, AdviceConfig{})
	found := r.find(t, MissingIndex, "organization_id")
	evidence := strings.Join(found.Evidence, "\n")
	if !strings.Contains(evidence, "the planner would use it: estimated cost") || !strings.Contains(evidence, "with HypoPG") || len(r.Rejected) == 0 {
		t.Errorf("%+v, rejected %+v", found, r.Rejected)
	}
	if got := r.of(MissingIndex); len(got) > 2 {
		t.Errorf("one index, or two, are enough: %v", got)
	}
}

func TestACancelledCopyLeavesNothing(t *testing.T) {
	node := busy(t)
	before := relations(t, node)
	watch, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close(context.Background())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := Advise(ctx, []Node{node}, busySuite, AdviceConfig{Scratch: true})
		ended <- err
	}()
	await(t, func() bool {
		var schemas int
		if err := watch.QueryRow(t.Context(), `SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'scaleproof\_scratch%'`).Scan(&schemas); err != nil {
			t.Fatal(err)
		}
		return schemas > 0
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if after := relations(t, node); !slices.Equal(before, after) {
		t.Errorf("it left %v, before %v", after, before)
	}
	await(t, func() bool { return backends(t, node.DSN) == 0 })
}

func TestACopyThatIsTooLargeIsRefused(t *testing.T) {
	if _, err := Advise(t.Context(), []Node{busy(t)}, busySuite, AdviceConfig{Scratch: true, ScratchLimit: 1 << 20}); err == nil || !strings.Contains(err.Error(), "more than the 1 MiB that may be copied") {
		t.Errorf("error %v", err)
	}
}

// A B-tree takes no value of more than a third of a block. What can't be built takes
// nothing from the advice on all else.
func TestAnIndexThatCannotBeBuiltIsRejected(t *testing.T) {
	node := busy(t)
	execute(t, node, "UPDATE incidents SET note = (SELECT string_agg(md5(g::text), '') FROM generate_series(1, 200) g) WHERE id = 1")
	with := Config{Queries: append(slices.Clone(busySuite.Queries), Query{Name: "note", SQL: "SELECT id FROM incidents WHERE note = 'never'"})}
	r := advise(t, []Node{node}, with, AdviceConfig{Scratch: true})
	r.find(t, MissingIndex, "organization_id")
	i := slices.IndexFunc(r.Rejected, func(a Advice) bool { return strings.HasSuffix(a.Object, "(note)") })
	if i < 0 || !strings.Contains(strings.Join(r.Rejected[i].Doubts, " "), "can't be built: ") {
		t.Errorf("rejected %+v", r.Rejected)
	}
}

func TestUnusedIndexesAreJudgedOverAllNodes(t *testing.T) {
	_, nodes := replicated(t)
	execute(t, nodes[0], "CREATE INDEX never ON incidents ((organization_id % 7))", "CREATE UNIQUE INDEX rule ON incidents (id)")
	await(t, func() bool { return lagOf(t, nodes[0]) == 0 })
	// incidents_title is used on a replica only.
	execute(t, nodes[2], "SET enable_seqscan = off", "SELECT * FROM incidents WHERE title = 'title 7'")
	await(t, func() bool {
		for _, row := range capture(t, nodes[2]).Views["pg_stat_user_indexes"] {
			if row.Text("indexrelname") == "incidents_title" {
				return row["idx_scan"] == 1.0
			}
		}
		return false
	})
	r := advise(t, nodes, Config{}, AdviceConfig{})
	if got := r.of(UnusedIndex); !slices.Contains(got, "never") || !slices.Contains(got, "incidents_organization") || slices.Contains(got, "incidents_title") || slices.Contains(got, "rule") {
		t.Errorf("unused: %v", got)
	}
	never := r.find(t, UnusedIndex, "never")
	if evidence := strings.Join(never.Evidence, "\n"); !strings.Contains(evidence, "primary has not scanned it") || !strings.Contains(evidence, "replica-1 has not scanned it") || len(never.Doubts) != 1 {
		t.Errorf("%+v", never)
	}
	for name, some := range map[string][]Node{"a replica is not named": nodes[:2], "a node is not there": {nodes[0], nodes[1], nodes[2], {Name: "gone", DSN: "postgres://127.0.0.1:1/x"}}} {
		r := advise(t, some, Config{}, AdviceConfig{})
		if got := r.of(UnusedIndex); len(got) > 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "look unused") {
			t.Errorf("%s: %v, notes %q", name, got, r.Notes)
		}
	}
	// What a role may not see of a standby, and one that is not there just now, is
	// unread all the same.
	role := "reader" + strconv.Itoa(os.Getpid())
	execute(t, nodes[0], "CREATE ROLE "+role+" LOGIN PASSWORD 'reader-password'")
	poor := advise(t, []Node{{Name: "primary", DSN: as(t, nodes[0].DSN, role, "reader-password")}}, Config{}, AdviceConfig{})
	if got := poor.of(UnusedIndex); len(got) > 0 || !strings.Contains(strings.Join(poor.Notes, "\n"), "2 standbys are connected that were not read") {
		t.Errorf("for a role without rights: %v, notes %q", got, poor.Notes)
	}
	execute(t, nodes[0], "SELECT pg_create_physical_replication_slot('away')")
	if r := advise(t, nodes, Config{}, AdviceConfig{}); len(r.of(UnusedIndex)) > 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "primary has a slot away of a standby that is not connected") {
		t.Errorf("with a standby away: %v, notes %q", r.of(UnusedIndex), r.Notes)
	}
	if _, err := Advise(t.Context(), nodes[1:], Config{}, AdviceConfig{}); err == nil || !strings.Contains(err.Error(), "standby") {
		t.Errorf("a standby as the first: %v", err)
	}
}

func TestDuplicateAndInvalidIndexes(t *testing.T) {
	node := busy(t)
	execute(t, node,
		"CREATE INDEX first ON incidents (organization_id)",
		"CREATE INDEX again ON incidents (organization_id)",
		"CREATE INDEX longer ON incidents (organization_id, status)",
		"CREATE INDEX partial ON incidents (organization_id) WHERE status = 'open'",
		"CREATE INDEX backwards ON incidents (organization_id DESC)",
		"CREATE INDEX hashed ON incidents USING hash (organization_id)",
		"CREATE INDEX including ON incidents (organization_id) INCLUDE (note)",
		"CREATE INDEX other ON incidents (status, organization_id)",
		"CREATE INDEX of_key ON incidents (id)",
		"CREATE TABLE twice (n int)", "INSERT INTO twice VALUES (1), (1)")
	// A unique index on what is not unique fails, and leaves an invalid one.
	conn, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "CREATE UNIQUE INDEX CONCURRENTLY failed ON twice (n)"); err == nil {
		t.Fatal("it was built")
	}
	r := advise(t, []Node{node}, Config{}, AdviceConfig{})
	got := r.of(DuplicateIndex)
	slices.Sort(got)
	if want := []string{"again", "first", "of_key"}; !slices.Equal(got, want) {
		t.Errorf("duplicates %v, want %v", got, want)
	}
	if of := r.find(t, DuplicateIndex, "of_key"); !strings.Contains(of.Text, "incidents_pkey") {
		t.Errorf("%+v", of)
	}
	if got := r.of(InvalidIndex); !slices.Equal(got, []string{"failed"}) {
		t.Errorf("invalid %v", got)
	}
	// One that is built anew in vain leaves its copy beside it, which would be a
	// duplicate once it were valid.
	if _, err := conn.Exec(t.Context(), "REINDEX INDEX CONCURRENTLY failed"); err == nil {
		t.Fatal("it was built")
	}
	r = advise(t, []Node{node}, Config{}, AdviceConfig{})
	if left := r.find(t, InvalidIndex, "failed_ccnew"); left.SQL != "DROP INDEX CONCURRENTLY public.failed_ccnew" {
		t.Errorf("%+v", left)
	}
	if got := r.of(InvalidIndex); len(got) != 2 {
		t.Errorf("invalid %v", got)
	}
}

func TestBloatStaleStatisticsAndLimits(t *testing.T) {
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node,
		"CREATE TABLE full_of_holes (id int, note text) WITH (autovacuum_enabled = off)",
		"INSERT INTO full_of_holes SELECT g, repeat('x', 1000) FROM generate_series(1, 30000) g", "DELETE FROM full_of_holes WHERE id % 5 <> 0",
		"CREATE TABLE dense (id int, note text) WITH (autovacuum_enabled = off)", "INSERT INTO dense SELECT g, repeat('x', 1000) FROM generate_series(1, 30000) g",
		"CREATE TABLE dying (id int, note text) WITH (autovacuum_enabled = off)", "INSERT INTO dying SELECT g, '' FROM generate_series(1, 30000) g",
		"CREATE TABLE unknown (id int) WITH (autovacuum_enabled = off)", "INSERT INTO unknown SELECT generate_series(1, 5000)",
		"CREATE TABLE counted (id serial)", "SELECT setval('counted_id_seq', 2000000000)")
	// A session adds what it has changed to the counters when it ends, up to 14 by
	// way of a collector, and ANALYZE sets one of them back at once.
	await(t, func() bool {
		changed := 0.0
		for _, row := range capture(t, node).Views["pg_stat_user_tables"] {
			n, _ := row.Number("n_mod_since_analyze")
			changed += n
		}
		return changed >= 30000*3+24000+5000
	})
	execute(t, node, "VACUUM ANALYZE full_of_holes", "VACUUM ANALYZE dense", "ANALYZE dying")
	execute(t, node, "DELETE FROM dying WHERE id <= 20000")
	var r *AdviceResult
	var bloat, stale []string
	await(t, func() bool {
		r = advise(t, []Node{node}, Config{}, AdviceConfig{})
		bloat, stale = r.of(Bloat), r.of(StaleStatistic)
		slices.Sort(bloat)
		slices.Sort(stale)
		return slices.Equal(bloat, []string{"dying", "public.full_of_holes"}) && slices.Equal(stale, []string{"dying", "unknown"})
	})
	if holes := r.find(t, Bloat, "full_of_holes"); holes.Bytes < 20e6 || len(holes.Doubts) != 2 {
		t.Errorf("%+v", holes)
	}
	if near := r.find(t, NearLimit, "counted_id_seq"); !strings.Contains(near.Text, "id of counted a bigint") || !strings.Contains(near.Evidence[0], "93") {
		t.Errorf("%+v", near)
	}
	execute(t, node, "CREATE EXTENSION pgstattuple")
	r = advise(t, []Node{node}, Config{}, AdviceConfig{})
	if holes := r.find(t, Bloat, "full_of_holes"); !strings.Contains(strings.Join(holes.Evidence, " "), "pgstattuple measures") {
		t.Errorf("%+v", holes)
	}
}

// An index is found by the values of its column, and not by what a cast makes of them,
// unless that leaves them as they are.
func TestACastOfAColumnFindsNoIndex(t *testing.T) {
	node := busy(t)
	r := advise(t, []Node{node}, Config{Queries: []Query{
		{Name: "day", SQL: `SELECT note FROM incidents WHERE "Created At"::date = '2025-01-03'`},
		{Name: "digits", SQL: "SELECT note FROM incidents WHERE organization_id::text = '7'"},
		{Name: "status", SQL: "SELECT id FROM incidents WHERE status = 'never'"}, // a varchar, compared as text
	}}, AdviceConfig{})
	if got := r.of(MissingIndex); !slices.Equal(got, []string{"public.incidents (status)"}) {
		t.Errorf("missing %v, rejected %v", got, r.Rejected)
	}
}

// What a limit cuts off tells nothing of a table's statistics.
func TestALimitSaysNothingOfStatistics(t *testing.T) {
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node, "CREATE TABLE t (n int) WITH (autovacuum_enabled = off)", "INSERT INTO t SELECT generate_series(1, 5000)")
	await(t, func() bool {
		rows := capture(t, node).Views["pg_stat_user_tables"]
		return len(rows) == 1 && rows[0]["n_live_tup"] == 5000.0
	})
	r := advise(t, []Node{node}, Config{Queries: []Query{{Name: "first", SQL: "SELECT * FROM t LIMIT 5"}}}, AdviceConfig{})
	if stale := r.find(t, StaleStatistic, "t"); strings.Contains(strings.Join(stale.Evidence, "\n"), "times too high") {
		t.Errorf("%+v", stale)
	}
}

func TestConjuncts(t *testing.T) {
	for condition, want := range map[string][]string{
		"":                              nil,
		"(a = 1)":                       {"a = 1"},
		"((a = 1) AND (b > 'x'::text))": {"a = 1", "b > 'x'::text"},
		"((a = 1) OR (b = 2))":          {"(a = 1) OR (b = 2)"},
		"((a = ' AND (') AND (b = 2))":  {"a = ' AND ('", "b = 2"},
		"(((a = 1) AND (b = 2)) AND c)": {"a = 1", "b = 2", "c"},
		`("a AND b" = 1)`:               {`"a AND b" = 1`},
	} {
		if got := conjuncts(condition); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", condition, got, want)
		}
	}
}

func TestCandidatesOfConditions(t *testing.T) {
	table := tableInfo{Name: "t", Qualified: "public.t", Columns: []string{"a", "b", "Mixed Case", "at"}, Distinct: map[string]float64{"a": 3, "b": 500}, Alike: map[string][]string{"Mixed Case": {"text"}}}
	scan := func(filter string) *PlanNode {
		return &PlanNode{Type: "Seq Scan", Relation: "t", Alias: "x", Analyzed: true, ActualRows: 1, Loops: 1, RowsRemoved: 5000, Conditions: Conditions{Filter: filter}}
	}
	limited := func(n *PlanNode, keys ...string) *PlanNode {
		sort := &PlanNode{Type: "Sort", Children: []*PlanNode{n}, Conditions: Conditions{SortKey: keys}}
		return &PlanNode{Type: "Limit", Children: []*PlanNode{sort}}
	}
	joined := &PlanNode{Type: "Hash Join", Conditions: Conditions{HashCond: "(x.b = y.id)"}, Children: []*PlanNode{scan(""), {Type: "Hash"}}}
	for name, c := range map[string]struct {
		root *PlanNode
		want []string
	}{
		"equality":             {scan("(a = 7)"), []string{"a"}},
		"the selective first":  {scan("((a = 7) AND (b = 9))"), []string{"b, a"}},
		"a range behind":       {scan("((at > '2025-01-01 00:00:00'::timestamp) AND (a = 7))"), []string{"a", "a, at"}},
		"a cast and a list":    {scan(`((("Mixed Case")::text = 'x'::text) AND (a = ANY ('{1,2}'::integer[])))`), []string{`a, "Mixed Case"`}},
		"not of this table":    {scan("(y.a = 7)"), nil},
		"of two columns":       {scan("(a = b)"), nil},
		"a function":           {scan("(lower(a) = 'x'::text)"), nil},
		"an alternative":       {scan("((a = 1) OR (b = 2))"), nil},
		"an order and a limit": {limited(scan("(a = 7)"), "at DESC"), []string{"a", "a, at"}},
		"a mixed order":        {limited(scan(""), "a", "at DESC"), []string{"a, at DESC"}},
		"an order of another":  {limited(scan("(a = 7)"), "y.at"), []string{"a"}},
		"a join":               {joined, []string{"b"}},
		"a type of one's name": {scan("((at = '2025-01-01'::at) AND (b = ANY ('{1}'::b[])))"), []string{"b, at"}},
		"of a quoted column":   {scan(`(a = "Mixed Case")`), nil},
	} {
		var got []string
		for _, found := range mergeCandidates((CaseResult{Name: "q", PlanResult: PlanResult{Plan: &Plan{Root: c.root}}}).candidates(map[string]tableInfo{scan("").table(): table}), nil) {
			got = append(got, strings.Join(found.columns, ", "))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	served := Row{"of_table": "public.t", "amname": "btree", "condition": "", "indisvalid": true, "keys": []any{"a", "at"}}
	if c := (candidate{table: "public.t", columns: []string{"a"}}); !c.servedBy(served) {
		t.Error("an index that begins with the column serves it")
	}
	if c := (candidate{table: "public.t", columns: []string{"at"}}); c.servedBy(served) {
		t.Error("an index that ends with the column does not serve it")
	}
}

func FuzzConjuncts(f *testing.F) {
	f.Add("((a = 1) AND (b > 'x'::text))")
	f.Add(`(("a" = ANY ('{1,2}')) AND (NOT b))`)
	f.Add("a AND AND AND b")
	table := tableInfo{Columns: []string{"a", "b"}}
	f.Fuzz(func(t *testing.T, condition string) {
		for _, part := range conjuncts(condition) {
			if !strings.Contains(condition, part) {
				t.Fatalf("%q is no part of %q", part, condition)
			}
		}
		equal, ranged := table.clauses(&PlanNode{Conditions: Conditions{Filter: condition}})
		for _, column := range append(equal, ranged...) {
			if !slices.Contains(table.Columns, unquoteName(column)) {
				t.Fatalf("%q is no column", column)
			}
		}
	})
}
