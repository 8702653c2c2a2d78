package dbbench

import (
	"context"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"
)

func TestDecodePlanRefusesWhatIsNone(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "text": "Seq Scan on t", "no plan": "[{}]", "two": `[{"Plan":{}},{"Plan":{}}]`,
		"no type": `[{"Plan":{}}]`, "no node": `[{"Plan":{"Node Type":"A","Plans":[1]}}]`,
		"plans that are no list": `[{"Plan":{"Node Type":"A","Plans":1}}]`, "a wrong type": `{"Plan":{"Node Type":"A","Plan Rows":"x"}}`,
		"two objects": `{"Plan":{"Node Type":"A"}} {}`, "too deep": strings.Repeat(`{"Plan":`, 1) + strings.Repeat(`{"Node Type":"A","Plans":[`, 1200) + strings.Repeat(`]}`, 1200) + "}",
	} {
		if plan, err := DecodePlan([]byte(text)); err == nil {
			t.Errorf("%s: decoded to %+v", name, plan)
		}
	}
	plan, err := DecodePlan([]byte(`{"Plan":{"Node Type":"Result","Plan Rows":1}}`))
	if err != nil || plan.QError() != 0 {
		t.Errorf("a plan that was not executed: %v, %+v", err, plan)
	}
}

func TestWhatIsNotKnownIsKept(t *testing.T) {
	plan, err := DecodePlan([]byte(`{"Plan":{"Node Type":"Scan","New":12345678901234567890,"Workers":[{"Worker Number":0,"Mood":"good"}]},"Planning":{"Shared Hit Blocks":3,"Memory Used":7,"Mind":1},"Serialization":{"Time":1,"Taste":"b"},"JIT":{"Timing":{"Generation":{"Total":1,"Form":2}}},"Outer":[1]}`))
	if err != nil {
		t.Fatal(err)
	}
	if plan.Root.Extra["New"] != json.Number("12345678901234567890") || plan.Root.Workers[0].Extra["Mood"] != "good" || plan.Extra["Outer"] == nil {
		t.Errorf("kept %v, %v, %v", plan.Extra, plan.Root.Extra, plan.Root.Workers)
	}
	if plan.Planning.Extra["Mind"] == nil || plan.Serialization.Extra["Taste"] != "b" || plan.JIT.Timing.Generation.Extra["Form"] == nil {
		t.Errorf("kept %v, %v, %v", plan.Planning, plan.Serialization, plan.JIT)
	}
	if plan.Planning.SharedHit != 3 || plan.Planning.MemoryUsed != 7 {
		t.Errorf("planning %+v", plan.Planning)
	}
}

func TestFoldConstants(t *testing.T) {
	for in, want := range map[string]string{
		`(organization_id = '20'::bigint)`: `(organization_id = ?)`,
		`(organization_id = $1)`:           `(organization_id = ?)`,
		`(email = 'it''s'::text)`:          `(email = ?)`,
		`((at >= '2025-01-01 00:00:00+00'::timestamp with time zone) AND open)`: `((at >= ?) AND open)`,
		`(at < '2025-01-01'::timestamp(3) without time zone)`:                   `(at < ?)`,
		`(v = '1.50'::numeric(10,2))`:                                           `(v = ?)`,
		`((name)::text = 'a'::character varying(20)::text)`:                     `((name)::text = ?)`,
		`(status = ANY ('{open,resolved}'::app."Status"[]))`:                    `(status = ANY (?))`,
		`("column 7" = 7)`:    `("column 7" = ?)`,
		`("it""s 'x'" = 'x')`: `("it""s 'x'" = ?)`,
		`(t1.c2 = 1.5e-05)`:   `(t1.c2 = ?)`,
		`(x IS NULL) AND (y IS NOT NULL) AND (z IS NOT TRUE)`:       `(x IS NULL) AND (y IS NOT NULL) AND (z IS NOT TRUE)`,
		`(COALESCE(x, NULL::integer, false) IS DISTINCT FROM true)`: `(COALESCE(x, ?, ?) IS DISTINCT FROM ?)`,
		`(n = (InitPlan 1).col1)`:                                   `(n = ?)`,
		`(n = $0)`:                                                  `(n = ?)`,
		`(NOT (hashed SubPlan 2))`:                                  `(NOT (hashed SubPlan 2))`,
		`(a = '\x00'::bytea) OR (b = 'y'::text)`:                    `(a = ?) OR (b = ?)`,
		`(at > (now() - '7 days'::interval))`:                       `(at > (now() - ?))`,
		`(x = '1'::double precision)`:                               `(x = ?)`,
		``:                                                          ``,
	} {
		if got := foldConstants(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}

func TestTitlesAreThoseOfExplain(t *testing.T) {
	for want, n := range map[string]PlanNode{
		"Seq Scan on incidents":                               {Type: "Seq Scan", Relation: "incidents", Alias: "incidents"},
		"Parallel Seq Scan on incidents i":                    {Type: "Seq Scan", Relation: "incidents", Alias: "i", ParallelAware: true},
		"Index Scan Backward using ix on incidents":           {Type: "Index Scan", Relation: "incidents", Index: "ix", Direction: "Backward"},
		"Bitmap Index Scan on ix":                             {Type: "Bitmap Index Scan", Index: "ix"},
		"Hash Left Join":                                      {Type: "Hash Join", JoinType: "Left"},
		"Nested Loop":                                         {Type: "Nested Loop", JoinType: "Inner"},
		"Nested Loop Anti Join":                               {Type: "Nested Loop", JoinType: "Anti"},
		"Partial HashAggregate":                               {Type: "Aggregate", Strategy: "Hashed", PartialMode: "Partial"},
		"Aggregate":                                           {Type: "Aggregate", Strategy: "Plain", PartialMode: "Simple"},
		"HashSetOp Except":                                    {Type: "SetOp", Strategy: "Hashed", Command: "Except"},
		"Update on audit":                                     {Type: "ModifyTable", Operation: "Update", Relation: "audit"},
		"CTE Scan on top top_1":                               {Type: "CTE Scan", Source: "top", Alias: "top_1"},
		"Subquery Scan on w":                                  {Type: "Subquery Scan", Alias: "w"},
		"Function Scan on generate_series g":                  {Type: "Function Scan", Source: "generate_series", Alias: "g"},
		"Parallel Hash Right Semi Join":                       {Type: "Hash Join", JoinType: "Right Semi", ParallelAware: true},
		"Index Only Scan using incidents_pkey on incidents b": {Type: "Index Only Scan", Index: "incidents_pkey", Relation: "incidents", Alias: "b"},
	} {
		if got := n.Title(); got != want {
			t.Errorf("title %q, want %q", got, want)
		}
	}
}

func TestAnEstimateUnderALimitProvesNothingDownwards(t *testing.T) {
	scan := &PlanNode{Type: "Seq Scan", Relation: "t", PlanRows: 1000, ActualRows: 5, Loops: 1, Analyzed: true}
	limit := &PlanNode{Type: "Limit", PlanRows: 5, ActualRows: 5, Loops: 1, Analyzed: true, Children: []*PlanNode{scan}}
	if q := (&Plan{Root: limit}).QError(); q != 1 {
		t.Errorf("a limit stopped the scan, and the q-error is %v", q)
	}
	scan.PlanRows = 1
	if q := (&Plan{Root: limit}).QError(); q != 5 {
		t.Errorf("more rows than planned came, and the q-error is %v", q)
	}
	sort := &PlanNode{Type: "Sort", PlanRows: 5, ActualRows: 5, Loops: 1, Analyzed: true, Children: []*PlanNode{scan}}
	scan.PlanRows, limit.Children = 1000, []*PlanNode{sort}
	if q := (&Plan{Root: limit}).QError(); q != 200 {
		t.Errorf("a sort reads all rows, and the q-error is %v", q)
	}
}

// explainAnalyzed runs statements and returns the plan of the last, which is rolled back.
func explainAnalyzed(t *testing.T, node Node, sql string, before ...string) *Plan {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, statement := range append(before, "BEGIN") {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	plan, err := explain(t.Context(), conn.PgConn(), "ANALYZE, TIMING OFF, FORMAT JSON", sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	return plan
}

// Up to 13 the server plans as many rows of a statement that writes as it writes, and
// counts none that are not returned.
func TestAWriteThatReturnsNothingWasNotMisestimated(t *testing.T) {
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node, "CREATE TABLE t (n int)", "INSERT INTO t SELECT generate_series(1, 1000)")
	for _, sql := range []string{"UPDATE t SET n = n + 1", "DELETE FROM t", "INSERT INTO t SELECT g FROM generate_series(1, 1000) g", "UPDATE t SET n = 0 RETURNING n"} {
		if plan := explainAnalyzed(t, node, sql, "VACUUM ANALYZE t"); plan.QError() != 1 {
			worst, _ := plan.WorstEstimate()
			t.Errorf("%s: the q-error of %s is %v", sql, worst.Title(), plan.QError())
		}
	}
}

// A merge join goes back to the rows of its inner side for each row of the other that
// has the same key, and each time they are counted again.
func TestRowsThatAMergeJoinReadsAgainProveNothing(t *testing.T) {
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node, "CREATE TABLE many (k int)", "INSERT INTO many SELECT g % 10 FROM generate_series(1, 5000) g",
		"CREATE TABLE few (k int)", "INSERT INTO few SELECT g % 10 FROM generate_series(1, 1000) g", "ANALYZE many", "ANALYZE few")
	plan := explainAnalyzed(t, node, "SELECT count(*) FROM many JOIN few USING (k)", "SET enable_hashjoin = off; SET enable_nestloop = off; SET enable_material = off; SET max_parallel_workers_per_gather = 0")
	if inner := plan.Root.Children[0].Children[1]; inner.Estimate() < manyTimesOff {
		t.Fatalf("this shows nothing:\n%s", plan.Root.Shape())
	}
	if q := plan.QError(); q > 1.1 {
		worst, _ := plan.WorstEstimate()
		t.Errorf("all is estimated well, and the q-error of %s is %v", worst.Title(), q)
	}
}

func TestADifferenceIsToldInWords(t *testing.T) {
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node, planSchema...)
	execute(t, node, "DROP INDEX incidents_organization, incidents_created")
	conn, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	major := serverMajor(t, conn)
	const noBitmap = "SET LOCAL enable_bitmapscan = off; "
	for _, c := range []struct{ name, sql, sqlAfter, before, after, want string }{
		{
			name: "an index", sql: "SELECT * FROM incidents WHERE organization_id = 150",
			after: noBitmap + "CREATE INDEX ix ON incidents (organization_id)",
			want:  "Seq Scan on incidents became Index Scan using ix on incidents",
		},
		{
			name: "a bitmap", sql: "SELECT * FROM incidents WHERE organization_id = 3",
			after: "CREATE INDEX ix ON incidents (organization_id)",
			want:  "Seq Scan on incidents became Bitmap Heap Scan using ix on incidents",
		},
		{
			name: "one side of a self-join", sql: "SELECT count(*) FROM incidents a JOIN incidents b ON b.id = a.id + 1 WHERE a.created_at = '2025-01-02Z'",
			after: noBitmap + "CREATE INDEX ix ON incidents (created_at)",
			want:  "Seq Scan on incidents a became Index Scan using ix on incidents a",
		},
		{
			name: "another index", sql: "SELECT * FROM incidents WHERE organization_id = 150 AND created_at = '2025-01-02Z'",
			before: noBitmap + "CREATE INDEX one ON incidents (organization_id)", after: noBitmap + "CREATE INDEX two ON incidents (organization_id, created_at)",
			want: "Index Scan using one on incidents became Index Scan using two on incidents",
		},
		{
			name: "a condition", sql: "SELECT * FROM incidents WHERE note = 'x'", sqlAfter: "SELECT * FROM incidents WHERE note LIKE 'x%'",
			want: "Seq Scan on incidents: Filter: (note = ?) became Filter: (note ~~ ?)",
		},
		{
			name: "another constant", sql: "SELECT * FROM incidents WHERE note = 'x'", sqlAfter: "SELECT * FROM incidents WHERE note = 'xx'", want: "",
		},
		{
			name: "a join", sql: "SELECT * FROM incidents i JOIN organizations o ON o.id = i.organization_id",
			after: "SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = off; SET LOCAL enable_indexscan = off",
			want:  "Hash Join of incidents i, organizations o became Merge Join; Sort (Sort Key: i.organization_id) is new; Sort (Sort Key: o.id) is new",
		},
		{
			name: "a table that vanished", sql: "SELECT i.id FROM incidents i LEFT JOIN organizations o ON o.id = i.organization_id WHERE o.name <> ''", sqlAfter: "SELECT id FROM incidents i",
			want: "Seq Scan on organizations o is gone: organizations o is not read any more; the joins changed: (incidents i, organizations o) became nothing",
		},
		{
			name: "a spill", sql: "SELECT * FROM incidents ORDER BY note", after: "SET LOCAL work_mem = '64kB'", want: "Sort spills to disk",
		},
		{
			name: "an aggregate", sql: "SELECT status, count(*) FROM incidents GROUP BY status", after: "SET LOCAL enable_hashagg = off",
			want: "HashAggregate (Group Key: status) became GroupAggregate (Group Key: status); Sort (Sort Key: status) is new",
		},
	} {
		explain := func(set, sql string) *Plan {
			plan, err := DecodePlan(explainFully(t, conn, major, set, sql))
			if err != nil {
				t.Fatal(err)
			}
			return plan
		}
		if c.sqlAfter == "" {
			c.sqlAfter = c.sql
		}
		got := DiffPlans(explain(c.before, c.sql), explain(c.after, c.sqlAfter))
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestABadEstimateIsTold(t *testing.T) {
	scan := func(planned, actual float64) *Plan {
		return &Plan{Root: &PlanNode{Type: "Seq Scan", Relation: "t", PlanRows: planned, ActualRows: actual, Loops: 1, Analyzed: true}}
	}
	for _, c := range []struct {
		before, after *Plan
		want          string
	}{
		{scan(100, 100), scan(100, 1000), "Seq Scan on t: rows estimated 10 times too low, before well"},
		{scan(100, 1000), scan(1000, 1000), "Seq Scan on t: rows estimated well, before 10 times too low"},
		{scan(500, 100), scan(4460, 10), "Seq Scan on t: rows estimated 446 times too high, before 5 times too high"},
		{scan(100, 1000), scan(100, 1100), ""},
		{scan(100, 100), scan(100, 900), ""},
	} {
		if got := strings.Join(DiffPlans(c.before, c.after), "; "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// Every stored plan is like itself, survives a file, and differs in words from
// each of another shape.
func TestPropertiesOfStoredPlans(t *testing.T) {
	var all []*Plan
	for _, path := range storedPlanFiles(t) {
		for _, p := range readPlans(t, path) {
			plan, err := DecodePlan(p.Plan)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, plan)
		}
	}
	for _, plan := range all {
		if words := DiffPlans(plan, plan); len(words) > 0 && !strings.HasPrefix(words[0], "only ") {
			t.Errorf("a plan differs from itself: %q", words)
		}
		text, err := json.Marshal(plan)
		if err != nil {
			t.Fatal(err)
		}
		var again Plan
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plan.Root, again.Root, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("a plan changed in a file: %s", diff)
		}
	}
	for i := range all {
		for _, other := range []*Plan{all[(i+1)%len(all)], all[(i*7+3)%len(all)]} {
			differs := all[i].Fingerprint() != other.Fingerprint()
			if words := DiffPlans(all[i], other); differs && len(words) == 0 {
				t.Errorf("nothing is said of\n%s\nand\n%s", all[i].Root.Shape(), other.Root.Shape())
			}
		}
	}
}

func FuzzDecodePlan(f *testing.F) {
	f.Add([]byte(`[{"Plan":{"Node Type":"Seq Scan","Relation Name":"t","Filter":"(a = 'x'::text)","Actual Rows":1.5,"Actual Loops":2}}]`))
	for _, path := range storedPlanFiles(f) {
		for i, p := range readPlans(f, path) {
			if i%9 == 0 {
				f.Add([]byte(p.Plan))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		plan, err := DecodePlan(data)
		if err != nil {
			return
		}
		if plan.Fingerprint() == "" || math.IsNaN(plan.QError()) {
			t.Errorf("%s decodes to %+v", data, plan)
		}
		if words := DiffPlans(plan, plan); reflect.DeepEqual(words, []string{"the same nodes stand in another order"}) {
			t.Errorf("%s differs from itself: %q", data, words)
		}
		if _, err := json.Marshal(plan.Root); err != nil {
			t.Error(err)
		}
	})
}
