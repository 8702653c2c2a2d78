package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/testpg"
)

const explained = `[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "incidents", "Alias": "incidents",
 "Startup Cost": 0, "Total Cost": 513, "Plan Rows": 10, "Plan Width": 48, "Actual Startup Time": 0.1, "Actual Total Time": 9.5,
 "Actual Rows": 4000, "Actual Loops": 1, "Filter": "(organization_id = 7)", "Rows Removed by Filter": 496000,
 "Shared Hit Blocks": 8226, "Shared Read Blocks": 0}, "Planning Time": 0.2, "Execution Time": 10}]`

func TestDBPlan(t *testing.T) {
	path := writeFile(t, "plan.json", explained)
	got := runCommand(t, nil, "db", "plan", path)
	for _, want := range []string{"Seq Scan on incidents", "400, at worst", "8,226 touched", "400 times more rows than planned", "threw 99.2 % of them away"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is missing in\n%s%s", want, got.out, got.err)
		}
	}
	got = runCommand(t, nil, "db", "plan", "--output", "json", path)
	var view struct {
		Fingerprint, Shape string
		QError             float64 `json:"q_error"`
		Warnings           []string
	}
	if err := json.Unmarshal([]byte(got.out), &view); err != nil || view.QError != 400 || len(view.Warnings) != 2 || view.Fingerprint == "" || view.Shape == "" {
		t.Errorf("%v, %+v", err, view)
	}
	indexed := writeFile(t, "indexed.json", strings.NewReplacer(`"Seq Scan"`, `"Index Scan", "Index Name": "ix"`).Replace(explained))
	if got := runCommand(t, nil, "db", "plan", "--diff", path, indexed); !strings.Contains(got.out, "became Index Scan using ix") {
		t.Errorf("%+v", got)
	}
	for _, args := range [][]string{{"/nonexistent"}, {writeFile(t, "no.json", "[{}]")}, {"--diff", path}, {"--output", "xml", path}} {
		if got := runCommand(t, nil, append([]string{"db", "plan"}, args...)...); got.code != 2 {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestDBBenchStatsAndDiff(t *testing.T) {
	server := testpg.ForTest(t)
	environment := map[string]string{"DATABASE_URL": server.NewDatabase(t)}
	suite := writeFile(t, "suite.sql", "-- name: classes\nSELECT * FROM pg_class WHERE oid = 1259;\n\n-- name: broken\nSELECT * FROM nowhere;\n")
	dir := t.TempDir()
	first, second := filepath.Join(dir, "1.json"), filepath.Join(dir, "2.json")
	if got := runCommand(t, environment, "db", "stats", "--out", first); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	bench := filepath.Join(dir, "bench.json")
	got := runCommand(t, environment, "db", "bench", "--suite", suite, "--trials", "2", "--out", bench)
	if got.code != 0 || !strings.Contains(got.out, "classes") || !strings.Contains(got.out, "nowhere") {
		t.Fatalf("%+v", got)
	}
	s, err := snapshot.ReadFile(bench)
	if err != nil {
		t.Fatal(err)
	}
	if m := s.Metric("db.classes.blocks"); m == nil || len(m.Values.Observed()) != 2 {
		t.Errorf("%+v", m)
	}
	load := runCommand(t, environment, "db", "bench", "--suite", writeFile(t, "one.sql", "-- name: one\nSELECT 1;\n"), "--clients", "2", "--duration", "200ms", "--trials", "2", "--out", bench)
	if load.code != 0 || !strings.Contains(load.out, "by 2 clients") || !strings.Contains(load.out, "one") {
		t.Errorf("%+v", load)
	}
	if s, err := snapshot.ReadFile(bench); err != nil || s.Metric("db.load.throughput") == nil || len(s.Metric("db.load.throughput").Values.Observed()) != 2 || len(s.Metrics) != 5 || s.Environment.Facts["postgres.primary.version"] == "" {
		t.Errorf("%v, %+v", err, s)
	}
	if got := runCommand(t, environment, "db", "stats", "--out", second); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if got := runCommand(t, environment, "db", "diff", first, second); got.code != 0 || !strings.Contains(got.out, "pg_stat_database") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, environment, "db", "stats", "--during", "10ms", "--output", "json"); got.code != 0 || !strings.Contains(got.out, `"seconds"`) {
		t.Errorf("%+v", got)
	}
}

func TestDBFaults(t *testing.T) {
	unreachable := map[string]string{"DATABASE_URL": "postgres://app:sentinel-secret@127.0.0.1:1/db"}
	for name, c := range map[string]struct {
		environment map[string]string
		args        []string
		code        int
	}{
		"no database":        {nil, []string{"bench"}, 2},
		"no such suite":      {unreachable, []string{"bench", "--suite", "/nonexistent.sql"}, 2},
		"no trials":          {unreachable, []string{"bench", "--trials", "0"}, 2},
		"a rate alone":       {unreachable, []string{"bench", "--rate", "5/s"}, 2},
		"a duration alone":   {unreachable, []string{"bench", "--duration", "5s"}, 2},
		"a warm-up alone":    {unreachable, []string{"bench", "--against-from", "DATABASE_URL", "--warmup", "5s"}, 2},
		"no clients":         {unreachable, []string{"bench", "--clients", "-1"}, 2},
		"zero clients":       {unreachable, []string{"bench", "--clients", "0"}, 2},
		"repeated clients":   {unreachable, []string{"bench", "--clients", "1", "--repetitions", "2"}, 2},
		"one database, out":  {unreachable, []string{"bench", "--against-out", "x.json"}, 2},
		"no such output":     {unreachable, []string{"bench", "--output", "xml"}, 2},
		"both captures":      {unreachable, []string{"stats", "--during", "1s", "--out", "x.json"}, 2},
		"a capture as text":  {unreachable, []string{"stats", "--output", "text"}, 2},
		"a capture as JSON":  {unreachable, []string{"stats", "--output", "json"}, 4},
		"no time":            {unreachable, []string{"stats", "--interval", "1s"}, 2},
		"a load, nobody":     {unreachable, []string{"bench", "--clients", "1"}, 4},
		"unreachable":        {unreachable, []string{"bench"}, 4},
		"unreachable, stats": {unreachable, []string{"stats"}, 4},
		"not a capture":      {nil, []string{"diff", writeFile(t, "x.json", "{}"), "/nonexistent"}, 2},
	} {
		got := runCommand(t, c.environment, append([]string{"db"}, c.args...)...)
		if got.code != c.code || strings.Contains(got.out+got.err, "sentinel-secret") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestDBAdvise(t *testing.T) {
	server := testpg.ForTest(t)
	dsn := server.NewDatabase(t)
	environment := map[string]string{"DATABASE_URL": dsn, "OTHER": dsn}
	suite := writeFile(t, "suite.sql", "-- name: by_half\nSELECT * FROM things WHERE half = 77;\n")
	execute(t, dsn, "CREATE TABLE things AS SELECT g AS id, g / 2 AS half, repeat('x', 50) AS note FROM generate_series(1, 20000) g; CREATE INDEX idle ON things (note); ANALYZE things")
	got := runCommand(t, environment, "db", "advise", "--suite", suite, "--scratch", "--node", "other=OTHER")
	for _, want := range []string{"CREATE INDEX CONCURRENTLY ON public.things (half);", "blocks touched, before", "DROP INDEX CONCURRENTLY public.idle;", "other has not scanned it"} {
		if got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("%q is missing in %+v", want, got)
		}
	}
	got = runCommand(t, environment, "db", "advise", "--output", "json")
	var result struct {
		Advice []struct{ Kind, SQL string }
		Notes  []string
	}
	if err := json.Unmarshal([]byte(got.out), &result); err != nil || len(result.Advice) == 0 || result.Advice[0].Kind != "unused index" || len(result.Notes) == 0 {
		t.Errorf("%v, %+v", err, got)
	}
	for _, args := range [][]string{
		{"--scratch"}, {"--scratch-limit", "12"}, {"--node", "other"}, {"--node", "other=MISSING"}, {"--node", "primary=OTHER"}, {"--suite", "/nonexistent.sql"}, {"--output", "xml"},
	} {
		if got := runCommand(t, environment, append([]string{"db", "advise"}, args...)...); got.code != 2 {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func execute(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// db bench has one database, called primary, and two with --against-from: queries of
// others are refused before anything is measured.
func TestDBBenchRefusesQueriesOfOtherNodes(t *testing.T) {
	there := map[string]string{"DATABASE_URL": "postgres://127.0.0.1:1/x", "OTHER": "postgres://127.0.0.1:1/y"}
	elsewhere, here := writeFile(t, "a.sql", "-- name: a\n-- node: shard-2\nSELECT 1;\n"), writeFile(t, "b.sql", "-- name: b\n-- node: primary\nSELECT 1;\n")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--suite", elsewhere}, 2, "the query a is on shard-2, and db bench measures one database, called primary"},
		{[]string{"--suite", here, "--against-from", "OTHER"}, 2, "the query b names a node, and --against-from runs each on both"},
		{[]string{"--suite", here}, 4, "primary"}, // which is not there
	} {
		if got := runCommand(t, there, append([]string{"db", "bench"}, c.args...)...); got.code != c.code || !strings.Contains(got.err, c.says) {
			t.Errorf("%v: %+v", c.args, got)
		}
	}
}

func TestDBBenchAgainst(t *testing.T) {
	server := testpg.ForTest(t)
	environment := map[string]string{"DATABASE_URL": server.NewDatabase(t), "CANDIDATE": server.NewDatabaseNamed(t, "candidate"), "GONE": "postgres://app:sentinel-secret@127.0.0.1:1/db"}
	for _, dsn := range []string{environment["DATABASE_URL"], environment["CANDIDATE"]} {
		execute(t, dsn, "CREATE TABLE things AS SELECT g AS id, g / 2 AS half, repeat('x', 50) AS note FROM generate_series(1, 20000) g; ANALYZE things")
	}
	execute(t, environment["CANDIDATE"], "INSERT INTO things VALUES (0, 77, ''); ANALYZE things")
	suite := writeFile(t, "suite.sql", "-- name: by_half\nSELECT * FROM things WHERE half = 77;\n")
	first, second := filepath.Join(t.TempDir(), "first.json"), filepath.Join(t.TempDir(), "second.json")
	got := runCommand(t, environment, "db", "bench", "--suite", suite, "--repetitions", "1", "--against-from", "CANDIDATE", "--out", first, "--against-out", second)
	if got.code != 1 || !strings.Contains(got.out, "result: the rows differ: 2 before, 3 after") || !strings.Contains(got.err, "trial 6 of 6, on both in turns") {
		t.Errorf("%+v", got)
	}
	// Files of one interleaving are compared as pairs, as they were at once.
	got = runCommand(t, nil, "compare", first, second, "--gate", "db.by_half.blocks", "--format", "json")
	if !strings.Contains(got.out, `"design": "interleaved"`) || !strings.Contains(got.out, `"paired": true`) {
		t.Errorf("%+v", got)
	}
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"nothing there":   {[]string{"--against-from", "MISSING"}, 2},
		"with a load":     {[]string{"--against-from", "CANDIDATE", "--clients", "2"}, 2},
		"not reachable":   {[]string{"--against-from", "GONE", "--trials", "1"}, 4},
		"no such output":  {[]string{"--against-from", "CANDIDATE", "--output", "xml"}, 2},
		"itself, too few": {[]string{"--against-from", "DATABASE_URL", "--trials", "1", "--output", "json"}, 3},
	} {
		got := runCommand(t, environment, append([]string{"db", "bench", "--suite", suite}, c.args...)...)
		if got.code != c.code || strings.Contains(got.out+got.err, "sentinel-secret") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
