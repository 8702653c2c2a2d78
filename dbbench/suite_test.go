package dbbench

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/sample"
	"scaleproof/internal/unit"

	"github.com/google/go-cmp/cmp"
)

func TestArgumentsDrawnFromTheDatabaseAreCases(t *testing.T) {
	node := database(t)
	q := Query{
		Name: "org", SQL: byOrganization.SQL,
		ArgsFrom: "SELECT 'small', 1 UNION ALL SELECT 'the largest', 2",
	}
	r := trial(t, open(t, node, Config{Queries: []Query{q}, Repetitions: 1}))
	if len(r.Cases) != 2 || r.Cases[0].Name != "org-small" || r.Cases[1].Name != "org-the_largest" || r.Cases[1].Rows != 200 {
		t.Errorf("%+v", r.Cases)
	}
	for from, want := range map[string]string{
		"SELECT 'a', 1 WHERE false":             "gives no row",
		"SELECT 1":                              "a column that names the case",
		"SELECT x":                              `column "x" does not exist`,
		"SELECT 'a', 1 UNION ALL SELECT 'a', 2": "two cases have the name org-a",
		"SELECT 'a', 1 FROM pg_sleep(60)":       "statement timeout",
	} {
		q.ArgsFrom = from
		b := open(t, node, Config{Queries: []Query{q, {Name: "other", SQL: "SELECT 1"}}, Repetitions: 1, StatementTimeout: unit.Duration(200 * time.Millisecond)})
		cases := trial(t, b).Cases
		if len(cases) != 2 || cases[0].Name != "org" || !strings.Contains(cases[0].Error, want) || cases[1].Error != "" || len(cases[1].ServerTime) != 1 {
			t.Errorf("%s: %+v", from, cases)
		}
	}
}

// A query for arguments runs as those of the suite do: it writes nothing without
// consent, and leaves nothing with it.
func TestDrawingArgumentsLeavesTheDatabaseAlone(t *testing.T) {
	node := database(t)
	q := Query{Name: "org", SQL: byOrganization.SQL, ArgsFrom: "DELETE FROM incidents WHERE id = 1 RETURNING 'a', organization_id"}
	for _, consent := range []bool{false, true} {
		c := trial(t, open(t, node, Config{Queries: []Query{q, {Name: "all", SQL: "SELECT * FROM incidents WHERE id = 1"}}, Repetitions: 1, AllowWrites: consent})).Cases
		if refused := strings.Contains(c[0].Error, "read-only transaction"); refused == consent || c[1].Rows != 1 {
			t.Errorf("with consent %v: %+v, and %v rows are there", consent, c[0], c[1].Rows)
		}
	}
}

func TestTheArgumentsOfAnEarlierResultAreTaken(t *testing.T) {
	node := database(t)
	config := Config{Repetitions: 1, Queries: []Query{
		{Name: "org", SQL: byOrganization.SQL, Organizations: "incidents.organization_id"},
		{Name: "null", SQL: "SELECT $1::text, $2::text", ArgsFrom: "SELECT 'a', NULL, 'NULL' FROM incidents WHERE id = 1"},
		{Name: "late", SQL: byOrganization.SQL, ArgsFrom: "SELECT 'a', organization_id FROM incidents WHERE id > 20000"},
	}}
	before := trial(t, open(t, node, config))
	execute(t, node, "UPDATE incidents SET organization_id = organization_id + 500 WHERE organization_id < 20", "INSERT INTO incidents VALUES (20001, 1, '')", "DELETE FROM incidents WHERE id = 1")
	if anew := trial(t, open(t, node, config)); slices.Equal(anew.Cases[0].Args, before.Cases[0].Args) {
		t.Fatalf("drawn anew they are the same, %v", anew.Cases[0].Args)
	}
	// As a file keeps it.
	data, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var kept Result
	if err := json.Unmarshal(data, &kept); err != nil {
		t.Fatal(err)
	}
	b, err := OpenOn(t.Context(), []Node{node}, config, AfterAction, &kept)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	after := trial(t, b)
	for i, c := range before.Cases[:5] {
		if a := after.Cases[i]; a.Name != c.Name || !slices.Equal(a.Args, c.Args) || a.Error != "" {
			t.Errorf("%s with %v, and after with %v: %s", c.Name, c.Args, a.Args, a.Error)
		}
	}
	if null := b.cases[4].args; null[0] != nil || string(null[1]) != "NULL" {
		t.Errorf("NULL and a text became %q", null)
	}
	if late := after.Cases[5]; before.Cases[5].Error == "" || late.Name != "late-a" || late.Rows != 1 {
		t.Errorf("what had no arguments is drawn: %+v", late)
	}
}

func TestLoadSuite(t *testing.T) {
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fromSQL, err := LoadSuite(write("s.sql", "-- a suite\n-- name: one\nSELECT 1;\n\n-- name: two\nSELECT\n  2;\n"))
	if err != nil {
		t.Fatal(err)
	}
	fromYAML, err := LoadSuite(write("s.yaml", "queries:\n  - {name: one, sql: SELECT 1}\n  - {name: two, sql: \"SELECT\\n  2\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(fromSQL, fromYAML, func(a, b Query) bool { return a.Name == b.Name && a.SQL == b.SQL }) || len(fromSQL) != 2 {
		t.Errorf("%+v, %+v", fromSQL, fromYAML)
	}
	for name, path := range map[string]string{
		"unnamed":     write("a.sql", "SELECT 1;\n"),
		"twice":       write("b.sql", "-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n"),
		"empty":       write("c.sql", "-- name: a\n"),
		"unknown key": write("d.yaml", "queries:\n  - {name: a, query: SELECT 1}\n"),
		"absent":      filepath.Join(t.TempDir(), "none.sql"),
	} {
		if _, err := LoadSuite(path); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

func TestParametersOfASQLSuite(t *testing.T) {
	got, err := parseSQL(`-- A comment of the file.
-- name: given
-- params: 42, 'it''s, (', open
-- weight: 2.5
SELECT $1, -- params are no directive within the statement's text
  $2, $3;

-- name: drawn
-- params: from SELECT 'a',
-- params:   1
SELECT $1
-- name: organisations
-- params: organizations of app.incidents.organization_id
SELECT $1;
-- name: random
-- params: random int(1, 10), choice('a, b', c), zipf(1, 5, 1.5), float(-1, 1)
SELECT $1, $2, $3, $4;
-- the end`)
	if err != nil {
		t.Fatal(err)
	}
	want := []Query{
		{Name: "given", SQL: "SELECT $1, -- params are no directive within the statement's text\n  $2, $3", Args: []string{"42", "it's, (", "open"}, Weight: 2.5},
		{Name: "drawn", SQL: "SELECT $1", ArgsFrom: "SELECT 'a',\n1"},
		{Name: "organisations", SQL: "SELECT $1", Organizations: "app.incidents.organization_id"},
		{Name: "random", SQL: "SELECT $1, $2, $3, $4", Random: []string{"int(1, 10)", "choice('a, b', c)", "zipf(1, 5, 1.5)", "float(-1, 1)"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsOfASQLSuiteNameTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":               "line 1: a statement needs",
		"-- weight: 1\n":         "line 1: a statement needs",
		"-- name: a b\nSELECT 1": `line 1: query.name: must be letters`,
		"-- name: a\n":           "line 1: query: a has no sql",
		"\n-- name: a\nSELECT 1;\n-- name: a\nSELECT 2":             `"a" stands twice`,
		"-- name: a\n-- weight: 0\nSELECT 1":                        "line 2: a weight is a number above 0",
		"-- name: a\nSELECT 1\n-- weight: 1\n":                      "line 3: -- weight: stands behind the statement of a",
		"-- name: a\n-- params: 'x\nSELECT $1":                      "line 2: the parameters of a: a quote or a parenthesis is not closed",
		"-- name: a\n-- params: 1,,2\nSELECT $1":                    "line 2: the parameters of a: a value is missing",
		"-- name: a\n-- params: random dice(6)\nSELECT $1":          `line 1: query.random[0]: "dice(6)" is none of`,
		"-- name: a\n-- params: organizations of incidents\nSELECT": "line 1: query.organizations: must be table.column",
	} {
		if _, err := parseSQL(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
}

func TestGenerators(t *testing.T) {
	for text, check := range map[string]func(string) bool{
		"int(-3, 3)":                    func(s string) bool { n, err := strconv.Atoi(s); return err == nil && n >= -3 && n <= 3 },
		"int(5, 5)":                     func(s string) bool { return s == "5" },
		"int(-9223372036854775807, -2)": func(s string) bool { return strings.HasPrefix(s, "-") },
		"zipf(10, 12, 1.2)":             func(s string) bool { return s == "10" || s == "11" || s == "12" },
		"float(0.5, 1)":                 func(s string) bool { x, err := strconv.ParseFloat(s, 64); return err == nil && x >= .5 && x <= 1 },
		"choice(a, 'b, c')":             func(s string) bool { return s == "a" || s == "b, c" },
	} {
		g, err := parseGenerator(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		one, same := g(rand.New(rand.NewPCG(1, 2))), g(rand.New(rand.NewPCG(1, 2)))
		for range 1000 {
			value := string(one(nil))
			if !check(value) {
				t.Errorf("%s drew %q", text, value)
			}
			if again := string(same(nil)); again != value {
				t.Errorf("%s drew %q and %q from one seed", text, value, again)
			}
		}
	}
	for _, text := range []string{"", "int", "int(1)", "int(2, 1)", "int(a, b)", "int(-9223372036854775808, 9223372036854775807)", "zipf(1, 2)", "zipf(1, 2, 1)", "zipf(1, 2, NaN)", "float(1, 0)", "float(NaN, 1)", "choice()", "choice(a"} {
		if _, err := parseGenerator(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

// The first of a zipf is drawn in proportion to 1, the second to 2^-skew.
func TestZipfIsSkewedAsItSays(t *testing.T) {
	g, err := parseGenerator("zipf(1, 1000, 2)")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	draw := g(rand.New(rand.NewPCG(3, 4)))
	const draws = 100_000
	for range draws {
		counts[string(draw(nil))]++
	}
	if ratio := float64(counts["1"]) / float64(counts["2"]); math.Abs(ratio-4) > .3 {
		t.Errorf("the first was drawn %.2f times as often as the second, not 4", ratio)
	}
}

func TestOrganisationsOfFourSizes(t *testing.T) {
	node := Node{Name: "primary", DSN: newDatabase(t)}
	// Organisation k has k rows; ten have none but NULL.
	execute(t, node, `CREATE TABLE owned AS SELECT k AS "Owner" FROM generate_series(1, 100) k, generate_series(1, k)`, `INSERT INTO owned SELECT NULL FROM generate_series(1, 10000)`)
	q := Query{Name: "org", SQL: `SELECT * FROM owned WHERE "Owner" = $1`, Organizations: "public.owned.Owner"}
	r := trial(t, open(t, node, Config{Queries: []Query{q}, Repetitions: 1, Plans: "custom"}))
	rows := map[string]float64{}
	for _, c := range r.Cases {
		rows[c.Name] = c.Rows
	}
	want := map[string]float64{"org-small": 10, "org-median": 50, "org-large": 90, "org-largest": 100}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
}

func TestOrganisationsOfAPart(t *testing.T) {
	node := Node{Name: "primary", DSN: newDatabase(t)}
	execute(t, node, "CREATE TABLE owned AS SELECT k AS owner FROM generate_series(1, 40) k, generate_series(1, k)")
	for condition, want := range map[string]string{"WHERE owner <= 20": "2 10 18 20", "where\n owner = 7 OR owner = 8 -- or": "7 7 8 8"} {
		q := Query{Name: "org", SQL: "SELECT FROM owned WHERE owner = $1", Organizations: "owned.owner " + condition}
		var args []string
		for _, c := range open(t, node, Config{Queries: []Query{q}}).cases {
			args = append(args, string(c.args[0]))
		}
		if got := strings.Join(args, " "); got != want {
			t.Errorf("%s: %s, want %s", condition, got, want)
		}
	}
}

func TestRandomArgumentsComeFromTheSeed(t *testing.T) {
	node := database(t)
	q := Query{Name: "id", SQL: "SELECT * FROM incidents WHERE id = $1", Random: []string{"int(1, 20000)"}}
	args := func(seed uint64, queries ...Query) string {
		b := open(t, node, Config{Queries: queries, Seed: seed})
		return string(b.cases[len(b.cases)-1].args[0])
	}
	one := args(1, q)
	if again := args(1, byOrganization, q); again != one {
		t.Errorf("drew %s, and beside another query %s", one, again)
	}
	if other := args(2, q); other == one {
		t.Errorf("both seeds drew %s", one)
	}
}

func TestTheRunbooksSuiteRunsOnTheSampleData(t *testing.T) {
	node := Node{Name: "primary", DSN: newDatabase(t)}
	if err := sample.Load(t.Context(), node.DSN, sample.Data{Organizations: 20, Incidents: 5000, Seed: 1, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}); err != nil {
		t.Fatal(err)
	}
	r := trial(t, open(t, node, Config{Suite: "runbook", Repetitions: 1}))
	if len(r.Cases) != 12 {
		t.Errorf("%d cases", len(r.Cases))
	}
	for _, c := range r.Cases {
		if c.Error != "" || c.Rows == 0 || c.Generic == nil || c.Generic.Plan == nil {
			t.Errorf("%s: %s, %v rows", c.Name, c.Error, c.Rows)
		}
	}
	if first := r.Cases[0]; first.Name != "org_incidents-small" || first.Rows >= r.Cases[3].Rows {
		t.Errorf("%s has %v rows, the largest %v", first.Name, first.Rows, r.Cases[3].Rows)
	}
}

func FuzzParseSQL(f *testing.F) {
	text, err := builtIn.ReadFile("suites/runbook.sql")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("-- name: a\n-- params: random int(1, 2), choice('x')\n-- weight: 3\nSELECT 1;\n-- name: b\nSELECT ';'\n")
	f.Fuzz(func(t *testing.T, text string) {
		queries, err := parseSQL(text)
		if err != nil {
			return
		}
		if err := validateQueries(queries); err != nil {
			t.Errorf("%q gives queries that are not valid: %v", text, err)
		}
		for _, q := range queries {
			for _, g := range q.Random {
				if _, err := parseGenerator(g); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
