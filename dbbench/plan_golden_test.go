package dbbench

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

var (
	update      = flag.Bool("update", false, "write the golden files anew from the plans that are stored")
	updatePlans = flag.Bool("update-plans", false, "store the plans of the server that the tests run on, then see -update")
)

// A storedPlan is one of testdata/plans, made by a real server.
type storedPlan struct {
	Name string          `json:"name"`
	SQL  string          `json:"sql"`
	Plan json.RawMessage `json:"plan"`
}

// planSchema is small, and skewed enough for all sorts of plans.
var planSchema = []string{
	`SET synchronous_commit = on`, // else VACUUM may find the rows too young to be visible to all
	`CREATE TABLE organizations (id int PRIMARY KEY, name text NOT NULL)`,
	`INSERT INTO organizations SELECT g, 'organization ' || g FROM generate_series(1, 200) g`,
	`CREATE TABLE incidents (id int PRIMARY KEY, organization_id int NOT NULL REFERENCES organizations, status text NOT NULL, created_at timestamptz NOT NULL, note text)`,
	`INSERT INTO incidents SELECT g, 1 + (g % 200) * (g % 7) / 7, CASE g % 3 WHEN 0 THEN 'open' ELSE 'resolved' END, timestamptz '2025-01-01Z' + g * interval '1 minute', repeat('x', g % 50) FROM generate_series(1, 20000) g`,
	`CREATE INDEX incidents_created ON incidents (created_at)`,
	`CREATE INDEX incidents_organization ON incidents (organization_id)`,
	`CREATE INDEX incidents_open ON incidents (status) WHERE status = 'open'`,
	`CREATE TABLE parts (at date NOT NULL, v int NOT NULL) PARTITION BY RANGE (at)`,
	`CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2025-02-01')`,
	`CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM ('2025-02-01') TO ('2025-03-01')`,
	`INSERT INTO parts SELECT date '2025-01-01' + g % 59, g FROM generate_series(1, 2000) g`,
	`CREATE INDEX parts_at ON parts (at)`,
	`CREATE INDEX parts_v ON parts (v)`,
	`CREATE TABLE audit (id int PRIMARY KEY, n int)`,
	`INSERT INTO audit SELECT g, 0 FROM generate_series(1, 100) g`,
	`CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
	`CREATE TRIGGER touched BEFORE UPDATE ON audit FOR EACH ROW EXECUTE FUNCTION touch()`,
	`VACUUM ANALYZE`,
}

// planQueries lists what is planned; from says since which version, and set what
// is set before.
var planQueries = []struct {
	name, sql string
	set       string
	from      int
}{
	{name: "seq", sql: "SELECT * FROM incidents WHERE note = 'x' AND status <> 'closed'"},
	{name: "index", sql: "SELECT * FROM incidents WHERE id = 7"},
	{name: "index_only", sql: "SELECT organization_id FROM incidents WHERE organization_id = 3"},
	{name: "backward_limit", sql: "SELECT * FROM incidents ORDER BY created_at DESC LIMIT 5"},
	{name: "bitmap_or", sql: "SELECT * FROM incidents WHERE organization_id = 3 OR created_at < '2025-01-01 01:00Z'"},
	{name: "partial_index", sql: "SELECT count(*) FROM incidents WHERE status = 'open' AND organization_id = ANY ('{4,5,6}')"},
	{name: "hash_join", sql: "SELECT * FROM incidents i JOIN organizations o ON o.id = i.organization_id WHERE o.name LIKE '%9'"},
	{name: "self_join", sql: "SELECT count(*) FROM incidents a JOIN incidents b ON a.id = b.id + 1 WHERE a.organization_id = 5"},
	{name: "left_join", sql: "SELECT o.name, count(i.id) FROM organizations o LEFT JOIN incidents i ON i.organization_id = o.id AND i.status = 'open' GROUP BY o.name"},
	{name: "anti_join", sql: "SELECT * FROM organizations o WHERE NOT EXISTS (SELECT FROM incidents i WHERE i.organization_id = o.id)"},
	{name: "semi_join", sql: "SELECT * FROM organizations o WHERE id IN (SELECT organization_id FROM incidents WHERE note = '')"},
	{name: "merge_join", sql: "SELECT count(*) FROM incidents a JOIN incidents b ON a.id = b.id + 1", set: "SET enable_hashjoin = off; SET enable_nestloop = off"},
	{name: "memoize", sql: "SELECT count(o.name) FROM incidents i JOIN organizations o ON o.id = i.organization_id", set: "SET enable_hashjoin = off; SET enable_mergejoin = off; SET max_parallel_workers_per_gather = 0"},
	{name: "sort_spill", sql: "SELECT * FROM incidents ORDER BY note, id", set: "SET work_mem = '64kB'"},
	{name: "hash_spill", sql: "SELECT * FROM incidents a JOIN incidents b ON a.note = b.note AND a.id = b.id + 50", set: "SET work_mem = '64kB'; SET enable_mergejoin = off; SET enable_nestloop = off"},
	{name: "hashagg_spill", sql: "SELECT id, note, count(*) FROM incidents GROUP BY id % 19999, id, note", set: "SET work_mem = '64kB'; SET enable_sort = off; SET enable_indexscan = off; SET enable_indexonlyscan = off"},
	{name: "incremental_sort", sql: "SELECT * FROM incidents ORDER BY created_at, note LIMIT 30"},
	{name: "grouping_sets", sql: "SELECT organization_id, status, count(*) FROM incidents GROUP BY GROUPING SETS ((organization_id), (status), ())"},
	{name: "distinct", sql: "SELECT DISTINCT organization_id FROM incidents ORDER BY 1", set: "SET enable_hashagg = off"},
	{name: "window", sql: "SELECT * FROM (SELECT id, row_number() OVER (PARTITION BY organization_id ORDER BY created_at) AS n FROM incidents) w WHERE n <= 2"},
	{name: "cte", sql: "WITH top AS MATERIALIZED (SELECT organization_id, count(*) AS n FROM incidents GROUP BY 1) SELECT * FROM top WHERE n = (SELECT max(n) FROM top)"},
	{name: "recursive", sql: "WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 10) SELECT sum(n) FROM r"},
	{name: "subplan", sql: "SELECT id, (SELECT name FROM organizations o WHERE o.id = i.organization_id) FROM incidents i WHERE id < 20 AND organization_id NOT IN (SELECT id FROM organizations WHERE name LIKE '%7')"},
	{name: "set_operation", sql: "SELECT organization_id FROM incidents EXCEPT SELECT id FROM organizations"},
	{name: "append", sql: "SELECT * FROM parts WHERE v = 7 UNION ALL SELECT now()::date, 1"},
	{name: "merge_append", sql: "SELECT * FROM parts ORDER BY v LIMIT 10"},
	{name: "pruned", sql: "SELECT * FROM parts WHERE at = (SELECT date '2025-02-03')"},
	{name: "values", sql: "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v(x, y) WHERE x > 1"},
	{name: "function", sql: "SELECT g, u FROM generate_series(1, 3) g, LATERAL (SELECT unnest(ARRAY[g, 2]) AS u) s WHERE g <> 2"},
	{name: "sample", sql: "SELECT count(*) FROM incidents TABLESAMPLE SYSTEM (50) REPEATABLE (1)"},
	{name: "tid", sql: "SELECT * FROM incidents WHERE ctid = '(0,1)'"},
	{name: "tablefunc", sql: "SELECT * FROM xmltable('/r/a' PASSING '<r><a>1</a></r>' COLUMNS v int PATH '.')"},
	{name: "locking", sql: "SELECT * FROM audit WHERE id < 3 FOR UPDATE"},
	{name: "one_time", sql: "SELECT * FROM incidents WHERE false"},
	{name: "gather", sql: "SELECT count(*), max(note) FROM incidents WHERE note <> 'x'", set: parallel},
	{name: "gather_merge", sql: "SELECT * FROM incidents WHERE note <> 'x' ORDER BY note", set: parallel},
	{name: "parallel_hash_join", sql: "SELECT count(*) FROM incidents a JOIN incidents b ON a.note = b.note AND a.id = b.id + 50", set: parallel + "; SET enable_mergejoin = off; SET enable_nestloop = off"},
	{name: "insert_conflict", sql: "INSERT INTO audit SELECT g, 1 FROM generate_series(95, 105) g ON CONFLICT (id) DO UPDATE SET n = audit.n + 1 WHERE audit.n < 5"},
	{name: "update", sql: "UPDATE audit SET n = n + 1 WHERE id < 10"},
	{name: "delete", sql: "DELETE FROM incidents WHERE id < 10"},
	{name: "merge", sql: "MERGE INTO audit a USING organizations o ON o.id = a.id WHEN MATCHED AND a.id < 50 THEN UPDATE SET n = 1 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (o.id, 0)", from: 15},
	{name: "jit", sql: "SELECT sum(id) FROM incidents", set: "SET jit = on; SET jit_above_cost = 0; SET jit_optimize_above_cost = 0"},
	{name: "triggers", sql: "INSERT INTO incidents VALUES (0, 1, '', now(), '')"},
}

const parallel = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0; SET max_parallel_workers_per_gather = 2"

func TestEveryFieldOfRealPlansIsDecoded(t *testing.T) {
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node, planSchema...)
	var major int
	var stored []storedPlan
	for _, q := range planQueries {
		conn, err := pgx.Connect(t.Context(), node.DSN)
		if err != nil {
			t.Fatal(err)
		}
		major = serverMajor(t, conn)
		if major >= q.from {
			text := explainFully(t, conn, major, q.set, q.sql)
			plan, err := DecodePlan(text)
			if err != nil {
				t.Fatalf("%s: %v", q.name, err)
			}
			for _, extra := range extras(reflect.ValueOf(plan)) {
				t.Errorf("%s on %d: not decoded: %v", q.name, major, extra)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, text); err != nil {
				t.Fatal(err)
			}
			stored = append(stored, storedPlan{q.name, q.sql, compact.Bytes()})
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if *updatePlans {
		writePlans(t, major, stored)
	}
}

func serverMajor(t *testing.T, conn *pgx.Conn) (major int) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('server_version_num')::int / 10000").Scan(&major); err != nil {
		t.Fatal(err)
	}
	return major
}

// explainFully explains with all options that the version has.
func explainFully(t *testing.T, conn *pgx.Conn, major int, set, sql string) []byte {
	t.Helper()
	options := "ANALYZE, BUFFERS, SETTINGS, WAL, FORMAT JSON"
	if major >= 17 {
		options += ", SERIALIZE TEXT, MEMORY"
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	if set != "" {
		if _, err := tx.Exec(t.Context(), set); err != nil {
			t.Fatalf("%s: %v", set, err)
		}
	}
	var text []byte
	if err := tx.QueryRow(t.Context(), "EXPLAIN ("+options+") "+sql, pgx.QueryExecModeSimpleProtocol).Scan(&text); err != nil {
		if strings.Contains(err.Error(), "libxml") {
			return []byte(`{"Plan":{"Node Type":"Result"}}`)
		}
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// extras finds what was not decoded, at any depth.
func extras(v reflect.Value) (found []map[string]any) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return extras(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			found = append(found, extras(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if extra, ok := v.Field(i).Interface().(map[string]any); ok && v.Type().Field(i).Name == "Extra" && len(extra) > 0 {
				found = append(found, extra)
			}
			found = append(found, extras(v.Field(i))...)
		}
	}
	return found
}

func writePlans(t *testing.T, major int, plans []storedPlan) {
	t.Helper()
	var b bytes.Buffer
	for _, p := range plans {
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	if err := os.MkdirAll(filepath.Join("testdata", "plans"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(planFile(major), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func planFile(major int) string {
	return filepath.Join("testdata", "plans", fmt.Sprintf("postgres-%d.jsonl", major))
}

// readPlans reads the plans of one version, one a line.
func readPlans(t testing.TB, path string) []storedPlan {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var plans []storedPlan
	for line := range bytes.Lines(data) {
		var p storedPlan
		if err := json.Unmarshal(line, &p); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		plans = append(plans, p)
	}
	return plans
}

func storedPlanFiles(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "plans", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stored plans: %v", err)
	}
	return files
}

func TestGoldenPlans(t *testing.T) {
	for _, path := range storedPlanFiles(t) {
		var b strings.Builder
		for _, p := range readPlans(t, path) {
			plan, err := DecodePlan(p.Plan)
			if err != nil {
				t.Fatalf("%s of %s: %v", p.Name, path, err)
			}
			fmt.Fprintf(&b, "--- %s: %s\n%s", p.Name, plan.Fingerprint(), plan.Root.Shape())
			worst, ratio := plan.WorstEstimate()
			figures := plan.Figures()
			figures.JITTime = 0 // a time
			fmt.Fprintf(&b, "%+v\nworst estimate: %s, %s\n", figures, worst.Title(), estimateWords(ratio))
			describe(&b, plan.Root, 0)
			b.WriteString("\n")
		}
		golden(t, strings.TrimSuffix(path, ".jsonl")+".golden", b.String())
	}
}

// describe prints a node and those below it, one a line, each with its figures.
func describe(b *strings.Builder, n *PlanNode, depth int) {
	fmt.Fprintf(b, "%s%s (planned %.4g", strings.Repeat("  ", depth), n.Title(), n.PlanRows)
	if n.Analyzed {
		fmt.Fprintf(b, ", rows %.4g, loops %.4g", n.ActualRows, n.Loops)
	}
	b.WriteString(")\n")
	for _, child := range n.Children {
		describe(b, child, depth+1)
	}
}

// golden compares got with a file.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: go test ./dbbench -update writes it", err)
	}
	if string(want) != got {
		t.Errorf("%s differs; look at it, and write it anew by go test ./dbbench -update. Got:\n%s", path, got)
	}
}
