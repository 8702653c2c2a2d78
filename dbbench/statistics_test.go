package dbbench

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStatisticsOfARealServer(t *testing.T) {
	node := database(t)
	before, err := CaptureStatistics(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(t.Context(), node, Config{Queries: []Query{byOrganization}, Repetitions: 5})
	if err != nil {
		t.Fatal(err)
	}
	trial(t, b)
	// A backend reports what it counted now and then, and when it ends.
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	var delta *StatisticsDelta
	await(t, func() bool {
		after, err := CaptureStatistics(t.Context(), node)
		if err != nil {
			t.Fatal(err)
		}
		delta = Delta(before, after)
		top := delta.Top("pg_stat_user_tables", "seq_scan", 1)
		return len(top) == 1 && top[0].Counters["seq_scan"] >= 10
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
		if !slices.Contains(before.ViewNames(), view) {
			t.Errorf("%s was not captured; notes %v", view, before.Notes)
		}
	}
}

func TestAMissingExtensionAndMissingRightsAreNotes(t *testing.T) {
	node := database(t)
	execute(t, node, "DROP EXTENSION IF EXISTS pg_stat_statements")
	s, err := CaptureStatistics(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(s.Notes, "\n"); !strings.Contains(notes, "CREATE EXTENSION pg_stat_statements") {
		t.Errorf("notes %q", notes)
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
	gone := statistics(15)
	delete(gone.Views, "pg_stat_user_tables")
	if d := Delta(statistics(10), gone); len(d.Views) != 0 {
		t.Errorf("a view that is gone: %+v", d)
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
		if rows := d.Views["pg_stat_database"]; len(rows) == 1 && rows[0].Unknown != "" && d.Samples() == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the reset is not seen: %+v", d.Views["pg_stat_database"])
		}
	}
}
