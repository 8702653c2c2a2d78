package validation

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"scaleproof/dbbench"
	"scaleproof/internal/plan"
	"scaleproof/internal/testpg"
	"scaleproof/reports"
)

// placedPlan has a query that goes to the shard with the action, one that is on the
// shard from the first, where it lacks its table, and one that stays.
func placedPlan(t *testing.T, more string) (p *plan.Plan, primary, shard string) {
	t.Helper()
	primary, shard = testpg.ForTest(t).NewDatabase(t), testpg.ForTest(t).NewDatabaseNamed(t, "shard")
	text := `version: 1
name: test
environment: {postgres: {primary: {dsn: "${PRIMARY}"}, nodes: [{name: shard, dsn: "${SHARD}"}]}}
measure:
  trials: 4
  database:
    queries:
      - {name: stays, sql: SELECT * FROM owned WHERE owner = 1}
      - {name: moves, sql: SELECT * FROM owned WHERE owner = $1, organizations: owned.owner WHERE owner > 1, node: {before: primary, after: shard}}
      - {name: there, sql: SELECT count(*) FROM owned, node: shard}
    repetitions: 1
    plans: custom
    statistics: all
` + more
	p, err := plan.Read("test.yaml", []byte(text), func(name string) (string, bool) {
		return map[string]string{"PRIMARY": primary, "SHARD": shard}[name], true
	})
	if err != nil {
		t.Fatal(err)
	}
	execute(t, primary, "CREATE TABLE owned AS SELECT o AS owner FROM generate_series(1, 3) o, generate_series(1, 10 * o); ANALYZE owned")
	return p, primary, shard
}

// moving makes the table on the shard, with one row more than was there of the
// largest organisation, so that it shows where a query ran.
const moving = `
action:
  steps: [{name: move, sql: {node: shard, up: ["CREATE TABLE owned AS SELECT o AS owner FROM generate_series(2, 3) o, generate_series(1, 10 * o)", "INSERT INTO owned VALUES (3)"], down: ["DROP TABLE owned"], read: "SELECT to_regclass('owned')"}}]
rollback: {when: never}
objectives: [db.there.time.p50 < 10s, db.moves-small.time.p50 < 10s]
gates: [{metric: db.stays.result}, {metric: db.moves-small.result}, {metric: db.moves-largest.result}, {metric: db.there.rows_read}, {metric: db.there}]
`

// After the action queries go where it has put what they ask for. What was not there
// before passes by its bound alone, and no gate.
func TestQueriesGoWithTheAction(t *testing.T) {
	p, _, _ := placedPlan(t, moving)
	opts, _ := options(t)
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		outcome reports.Word
		reason  string
	}{
		{reports.Pass, "it is "},
		{reports.Pass, "it is "},
		{reports.Pass, "the rows are the same"},
		{reports.Pass, "the rows are the same"},
		{reports.Fail, "the rows differ: 30 before, 31 after"},
		{reports.Unsure, `it could not be measured before: ERROR: relation "owned" does not exist`},
		{reports.Unsure, `it could not be measured before: ERROR: relation "owned"`},
	} {
		if c := r.Conditions[i]; c.Outcome != want.outcome || !strings.Contains(c.Reason, want.reason) {
			t.Errorf("%s: %s, %s, want %s", c.Text, c.Outcome, c.Reason, want.outcome)
		}
	}
	var before, after dbbench.Result
	if _, err := r.Before.Section("db", &before); err != nil {
		t.Fatal(err)
	}
	if _, err := r.After.Section("db", &after); err != nil {
		t.Fatal(err)
	}
	if c := before.Cases[1]; c.Name != "moves-small" || c.Node != "primary" {
		t.Errorf("before: %+v", c)
	}
	if c := after.Cases[4]; c.Name != "moves-largest" || c.Node != "shard" || c.Rows != 31 || c.Args[0] != "3" {
		t.Errorf("after: %+v", c)
	}
	if all := strings.Join(r.Warnings, "\n"); !strings.Contains(all, `there could not be measured before the action: ERROR: relation "owned" does not exist`) || strings.Contains(all, "query stays") {
		t.Errorf("a query that failed before the action is not warned of, or one that did not: %s", all)
	}
	var text bytes.Buffer
	if err := reports.WriteTerminal(&text, r, reports.TerminalStyle{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "moves-largest  primary → shard") || !strings.Contains(text.String(), "What each node holds") {
		t.Error(text.String())
	}
}

// Undone again, and measured twice without an action, queries are where they were.
func TestQueriesComeBackWithTheAction(t *testing.T) {
	p, _, _ := placedPlan(t, strings.NewReplacer("rollback: {when: never}", "", ", {metric: db.moves-largest.result}", "").Replace(moving))
	p.Measure.Design = plan.ABA
	opts, _ := options(t)
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	node := func(report *reports.Report) (names [3]string) {
		for i, s := range []interface {
			Section(string, any) (bool, error)
		}{report.Before, report.After, report.Return} {
			var result dbbench.Result
			if _, err := s.Section("db", &result); err != nil {
				t.Fatal(err)
			}
			names[i] = result.Cases[1].Node
		}
		return names
	}
	if got := node(r); got != [3]string{"primary", "shard", "primary"} {
		t.Errorf("%v", got)
	}
	if c, err := Calibrate(t.Context(), p, opts); err != nil || c == nil {
		t.Errorf("calibrating: %v", err)
	}
	var refused *PlanError
	if _, err := Gate(t.Context(), p, r.Before, false, opts); !errors.As(err, &refused) || !strings.Contains(err.Error(), "the query moves is on primary before and shard after the action") {
		t.Errorf("a gate: %v", err)
	}
}
