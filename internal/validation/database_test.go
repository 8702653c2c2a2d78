package validation

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"scaleproof/dbbench"
	"scaleproof/internal/plan"
	"scaleproof/internal/testpg"
	"scaleproof/reports"
)

// onDatabase is a plan that measures a database of its own, with text as the rest of
// measure.database.
func onDatabase(t *testing.T, database, more string) (p *plan.Plan, dsn string) {
	t.Helper()
	dsn = testpg.ForTest(t).NewDatabase(t)
	p, err := plan.Read("test.yaml", []byte(`version: 1
name: test
environment: {postgres: {primary: {dsn: "${DSN}"}}}
measure:
  trials: 4
  database:
`+database+more), func(string) (string, bool) { return dsn, true })
	if err != nil {
		t.Fatal(err)
	}
	return p, dsn
}

// drawn is a table whose largest organisation the suite asks for.
const drawn = `
    queries: [{name: org, sql: "SELECT * FROM owned WHERE owner = $1", args_from: "SELECT 'largest', owner FROM owned GROUP BY owner ORDER BY count(*) DESC LIMIT 1"}]
    repetitions: 1
    plans: custom
`

// The action makes another organisation the largest: measured again is the one that
// was it before. From runs that drew for themselves, nothing passes.
func TestBothSidesOfARunHaveTheSameArguments(t *testing.T) {
	p, dsn := onDatabase(t, drawn, `
action:
  steps: [{name: grow, sql: {up: ["INSERT INTO owned SELECT 2 FROM generate_series(1, 100)"], down: ["DELETE FROM owned WHERE owner = 2"]}}]
rollback: {when: never}
gates: [{metric: db.org-largest.result}]
`)
	execute(t, dsn, "CREATE TABLE owned AS SELECT 1 AS owner FROM generate_series(1, 50)")
	opts, _ := options(t)
	apart, err := Measure(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Pass {
		t.Errorf("in a run: %+v, %v", r.Verdict, r.Conditions)
	}
	r, err = Gate(t.Context(), p, apart, false, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Unsure || len(r.Conditions) != 1 || !strings.Contains(r.Conditions[0].Reason, "arguments (2), and before with (1)") {
		t.Errorf("against another run: %+v, %+v", r.Verdict, r.Conditions)
	}
}

// What makes figures of the database doubtful is said once, whatever the trials.
func TestDoubtsAboutTheDatabaseAreWarnings(t *testing.T) {
	p, dsn := onDatabase(t, `
    queries:
      - {name: random, sql: "SELECT generate_series(1, (100000 * random())::int)"}
      - {name: gone, sql: "SELECT * FROM nowhere"}
    repetitions: 1
    statistics: all
    load: {clients: 1, duration: 50ms}
`, "")
	execute(t, dsn, "DROP EXTENSION IF EXISTS pg_stat_statements; CREATE EXTENSION pg_stat_statements VERSION '1.8'")
	opts, _ := options(t)
	s, err := Measure(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(s.Warnings, "\n")
	for _, want := range []string{
		"database suite: random gave different numbers of rows within one trial", `load of the database: gone, 50 % of the mix, can't run: preparing "SELECT * FROM nowhere"`,
		"statistics of primary: whether pg_stat_statements was reset",
	} {
		if n := strings.Count(all, want); n != 1 {
			t.Errorf("%q is said %d times in %q", want, n, s.Warnings)
		}
	}
}

// The workload is the queries, and not the file that they stand in.
func TestTheWorkloadIsTheTextOfTheSuite(t *testing.T) {
	suite := func(text string) plan.Measure {
		path := filepath.Join(t.TempDir(), "suite.sql")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return plan.Measure{Database: &dbbench.Config{Suite: path}}
	}
	one, moved := suite("-- name: a\nSELECT 1;\n"), suite("-- name: a\nSELECT 1;\n")
	other := suite("-- name: a\nSELECT 2;\n")
	if workloadHash(one) != workloadHash(moved) || workloadHash(one) == workloadHash(other) {
		t.Errorf("%s, moved %s, with another query %s", workloadHash(one), workloadHash(moved), workloadHash(other))
	}
	if one.Database.Suite == "" || len(one.Database.Queries) != 0 {
		t.Errorf("the plan was changed: %+v", one.Database)
	}
}

func TestTheDatabaseOfAPlanIsMeasured(t *testing.T) {
	p, _ := onDatabase(t, `
    queries: [{name: one, sql: "SELECT count(*) FROM pg_class"}]
    repetitions: 1
    statistics: all
    load: {clients: 2, duration: 200ms}
`, "")
	p.Measure.Trials = 2
	opts, _ := options(t)
	s, err := Measure(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db.one.time.p50", "db.one.blocks", "pg.primary.database.cache_hit", "pg.primary.activity.active", "db.load.throughput", "db.load.response.p99"} {
		if m := s.Metric(name); m == nil || len(m.Values.Observed()) == 0 {
			t.Errorf("%s is %+v; warnings %v", name, m, s.Warnings)
		}
	}
	for _, section := range []string{"db", "db.load", "pg", "pg.delta", "pg.activity"} {
		if len(s.Sections[section]) == 0 {
			t.Errorf("section %s is missing", section)
		}
	}
	if s.Environment.Facts["postgres.primary.version"] == "" {
		t.Error("the version is missing")
	}
}
