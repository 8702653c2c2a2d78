package dbbench

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5"

	"scaleproof/internal/testpg"
)

func TestAPlacementIsANameOrTwo(t *testing.T) {
	for text, want := range map[string]Placement{
		"shard-2":                           On("shard-2"),
		"{before: primary, after: shard-2}": {"primary", "shard-2"},
		"{before: a, after: a}":             On("a"),
	} {
		var got, again Placement
		if err := yaml.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		data, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(data, &again); err != nil || again != want {
			t.Errorf("%s is written as %s: %+v, %v", text, data, again, err)
		}
	}
	for _, text := range []string{"{befroe: a}", "[a]"} {
		if err := yaml.Unmarshal([]byte(text), new(Placement)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
	// The workload of a suite without nodes is what it was.
	data, err := json.Marshal(Config{Queries: []Query{{Name: "a"}}})
	if err != nil || strings.Contains(string(data), "node") {
		t.Errorf("%s, %v", data, err)
	}
}

func TestNodesThatAConfigurationNames(t *testing.T) {
	suite := filepath.Join(t.TempDir(), "suite.sql")
	if err := os.WriteFile(suite, []byte("-- name: a\n-- node: shard-9\nSELECT 1;\n-- name: b\n-- node: primary\nSELECT 1;\n-- name: c\nSELECT 1;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := Config{Suite: suite, Node: On("nowhere"), Queries: []Query{
		{Name: "b", SQL: "SELECT 1", Node: Placement{"primary", "shard-3"}},
		{Name: "c", SQL: "SELECT 1", Node: On("shard-2")},
		{Name: "d", SQL: "SELECT 1", Node: Placement{Before: "primary"}},
	}}
	got := config.NamedNodes()
	want := []NamedNode{{"node", "", "nowhere"}, {"queries[0].node.before", "", "primary"}, {"queries[0].node.after", "", "shard-3"}, {"queries[1].node", "", "shard-2"}, {"queries[2].node.before", "", "primary"}, {"suite", "a", "shard-9"}, {"suite", "b", "primary"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for name, c := range map[string]struct {
		config Config
		fault  string
	}{
		"one moment": {Config{Queries: []Query{{Name: "a", SQL: "SELECT 1", Node: Placement{Before: "x"}}}}, "queries[0].node: names a node for one moment alone"},
		"a load of two": {
			Config{Load: &LoadConfig{}, Queries: []Query{{Name: "a", SQL: "SELECT 1"}, {Name: "b", SQL: "SELECT 1", Node: On("x")}}},
			"load: its clients have one node, and the query a is on the primary, b on x",
		},
	} {
		if err := c.config.Validate(); err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadSuite(writeSuite(t, "-- name: a\n-- node:\nSELECT 1;\n")); err == nil || !strings.Contains(err.Error(), "line 2: -- node: names no node") {
		t.Errorf("%v", err)
	}
}

func writeSuite(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "suite.sql")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// twoNodes are a primary with the incidents of organisations 1 to 3, and an empty
// shard.
func twoNodes(t *testing.T) []Node {
	t.Helper()
	nodes := []Node{{Name: "primary", DSN: newDatabase(t)}, {Name: "shard", DSN: testpg.ForTest(t).NewDatabaseNamed(t, "shard")}}
	execute(t, nodes[0], "CREATE TABLE incidents AS SELECT 1 + g % 3 AS organization_id FROM generate_series(1, 300) g")
	return nodes
}

func trialOn(t *testing.T, nodes []Node, config Config, m Moment, earlier *Result) *Result {
	t.Helper()
	b, err := OpenOn(t.Context(), nodes, config, m, earlier)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	return trial(t, b)
}

// Queries go where they are placed at each moment, with the arguments that they had
// before; what the shard lacks is a result.
func TestQueriesRunWhereTheyArePlaced(t *testing.T) {
	nodes := twoNodes(t)
	const where = "SELECT current_database(), organization_id FROM incidents WHERE organization_id = $1"
	config := Config{Repetitions: 1, Plans: "custom", Node: On("primary"), Queries: []Query{
		{Name: "stays", SQL: where, Args: []string{"1"}},
		{Name: "moves", SQL: where, ArgsFrom: "SELECT 'largest', max(organization_id) FROM incidents", Node: Placement{"primary", "shard"}},
		{Name: "shard", SQL: where, Args: []string{"3"}, Node: On("shard")},
	}}
	before := trialOn(t, nodes, config, BeforeAction, nil)
	if missing := before.Cases[2]; missing.Node != "shard" || !strings.Contains(missing.Error, `"incidents" does not exist`) {
		t.Errorf("what the shard does not have yet: %+v", missing)
	}
	for _, c := range before.Cases[:2] {
		if c.Node != "primary" || c.Error != "" || c.Rows != 100 {
			t.Errorf("before: %s on %s: %v rows, %s", c.Name, c.Node, c.Rows, c.Error)
		}
	}
	// The largest is another one by then, and the shard has more of its rows.
	execute(t, nodes[1], "CREATE TABLE incidents AS SELECT 3 AS organization_id FROM generate_series(1, 107)")
	execute(t, nodes[0], "INSERT INTO incidents VALUES (9)")
	after := trialOn(t, nodes, config, AfterAction, before)
	for i, want := range []struct {
		node string
		rows float64
	}{{"primary", 100}, {"shard", 107}, {"shard", 107}} {
		if c := after.Cases[i]; c.Node != want.node || c.Rows != want.rows || c.Error != "" || c.Name != before.Cases[i].Name || !slices.Equal(c.Args, before.Cases[i].Args) {
			t.Errorf("after: %s on %s with %v: %v rows, %s", c.Name, c.Node, c.Args, c.Rows, c.Error)
		}
	}
	for _, r := range []*Result{before, after} {
		if all := r.Nodes(); len(all) != 2 || all[0].Node != "primary" || all[1].Node != "shard" || all[0].Version == "" || all[1].Version == "" || all[1].ClockCost == 0 {
			t.Errorf("the nodes %+v", all)
		}
	}
	if merged := MergeTrials([]*Result{after, after}); len(merged.Nodes()) != 2 || merged.Cases[1].Node != "shard" {
		t.Errorf("merged: %+v", merged)
	}
	if _, err := OpenOn(t.Context(), nodes[:1], config, BeforeAction, nil); err == nil || !strings.Contains(err.Error(), "the query shard is on the node shard, and there is none of that name, but primary") {
		t.Errorf("%v", err)
	}
}

// A node that can't be reached is known before the action that gives it queries.
func TestEachNodeIsReachedAtEachMoment(t *testing.T) {
	nodes := []Node{{Name: "primary", DSN: newDatabase(t)}, {Name: "shard", DSN: "postgres://127.0.0.1:1/x"}}
	config := Config{Queries: []Query{{Name: "a", SQL: "SELECT 1", Node: Placement{"primary", "shard"}}}}
	if _, err := OpenOn(t.Context(), nodes, config, BeforeAction, nil); err == nil || !strings.Contains(err.Error(), "connecting to shard") {
		t.Errorf("%v", err)
	}
}

// A query that breaks its connection is one node's fault: the others go on.
func TestABrokenConnectionIsOfOneNode(t *testing.T) {
	nodes := twoNodes(t)
	config := Config{Repetitions: 2, Warmup: 1, Queries: []Query{
		{Name: "ends", SQL: "SELECT pg_terminate_backend(pg_backend_pid())", Node: On("shard")},
		{Name: "same", SQL: "SELECT 1", Node: On("shard")},
		{Name: "other", SQL: "SELECT 1"},
	}}
	r := trialOn(t, nodes, config, BeforeAction, nil)
	if r.Cases[0].Error == "" || r.Cases[1].Error != "" || r.Cases[2].Error != "" || len(r.Cases[1].ServerTime) != 2 || len(r.Cases[2].ServerTime) != 2 {
		t.Errorf("%+v", r.Cases)
	}
}

// Ctrl-C cancels what runs on any node, and leaves no connection.
func TestAnInterruptReachesEachNode(t *testing.T) {
	nodes := twoNodes(t)
	config := Config{Queries: []Query{{Name: "here", SQL: "SELECT 1"}, {Name: "long", SQL: "SELECT pg_sleep(600)", Node: On("shard")}}}
	b, err := OpenOn(t.Context(), nodes, config, BeforeAction, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.Trial(ctx)
		ended <- errors.Join(err, b.Close())
	}()
	watcher, err := pgx.Connect(t.Context(), nodes[1].DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close(context.Background())
	const sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'scaleproof' AND query LIKE $1"
	await := func(like string, want func(int) bool) {
		t.Helper()
		ticker, limit := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
		defer ticker.Stop()
		for {
			var n int
			if err := watcher.QueryRow(t.Context(), sessions, like).Scan(&n); err != nil {
				t.Fatal(err)
			}
			if want(n) {
				return
			}
			select {
			case <-ticker.C:
			case <-limit:
				t.Fatalf("%d sessions", n)
			}
		}
	}
	await("%pg_sleep(600)%", func(n int) bool { return n > 0 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	await("%", func(n int) bool { return n == 0 })
}

// A load has the node of its queries.
func TestALoadRunsWhereItsQueriesArePlaced(t *testing.T) {
	nodes := twoNodes(t)
	execute(t, nodes[1], "CREATE TABLE only_here (x int)")
	config := Config{Node: Placement{"primary", "shard"}, Queries: []Query{{Name: "a", SQL: "SELECT x FROM only_here"}}}
	b, err := OpenOn(t.Context(), nodes, config, AfterAction, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := b.Load(t.Context(), LoadConfig{Clients: 2, Duration: 1e8})
	if err != nil || r.Node != "shard" || r.Transactions == 0 || len(r.Errors) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	config.Queries = append(config.Queries, Query{Name: "b", SQL: "SELECT 1", Node: On("primary")})
	mixed, err := OpenOn(t.Context(), nodes, config, AfterAction, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer mixed.Close()
	if _, err := mixed.Load(t.Context(), LoadConfig{}); err == nil || !strings.Contains(err.Error(), "the case a is on shard, b on primary") {
		t.Errorf("%v", err)
	}
}

// Advice is about the first node: queries of others are said to be left out.
func TestAdviceLeavesQueriesOfOtherNodesOut(t *testing.T) {
	nodes := twoNodes(t)
	r, err := Advise(t.Context(), nodes, Config{Queries: []Query{{Name: "there", SQL: "SELECT 1", Node: On("shard")}, {Name: "here", SQL: "SELECT count(*) FROM incidents", Node: On("primary")}}}, AdviceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, "there is a query of shard") || strings.Contains(notes, "here gives no plan") {
		t.Errorf("%s", notes)
	}
}
