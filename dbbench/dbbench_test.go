package dbbench

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/testpg"
	"scaleproof/internal/unit"
)

func TestMain(m *testing.M) { testpg.Main(m) }

// database has a table of 20,000 incidents in 100 organisations, without an
// index on them.
func database(t *testing.T) Node {
	t.Helper()
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node, `CREATE TABLE incidents AS SELECT g AS id, (g - 1) / 200 AS organization_id, 'title ' || g AS title FROM generate_series(1, 20000) g`,
		"ALTER TABLE incidents ADD PRIMARY KEY (id)", "VACUUM ANALYZE incidents")
	return node
}

func newDatabase(t *testing.T) string {
	t.Helper()
	return testpg.ForTest(t).NewDatabase(t)
}

func execute(t *testing.T, node Node, statements ...string) {
	t.Helper()
	executeIn(t, t.Context(), node, statements...)
}

// executeIn is for cleanups, where the test's own context has ended.
func executeIn(t *testing.T, ctx context.Context, node Node, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(ctx, node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func open(t *testing.T, node Node, config Config) *Bench {
	t.Helper()
	b, err := Open(t.Context(), node, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func trial(t *testing.T, b *Bench) *Result {
	t.Helper()
	r, err := b.Trial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var byOrganization = Query{Name: "org", SQL: "SELECT * FROM incidents WHERE organization_id = $1", Args: []string{"7"}}

func TestAnIndexShowsInShapeBlocksAndResult(t *testing.T) {
	node := database(t)
	b := open(t, node, Config{Queries: []Query{byOrganization}, Repetitions: 3})
	before := trial(t, b).Cases[0]
	execute(t, node, "CREATE INDEX ix ON incidents (organization_id)")
	after := trial(t, b).Cases[0]
	for name, c := range map[string]CaseResult{"before": before, "after": after} {
		if c.Error != "" || c.Rows != 200 || len(c.ServerTime) != 3 || len(c.ClientTime) != 3 || c.Histogram.Count() != 3 || c.QError < 1 || c.Plan.Root.TotalTime <= 0 {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if before.ResultHash != after.ResultHash {
		t.Error("an index changed the result")
	}
	if before.Fingerprint == after.Fingerprint || after.Blocks >= before.Blocks || before.RowsRemoved != 19800 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	words := strings.Join(DiffPlans(before.Plan, after.Plan), "; ")
	if !strings.HasPrefix(words, "Seq Scan on incidents became ") || !strings.Contains(words, "incidents") {
		t.Errorf("the difference in words: %q", words)
	}
}

func TestTheFingerprintFoldsConstants(t *testing.T) {
	node := database(t)
	other := byOrganization
	other.Name, other.Args = "other", []string{"55"}
	literal := Query{Name: "literal", SQL: "SELECT * FROM incidents WHERE organization_id = 3"}
	different := Query{Name: "different", SQL: "SELECT * FROM incidents WHERE id = $1", Args: []string{"3"}}
	r := trial(t, open(t, node, Config{Queries: []Query{byOrganization, other, literal, different}, Repetitions: 1}))
	prints := map[string]string{}
	for _, c := range r.Cases {
		prints[c.Name] = c.Fingerprint
	}
	if prints["org"] != prints["other"] || prints["org"] != prints["literal"] || prints["org"] == prints["different"] {
		t.Errorf("fingerprints %v", prints)
	}
}

func TestAQueryThatFailsIsAResult(t *testing.T) {
	node := database(t)
	b := open(t, node, Config{
		Queries: []Query{
			{Name: "wrong", SQL: "SELECT * FROM nowhere"},
			{Name: "writes", SQL: "DELETE FROM incidents"},
			{Name: "slow", SQL: "SELECT pg_sleep(60)"},
			byOrganization,
		},
		Repetitions: 1, StatementTimeout: unit.Duration(200 * time.Millisecond),
	})
	r := trial(t, b)
	for i, want := range []string{"nowhere", "read-only", "statement timeout", ""} {
		if got := r.Cases[i].Error; !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: error %q, want %q", r.Cases[i].Name, got, want)
		}
	}
	for _, s := range r.Samples() {
		if failed := !strings.HasPrefix(s.Name, "db.org."); failed != math.IsNaN(s.Value) {
			t.Errorf("%s is %v", s.Name, s.Value)
		}
	}
}

func TestWritesAreRolledBack(t *testing.T) {
	node := database(t)
	b := open(t, node, Config{Queries: []Query{{Name: "del", SQL: "DELETE FROM incidents"}, byOrganization}, AllowWrites: true, Repetitions: 2})
	if r := trial(t, b); r.Cases[0].Error != "" || r.Cases[1].Rows != 200 {
		t.Errorf("%+v", r.Cases)
	}
}

func TestCancellingLeavesNothingOnTheServer(t *testing.T) {
	node := database(t)
	b := open(t, node, Config{Queries: []Query{{Name: "slow", SQL: "SELECT pg_sleep(60)"}}})
	watch, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close(t.Context())
	running := func() (n int) {
		if err := watch.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'scaleproof' AND datname = current_database() AND query LIKE '%pg_sleep%' AND state = 'active'").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.Trial(ctx)
		ended <- err
	}()
	await(t, func() bool { return running() == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	await(t, func() bool { return running() == 0 })
}

func await(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestTheBudgetEndsTheSuite(t *testing.T) {
	node := database(t)
	b := open(t, node, Config{Queries: []Query{{Name: "slow", SQL: "SELECT pg_sleep(60)"}}, Budget: unit.Duration(100 * time.Millisecond)})
	if _, err := b.Trial(t.Context()); err == nil || !strings.Contains(err.Error(), "budget of 100ms") {
		t.Errorf("error %v", err)
	}
}

func TestPasswordsStayOutOfErrors(t *testing.T) {
	for _, dsn := range []string{"postgres://app:sentinel-secret@127.0.0.1:1/db", "host=127.0.0.1 port=x password=sentinel-secret"} {
		_, err := Open(t.Context(), Node{Name: "primary", DSN: dsn}, Config{Queries: []Query{byOrganization}})
		if err == nil || strings.Contains(err.Error(), "sentinel") {
			t.Errorf("error %v", err)
		}
	}
}
