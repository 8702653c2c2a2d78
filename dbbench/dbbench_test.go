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
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	// Close has told the server, which ends the statement by itself.
	await(t, func() bool { return running() == 0 && backends(t, node.DSN) == 0 })
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

func TestWhatTheBudgetLeavesOutHasAnError(t *testing.T) {
	node := database(t)
	b := open(t, node, Config{Queries: []Query{{Name: "slow", SQL: "SELECT pg_sleep(60)"}, byOrganization}, Budget: unit.Duration(300 * time.Millisecond)})
	r := trial(t, b)
	for _, c := range r.Cases {
		if !strings.Contains(c.Error, "budget was spent") {
			t.Errorf("%s: error %q", c.Name, c.Error)
		}
	}
	for _, s := range r.Samples() {
		if !math.IsNaN(s.Value) {
			t.Errorf("%s was not measured and is %v", s.Name, s.Value)
		}
	}
	// The budget is each trial's own, and the connection outlives it.
	b.config.Budget, b.cases = unit.Duration(time.Minute), b.cases[1:]
	if c := trial(t, b).Cases[0]; c.Error != "" || len(c.ServerTime) != 5 {
		t.Errorf("%+v", c)
	}
}

func TestAQueryThatBreaksItsConnectionIsAResult(t *testing.T) {
	node := database(t)
	r := trial(t, open(t, node, Config{Queries: []Query{{Name: "dies", SQL: "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"}, byOrganization}, Repetitions: 2}))
	if !strings.Contains(r.Cases[0].Error, "terminating connection") {
		t.Errorf("error %q", r.Cases[0].Error)
	}
	if c := r.Cases[1]; c.Error != "" || len(c.ServerTime) != 2 || c.Plan == nil {
		t.Errorf("the suite did not go on: %+v", c)
	}
}

func TestTwoDatabasesAreMeasuredInTurns(t *testing.T) {
	plain, indexed := database(t), Node{Name: "other", DSN: testpg.ForTest(t).NewDatabaseNamed(t, "other")}
	execute(t, indexed, `CREATE TABLE incidents AS SELECT g AS id, (g - 1) / 200 AS organization_id, 'title ' || g AS title FROM generate_series(1, 20000) g`,
		"CREATE INDEX ix ON incidents (organization_id)", "CREATE SEQUENCE turns", "VACUUM ANALYZE incidents")
	config := Config{Queries: []Query{byOrganization}, Repetitions: 3}
	a, b := open(t, plain, config), open(t, indexed, config)
	onA, onB, err := TrialABBA(t.Context(), a, b)
	if err != nil {
		t.Fatal(err)
	}
	x, y := onA.Cases[0], onB.Cases[0]
	if onA.Node != "primary" || onB.Node != "other" || x.ResultHash != y.ResultHash || x.Fingerprint == y.Fingerprint || x.Blocks <= y.Blocks || len(x.ServerTime) != 3 || len(y.ServerTime) != 3 {
		t.Errorf("A %+v, B %+v", x, y)
	}
	if len(onB.Warnings) != 0 {
		t.Errorf("warnings %q", onB.Warnings)
	}
	drawn := Config{Queries: []Query{{Name: "org", SQL: byOrganization.SQL, ArgsFrom: "SELECT CASE WHEN to_regclass('turns') IS NULL THEN 'a' ELSE 'b' END, 1"}}}
	if _, _, err := TrialABBA(t.Context(), open(t, plain, drawn), open(t, indexed, drawn)); err == nil || !strings.Contains(err.Error(), "other cases") {
		t.Errorf("error %v", err)
	}
}

// The order of executions is A B, B A, A B: each side begins as often.
func TestTheSidesTakeTurns(t *testing.T) {
	node := database(t)
	config := Config{Queries: []Query{byOrganization}, Repetitions: 3}
	var order []string
	sides := []*side{}
	for _, name := range []string{"A", "B"} {
		node.Name = name
		s, err := open(t, node, config).begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sides = append(sides, s)
	}
	err := pass(t.Context(), sides, 3, func(p *planRun, _ context.Context, conn *pgx.Conn) error {
		if conn == sides[0].sessions[0].conn {
			order = append(order, "A")
		} else {
			order = append(order, "B")
		}
		return nil
	})
	// One query with two kinds of plan, three times.
	if got := strings.Join(order, ""); err != nil || got != "ABBAABBAABBA" {
		t.Errorf("%s, %v", got, err)
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
