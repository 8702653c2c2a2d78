package main

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

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"scaleproof/dbbench"
	"scaleproof/examples"
	"scaleproof/internal/sample"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/testpg"
	"scaleproof/reports"
	"scaleproof/scaling/shard"
)

// runbookShard loads the runbook's database, and returns the environment and the
// path of the example's plan, with another soak.
func runbookShard(t *testing.T) (environment map[string]string, plan string) {
	t.Helper()
	server := testpg.ForTest(t)
	source := server.NewDatabase(t)
	target := source + "_shard"
	execSQL(t, source, "CREATE DATABASE "+source[strings.LastIndex(source, "/")+1:]+"_shard")
	t.Cleanup(func() {
		execSQL(t, server.AdminDSN(), "DROP DATABASE "+target[strings.LastIndex(target, "/")+1:]+" WITH (FORCE)")
	})
	if err := sample.Load(t.Context(), source, sample.Data{Organizations: 2500, Incidents: 20_000, Seed: 1, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
		t.Fatal(err)
	}
	text, err := examples.Files.ReadFile("shard-move.yaml")
	if err != nil {
		t.Fatal(err)
	}
	plan = writeFile(t, "shard-move.yaml", strings.Replace(string(text), "soak: 24h", "soak: 1ns", 1))
	return map[string]string{"DATABASE_URL": source, "SHARD_2_URL": target}, plan
}

func execSQL(t *testing.T, dsn, sql string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context()) // it serves clean-up too
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func routes(t *testing.T, plan string) shard.Routes {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(filepath.Dir(plan), "shard-routing.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := shard.DecodeRoutes(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// writeAlways changes organisations that move, and others, until it is stopped. A
// fence may refuse it.
func writeAlways(t *testing.T, dsn string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	go func() {
		defer conn.Close(context.Background())
		written := 0
		pace := time.NewTicker(time.Millisecond) // a service's load, which leaves the move a processor
		defer pace.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-pace.C
			_, err := conn.Exec(context.Background(), "UPDATE organizations SET name = 'written ' || $1::int WHERE id = 1000 + $1 % 2 * 200", i)
			var fault *pgconn.PgError
			if err == nil {
				written++
			} else if !errors.As(err, &fault) || fault.Code != "25006" {
				t.Errorf("%v", err)
				break
			}
		}
		done <- written
	}()
	return func() {
		cancel()
		if <-done < 10 {
			t.Error("nobody wrote")
		}
	}
}

// The plan for the runbook's section 3: measured, moved, measured again, and
// undone by hand.
func TestTheRunbooksShardMove(t *testing.T) {
	environment, plan := runbookShard(t)
	if got := runCommand(t, environment, "doctor", "-f", plan, "--out", t.TempDir()); got.code != 0 || !strings.Contains(got.out, "every table is classified") {
		t.Fatalf("%+v", got)
	}
	stop := writeAlways(t, environment["DATABASE_URL"])
	dir := filepath.Join(t.TempDir(), "report")
	got := runCommand(t, environment, "run", "-f", plan, "--out", dir)
	stop()
	if got.code != 0 && got.code != 3 || !strings.Contains(got.err, "step copy: making indexes") || !strings.Contains(got.err, "step switch: the fence is up") || !strings.Contains(got.err, "step copy: copying") {
		t.Fatalf("%+v", got)
	}
	checkMeasuredOnShard(t, environment, dir, got.out)
	if got := runCommand(t, environment, "shard", "move", "-f", plan); got.code != 0 || !strings.Contains(got.out, "Next: scaleproof shard cleanup") {
		t.Errorf("%+v", got)
	}
	if r := routes(t, plan); r.Epoch != 1 || len(r.Shards["shard-2"]) != 1 {
		t.Errorf("%+v", r)
	}
	if got := runCommand(t, environment, "shard", "verify", "-f", plan); got.code != 0 || !strings.Contains(got.out, "EQUAL") {
		t.Errorf("%+v", got)
	}
	execSQL(t, environment["SHARD_2_URL"], "UPDATE organizations SET name = 'renamed on the shard' WHERE id = 1500")
	if got := runCommand(t, environment, "shard", "verify", "-f", plan); got.code != 1 || !strings.Contains(got.out, "public.organizations (1500)") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, environment, "shard", "cutover", "--back", "-f", plan); got.code != 0 || !strings.Contains(got.out, "primary has the organisations; the routing is of epoch 2") {
		t.Fatalf("%+v", got)
	}
	if got := runCommand(t, environment, "shard", "verify", "-f", plan, "--output", "json"); got.code != 0 || !json.Valid([]byte(got.out)) {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, environment, "shard", "cleanup", "-f", plan); got.code != 2 || !strings.Contains(got.err, "cut over first") {
		t.Errorf("%+v", got)
	}
	for _, phase := range []struct{ name, says string }{{"cutover", "shard-2 has the organisations"}, {"cleanup", "rows were deleted"}} {
		if got := runCommand(t, environment, "shard", phase.name, "-f", plan); got.code != 0 || !strings.Contains(got.out, phase.says) {
			t.Errorf("%+v", got)
		}
	}
}

// checkMeasuredOnShard makes sure that what a run's report says of organisations that
// moved was measured on the primary before, on the shard after, and with the same
// arguments; and that it says so wherever it is read.
func checkMeasuredOnShard(t *testing.T, environment map[string]string, dir, terminal string) {
	t.Helper()
	var report reports.Report
	if err := json.Unmarshal([]byte(mustRead(t, filepath.Join(dir, "report.json"))), &report); err != nil {
		t.Fatal(err)
	}
	var before, after dbbench.Result
	for s, into := range map[*snapshot.Snapshot]*dbbench.Result{report.Before: &before, report.After: &after} {
		if found, err := s.Section("db", into); err != nil || !found {
			t.Fatalf("no suite: %v", err)
		}
	}
	if len(before.Cases) != 8 || len(after.Cases) != 8 {
		t.Fatalf("%d cases before and %d after", len(before.Cases), len(after.Cases))
	}
	for i, b := range before.Cases {
		a, want := after.Cases[i], "primary"
		if strings.HasPrefix(b.Name, "moves-") {
			want = "shard-2"
		}
		if b.Error != "" || a.Error != "" || b.Node != "primary" || a.Node != want || b.Name != a.Name || !slices.Equal(b.Args, a.Args) || b.ResultHash != a.ResultHash || a.Rows == 0 {
			t.Errorf("%s with %v on %s, %s; after with %v on %s, %s", b.Name, b.Args, b.Node, b.Error, a.Args, a.Node, a.Error)
		}
	}
	// The shard's server has counted those runs, and its tables are in the capture.
	shard := environment["SHARD_2_URL"]
	calls := queryInt(t, environment["DATABASE_URL"], `SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
		WHERE datname = '`+shard[strings.LastIndex(shard, "/")+1:]+`' AND query LIKE 'SELECT * FROM incidents WHERE organization_id = $1%'`)
	if want := int64(4 * 5 * 3); calls < want { // cases, trials, repetitions
		t.Errorf("the shard was asked %d times for incidents, not %d or more", calls, want)
	}
	var was, is map[string]*dbbench.Statistics
	if _, err := report.Before.Section("pg", &was); err != nil {
		t.Fatal(err)
	}
	if _, err := report.After.Section("pg", &is); err != nil {
		t.Fatal(err)
	}
	tables := func(all map[string]*dbbench.Statistics, node string) int {
		return len(all[node].Views["pg_stat_user_tables"])
	}
	if tables(was, "primary") == 0 || tables(was, "shard-2") != 0 || tables(is, "primary") == 0 || tables(is, "shard-2") == 0 {
		t.Errorf("captured of the primary %d and %d tables, of the shard %d and %d", tables(was, "primary"), tables(is, "primary"), tables(was, "shard-2"), tables(is, "shard-2"))
	}
	for name, text := range map[string]string{"terminal": terminal, "report.md": mustRead(t, filepath.Join(dir, "report.md")), "report.html": mustRead(t, filepath.Join(dir, "report.html"))} {
		for _, want := range []string{"Queries by node", "primary → shard-2", "What each node holds", "servers"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
	}
}

func queryInt(t *testing.T, dsn, sql string) (n int64) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestTheStepsOfAMoveAreUndone(t *testing.T) {
	environment, plan := runbookShard(t)
	text, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	failing := strings.Replace(string(text), "timeout: 1h}\n", "timeout: 1h}\n    - {name: fails, exec: {command: [\"false\"], undo: [\"true\"]}}\n", 1)
	if err := os.WriteFile(plan, []byte(failing), 0o600); err != nil {
		t.Fatal(err)
	}
	got := runCommand(t, environment, "scale", "apply", "-f", plan, "--runs", filepath.Join(t.TempDir(), "runs"))
	if got.code != 1 || strings.Count(got.out, "applied") != 2 {
		t.Fatalf("%+v", got)
	}
	if r := routes(t, plan); r.Epoch != 2 || len(r.Shards) != 0 {
		t.Errorf("the routing was not undone: %+v", r)
	}
	execSQL(t, environment["DATABASE_URL"], "UPDATE organizations SET name = 'goes on' WHERE id = 1500")
	execSQL(t, environment["SHARD_2_URL"], "DO $$ BEGIN IF EXISTS (SELECT FROM incidents) OR EXISTS (SELECT FROM scaleproof.move) THEN RAISE 'the target still has rows'; END IF; END $$")
}

func TestAShardPlanSaysWhatIsWrong(t *testing.T) {
	environment, plan := runbookShard(t)
	got := runCommand(t, environment, "shard", "plan", "-f", plan, "--shards", "3")
	if got.code != 0 || !strings.Contains(got.out, "Proposed ranges") || !strings.Contains(got.out, "1,000 organisations of 2,500") {
		t.Fatalf("%+v", got)
	}
	execSQL(t, environment["DATABASE_URL"], "CREATE TABLE visits (organization_id bigint NOT NULL, n int); INSERT INTO visits SELECT i, i FROM generate_series(1, 2500) i")
	for name, command := range map[string][]string{
		"plan": {"shard", "plan", "-f", plan}, "preview": {"run", "--dry-run", "-f", plan}, "doctor": {"doctor", "-f", plan, "--out", t.TempDir()},
	} {
		if got := runCommand(t, environment, command...); got.code != 0 || !strings.Contains(strings.Join(strings.Fields(got.out), " "), "public.visits has no primary key, so that it is compared as a whole behind the fence: about 1000 rows") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	execSQL(t, environment["DATABASE_URL"], "CREATE TABLE plans (id int PRIMARY KEY, price numeric)")
	if got := runCommand(t, environment, "shard", "plan", "-f", plan); got.code != 4 || !strings.Contains(got.err, "public.plans has no column organization_id") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, environment, "shard", "move", "-f", writeFile(t, "none.yaml", "version: 1\nname: none\n")); got.code != 2 || !strings.Contains(got.err, "no section shard") {
		t.Errorf("%+v", got)
	}
	bad := strings.Replace(mustRead(t, plan), "organizations: {from", "organizations: {list: [a], from", 1)
	if got := runCommand(t, environment, "shard", "plan", "-f", writeFile(t, "bad.yaml", bad)); got.code != 2 || !strings.Contains(got.err, "a range (from, to) or a list") || !strings.Contains(got.err, "bad.yaml:") {
		t.Errorf("%+v", got)
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A routing on Kubernetes is written to the cluster that the plan is for, by a role
// that may.
func TestTheClusterOfARoutingIsLookedAt(t *testing.T) {
	environment, plan := runbookShard(t)
	dir := t.TempDir()
	script := `#!/bin/sh
case "$*" in
*version*) echo '{"clientVersion": {"gitVersion": "v1.33.0", "minor": "33"}, "serverVersion": {"gitVersion": "v1.33.0", "minor": "33"}}' ;;
*"can-i update configmap/shard-routing"*) echo no; exit 1 ;;
*can-i*) echo yes ;;
*kube-system*) echo '{"kind": "Namespace", "metadata": {"name": "kube-system", "uid": "another"}}' ;;
*) echo '{"kind": "ConfigMap", "metadata": {"name": "shard-routing"}}' ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	text := strings.Replace(mustRead(t, plan), "  # kubernetes: {context: prod-eu, namespace: brownie-metadata}", "  kubernetes: {context: prod-eu, namespace: brownie-metadata, uid: the-plans}", 1)
	text = strings.Replace(text, `    file: "${SHARD_ROUTING:-shard-routing.json}"`, "    configmap: shard-routing", 1)
	if got := runCommand(t, environment, "shard", "plan", "-f", writeFile(t, "uid.yaml", text)); got.code != 4 || !strings.Contains(got.err, "leads to the cluster another, and the plan is for the-plans") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, environment, "doctor", "-f", writeFile(t, "rights.yaml", text), "--out", t.TempDir()); got.code == 0 || !strings.Contains(got.out, "right to update configmap/shard-routing") {
		t.Errorf("%+v", got)
	}
}
