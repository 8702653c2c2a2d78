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

func loaded(t *testing.T, dsn string, config Config, load LoadConfig) *LoadResult {
	t.Helper()
	r, err := RunLoad(t.Context(), Node{Name: "primary", DSN: dsn}, config, load)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// backends counts the connections of loads to a database.
func backends(t *testing.T, dsn string) int {
	t.Helper()
	return backendsOf(t, dsn, "scaleproof")
}

// backendsOf counts the other connections to a database of an application.
func backendsOf(t *testing.T, dsn, application string) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = '"+application+"'").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// noneLeft waits until the server has ended all backends of the loads.
func noneLeft(t *testing.T, dsn string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); backends(t, dsn) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are left", backends(t, dsn))
		}
	}
}

func TestLoadIsAsFastAsItsClientsAllow(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	r := loaded(t, dsn, Config{Queries: []Query{{Name: "slow", SQL: "SELECT pg_sleep(0.02)"}}}, LoadConfig{Clients: 5, Duration: unit.Duration(time.Second)})
	// Five clients of 20 ms each do at most 250 a second.
	if r.TPS > 251 || r.TPS < 100 || r.ServiceTime.P50 < .02 || len(r.Errors) != 0 || r.Clients != 5 {
		t.Errorf("%+v", r)
	}
	noneLeft(t, dsn)
}

func TestLoadAtARateCountsWaitingAsResponseTime(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	// One client can do 50 a second of these, and 100 are due.
	r := loaded(t, dsn, Config{Queries: []Query{{Name: "slow", SQL: "SELECT pg_sleep(0.02)"}}}, LoadConfig{Clients: 1, Rate: 100, Duration: unit.Duration(time.Second)})
	if r.ResponseTime.P99 < 5*r.ServiceTime.P50 || r.Unsent < 20 || r.Transactions > 51 {
		t.Errorf("response %v, service %v, %d done, %d unsent", r.ResponseTime.P99, r.ServiceTime.P50, r.Transactions, r.Unsent)
	}
	r = loaded(t, dsn, Config{Queries: []Query{{Name: "fast", SQL: "SELECT 1"}}}, LoadConfig{Clients: 4, Rate: 200, Duration: unit.Duration(time.Second)})
	if all := float64(r.Transactions + r.Unsent); math.Abs(all-200) > 2 || r.Transactions < 150 {
		t.Errorf("%d done and %d unsent of 200", r.Transactions, r.Unsent)
	}
}

func TestLoadMixesByWeightAndDrawsAnew(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	r := loaded(t, dsn, Config{Seed: 3, Queries: []Query{
		{Name: "often", SQL: "SELECT $1::int", Random: []string{"int(1, 1000)"}, Weight: 3},
		{Name: "seldom", SQL: "SELECT 1"},
	}}, LoadConfig{Clients: 2, Duration: unit.Duration(500 * time.Millisecond), Warmup: unit.Duration(100 * time.Millisecond)})
	a, b := float64(r.Cases[0].Transactions), float64(r.Cases[1].Transactions)
	if share := a / (a + b); math.Abs(share-.75) > 5*math.Sqrt(.75*.25/(a+b)) || r.Transactions != int64(a+b) {
		t.Errorf("%v of %v are of weight three in four", share, a+b)
	}
}

func TestLoadCountsErrorsAndReconnects(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	r := loaded(t, dsn, Config{Queries: []Query{
		{Name: "divides", SQL: "SELECT 1 / ($1::int - $1::int)", Args: []string{"3"}},
		{Name: "dies", SQL: "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)"},
	}}, LoadConfig{Clients: 2, Duration: unit.Duration(500 * time.Millisecond)})
	if r.Errors["22012"] == 0 || r.Reconnects == 0 || r.FirstError == "" || r.Transactions != 0 {
		t.Errorf("%+v", r)
	}
	noneLeft(t, dsn)
}

// Some of many clients break while the others go on, and more rows come than fit
// into one read.
func TestLoadOfManyClientsAndRows(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	r := loaded(t, dsn, Config{Queries: []Query{
		{Name: "many", SQL: "SELECT g, repeat('x', 100) FROM generate_series(1, $1::int) g", Args: []string{"3000"}, Weight: 20},
		{Name: "dies", SQL: "SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)"},
		{Name: "long", SQL: "SELECT length($1)", Args: []string{strings.Repeat("y", 1<<20)}},
	}}, LoadConfig{Clients: 20, Duration: unit.Duration(time.Second)})
	if r.Reconnects == 0 || r.Cases[0].Transactions < 20 || r.Cases[2].Transactions == 0 || r.Cases[0].Errors != 0 || r.Cases[2].Errors != 0 || r.Cases[1].Transactions != 0 {
		t.Errorf("%+v", r)
	}
	for kind := range r.Errors {
		if kind != "57P01 server shutdown" && kind != "connection" { // the end may come before its reason
			t.Errorf("errors %v: %s", r.Errors, r.FirstError)
		}
	}
	noneLeft(t, dsn)
}

// A query that can't be prepared, or has no arguments, fails as often as it is its
// turn, and the others go on: by loops, by clients at a rate, and alone.
func TestAQueryThatCantRunIsAResultOfTheLoad(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	queries := []Query{
		{Name: "works", SQL: "SELECT 1", Weight: 2},
		{Name: "wrong", SQL: "SELECT * FROM nowhere"},
		{Name: "undrawn", SQL: "SELECT $1::int", ArgsFrom: "SELECT 1 WHERE false"},
	}
	for name, load := range map[string]LoadConfig{
		"closed": {Clients: 3, Duration: unit.Duration(300 * time.Millisecond)},
		"open":   {Clients: 3, Rate: 400, Duration: unit.Duration(500 * time.Millisecond)},
	} {
		r := loaded(t, dsn, Config{Queries: queries}, load)
		works, wrong, undrawn := r.Cases[0], r.Cases[1], r.Cases[2]
		all := float64(works.Transactions + wrong.Errors + undrawn.Errors)
		if share := float64(wrong.Errors) / all; works.Transactions == 0 || works.Fault != "" || math.Abs(share-.25) > 5*math.Sqrt(.25*.75/all) || wrong.Share != .25 || r.Reconnects != 0 {
			t.Errorf("%s: %v of %v are of the query that can't be prepared: %+v", name, wrong.Errors, all, r)
		}
		if !strings.Contains(wrong.Fault, "nowhere") || !strings.Contains(undrawn.Fault, "gives no row") || r.Errors["42P01"] != wrong.Errors || r.Errors["no arguments"] != undrawn.Errors {
			t.Errorf("%s: %q and %q, %v", name, wrong.Fault, undrawn.Fault, r.Errors)
		}
		for _, s := range r.Samples() { // the rest of the mix is other work
			if failed := s.Name == "db.load.errors"; failed == math.IsNaN(s.Value) {
				t.Errorf("%s: %s is %v", name, s.Name, s.Value)
			}
		}
	}
	if r := loaded(t, dsn, Config{Queries: queries[1:]}, LoadConfig{Clients: 2}); r.Transactions != 0 || r.Cases[0].Errors != 1 || r.TPS != 0 || len(r.Errors) != 2 {
		t.Errorf("none can run: %+v", r)
	}
	noneLeft(t, dsn)
}

func TestLoadWritesNothing(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE t (n int)"); err != nil {
		t.Fatal(err)
	}
	config := Config{Queries: []Query{{Name: "writes", SQL: "INSERT INTO t VALUES (1)"}}}
	load := LoadConfig{Clients: 2, Duration: unit.Duration(200 * time.Millisecond)}
	if r := loaded(t, dsn, config, load); r.Errors["25006 read-only transaction"] == 0 || r.Transactions != 0 {
		t.Errorf("without consent: %+v", r.Errors)
	}
	config.AllowWrites = true
	if r := loaded(t, dsn, config, load); r.Transactions == 0 || len(r.Errors) != 0 {
		t.Errorf("with consent: %+v", r)
	}
	var rows int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows were written, %v", rows, err)
	}
}

func TestTheContextEndsALoadAndItsStatements(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	started := time.Now()
	_, err := RunLoad(ctx, Node{Name: "primary", DSN: dsn}, Config{Queries: []Query{{Name: "long", SQL: "SELECT pg_sleep(60)"}}}, LoadConfig{Clients: 3})
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > 20*time.Second {
		t.Errorf("%v after %v", err, time.Since(started))
	}
	noneLeft(t, dsn)
}

func TestLoadRefuses(t *testing.T) {
	for _, load := range []LoadConfig{{Clients: -1}, {Clients: 100_000}, {Rate: -1}} {
		if _, err := RunLoad(t.Context(), Node{}, Config{}, load); err == nil {
			t.Errorf("%+v was taken", load)
		}
	}
	if _, err := RunLoad(t.Context(), Node{Name: "x", DSN: "postgres://127.0.0.1:1/x"}, Config{Queries: []Query{{Name: "a", SQL: "SELECT 1"}}}, LoadConfig{}); err == nil {
		t.Error("a server that is not there took a load")
	}
}
