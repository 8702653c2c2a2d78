package dbbench

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/testpg"
)

func TestOccupancy(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range []string{
		`CREATE TABLE small (id serial PRIMARY KEY)`,
		`CREATE TABLE "odd-name" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text)`,
		`INSERT INTO "odd-name" (t) SELECT repeat('x', 100) FROM generate_series(1, 5000)`,
		`SELECT setval('small_id_seq', 1073741824)`, `ANALYZE`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	// A backend reports the last of what it counted when it ends, and up to version
	// 14 another process takes it in.
	conn.Close(t.Context())
	got := map[string]float64{}
	await(t, func() bool {
		samples, notes, err := CaptureOccupancy(t.Context(), Node{Name: "primary", DSN: dsn})
		if err != nil || len(notes) != 0 {
			t.Fatal(notes, err)
		}
		for _, s := range samples {
			got[strings.TrimPrefix(s.Name, "pg.primary.")] = s.Value
		}
		return got["inserted.table.public.odd_name"] > 0
	})
	for name, bounds := range map[string][2]float64{
		"size.database": {1e6, 1e9}, "size.table.public.odd_name": {5000 * 100, 5e6}, "rows.table.public.odd_name": {5000, 5000},
		"size.index.public.odd_name_pkey": {1 << 13, 1 << 20}, "connections": {1, 100}, "connections_limit": {10, 1000},
		"transaction_ids": {1, 1e9}, "transaction_ids_limit": {2144483648, 2144483648}, "wal": {1, 1e12}, "slots": {0, 0},
		"inserted.table.public.odd_name": {5000, 5000}, "updated.table.public.odd_name": {0, 0}, "dead.table.public.odd_name": {0, 0},
		"scans.index.public.odd_name_pkey": {0, 10}, "replication_slots": {0, 0}, "replication_slots_limit": {1, 100},
		"sequence.public.small_id_seq": {.49, .51}, // half of what an integer holds
		"standby":                      {0, 0},
	} {
		if v, ok := got[name]; !ok || v < bounds[0] || v > bounds[1] {
			t.Errorf("%s is %v (there: %v), want %v to %v", name, v, ok, bounds[0], bounds[1])
		}
	}
	if _, bounded := got["slots_inactive"]; bounded {
		t.Error("there is no slot, and one is inactive")
	}
	if _, _, err := CaptureOccupancy(t.Context(), Node{Name: "primary", DSN: "postgres://127.0.0.1:1/x"}); err == nil {
		t.Error("an unreachable node was read")
	}
}

// Without the right to them sequences look like those that were never used, and an
// inactive slot holds the log back with nobody to read it.
func TestOccupancyTellsWhatIsHiddenAndHeld(t *testing.T) {
	node := database(t)
	role := "occupant" + strconv.Itoa(os.Getpid())
	execute(t, node, `CREATE TABLE hidden (id serial)`, `INSERT INTO hidden DEFAULT VALUES`, "CREATE ROLE "+role+" LOGIN PASSWORD 'occupant-password'", "GRANT pg_monitor TO "+role,
		"SELECT pg_create_physical_replication_slot('"+role+"', true)")
	t.Cleanup(func() {
		executeIn(t, context.Background(), node, "SELECT pg_drop_replication_slot('"+role+"')", "DROP OWNED BY "+role, "DROP ROLE "+role)
	})
	read := func() (map[string]float64, string) {
		samples, notes, err := CaptureOccupancy(t.Context(), Node{Name: "primary", DSN: as(t, node.DSN, role, "occupant-password")})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]float64{}
		for _, s := range samples {
			got[s.Name] = s.Value
		}
		return got, strings.Join(notes, "\n")
	}
	got, notes := read()
	if _, known := got["pg.primary.sequence.public.hidden_id_seq"]; known || !strings.Contains(notes, "sequences of primary can't be read: GRANT SELECT") {
		t.Errorf("notes %q of %v", notes, got)
	}
	if held, known := got["pg.primary.slots_inactive"]; !known || held < 0 {
		t.Errorf("an inactive slot holds back %v", held)
	}
	if _, bounded := got["pg.primary.slots_limit"]; bounded {
		t.Error("slots have a limit")
	}
	execute(t, node, "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO "+role)
	if got, notes := read(); notes != "" || got["pg.primary.sequence.public.hidden_id_seq"] == 0 {
		t.Errorf("with the right: notes %q of %v", notes, got)
	}
}
