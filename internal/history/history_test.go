package history

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/testpg"
	"scaleproof/internal/unit"
)

func TestMain(m *testing.M) { testpg.Main(m) }

var start = time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC)

func night(i int) *snapshot.Snapshot {
	return &snapshot.Snapshot{
		SchemaVersion: snapshot.SchemaVersion, ID: fmt.Sprintf("night-%04d", i), Plan: "nightly", Phase: "before",
		StartedAt: start.AddDate(0, 0, i), FinishedAt: start.AddDate(0, 0, i).Add(time.Minute), WorkloadHash: "w", Trials: 3,
		Metrics: []snapshot.Metric{
			{Name: "db.size", Unit: unit.Bytes, Better: snapshot.Neutral, Values: snapshot.Values{float64(i), float64(i) + 2, float64(i) + 1}},
			{Name: "load.api.errors", Unit: unit.Ratio, Better: snapshot.Lower, Values: snapshot.Values{math.NaN(), math.NaN(), math.NaN()}},
		},
	}
}

// stores are both kinds; each must pass every test of this file.
func stores(t *testing.T) map[string]Store {
	t.Helper()
	all := map[string]Store{}
	for name, location := range map[string]string{
		"folder": filepath.Join(t.TempDir(), "history"), "postgres": testpg.ForTest(t).NewDatabase(t),
	} {
		s, err := Open(t.Context(), location)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		all[name] = s
	}
	return all
}

func TestWhatIsAddedIsThere(t *testing.T) {
	for name, s := range stores(t) {
		if entries, err := s.List(t.Context()); err != nil || len(entries) != 0 {
			t.Errorf("%s: a new history has %v, %v", name, entries, err)
		}
		for _, i := range []int{2, 0, 1, 1} { // once more, as after a crash
			if err := s.Add(t.Context(), night(i), Labels{Commit: fmt.Sprintf("%dabcdef0123", i), Verdict: "pass"}); err != nil {
				t.Fatal(name, err)
			}
		}
		entries, err := s.List(t.Context())
		if err != nil || len(entries) != 3 {
			t.Fatalf("%s: %d entries, %v", name, len(entries), err)
		}
		for i, e := range entries {
			figure, ok := e.Figure("db.size")
			if !ok || figure.Median != float64(i)+1 || figure.Unit != unit.Bytes || !e.StartedAt.Equal(night(i).StartedAt) || e.Plan != "nightly" || e.Verdict != "pass" {
				t.Errorf("%s: entry %d is %+v", name, i, e)
			}
			if _, ok := e.Figure("load.api.errors"); ok {
				t.Errorf("%s: a metric without a value has a median", name)
			}
		}
		whole, err := s.Read(t.Context(), "night-0001")
		if err != nil || whole.Metric("db.size").Values[1] != 3 {
			t.Errorf("%s: %+v, %v", name, whole, err)
		}
		if _, err := s.Read(t.Context(), "night-0009"); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: reading what is not there: %v", name, err)
		}
	}
}

func TestReferences(t *testing.T) {
	for name, s := range stores(t) {
		for i := range 3 {
			if err := s.Add(t.Context(), night(i), Labels{Commit: fmt.Sprintf("%dabcdef0123", i)}); err != nil {
				t.Fatal(name, err)
			}
		}
		for _, id := range []string{"night-0000", "night-0001"} { // the second in place of the first
			if err := s.Promote(t.Context(), "release", id); err != nil {
				t.Fatal(name, err)
			}
		}
		for reference, want := range map[string]string{
			"night-0002": "night-0002", "release": "night-0001", "latest": "night-0002", "0abcdef": "night-0000",
		} {
			if e, err := Resolve(t.Context(), s, reference, Scope{}); err != nil || e.ID != want {
				t.Errorf("%s: %s is %s, %v", name, reference, e.ID, err)
			}
		}
		for _, reference := range []string{"", "0abc", "nothing"} {
			if _, err := Resolve(t.Context(), s, reference, Scope{}); !errors.Is(err, ErrUnknown) {
				t.Errorf("%s: %q is something: %v", name, reference, err)
			}
		}
		if err := s.Promote(t.Context(), "release", "night-0009"); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: promoting what is not there: %v", name, err)
		}
		for _, bad := range []string{"", "../up", "a/b", ".hidden", strings.Repeat("x", 200), Latest} {
			if err := s.Promote(t.Context(), bad, "night-0000"); !errors.As(err, new(*ReferenceError)) {
				t.Errorf("%s: a baseline is called %q: %v", name, bad, err)
			}
			if bad == Latest {
				continue
			}
			broken := night(0)
			broken.ID = bad
			if err := s.Add(t.Context(), broken, Labels{}); err == nil {
				t.Errorf("%s: a snapshot is called %q", name, bad)
			}
		}
	}
}

// In a history that plans share, a reference means what the scope says, or is refused.
func TestReferencesAmongPlans(t *testing.T) {
	for name, s := range stores(t) {
		add := func(i int, plan, phase, commit string) {
			t.Helper()
			n := night(i)
			n.Plan, n.Phase = plan, phase
			if err := s.Add(t.Context(), n, Labels{Commit: commit}); err != nil {
				t.Fatal(name, err)
			}
		}
		add(0, "a", "gate", "0abcdef0")
		add(1, "b", "gate", "0abcdef0")
		add(2, "a", "gate", "release-2")
		add(3, "a", "collect", "0abcdef0")
		add(4, "d", "", "") // of another tool
		if err := s.Promote(t.Context(), "release", "night-0000"); err != nil {
			t.Fatal(name, err)
		}
		for _, c := range []struct {
			reference string
			scope     Scope
			want      string // an ID, or what the error says
		}{
			{"0abcdef", Scope{Plan: "a", Without: "collect"}, "night-0000"},
			{"0abcdef", Scope{Plan: "b", Without: "collect"}, "night-0001"},
			{"0abcdef", Scope{Without: "collect"}, "of the plan b and of a"},
			{"latest", Scope{Plan: "a", Without: "collect"}, "night-0002"},
			{"latest", Scope{Plan: "a"}, "night-0003"},
			{"latest", Scope{Without: "collect"}, "of the plan d and of a"},
			{"release", Scope{Plan: "a"}, "night-0000"}, // not the commit release-2
			{"release", Scope{}, "night-0000"},
			{"release-2", Scope{}, "night-0002"},
			{"release", Scope{Plan: "b"}, "which the plan a has measured, and not b"},
			{"night-0003", Scope{Plan: "a", Without: "collect"}, "night-0003"}, // it is named
			{"latest", Scope{Plan: "c"}, ErrUnknown.Error()},
			{"latest", Scope{Plan: "d"}, "night-0004"},
		} {
			e, err := Resolve(t.Context(), s, c.reference, c.scope)
			if got := e.ID; err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %s in %+v is %q, %v; want %s", name, c.reference, c.scope, got, err, c.want)
			}
		}
	}
}

// A role that may only read lists what is there.
func TestAReaderOfAPostgresHistory(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	owner, err := Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer owner.Close()
	if err := owner.Add(t.Context(), night(0), Labels{}); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"REVOKE CREATE ON SCHEMA public FROM PUBLIC", "CREATE ROLE history_reader LOGIN PASSWORD 'reader'",
		"GRANT SELECT ON scaleproof_history, scaleproof_baselines TO history_reader",
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		defer conn.Close(context.Background())
		for _, statement := range []string{"DROP OWNED BY history_reader", "DROP ROLE history_reader"} {
			if _, err := conn.Exec(context.Background(), statement); err != nil {
				t.Error(err)
			}
		}
	})
	as, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	as.User = url.UserPassword("history_reader", "reader")
	reader, err := Open(t.Context(), as.String())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if entries, err := reader.List(t.Context()); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := reader.Add(t.Context(), night(1), Labels{}); err == nil {
		t.Error("a reader has written")
	}
}

func TestTwoCollectorsAtOnce(t *testing.T) {
	for name, s := range stores(t) {
		var collectors sync.WaitGroup
		for range 2 {
			collectors.Go(func() {
				for i := range 20 {
					if err := s.Add(t.Context(), night(i), Labels{}); err != nil {
						t.Error(name, err)
					}
					if err := s.Promote(t.Context(), "latest-good", night(i).ID); err != nil {
						t.Error(name, err)
					}
					if _, err := s.List(t.Context()); err != nil {
						t.Error(name, err)
					}
				}
			})
		}
		collectors.Wait()
		if entries, err := s.List(t.Context()); err != nil || len(entries) != 20 {
			t.Errorf("%s: %d entries, %v", name, len(entries), err)
		}
	}
}

func TestDamageAndLeftoversOfAFolder(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add(t.Context(), night(0), Labels{}); err != nil {
		t.Fatal(err)
	}
	// A crash leaves a file that was being written, and a snapshot without index.
	for _, leftover := range []string{"index/.night-0001.json.123", "snapshots/night-0001.json"} {
		if err := os.WriteFile(filepath.Join(dir, leftover), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := s.List(t.Context()); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index/night-0002.json"), []byte(`{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.List(t.Context()); err == nil || !strings.Contains(err.Error(), "night-0002.json is damaged") {
		t.Errorf("a damaged index: %v", err)
	}
}

func TestThePasswordOfAHistoryIsNotTold(t *testing.T) {
	_, err := Open(t.Context(), "postgres://app:sentinel-secret@127.0.0.1:1/history")
	if err == nil || strings.Contains(err.Error(), "sentinel-secret") {
		t.Errorf("%v", err)
	}
	if _, err := Open(t.Context(), ""); err == nil {
		t.Error("no place is a place")
	}
}
