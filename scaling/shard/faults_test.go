package shard

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/testpg"
	"scaleproof/internal/unit"
)

// What the target refuses is told, loses nothing, and the copy goes on once it is
// mended.
func TestAViolatedConstraintOnTheTarget(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 5_000)
	c := s.plainConfig(Fenced, 5, 20)
	j := s.job(c)
	s.exec("target", strings.Split(plainSQL, "INSERT")[0]+"ALTER TABLE incidents ADD CONSTRAINT titled CHECK (title <> 'incident 4008')")
	s.exec("source", "UPDATE incidents SET organization_id = 7 WHERE id = 4008")
	_, err := j.Move(t.Context())
	if err == nil || !strings.Contains(err.Error(), "titled") || !strings.Contains(err.Error(), "public.incidents") {
		t.Fatalf("%v", err)
	}
	s.exec("target", "ALTER TABLE incidents DROP CONSTRAINT titled")
	must[*MoveResult](t)(j.Move(t.Context()))
	s.assertEqual(j)
	// The tables were empty, whoever made them: nobody else has rows here.
	s.exec("target", "INSERT INTO organizations VALUES (49, 'stranger')")
	if v := must[*Verification](t)(j.Verify(t.Context())); v.Equal || !strings.Contains(v.Summary(), "1 rows of public.organizations belong to organisations that were never moved here") {
		t.Errorf("%s", v.Summary())
	}
}

func TestATargetThatIsOccupiedOrDiffersIsRefused(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 100)
	j := s.job(s.plainConfig(Fenced, 5, 20))
	s.exec("target", strings.Split(plainSQL, "INSERT")[0]+"INSERT INTO organizations VALUES (7, 'squatter')")
	if _, err := j.Move(t.Context()); err == nil || !strings.Contains(err.Error(), "has rows of organisations 5-20 already") {
		t.Errorf("%v", err)
	}
	s.exec("target", "DELETE FROM organizations; ALTER TABLE users DROP COLUMN email")
	if _, err := j.Move(t.Context()); err == nil || !strings.Contains(err.Error(), "public.users.email is text on the source and not there on the target") {
		t.Errorf("%v", err)
	}
	s.exec("target", "DROP TABLE users, incidents")
	if _, err := j.Move(t.Context()); err == nil || !strings.Contains(err.Error(), "not public.users") {
		t.Errorf("%v", err)
	}
}

// What was deleted on the target during the soak may go from the source. What has
// gone from the target by itself may not, neither by a clean-up nor by going back.
func TestTheOnlyCopyIsKept(t *testing.T) {
	t.Parallel()
	s := newStage(t, 40, 2_000)
	s.exec("source", "CREATE TABLE visits (organization_id bigint NOT NULL REFERENCES organizations, at timestamptz, n int); INSERT INTO visits SELECT 1 + i % 40, '2025-01-01', i % 3 FROM generate_series(1, 200) i")
	j := s.job(s.config(5, 20))
	must[*MoveResult](t)(j.Move(t.Context()))
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	s.exec("target", `SET TimeZone = 'Asia/Tokyo'; DELETE FROM badges WHERE id % 7 = 0; UPDATE badges SET id = -id WHERE id % 5 = 0; DELETE FROM visits WHERE n = 1; UPDATE visits SET n = 7, at = now() WHERE n = 2;
		UPDATE incidents SET title = 'changed'; UPDATE audit SET day = day + 100 WHERE org = 7; INSERT INTO badges VALUES (1000000, 30, 'new')`)
	c := must[*Catalog](t)(j.catalog(t.Context()))
	if err := j.lost(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	incidents := s.count("source", "SELECT count(*) FROM incidents")
	s.exec("target", "TRUNCATE incidents; SET session_replication_role = replica; DELETE FROM visits WHERE organization_id = 9")
	for name, phase := range map[string]func() error{
		"cleanup": func() error { _, err := j.Cleanup(t.Context()); return err },
		"back":    func() error { _, err := j.Back(t.Context()); return err },
	} {
		err := phase()
		if err == nil || !strings.Contains(err.Error(), "of public.incidents are on primary alone, such as (") || !strings.Contains(err.Error(), "of public.visits") || strings.Contains(err.Error(), "badges") || strings.Contains(err.Error(), "audit") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := s.count("source", "SELECT count(*) FROM incidents"); n != incidents {
		t.Errorf("%d incidents are left on the source of %d", n, incidents)
	}
	s.exec("target", "SELECT setval('users_id_seq', 30)")
	if _, err := j.Cleanup(t.Context()); err == nil || !strings.Contains(err.Error(), "the sequence public.users_id_seq would give 31 next") {
		t.Errorf("%v", err)
	}
	s.exec("target", "SELECT setval('users_id_seq', 1000000)")
	s.exec("source", "SET session_replication_role = replica; DELETE FROM incidents WHERE organization_id BETWEEN 5 AND 20; DELETE FROM visits WHERE organization_id = 9")
	must[*CleanupResult](t)(j.Cleanup(t.Context()))
	if n := s.count("target", "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'scaleproof%') + (SELECT count(*) FROM scaleproof.gone)"); n != 0 {
		t.Errorf("%d triggers and notes were left behind", n)
	}
}

// A second range goes to a shard that has one already, and a third to another shard
// while the first soaks. The range of a shard goes on to another.
func TestRangesToTwoShards(t *testing.T) {
	t.Parallel()
	s := newStage(t, 60, 3_000)
	s.addTarget("second")
	first := s.job(s.config(5, 20))
	must[*MoveResult](t)(first.Move(t.Context()))
	must[*CutoverResult](t)(first.Cutover(t.Context()))
	c := s.config(31, 40)
	c.Name = "second"
	second := s.job(c)
	must[*MoveResult](t)(second.Move(t.Context()))
	s.assertEqual(second)
	if r := must[*CutoverResult](t)(second.Cutover(t.Context())); r.Epoch != 2 {
		t.Errorf("epoch %d", r.Epoch)
	}
	read := func() Routes { return must[Routes](t)(first.opts.Routing.Read(t.Context())) }
	if routes := read(); len(routes.Shards["target"]) != 2 {
		t.Errorf("%+v", routes)
	}
	s.assertEqual(first)
	must[*CutoverResult](t)(second.Back(t.Context()))
	if err := second.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.count("target", "SELECT count(*) FROM organizations"); n != 16 {
		t.Errorf("%d organisations are on the target, want those of the first move", n)
	}
	// The other shard is empty: its tables are made from a source that is fenced.
	c = s.config(41, 50)
	c.Name, c.Target = "third", "second"
	third := s.job(c)
	must[*MoveResult](t)(third.Move(t.Context()))
	must[*CutoverResult](t)(third.Cutover(t.Context()))
	s.assertEqual(third)
	must[*CleanupResult](t)(first.Cleanup(t.Context()))
	c = s.config(5, 20)
	c.Name, c.Source, c.Target, c.Tables = "onwards", "target", "second", c.Tables[:2] // what was omitted is not there
	onwards := s.job(c)
	must[*MoveResult](t)(onwards.Move(t.Context()))
	for range 2 {
		must[*CutoverResult](t)(onwards.Cutover(t.Context()))
		if routes := read(); len(routes.Shards["target"]) != 0 || !routes.has("second", c.Organizations) {
			t.Errorf("after a move from shard to shard: %+v", routes)
		}
		must[*CutoverResult](t)(onwards.Back(t.Context()))
		if routes := read(); !routes.has("target", c.Organizations) || routes.has("second", c.Organizations) {
			t.Errorf("after going back to a shard: %+v", routes)
		}
	}
	if err := onwards.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Name, c.Organizations.To = "part", "10"
	part := s.job(c)
	must[*MoveResult](t)(part.Move(t.Context()))
	if _, err := part.Cutover(t.Context()); err == nil || !strings.Contains(err.Error(), "an entry of their own") {
		t.Errorf("%v", err)
	}
}

// An abort lifts the fence whatever made it fail, and the source goes on.
func TestAFailedCutoverLiftsTheFence(t *testing.T) {
	for _, mode := range []Mode{Fenced, Online} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newPlainStage(t, 500)
			j := s.job(s.plainConfig(mode, 5, 20))
			must[*MoveResult](t)(j.Move(t.Context()))
			j.opts.Routing = brokenRouting{j.opts.Routing}
			if _, err := j.Cutover(t.Context()); err == nil || !strings.Contains(err.Error(), "the fence is lifted") {
				t.Fatalf("%v", err)
			}
			s.exec("source", "UPDATE incidents SET state = 'goes on' WHERE organization_id = 7")
			if err := s.try("target", "UPDATE incidents SET state = 'too early' WHERE organization_id = 7"); err == nil {
				t.Error("the target took a write")
			}
			j.opts.Routing = j.opts.Routing.(brokenRouting).Routing
			must[*CutoverResult](t)(j.Cutover(t.Context()))
			if n := s.count("target", "SELECT count(*) FROM incidents WHERE state <> 'goes on' AND organization_id = 7"); n != 0 {
				t.Errorf("%d writes were lost", n)
			}
		})
	}
}

type brokenRouting struct{ Routing }

func (brokenRouting) Write(context.Context, Routes) error { return errors.New("the routing is broken") }

// A writer that holds its transaction open keeps the fence from rising; the limit
// ends the wait, and nothing stays behind.
func TestALongTransactionKeepsTheFenceDown(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 500)
	c := s.plainConfig(Fenced, 5, 20)
	j := s.job(c)
	must[*MoveResult](t)(j.Move(t.Context()))
	writer := s.conn("source")
	for _, sql := range []string{"BEGIN", "UPDATE incidents SET state = 'held' WHERE organization_id = 7"} {
		if _, err := writer.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	j.config.Fence = unit.Duration(3 * time.Second)
	if _, err := j.Cutover(t.Context()); err == nil {
		t.Fatal("cut over past an open transaction")
	}
	if _, err := writer.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	j.config.Fence = c.Fence
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	s.assertEqual(j)
}

// A transaction whose snapshot is older than the fence can't slip through.
func TestAnOldSnapshotIsRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t, 40, 500)
	j := s.job(s.config(5, 20))
	must[*MoveResult](t)(j.Move(t.Context()))
	old := s.conn("source")
	if _, err := old.Exec(t.Context(), "BEGIN ISOLATION LEVEL REPEATABLE READ"); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := old.QueryRow(t.Context(), "SELECT count(*) FROM organizations").Scan(&n); err != nil {
		t.Fatal(err)
	}
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	if _, err := old.Exec(t.Context(), "UPDATE incidents SET title = 'late' WHERE organization_id = 7"); err == nil {
		t.Error("a transaction with an old snapshot wrote to a closed range")
	}
	for _, sql := range []string{"TRUNCATE incidents", "TRUNCATE incidents_2024", "UPDATE incidents SET organization_id = 7 WHERE organization_id = 30", "DELETE FROM users WHERE organization_id = 7"} {
		if err := s.try("source", sql); err == nil || !strings.Contains(err.Error(), "5-20 are on target") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func TestASlotLeftBehindIsNamed(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 500)
	j := s.job(s.plainConfig(Online, 5, 20))
	must[*MoveResult](t)(j.Move(t.Context()))
	s.exec("target", "ALTER SUBSCRIPTION "+j.slot()+" DISABLE")
	deadline := time.Now().Add(30 * time.Second)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		left := Leftovers(t.Context(), []Node{j.source, j.target, {Name: "gone", DSN: "postgres://127.0.0.1:1/none"}})
		if len(left) == 1 && left[0].Node == "primary" && strings.Contains(left[0].What, "slot "+j.slot()) && strings.Contains(left[0].Mend, "--abandon") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%+v", left)
		}
		<-ticker.C
	}
	if _, err := j.Cutover(t.Context()); err == nil || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("%v", err)
	}
	if err := j.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := Leftovers(t.Context(), []Node{j.source, j.target}); len(left) != 0 {
		t.Errorf("%+v", left)
	}
	if n := s.count("target", "SELECT count(*) FROM incidents"); n != 0 {
		t.Errorf("%d rows were left on the target", n)
	}
}

// servingOthers cuts a move over, after which the organisation 9000 begins on the target.
func servingOthers(t *testing.T) (*stage, *Job) {
	t.Helper()
	s := newPlainStage(t, 500)
	j := s.job(s.plainConfig(Fenced, 5, 20))
	must[*MoveResult](t)(j.Move(t.Context()))
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	s.exec("target", "INSERT INTO organizations SELECT (jsonb_populate_record(o, '{\"id\": 9000}')).* FROM organizations o WHERE id = 5")
	return s, j
}

// What has become of the tables on either side since the cut-over, and rows of others on
// the target, are no reason to stay there: rows alone go back.
func TestGoingBackTakesRowsAlone(t *testing.T) {
	t.Parallel()
	s, j := servingOthers(t)
	s.exec("source", "CREATE INDEX made_since ON incidents (id)")
	s.exec("target", "ALTER TABLE incidents ADD CONSTRAINT since CHECK (id > 0) NOT VALID")
	must[*CutoverResult](t)(j.Back(t.Context()))
	s.exec("source", "UPDATE organizations SET id = id WHERE id = 5")
}

// Organisations that began on the target while it served stay there when the move that
// made its tables is given up.
func TestAbandonLeavesTheRowsOfOthers(t *testing.T) {
	t.Parallel()
	s, j := servingOthers(t)
	must[*CutoverResult](t)(j.Back(t.Context()))
	if err := j.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := s.count("target", "SELECT coalesce(sum(id), 0) FROM organizations"); n != 9000 {
		t.Errorf("the organisations that are left on the target add up to %d, want 9000", n)
	}
}

// A disk that is full stops the copy with the server's words; with space it goes
// on to the end.
func TestAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	dir, err := os.MkdirTemp("", "shard-disk-")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=200m,mode=755"); err != nil {
		t.Skipf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(syscall.Unmount(dir, 0), os.Remove(dir)); err != nil {
			t.Error(err)
		}
	})
	small, err := testpg.Start(t.Context(), testpg.Options{BinDir: os.Getenv("SCALEPROOF_POSTGRES_BIN"), TempDir: dir, Settings: map[string]string{"shared_buffers": "16MB"}})
	if err != nil {
		t.Fatal(err)
	}
	defer small.Stop()
	s := newPlainStage(t, 60_000)
	for _, sql := range []string{"CREATE DATABASE target", "SELECT pg_switch_wal()", "CHECKPOINT"} {
		if err := small.Execute(t.Context(), "postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	s.nodes["target"] = small.DSN("target")
	ballast := fillDisk(t, dir, 3<<20)
	j := s.job(s.plainConfig(Fenced, 1, 50))
	if _, err := j.Move(t.Context()); err == nil || !strings.Contains(err.Error(), "53100") { // disk_full
		t.Fatalf("%v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	awaitServer(t, small.DSN("target")) // a full disk may have made it start anew
	must[*MoveResult](t)(j.Move(t.Context()))
	s.assertEqual(j)
}

// fillDisk leaves so many bytes free, and returns the file that takes the others.
func fillDisk(t *testing.T, dir string, free uint64) string {
	t.Helper()
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ballast")
	if err := os.WriteFile(path, make([]byte, disk.Bavail*uint64(disk.Bsize)-free), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func awaitServer(t *testing.T, dsn string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err == nil {
			conn.Close(t.Context())
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-ticker.C
	}
}
