package dbbench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/testpg"
)

// replicated starts a primary with two streaming replicas, all of which have a
// table of incidents.
func replicated(t *testing.T) (primary *testpg.Server, nodes []Node) {
	t.Helper()
	primary = ownServer(t)
	if err := primary.Execute(t.Context(), "postgres", "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"); primary.HasStatements && err != nil {
		t.Fatal(err)
	}
	replicas, err := primary.StartReplicas(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	nodes = []Node{{Name: "primary", DSN: primary.DSN("postgres")}}
	for i, r := range replicas {
		t.Cleanup(func() {
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
		})
		nodes = append(nodes, Node{Name: []string{"replica-0", "replica-1"}[i], DSN: r.DSN("postgres")})
	}
	execute(t, nodes[0], `CREATE TABLE incidents AS SELECT g AS id, (g - 1) / 200 AS organization_id, 'title ' || g AS title FROM generate_series(1, 20000) g`,
		"CREATE INDEX incidents_organization ON incidents (organization_id)", "CREATE INDEX incidents_title ON incidents (title)", "VACUUM ANALYZE incidents")
	await(t, func() bool { return lagOf(t, nodes[0]) == 0 })
	return primary, nodes
}

// ownServer starts a server for one test, which may restart it.
func ownServer(t *testing.T) *testpg.Server {
	t.Helper()
	server, err := testpg.StartForTest(t)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

// lagOf returns the bytes, those included that are not written yet, that the worst of
// two standbys lacks; -1 where not both
// stream yet.
func lagOf(t *testing.T, primary Node) float64 {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), primary.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var n int
	var bytes *float64
	if err := conn.QueryRow(t.Context(), "SELECT count(*), max(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), replay_lsn))::float8 FROM pg_stat_replication").Scan(&n, &bytes); err != nil {
		t.Fatal(err)
	}
	if n < 2 || bytes == nil {
		return -1
	}
	return *bytes
}

func TestStatisticsOfAPrimaryAndTwoReplicas(t *testing.T) {
	_, nodes := replicated(t)
	for _, node := range nodes[:2] {
		samples, notes, err := CaptureOccupancy(t.Context(), node)
		at := slices.IndexFunc(samples, func(s snapshot.Sample) bool { return s.Name == "pg."+node.Name+".standby" })
		if err != nil || len(notes) > 0 || at < 0 || (samples[at].Value == 1) != (node.Name != "primary") {
			t.Errorf("the occupancy of %s: %v, %q, %v", node.Name, samples, notes, err)
		}
	}
	before := captureAll(t, nodes)
	if id := before[0].SystemIdentifier; id != before[1].SystemIdentifier || id != before[2].SystemIdentifier || before[0].InRecovery || !before[1].InRecovery {
		t.Errorf("who is who: %q %v, %q %v", id, before[0].InRecovery, before[1].SystemIdentifier, before[1].InRecovery)
	}
	if standbys := before[0].Views["pg_stat_replication"]; len(standbys) != 2 || standbys[0].Text("state") != "streaming" {
		t.Errorf("standbys %v", standbys)
	}
	for _, s := range before[1:] {
		rows := s.Views["replica"]
		if len(rows) != 1 || rows[0]["replay_lag_bytes"] != 0.0 || len(s.Views["pg_stat_wal_receiver"]) != 1 {
			t.Errorf("%s: %v, receiver %v", s.Node, rows, s.Views["pg_stat_wal_receiver"])
		}
		if _, lacks := s.Views["pg_stat_replication"]; len(s.Notes) > 0 || !lacks {
			t.Errorf("%s: notes %q", s.Node, s.Notes)
		}
	}
	// Counters are local: what one replica does shows there alone.
	execute(t, nodes[1], "SET enable_seqscan = off", "SELECT count(*) FROM incidents WHERE organization_id = 7", "SELECT count(*) FROM incidents WHERE organization_id = 8")
	var deltas []*StatisticsDelta
	await(t, func() bool {
		deltas = DeltaAll(before, captureAll(t, nodes))
		return len(deltas) == 3 && len(deltas[1].Top("pg_stat_user_indexes", "idx_scan", 1)) == 1
	})
	if top := deltas[1].Top("pg_stat_user_indexes", "idx_scan", 1)[0]; top.Counters["idx_scan"] != 2 || top.Row["indexrelname"] != "incidents_organization" {
		t.Errorf("%+v", top)
	}
	for _, other := range []int{0, 2} {
		if rows := deltas[other].Top("pg_stat_user_indexes", "idx_scan", 1); len(rows) != 0 {
			t.Errorf("%s counted what replica-0 did: %+v", deltas[other].Node, rows)
		}
	}
	partial := DeltaAll(before[:2], before[1:])
	if len(partial) != 3 || partial[1].Unknown == "" || partial[2].Unknown == "" || partial[2].Node != "primary" {
		t.Errorf("nodes that came and went: %+v", partial)
	}
}

func captureAll(t *testing.T, nodes []Node) []*Statistics {
	t.Helper()
	var all []*Statistics
	for _, node := range nodes {
		all = append(all, capture(t, node))
	}
	return all
}

func TestTheLagOfAPausedReplicaIsSampled(t *testing.T) {
	_, nodes := replicated(t)
	execute(t, nodes[2], "SELECT pg_wal_replay_pause()")
	execute(t, nodes[0], "CREATE TABLE more AS SELECT g, repeat('x', 1000) FROM generate_series(1, 2000) g", "CHECKPOINT")
	s := StartActivity(t.Context(), nodes, 20*time.Millisecond)
	byName := func(a Activity, name string) Lag {
		for _, l := range a.Lags {
			if l.Standby == name {
				return l
			}
		}
		return Lag{}
	}
	await(t, func() bool {
		part := s.Part()
		return byName(part[0], "replica-1").Bytes.Max > 1e6 && byName(part[2], "replay").Bytes.Max > 1e6
	})
	execute(t, nodes[2], "SELECT pg_wal_replay_resume()")
	await(t, func() bool { return lagOf(t, nodes[0]) == 0 })
	s.Part()
	await(t, func() bool { a := s.Part()[0]; return a.Samples > 0 && byName(a, "replica-1").Bytes.Max < 1e6 })
	all := s.Stop()
	if lag := byName(all[0], "replica-1"); lag.Bytes.Max < 1e6 || lag.State != "streaming" || lag.Bytes.Mean <= 0 || lag.Bytes.Mean >= lag.Bytes.Max {
		t.Errorf("of the whole: %+v", lag)
	}
	names := ""
	for _, m := range all[0].Metrics() {
		names += m.Name + " "
	}
	if !strings.Contains(names, "pg.primary.lag.replica_1.bytes ") || !strings.Contains(names, "pg.primary.lag.replica_1.time ") {
		t.Errorf("metrics %s", names)
	}
}

func TestTheLongestBlocksAreKept(t *testing.T) {
	var sum activitySum
	sum.begin("primary")
	for i := range 3 * mostBlocks {
		seconds := float64((i * 7) % (3 * mostBlocks)) // each once, in no order
		sum.addBlock(Block{Query: fmt.Sprint(seconds), Seconds: seconds})
	}
	blocks := sum.finish().Blocks
	if first, last := blocks[0].Seconds, blocks[len(blocks)-1].Seconds; len(blocks) != mostBlocks || first != 3*mostBlocks-1 || last != 2*mostBlocks {
		t.Errorf("%d from %v to %v s", len(blocks), last, first)
	}
}

func TestActivityShowsWhoBlocksWhom(t *testing.T) {
	node := database(t)
	holder, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(context.Background())
	if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE incidents"); err != nil {
		t.Fatal(err)
	}
	waiter := make(chan error, 1)
	go func() {
		conn, err := pgx.Connect(t.Context(), node.DSN)
		if err == nil {
			_, err = conn.Exec(t.Context(), "SELECT count(*) FROM incidents")
			_ = conn.Close(context.Background())
		}
		waiter <- err
	}()
	s := StartActivity(t.Context(), []Node{node, {Name: "gone", DSN: "postgres://127.0.0.1:1/x"}}, 10*time.Millisecond)
	// A sample reads the sessions first, when the one that waits may not be there yet.
	await(t, func() bool {
		part := s.Part()[0]
		return len(part.Blocks) > 0 && len(part.Waits) > 0
	})
	if _, err := holder.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-waiter; err != nil {
		t.Fatal(err)
	}
	all := s.Stop()
	a := all[0]
	if a.Note() != "" || a.Blocked.Max < 1 || a.Active.Max < 1 || a.IdleInTransaction.Max < 1 {
		t.Errorf("%+v", a)
	}
	found := false
	for _, b := range a.Blocks {
		found = found || b.Relation == "incidents" && b.Mode == "AccessShareLock" && strings.Contains(b.Query, "count(*)") && strings.Contains(b.Blocker, "LOCK TABLE")
	}
	waited := false
	for _, w := range a.Waits {
		waited = waited || w.Type == "Lock" && w.Event == "relation" && w.Max >= 1
	}
	if !found || !waited {
		t.Errorf("blocks %+v, waits %+v", a.Blocks, a.Waits)
	}
	if gone := all[1]; gone.Missed == 0 || gone.Samples != 0 || gone.Metrics() != nil || !strings.Contains(gone.Note(), "were missed") {
		t.Errorf("a node that is not there: %+v", gone)
	}
	await(t, func() bool { return backends(t, node.DSN) == 0 })
}

func TestARestartBetweenCapturesOnARealServer(t *testing.T) {
	server := ownServer(t)
	node := func() Node { return Node{Name: "primary", DSN: server.DSN("postgres")} }
	before := capture(t, node())
	if err := server.Restart(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	d := Delta(before, capture(t, node()))
	if !strings.Contains(d.Unknown, "restarted") || len(d.Views) != 0 || d.Samples() != nil {
		t.Errorf("%+v", d)
	}
}
