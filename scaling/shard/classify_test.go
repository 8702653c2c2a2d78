package shard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/invalid"
)

func (s *stage) catalogOf(c Config) (*Catalog, error) {
	s.t.Helper()
	j, err := New(c, s.nodes, Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return j.catalog(s.t.Context())
}

func TestTablesAreClassified(t *testing.T) {
	t.Parallel()
	s := newStage(t, 10, 100)
	c := must[*Catalog](t)(s.catalogOf(s.config(1, 5)))
	classes, position := map[string]Class{}, map[string]int{}
	for i, table := range c.Tables {
		classes[table.Name], position[table.Name] = table.Class, i
	}
	for name, want := range map[string]Class{
		"organizations": Root, "teams": ByColumn, "users": ByColumn, "incidents": ByColumn, "audit": ByColumn, "badges": ByKey, "countries": Reference, "scratch": Omitted,
	} {
		if classes[name] != want {
			t.Errorf("%s is classified %q, want %q", name, classes[name], want)
		}
	}
	if len(c.Tables) != 8 {
		t.Errorf("%d tables: partitions are parts of theirs", len(c.Tables))
	}
	for _, pair := range [][2]string{{"countries", "organizations"}, {"organizations", "teams"}, {"teams", "users"}, {"users", "badges"}, {"users", "incidents"}} {
		if position[pair[0]] > position[pair[1]] {
			t.Errorf("%s comes after %s, which refers to it", pair[0], pair[1])
		}
	}
	online := s.config(1, 5)
	online.Mode = Online
	faults, _, err := s.job(online).Check(t.Context())
	if all := strings.Join(faults, "\n"); err != nil || !strings.Contains(all, "public.badges is unlogged") || !strings.Contains(all, "public.badges reaches organisations by a foreign key alone") {
		t.Errorf("%v, %q", err, faults)
	}
	if columns := c.table("public.users").stored(); strings.Join(columns, ",") != "id,organization_id,team_id,email" {
		t.Errorf("the generated column is copied: %v", columns)
	}
}

func TestWhatCantBeMovedIsRefused(t *testing.T) {
	t.Parallel()
	s := emptyStage(t)
	s.exec("source", schemaSQL+"CREATE TABLE lists (x int PRIMARY KEY, organization_id bigint)")
	conn := s.conn("source")
	for name, c := range map[string]struct {
		sql    string
		change func(*Config)
		says   string
	}{
		"unclassified":     {"CREATE TABLE rates (x int)", nil, "public.rates has no column organization_id and no foreign key"},
		"no such root":     {"", func(c *Config) { c.Root = "tenants" }, "there is no table tenants"},
		"no such key":      {"", func(c *Config) { c.RootKey = "uid" }, "public.organizations has no column uid"},
		"no such table":    {"", func(c *Config) { c.Tables = append(c.Tables, TableConfig{Table: "gone", As: Omitted}) }, "names the table gone"},
		"no such column":   {"", func(c *Config) { c.Tables[0].Column = "tenant" }, "public.audit has no column tenant"},
		"no such key name": {"", func(c *Config) { c.Tables = append(c.Tables, TableConfig{Table: "badges", Via: "nothing"}) }, "public.badges has no foreign key nothing"},
		"refers to what is omitted": {
			"CREATE TABLE notes (organization_id bigint, x int PRIMARY KEY REFERENCES lists); ", func(c *Config) { c.Tables = append(c.Tables, TableConfig{Table: "lists", As: Omitted}) }, "refers by notes_x_fkey to public.lists, which the plan omits",
		},
		"range upside down":   {"", func(c *Config) { c.Organizations = Organizations{From: "10", To: "9"} }, "goes from 10 down to 9"},
		"range of no numbers": {"", func(c *Config) { c.Organizations = Organizations{From: "a", To: "b"} }, `goes from "a" to "b"`},
		"key of another type": {"DROP TABLE organizations CASCADE; CREATE TABLE organizations (id date PRIMARY KEY)", nil, "of type date"},
		"shared refers to owned": {
			"CREATE TABLE defaults (team_id bigint REFERENCES teams)", func(c *Config) { c.Tables = append(c.Tables, TableConfig{Table: "defaults", As: Reference}) }, "is shared by all, and refers by defaults_team_id_fkey",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tx := must[pgx.Tx](t)(conn.Begin(t.Context()))
			defer func() { _ = tx.Rollback(context.Background()) }() // for the next case
			if _, err := conn.PgConn().Exec(t.Context(), c.sql).ReadAll(); err != nil {
				t.Fatal(err)
			}
			config := s.config(1, 5)
			if c.change != nil {
				c.change(&config)
			}
			_, err := classify(must[[]*Table](t)(readTables(t.Context(), conn, config.schemas())), config)
			var refused *UnclassifiedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
}

func TestConfigurationsAreChecked(t *testing.T) {
	good := Config{Name: "m", Target: "t", Organizations: Organizations{From: "1"}, Routing: RoutingConfig{File: "x"}}
	if err := good.Validate(); err != nil {
		t.Errorf("%v", err)
	}
	for path, change := range map[string]func(*Config){
		"name":               func(c *Config) { c.Name = "Move-1" },
		"target":             func(c *Config) { c.Target = "primary" },
		"mode":               func(c *Config) { c.Mode = "fast" },
		"workers":            func(c *Config) { c.Workers = -1 },
		"shards":             func(c *Config) { c.Shards = 1 << 20 },
		"organizations":      func(c *Config) { c.Organizations = Organizations{} },
		"organizations.list": func(c *Config) { c.Organizations = Organizations{List: []string{"a", "b", "a"}} },
		"routing":            func(c *Config) { c.Routing.Table = "y" },
		"tables[0].table":    func(c *Config) { c.Tables = []TableConfig{{As: Omitted}} },
		"tables[1].table":    func(c *Config) { c.Tables = []TableConfig{{Table: "a", As: Omitted}, {Table: "a", As: Omitted}} },
		"tables[0]":          func(c *Config) { c.Tables = []TableConfig{{Table: "a"}} },
		"tables[0].as":       func(c *Config) { c.Tables = []TableConfig{{Table: "a", As: Root}} },
		"traffic":            func(c *Config) { c.Traffic = map[string]Rate{"1": -1} },
	} {
		bad := good
		change(&bad)
		var field *invalid.FieldError
		if err := bad.Validate(); !errors.As(err, &field) || field.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Tables in a circle, and those that reach organisations through it, are cleaned up
// to the last row and followed at the cut-over.
func TestACircleOfForeignKeys(t *testing.T) {
	t.Parallel()
	s := emptyStage(t)
	s.exec("source", `CREATE TABLE organizations (id bigint PRIMARY KEY);
		CREATE TABLE teams (id bigint PRIMARY KEY, organization_id bigint NOT NULL REFERENCES organizations, lead bigint);
		CREATE TABLE members (id bigint PRIMARY KEY, team bigint NOT NULL REFERENCES teams);
		ALTER TABLE teams ADD FOREIGN KEY (lead) REFERENCES members;
		CREATE TABLE badges (id bigint PRIMARY KEY, member bigint NOT NULL REFERENCES members);
		INSERT INTO organizations SELECT generate_series(1, 20);
		INSERT INTO teams SELECT id, id FROM organizations;
		INSERT INTO members SELECT id, id FROM teams;
		UPDATE teams SET lead = id;
		INSERT INTO badges SELECT id, id FROM members`)
	config := s.plainConfig(Fenced, 5, 9)
	config.Routing = RoutingConfig{Table: "shard_routing"} // is in the schema that moves, and does not
	j := s.job(config)
	if p := must[*Plan](t)(j.Plan(t.Context(), 0)); len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "a circle through public.teams, public.members:") {
		t.Errorf("%q", p.Warnings)
	}
	must[*MoveResult](t)(j.Move(t.Context()))
	s.exec("source", "UPDATE teams SET lead = NULL WHERE id = 6; DELETE FROM badges WHERE id = 6; DELETE FROM members WHERE id = 6")
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	if n := s.count("target", "SELECT (SELECT count(*) FROM teams) * 100 + (SELECT count(*) FROM members) * 10 + (SELECT count(*) FROM badges)"); n != 544 {
		t.Errorf("teams, members and badges on the target: %d", n)
	}
	must[*CleanupResult](t)(j.Cleanup(t.Context()))
	if n := s.count("source", "SELECT (SELECT count(*) FROM teams) * 10000 + (SELECT count(*) FROM members) * 100 + (SELECT count(*) FROM badges)"); n != 151515 {
		t.Errorf("teams, members and badges on the source: %d", n)
	}
}

// Keys of each type, in ranges and lists, take exactly their rows, with composite
// keys, foreign keys of two columns and names that need quotes.
func TestKeysOfEachTypeMove(t *testing.T) {
	for name, c := range map[string]struct {
		keyType, key string // the type, and the i-th key
		set          Organizations
		want         int64
	}{
		"uuid range": {"uuid", "md5(i::text)::uuid", Organizations{From: "40000000-0000-0000-0000-000000000000", To: "bfffffff-ffff-ffff-ffff-ffffffffffff"}, -1},
		"uuid list":  {"uuid", "md5(i::text)::uuid", Organizations{List: []string{"c4ca4238-a0b9-2382-0dcc-509a6f75849b", "c81e728d-9d4c-2f63-6f06-7f89cc14862c"}}, 2},
		"text range": {"text", "chr(64 + i % 26) || 'é''' || i", Organizations{From: "C", To: "M"}, -1},
		"text list":  {"varchar(40)", "'org ''' || i", Organizations{List: []string{"org '3", "org '77"}}, 2},
		"open range": {"integer", "i", Organizations{From: "91"}, 10},
		"dollars":    {"text", "'$body$' || i", Organizations{List: []string{"$body$3", "$body$77"}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := emptyStage(t)
			s.exec("source", fmt.Sprintf(`CREATE TABLE "Tenants" (uid %[1]s PRIMARY KEY);
				CREATE TABLE sites ("ten$ant" %[1]s NOT NULL REFERENCES "Tenants", "no" int NOT NULL, PRIMARY KEY ("ten$ant", "no"));
				CREATE TABLE visits (tenant_of %[1]s NOT NULL, site int NOT NULL, n bigint, note text, FOREIGN KEY (tenant_of, site) REFERENCES sites);
				INSERT INTO "Tenants" SELECT %[2]s FROM generate_series(1, 100) i;
				INSERT INTO sites SELECT uid, n FROM "Tenants", generate_series(1, 3) n;
				INSERT INTO visits SELECT "ten$ant", "no", n, E'a\tb\\\n' || n FROM sites, generate_series(1, 4) n;
				INSERT INTO visits SELECT * FROM visits WHERE n = 2;`, c.keyType, c.key))
			config := s.plainConfig(Fenced, 1, 1)
			config.Root, config.RootKey, config.Column, config.Organizations = "Tenants", "uid", "ten$ant", c.set
			j := s.job(config)
			must[*MoveResult](t)(j.Move(t.Context()))
			s.assertEqual(j)
			n := s.count("target", `SELECT count(*) FROM "Tenants"`)
			if n != c.want && (c.want >= 0 || n == 0 || n == 100) {
				t.Errorf("%d organisations moved", n)
			}
			if visits := s.count("target", "SELECT count(*) FROM visits"); visits != n*15 {
				t.Errorf("%d visits of %d organisations", visits, n)
			}
			must[*CutoverResult](t)(j.Cutover(t.Context()))
			for _, table := range []string{`"Tenants"`, "sites", "visits"} {
				if err := s.try("source", "DELETE FROM "+table); err == nil || !strings.Contains(err.Error(), "are on target") {
					t.Errorf("the source took a write to %s after the cut-over: %v", table, err)
				}
			}
			must[*CleanupResult](t)(j.Cleanup(t.Context()))
			if left := s.count("source", "SELECT count(*) FROM visits"); left != (100-n)*15 {
				t.Errorf("%d visits were left", left)
			}
		})
	}
}
