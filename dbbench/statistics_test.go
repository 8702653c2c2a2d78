package dbbench

import (
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestStatisticsOfARealServer(t *testing.T) {
	node := database(t)
	// Up to version 14 a new database has no statistics until a message of its
	// first backend is taken in, which to a delta looks like a reset.
	var before *Statistics
	await(t, func() bool {
		before = capture(t, node)
		commits, ok := before.Views["pg_stat_database"][0].Number("xact_commit")
		return ok && commits > 0
	})
	b, err := Open(t.Context(), node, Config{Queries: []Query{byOrganization}, Repetitions: 5})
	if err != nil {
		t.Fatal(err)
	}
	trial(t, b)
	// A backend reports what it counted now and then, and when it ends.
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	// The views of one capture need not be of one moment.
	var delta *StatisticsDelta
	await(t, func() bool {
		delta = Delta(before, capture(t, node))
		top := delta.Top("pg_stat_user_tables", "seq_scan", 1)
		database, known := delta.only("pg_stat_database")
		return len(top) == 1 && top[0].Counters["seq_scan"] >= 10 && known && database.Counters["blks_hit"] > 0
	})
	if top := delta.Top("pg_stat_user_tables", "seq_scan", 5)[0]; top.Row["relname"] != "incidents" {
		t.Errorf("%+v", top)
	}
	if len(delta.Top("pg_stat_statements", "calls", 3)) == 0 {
		t.Error("no statement was counted")
	}
	names := map[string]float64{}
	for _, s := range delta.Samples() {
		names[s.Name] = s.Value
	}
	if hit, ok := names["pg.primary.database.cache_hit"]; !ok || hit <= 0 || hit > 1 {
		t.Errorf("samples %v", names)
	}
	for _, view := range []string{"pg_stat_database", "pg_stat_user_indexes", "sizes", "indexes", "settings", "transaction_ids"} {
		if before.Views[view] == nil {
			t.Errorf("%s was not captured; notes %v", view, before.Notes)
		}
	}
}

func capture(t *testing.T, node Node) *Statistics {
	t.Helper()
	s, err := CaptureStatistics(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAMissingExtensionAndMissingRightsAreNotes(t *testing.T) {
	node := database(t)
	if notes := capture(t, node).Notes; len(notes) != 0 {
		t.Errorf("a superuser lacks %q", notes)
	}
	role := "reader" + strconv.Itoa(os.Getpid())
	execute(t, node, "CREATE ROLE "+role+" LOGIN PASSWORD 'reader-password'", "GRANT SELECT ON incidents TO "+role)
	t.Cleanup(func() { executeIn(t, context.Background(), node, "DROP OWNED BY "+role, "DROP ROLE "+role) })
	poor := Node{Name: "primary", DSN: as(t, node.DSN, role, "reader-password")}
	notes := strings.Join(capture(t, poor).Notes, "\n")
	if want := "GRANT pg_monitor TO " + role; !strings.Contains(notes, want) {
		t.Errorf("%q is not in the notes %q", want, notes)
	}
	before := capture(t, poor)
	execute(t, node, "SELECT 1 AS hidden_one", "SELECT 1 AS hidden_two, 2", "SELECT 1 AS hidden_three, 2, 3")
	after := capture(t, poor)
	// The statements of other roles have no queryid, and look all alike.
	d := Delta(before, after)
	for _, row := range d.Views[statements] {
		if row.Row["queryid"] == nil {
			t.Errorf("a statement that can't be told from others counted %v", row.Counters)
		}
	}
	if doubts := strings.Join(d.Doubts(), "\n"); d.Hidden[statements] < 3 || !strings.Contains(doubts, "GRANT pg_monitor") {
		t.Errorf("%d are hidden, and the doubts are %q", d.Hidden[statements], doubts)
	}
	execute(t, node, "GRANT pg_monitor TO "+role)
	for _, row := range Delta(before, capture(t, poor)).Views[statements] {
		if text := row.Row.Text("query"); strings.Contains(text, "hidden_") && row.Unknown == "" {
			t.Errorf("%s was hidden before, and is said to have counted %v", text, row.Counters)
		}
	}
	if s := capture(t, poor); len(s.Notes) != 0 || len(s.Views[statements]) == 0 {
		t.Errorf("after the grant: %q, %d statements", s.Notes, len(s.Views[statements]))
	}
	execute(t, node, "DROP EXTENSION pg_stat_statements")
	s := capture(t, node)
	if notes := strings.Join(s.Notes, "\n"); !strings.Contains(notes, "run CREATE EXTENSION pg_stat_statements") || strings.Contains(notes, "restart") {
		t.Errorf("notes %q", notes)
	}
	d = Delta(statisticsWith(s, statements), s)
	if !slices.Contains(d.Absent, statements) {
		t.Errorf("a view that is lacking is not told of: %+v", d.Absent)
	}
	execute(t, node, "CREATE SCHEMA elsewhere", "CREATE EXTENSION pg_stat_statements SCHEMA elsewhere")
	if s := capture(t, node); len(s.Views[statements]) == 0 || len(s.Notes) != 0 {
		t.Errorf("in another schema: %q", s.Notes)
	}
	// As an upgrade of the server leaves it.
	execute(t, node, "DROP EXTENSION pg_stat_statements", "CREATE EXTENSION pg_stat_statements VERSION '1.7'")
	old := capture(t, node)
	if notes := strings.Join(old.Notes, "\n"); !strings.Contains(notes, "still of version 1.7") || !strings.Contains(notes, "ALTER EXTENSION pg_stat_statements UPDATE") {
		t.Errorf("notes %q", notes)
	}
	execute(t, node, "ALTER EXTENSION pg_stat_statements UPDATE TO '1.8'")
	old = capture(t, node)
	if doubts := strings.Join(Delta(old, capture(t, node)).Doubts(), "\n"); len(old.Views[statements]) == 0 || !strings.Contains(doubts, "whether pg_stat_statements was reset, or has thrown entries away, is unknown") {
		t.Errorf("without what counts evictions: %q", doubts)
	}
}

// as returns a connection string of another role.
func as(t *testing.T, dsn, role, password string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	return u.String()
}

// statisticsWith returns a copy that has a further view, without rows.
func statisticsWith(s *Statistics, view string) *Statistics {
	more := *s
	more.Views = maps.Clone(s.Views)
	more.Views[view] = []Row{}
	return &more
}

func TestSecretsStayOutOfCaptures(t *testing.T) {
	node := database(t)
	role := "secretive" + strconv.Itoa(os.Getpid())
	// Without a password of its own no statement fails, and with it it is kept.
	execute(t, node, "CREATE ROLE "+role+" PASSWORD 'sentinel''-secret'", "DROP ROLE "+role)
	data, err := json.Marshal(capture(t, node))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(data); strings.Contains(text, "sentinel") || !strings.Contains(text, role) {
		t.Errorf("the capture has the password, or lacks the statement: %v", strings.Contains(text, role))
	}
	for _, text := range []string{
		"host=a user=b password=sentinel-1 application_name=c", "host=a password='sentinel 1'", "postgres://b:sentinel@a/c",
		"ALTER USER x WITH ENCRYPTED PASSWORD 'sentinel'", "CREATE SUBSCRIPTION s CONNECTION 'host=a password=sentinel' PUBLICATION p",
	} {
		if got := withoutSecrets(text); strings.Contains(got, "sentinel") || !strings.Contains(got, "xxxxx") {
			t.Errorf("%q became %q", text, got)
		}
	}
	if text := "SELECT password FROM users WHERE password = $1"; !strings.HasPrefix(withoutSecrets(text), "SELECT password FROM users") {
		t.Error(withoutSecrets(text))
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	row, err := decodeRow([]byte(`{"queryid": -4611686018427387905, "calls": 12, "share": 0.5, "none": null}`))
	if err != nil || row["queryid"] != "-4611686018427387905" || row["calls"] != 12.0 || row["share"] != 0.5 || row["none"] != nil {
		t.Errorf("%v, %v", row, err)
	}
}

// statistics makes a capture of one table's counter.
func statistics(scans float64) *Statistics {
	return &Statistics{
		Node: "n", SystemIdentifier: "1", CapturedAt: time.Unix(int64(scans), 0),
		Views: map[string][]Row{
			"pg_stat_user_tables": {{"relid": 1.0, "relname": "t", "seq_scan": scans, "stats_reset": "a"}},
		},
	}
}

func TestWhatIsUnknownIsNotZero(t *testing.T) {
	known := Delta(statistics(10), statistics(15))
	if rows := known.Views["pg_stat_user_tables"]; len(rows) != 1 || rows[0].Counters["seq_scan"] != 5 {
		t.Errorf("%+v", known)
	}
	for name, change := range map[string]func(*Statistics){
		"another server": func(s *Statistics) { s.SystemIdentifier = "2" },
		"a restart":      func(s *Statistics) { s.ServerStartedAt = time.Unix(1, 0) },
		"a promotion":    func(s *Statistics) { s.InRecovery = true },
	} {
		after := statistics(15)
		change(after)
		if d := Delta(statistics(10), after); d.Unknown == "" || len(d.Views) != 0 || d.Samples() != nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
	reset := statistics(15)
	reset.Views["pg_stat_user_tables"][0]["stats_reset"] = "b"
	for name, after := range map[string]*Statistics{"a reset": reset, "backwards": statistics(3)} {
		d := Delta(statistics(10), after)
		if rows := d.Views["pg_stat_user_tables"]; len(rows) != 1 || rows[0].Unknown == "" || len(rows[0].Counters) != 0 {
			t.Errorf("%s: %+v", name, d)
		}
	}
	// The conflicts of a standby are reset with its database.
	conflicts := func(reset string, n float64) *Statistics {
		s := statistics(n)
		s.Views["pg_stat_database"] = []Row{{"datid": 1.0, "stats_reset": reset}}
		s.Views["pg_stat_database_conflicts"] = []Row{{"datid": 1.0, "confl_lock": n}}
		return s
	}
	if rows := Delta(conflicts("a", 10), conflicts("b", 15)).Views["pg_stat_database_conflicts"]; len(rows) != 1 || rows[0].Unknown == "" {
		t.Errorf("conflicts that were reset: %+v", rows)
	}
	gone := statistics(15)
	delete(gone.Views, "pg_stat_user_tables")
	if d := Delta(statistics(10), gone); len(d.Views) != 0 {
		t.Errorf("a view that is gone: %+v", d)
	}
}

// A process of the server that is killed takes its statistics with it, and not the
// server. From 15 on a database says nothing of it.
func TestACrashBetweenCaptures(t *testing.T) {
	node := Node{Name: "n", DSN: ownServer(t).DSN("postgres")}
	execute(t, node, "CREATE TABLE t (n int)", "SELECT * FROM t", "CHECKPOINT")
	var s *Statistics
	var err error
	scanned := func(times float64) bool {
		if s, err = CaptureStatistics(t.Context(), node); err != nil {
			return false // it is about to go, or to come back
		}
		rows := s.Views["pg_stat_user_tables"]
		return len(rows) == 1 && rows[0]["seq_scan"].(float64) >= times
	}
	await(t, func() bool { return scanned(1) })
	before := s
	killed, err := pgx.Connect(t.Context(), node.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer killed.Close(context.Background())
	backend, err := os.FindProcess(int(killed.PgConn().PID()))
	if err != nil {
		t.Fatal(err)
	}
	if err := backend.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool {
		conn, err := pgx.Connect(t.Context(), node.DSN)
		if err != nil {
			return false
		}
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), "SELECT * FROM t; SELECT * FROM t; SELECT * FROM t")
		return err == nil && scanned(3) && resetTime(s, "pg_stat_archiver") != resetTime(before, "pg_stat_archiver")
	})
	if d := Delta(before, s); !strings.Contains(d.Unknown, "crash") || len(d.Views) > 0 {
		t.Errorf("unknown %q, %+v", d.Unknown, d.Views["pg_stat_user_tables"])
	}
	if started := s.CapturedAt.Sub(s.ServerStartedAt); counted(s) >= started || !strings.Contains(since(s), "since its statistics were reset") {
		t.Errorf("it was started %v ago, and is said to have counted for %v, %s", started, counted(s), since(s))
	}
}

func TestAResetBetweenCapturesOnARealServer(t *testing.T) {
	node := database(t)
	before, err := CaptureStatistics(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	execute(t, node, "SELECT pg_stat_reset()")
	// Up to 14 a collector of its own tells of a reset a moment later.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		after, err := CaptureStatistics(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		d := Delta(before, after)
		if rows := d.Views["pg_stat_database"]; len(rows) == 1 && rows[0].Unknown != "" {
			for _, row := range d.Views["pg_stat_user_tables"] {
				if row.Unknown == "" {
					t.Errorf("a table's counters outlived the reset: %+v", row)
				}
			}
			if doubts := strings.Join(d.Doubts(), "\n"); !strings.Contains(doubts, "pg_stat_user_tables: one row is unknown: its statistics were reset") {
				t.Errorf("doubts %q", doubts)
			}
			for _, sample := range d.Samples() {
				if strings.Contains(sample.Name, ".database.") {
					t.Errorf("a sample of what was reset: %+v", sample)
				}
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the reset is not seen: %+v", d.Views["pg_stat_database"])
		}
	}
}
