package shard

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/testpg"
	"scaleproof/internal/unit"
)

// TestMain starts a server that can decode its log, for the online moves.
func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(runChild(text))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	server, err := testpg.Start(context.Background(), testpg.Options{
		BinDir:   os.Getenv("SCALEPROOF_POSTGRES_BIN"),
		Settings: map[string]string{"wal_level": "logical", "max_replication_slots": "20", "max_wal_senders": "20", "max_logical_replication_workers": "10", "max_worker_processes": "20", "wal_receiver_status_interval": "1", "wal_retrieve_retry_interval": "200"},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	os.Setenv("SCALEPROOF_TEST_POSTGRES", server.DSN("postgres"))
	return m.Run()
}

// schemaSQL is the runbook's schema, with what makes moves hard beside it.
const schemaSQL = `
CREATE TYPE severity AS ENUM ('low', 'high');
CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France');
CREATE SEQUENCE refs;
CREATE SEQUENCE tickets START 77;
CREATE TABLE organizations (id bigserial PRIMARY KEY, name text NOT NULL, country text NOT NULL REFERENCES countries);
CREATE TABLE teams (id bigserial PRIMARY KEY, organization_id bigint NOT NULL REFERENCES organizations, parent_id bigint REFERENCES teams, name text NOT NULL,
	ref text NOT NULL DEFAULT 'T-' || nextval('refs'));
CREATE TABLE users (id bigserial PRIMARY KEY, organization_id bigint NOT NULL REFERENCES organizations, team_id bigint NOT NULL REFERENCES teams,
	email text NOT NULL UNIQUE, domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED);
CREATE TABLE incidents (id bigint GENERATED ALWAYS AS IDENTITY, organization_id bigint NOT NULL REFERENCES organizations, reporter_id bigint NOT NULL REFERENCES users,
	title text NOT NULL, severity severity NOT NULL, cost numeric, detail jsonb, created_at timestamptz NOT NULL, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE incidents_2024 PARTITION OF incidents FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE incidents_2025 PARTITION OF incidents FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX incidents_organization ON incidents (organization_id);
CREATE TABLE audit (org bigint NOT NULL, day date NOT NULL, n int NOT NULL, PRIMARY KEY (org, day));
CREATE UNLOGGED TABLE badges (id int PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, label text);
CREATE TABLE scratch (x int);
ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
CREATE POLICY nobody ON teams USING (false);
`

// loadSQL fills it with organisations 1 to $1, skewed: the first has about a
// fifth of the incidents.
const loadSQL = `
INSERT INTO organizations (id, name, country) SELECT i, 'organization ' || i, CASE WHEN i %% 2 = 0 THEN 'de' ELSE 'fr' END FROM generate_series(1, %[1]d) i;
INSERT INTO teams (id, organization_id, name) SELECT i, i, 'team ' || i FROM generate_series(1, %[1]d) i;
INSERT INTO teams (id, organization_id, parent_id, name) SELECT %[1]d + i, i, i, 'sub-team ' || i FROM generate_series(1, %[1]d) i;
INSERT INTO users (id, organization_id, team_id, email) SELECT i, (i - 1) / 5 + 1, (i - 1) / 5 + 1, 'user' || i || '@example.com' FROM generate_series(1, 5 * %[1]d) i;
INSERT INTO incidents (organization_id, reporter_id, title, severity, cost, detail, created_at)
	SELECT o, (o - 1) * 5 + 1 + i %% 5, 'incident ' || i, CASE WHEN i %% 3 = 0 THEN 'high' ELSE 'low' END::severity, i / 7.0, jsonb_build_object('i', i), '2024-01-01'::timestamptz + i %% 700 * interval '1 day'
	FROM (SELECT i, CASE WHEN i %% 5 = 0 THEN 1 ELSE 1 + (i * 7919) %% %[1]d END AS o FROM generate_series(1, %[2]d) i) s;
INSERT INTO audit SELECT i, '2025-01-01'::date + d, d FROM generate_series(1, %[1]d) i, generate_series(1, 3) d;
INSERT INTO badges SELECT i, i, 'badge' FROM generate_series(1, 5 * %[1]d) i;
SELECT setval('organizations_id_seq', %[1]d), setval('teams_id_seq', 2 * %[1]d), setval('users_id_seq', 5 * %[1]d);
ANALYZE;`

// A stage is a source with data, and targets.
type stage struct {
	t     *testing.T
	nodes map[string]string
	dir   string
	name  string // of the move, and so of its slot, which the whole server knows
}

// newStage loads so many organisations and incidents.
func newStage(t *testing.T, organizations, incidents int) *stage {
	t.Helper()
	s := emptyStage(t)
	s.exec("source", schemaSQL)
	s.exec("source", fmt.Sprintf(loadSQL, organizations, incidents))
	return s
}

func emptyStage(t *testing.T) *stage {
	t.Helper()
	server := testpg.ForTest(t)
	h := fnv.New32a()
	h.Write([]byte(t.Name()))
	s := &stage{t: t, nodes: map[string]string{}, dir: t.TempDir(), name: fmt.Sprintf("m%x", h.Sum32())}
	s.nodes["primary"] = server.NewDatabase(t)
	s.nodes["source"] = s.nodes["primary"]
	s.addTarget("target")
	// Slots keep a database from being dropped: they go first, whatever the test
	// came to.
	t.Cleanup(func() {
		for _, name := range []string{"target", "source"} {
			s.dropReplication(name)
		}
	})
	return s
}

// addTarget makes a database on the same server.
func (s *stage) addTarget(name string) {
	s.t.Helper()
	config, err := pgx.ParseConfig(s.nodes["primary"])
	if err != nil {
		s.t.Fatal(err)
	}
	database := config.Database + "_" + name
	if len(database) > 63 {
		database = database[:50] + "_" + name
	}
	s.exec("source", "CREATE DATABASE "+database)
	s.nodes[name] = strings.Replace(s.nodes["primary"], "/"+config.Database, "/"+database, 1)
	s.t.Cleanup(func() {
		conn, err := pgx.Connect(context.Background(), testpg.ForTest(s.t).AdminDSN())
		if err != nil {
			s.t.Error(err)
			return
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+database+" WITH (FORCE)"); err != nil {
			s.t.Error(err)
		}
	})
}

func (s *stage) dropReplication(name string) {
	conn, err := pgx.Connect(context.Background(), s.nodes[name])
	if err != nil {
		return // the database was never made
	}
	defer conn.Close(context.Background())
	for _, sql := range []string{
		`DO $$ DECLARE n name; BEGIN FOR n IN SELECT subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) LOOP
			EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', n); EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', n); EXECUTE format('DROP SUBSCRIPTION %I', n); END LOOP; END $$`,
		`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database() AND active`,
		`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()`,
	} {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			s.t.Log(err)
		}
	}
}

func (s *stage) conn(node string) *pgx.Conn {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.nodes[node])
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func (s *stage) exec(node, sql string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.nodes[node])
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(s.t.Context(), sql); err != nil {
		s.t.Fatalf("%s: %v", firstLine(sql), err)
	}
}

func (s *stage) count(node, sql string) int64 {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.nodes[node])
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var n int64
	if err := conn.QueryRow(s.t.Context(), sql).Scan(&n); err != nil {
		s.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// config moves organisations from..to of the hard schema.
func (s *stage) config(from, to int) Config {
	return Config{
		Name: s.name, Target: "target", Organizations: Organizations{From: fmt.Sprint(from), To: fmt.Sprint(to)},
		Tables: []TableConfig{{Table: "audit", Column: "org"}, {Table: "countries", As: Reference}, {Table: "scratch", As: Omitted}},
		Soak:   unit.Duration(time.Nanosecond), Fence: unit.Duration(5 * time.Minute),
		Routing: RoutingConfig{File: filepath.Join(s.dir, "routing.json")},
	}
}

func (s *stage) job(c Config) *Job {
	s.t.Helper()
	if err := c.Validate(); err != nil {
		s.t.Fatal(err)
	}
	var routing Routing = FileRouting{c.Routing.File}
	if schema, name := c.RoutingTable(); name != "" {
		routing = TableRouting{Node{Name: "primary", DSN: s.nodes["primary"]}, schema, name}
	}
	j, err := New(c, s.nodes, Options{
		Environ: os.Environ(), Now: time.Now, Routing: routing,
		OnEvent: func(text string) { s.t.Log(text) },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return j
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
