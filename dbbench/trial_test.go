package dbbench

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/unit"
)

// skewed has 19,900 rows of one organisation and one of each of 100 others, so
// that a plan for any organisation differs from that for the largest.
func skewed(t *testing.T) Node {
	t.Helper()
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node,
		`CREATE TABLE incidents AS SELECT g AS id, greatest(g - 19900, 0) AS organization_id, repeat('x', 100) AS title FROM generate_series(1, 20000) g`,
		"CREATE INDEX ix ON incidents (organization_id)", "ANALYZE incidents")
	return node
}

func TestCustomAndGenericPlansAreMeasured(t *testing.T) {
	node := skewed(t)
	largest := Query{Name: "largest", SQL: "SELECT * FROM incidents WHERE organization_id = $1", Args: []string{"0"}}
	bare := Query{Name: "bare", SQL: "SELECT count(*) FROM incidents"}
	r := trial(t, open(t, node, Config{Queries: []Query{largest, bare}, Repetitions: 2}))
	c := r.Cases[0]
	if !strings.HasPrefix(c.Shape, "Seq Scan") || c.Generic == nil || !strings.Contains(c.Generic.Shape, "ix") {
		t.Fatalf("custom %q, generic %+v", c.Shape, c.Generic)
	}
	if len(c.Generic.ServerTime) != 2 || len(c.Generic.ClientTime) != 2 || c.Rows != 19900 || c.Generic.QError < 50 || c.QError > 1.1 {
		t.Errorf("%+v", c)
	}
	if len(c.Plan.Settings) != 0 {
		t.Errorf("our own settings show: %v", c.Plan.Settings)
	}
	if r.Cases[1].Generic != nil {
		t.Error("a query without parameters has a generic plan")
	}
	names := map[string]bool{}
	for _, s := range r.Samples() {
		names[s.Name] = true
	}
	if !names["db.largest.generic.blocks"] || names["db.bare.generic.blocks"] {
		t.Errorf("samples %v", names)
	}
	only := trial(t, open(t, node, Config{Queries: []Query{largest}, Repetitions: 1, Plans: "generic"})).Cases[0]
	if only.Fingerprint != c.Generic.Fingerprint || only.Generic != nil {
		t.Errorf("generic only: %+v", only)
	}
}

func TestBothPassesAndTheClockAreMeasured(t *testing.T) {
	b := open(t, database(t), Config{Queries: []Query{byOrganization}, Repetitions: 3})
	r := trial(t, b)
	c := r.Cases[0]
	if r.ClockCost <= 0 || r.ClockCost > 1e-4 {
		t.Errorf("a reading of the clock takes %v s", r.ClockCost)
	}
	if c.TimingOverhead <= 0 || c.Plan.Root.TotalTime <= 0 || c.RowsRead != 20000 {
		t.Errorf("%+v", c.PlanResult)
	}
	if newer := b.sessions[0].versionNum >= 170000; newer != (c.Plan.Serialization != nil) || newer != (c.Plan.Planning != nil && c.Plan.Planning.MemoryUsed > 0) {
		t.Errorf("version %d: serialization %v, planning %v", b.sessions[0].versionNum, c.Plan.Serialization, c.Plan.Planning)
	}
	if !slices.Equal(c.Args, []string{"7"}) {
		t.Errorf("arguments %v", c.Args)
	}
}

func TestExplainOptionsByVersion(t *testing.T) {
	for version, want := range map[int]string{
		120000: "ANALYZE, BUFFERS, SETTINGS, FORMAT JSON, TIMING ON",
		130000: "ANALYZE, BUFFERS, SETTINGS, FORMAT JSON, WAL, TIMING ON",
		160009: "ANALYZE, BUFFERS, SETTINGS, FORMAT JSON, WAL, TIMING ON",
		170000: "ANALYZE, BUFFERS, SETTINGS, FORMAT JSON, WAL, SERIALIZE TEXT, MEMORY, TIMING ON",
	} {
		if got := explainOptions(version, true); got != want {
			t.Errorf("%d: %s", version, got)
		}
	}
	if got := explainOptions(180000, false); got != "ANALYZE, BUFFERS, SETTINGS, FORMAT JSON, WAL, TIMING OFF" {
		t.Error(got)
	}
}

func TestARunThatLackedWorkersHasNoTime(t *testing.T) {
	node := database(t)
	conn, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var name string
	if err := conn.QueryRow(t.Context(), "SELECT quote_ident(current_database())").Scan(&name); err != nil {
		t.Fatal(err)
	}
	for _, setting := range strings.Split(parallel, "; ") {
		execute(t, node, "ALTER DATABASE "+name+" "+setting)
	}
	count := Query{Name: "count", SQL: "SELECT count(*) FROM incidents WHERE title <> 'x'"}
	full := trial(t, open(t, node, Config{Queries: []Query{count}, Repetitions: 2})).Cases[0]
	if full.WorkersPlanned != 2 || full.Plan.Settings["parallel_setup_cost"] != "0" {
		t.Fatalf("%+v", full)
	}
	execute(t, node, "ALTER DATABASE "+name+" SET max_parallel_workers = 0")
	r := trial(t, open(t, node, Config{Queries: []Query{count}, Repetitions: 2}))
	c := r.Cases[0]
	if c.WorkersLaunched != 0 || c.LackedWorkers != 2 || len(c.ServerTime) != 0 || len(c.ClientTime) != 2 {
		t.Errorf("%+v", c)
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "count lacked parallel workers in 2 runs") {
		t.Errorf("warnings %q", r.Warnings)
	}
	// A Gather that never ran has asked for no worker.
	idle := trial(t, open(t, node, Config{Queries: []Query{{Name: "idle", SQL: "SELECT CASE WHEN n > 1 THEN (SELECT count(*) FROM incidents WHERE title <> 'x') END FROM generate_series(1, 1) n"}}, Repetitions: 2})).Cases[0]
	if !strings.Contains(idle.Shape, "Gather") || idle.LackedWorkers != 0 || len(idle.ServerTime) != 2 {
		t.Errorf("%+v", idle)
	}
}

func TestNullAndHostileArguments(t *testing.T) {
	hostile := `it's \'; DROP TABLE incidents; -- "$1"`
	node := database(t)
	r := trial(t, open(t, node, Config{Queries: []Query{
		{Name: "hostile", SQL: "SELECT $1::text AS v", Args: []string{hostile}},
		{Name: "drawn", SQL: "SELECT * FROM incidents WHERE id = $1 OR $2::text IS NULL AND id = 2", ArgsFrom: "SELECT 'null', 1, NULL"},
	}, Repetitions: 1}))
	if c := r.Cases[0]; c.Error != "" || c.Rows != 1 || c.Args[0] != hostile {
		t.Errorf("%+v", c)
	}
	if c := r.Cases[1]; c.Error != "" || c.Rows != 2 || c.Args[1] != "NULL" {
		t.Errorf("%+v", c)
	}
}

func TestATrialLeavesNoPreparedStatement(t *testing.T) {
	b := open(t, database(t), Config{Queries: []Query{byOrganization}, Repetitions: 1})
	for range 2 {
		trial(t, b)
	}
	var left int
	if err := b.sessions[0].conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'scaleproof%'").Scan(&left); err != nil || left != 0 {
		t.Errorf("%d left, %v", left, err)
	}
}

// Each statement is bounded by what is left of the budget when it begins, not when
// its transaction did.
func TestTheBudgetBoundsEachStatement(t *testing.T) {
	b := open(t, database(t), Config{Queries: []Query{byOrganization}, Budget: unit.Duration(time.Minute), StatementTimeout: unit.Duration(time.Hour)})
	s, err := b.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var bounds [2]float64
	p := b.newCaseRun(0, b.cases[0]).plans[0]
	if err := b.inTransaction(t.Context(), b.sessions[0], func() error {
		for i := range bounds {
			if err := p.choosePlan(t.Context(), s.sessions[0].conn.PgConn()); err != nil {
				return err
			}
			// The second has 50 ms less than the first.
			if err := s.sessions[0].conn.QueryRow(t.Context(), "SELECT extract(epoch FROM current_setting('statement_timeout')::interval)::float8 FROM pg_sleep(0.05)").Scan(&bounds[i]); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if bounds[0] > 60 || bounds[1] > bounds[0]-.049 {
		t.Errorf("the statements had %v s", bounds)
	}
}

// What scaleproof itself asks is not bound by the suite's timeout.
func TestAShortTimeoutIsTheQuerysAlone(t *testing.T) {
	b := open(t, database(t), Config{Queries: []Query{{Name: "slow", SQL: "SELECT pg_sleep(60)"}}, StatementTimeout: unit.Duration(time.Microsecond)})
	if r := trial(t, b); !strings.Contains(r.Cases[0].Error, "statement timeout") || r.ClockCost <= 0 {
		t.Errorf("%+v", r)
	}
	var timeout string
	if err := b.sessions[0].conn.QueryRow(t.Context(), "SHOW statement_timeout").Scan(&timeout); err != nil || timeout != "1min" {
		t.Errorf("the session's timeout is %s, %v", timeout, err)
	}
}

// What became apart in any trial is kept, and said once.
func TestTrialsAreMerged(t *testing.T) {
	node := database(t)
	b := open(t, node, Config{Repetitions: 2, Queries: []Query{
		byOrganization,
		{Name: "size", SQL: "SELECT count(*) FROM incidents"},
		{Name: "random", SQL: "SELECT generate_series(1, (100000 * random())::int)"},
		{Name: "breaks", SQL: "SELECT 1 / count(*) FROM pg_class WHERE relname = 'breaker'"},
	}})
	var trials []*Result
	for _, between := range []string{"CREATE INDEX ix ON incidents (organization_id)", "CREATE TABLE breaker ()", "DELETE FROM incidents WHERE id = 1500", "SELECT 1"} {
		trials = append(trials, trial(t, b))
		execute(t, node, between)
	}
	m := MergeTrials(trials)
	org, size, broken := m.Cases[0], m.Cases[1], m.Cases[3]
	if len(org.Shapes()) < 2 || len(org.Results()) != 2 || org.Fingerprint != trials[3].Cases[0].Fingerprint || org.Error != "" || len(org.ServerTime) != 2 {
		t.Errorf("shapes %v, results %v: %+v", org.Shapes(), org.Results(), org)
	}
	if len(size.Results()) != 2 || len(size.Shapes()) != 1 {
		t.Errorf("%+v", size)
	}
	if !strings.HasPrefix(broken.Error, "in 2 of 4 trials: ") || broken.Plan == nil || len(broken.Results()) != 1 {
		t.Errorf("%+v", broken)
	}
	for _, want := range []string{"random gave different numbers of rows within one trial", "size gave 2 different results in the trials", "org had 2 shapes of plan, made for any arguments"} {
		if n := strings.Count(strings.Join(m.Warnings, "\n"), want); n != 1 {
			t.Errorf("%q is said %d times in %q", want, n, m.Warnings)
		}
	}
	if one := MergeTrials(trials[:1]); len(one.Cases[0].Fingerprints) != 0 || len(one.Cases[0].ResultHashes) != 0 || one.Cases[3].Error != trials[0].Cases[3].Error {
		t.Errorf("one trial: %+v", one.Cases)
	}
}
