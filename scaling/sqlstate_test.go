package scaling

import (
	"strings"
	"testing"
)

// Of a statement that makes or drops an index, the state is read without a query of
// the plan's.
func TestTheStateOfAnIndexIsKnown(t *testing.T) {
	env, _ := onDatabase(t, `CREATE SCHEMA s; CREATE TABLE s."The Table" AS SELECT g id, g % 7 org FROM generate_series(1, 100) g; CREATE INDEX kept ON s."The Table" (id);
		CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9)`)
	for name, c := range map[string]struct {
		up, down      []string
		before, after string
		fails         bool
		back          string // what is not verified after going back
	}{
		"made": {[]string{`CREATE INDEX CONCURRENTLY Orgs ON s."The Table" USING btree (org DESC)`}, []string{"DROP INDEX s.orgs"}, "orgs absent", "orgs valid", false, ""},
		"two": {
			[]string{`CREATE INDEX IF NOT EXISTS "It's" ON ONLY s."The Table"(org);`, `drop index if exists s.kept`},
			[]string{`CREATE INDEX kept ON s."The Table" (id)`, `DROP INDEX s."It's"`},
			"It's absent, s.kept valid", "It's valid, s.kept absent", false, "",
		},
		"it was there":   {[]string{`CREATE INDEX IF NOT EXISTS kept ON s."The Table" (id)`}, []string{"DROP INDEX s.kept"}, "kept valid", "kept valid", false, ""},
		"beyond ASCII":   {[]string{`CREATE INDEX Über ON s."The Table" (org)`}, []string{"DROP INDEX s.Über"}, "Über absent", "Über valid", false, ""},
		"of the parent":  {[]string{"CREATE INDEX parent ON ONLY parts (id)"}, []string{"DROP INDEX parent"}, "parent absent", "parent valid", false, ""},
		"left invalid":   {[]string{`CREATE UNIQUE INDEX CONCURRENTLY u ON s."The Table" (org)`}, []string{"DROP INDEX IF EXISTS s.u"}, "u absent", "", true, ""},
		"it is not gone": {[]string{`CREATE INDEX stays ON s."The Table" (org)`}, []string{"SELECT 1"}, "stays absent", "stays valid", false, `"stays valid" and was "stays absent"`},
		"not known":      {[]string{"CREATE TABLE x ()"}, []string{"DROP TABLE x"}, "", "", false, "the step has no read"},
		"not of indexes": {[]string{`CREATE INDEX w ON s."The Table" (org)`, "CREATE TABLE y ()"}, []string{"DROP TABLE y", "DROP INDEX s.w"}, "", "", false, "the step has no read"},
	} {
		t.Run(name, func(t *testing.T) {
			step := Step{Name: name, SQL: &SQL{Up: c.up, Down: c.down}}
			x := newExecutor(t, env)
			o, err := x.Apply(t.Context(), "id", []Step{step})
			if s := o.Steps[0]; (err != nil) != c.fails || s.Before != c.before || s.After != c.after {
				t.Fatalf("%v, %+v", err, s)
			}
			r := x.Rollback(t.Context(), o, "a test")
			if r.Verified != (c.back == "") || !strings.Contains(strings.Join(r.Differences, ""), c.back) {
				t.Errorf("rollback %+v", r)
			}
		})
	}
}
