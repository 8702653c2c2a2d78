package validation

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/plan"
	"scaleproof/internal/testpg"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// A service that does not answer after a rollback is not as it was, whatever its state
// reads.
func TestARollbackIsProbed(t *testing.T) {
	s := newTarget(t)
	opts, events := options(t)
	r, err := Run(t.Context(), planFor(t, s, 5, "rollback: {when: always}\n"), opts)
	if err != nil {
		t.Fatal(err)
	}
	if b := r.Action.Rollback; !b.Verified || !strings.HasPrefix(b.Probe, "load api: ") || !strings.HasSuffix(b.Probe, "requests were answered") {
		t.Errorf("rollback %+v, events\n%s", b, events())
	}
	// The service breaks while it is undone, and stays so.
	p := planFor(t, s, 5, "rollback: {when: always}\n")
	p.Action.Steps = append(p.Action.Steps, scaling.Step{Name: "breaks", Exec: &scaling.Exec{Command: []string{"true"}, Undo: []string{"true"}}})
	x := newRunner(p, opts)
	x.probeFor = 2 * probeLength
	o := &scaling.Outcome{Status: scaling.RolledBack, Rollback: &scaling.Rollback{Verified: true}}
	s.failing.Store(true)
	x.probe(t.Context(), o)
	if o.Rollback.Verified || o.Status != scaling.Unverified || len(o.Rollback.Differences) != 1 || !strings.Contains(o.Rollback.Differences[0], "requests failed") {
		t.Errorf("rollback %+v", o.Rollback)
	}
	if v := reports.AfterRollback(reports.Verdict{}, o.Rollback); v.ExitCode != 5 {
		t.Errorf("verdict %+v", v)
	}
	// What failed before may fail after.
	o = &scaling.Outcome{Status: scaling.RolledBack, Rollback: &scaling.Rollback{Verified: true}}
	if x.before, err = Measure(t.Context(), planFor(t, s, 5, ""), opts); err != nil {
		t.Fatal(err)
	}
	x.probe(t.Context(), o)
	if !o.Rollback.Verified {
		t.Errorf("rollback %+v", o.Rollback)
	}
}

// withRole returns a database and its string for a role that owns nothing of it but
// the table mine.
func withRole(t *testing.T) (dsn string) {
	t.Helper()
	admin := testpg.ForTest(t).NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	t.Cleanup(func() {
		conn, err := pgx.Connect(t.Context(), admin)
		if err != nil {
			return // the server goes, and the role with it
		}
		defer conn.Close(t.Context())
		_, _ = conn.Exec(t.Context(), "DROP OWNED BY doctor_test; DROP ROLE doctor_test")
	})
	if _, err := conn.Exec(t.Context(), `CREATE ROLE doctor_test LOGIN PASSWORD 'doctor-test'; REVOKE CREATE ON SCHEMA public FROM public;
		CREATE TABLE mine (id int); ALTER TABLE mine OWNER TO doctor_test; CREATE TABLE other (id int)`); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("doctor_test", "doctor-test")
	return u.String()
}

func TestDoctorKnowsWhatARoleMayDo(t *testing.T) {
	dsn := withRole(t)
	states := map[string]scaling.CheckState{
		"CREATE INDEX CONCURRENTLY i ON mine (id)":               scaling.CheckOK,
		"create unique index if not exists i on public.mine(id)": scaling.CheckOK,
		"CREATE INDEX i ON other (id)":                           scaling.CheckFault,
		"ALTER TABLE ONLY other SET (fillfactor = 50)":           scaling.CheckFault,
		"DROP TABLE other":                                       scaling.CheckFault,
		"CREATE DATABASE shard_1":                                scaling.CheckFault,
		"ALTER SYSTEM SET work_mem = '8MB'":                      scaling.CheckFault,
		"CREATE TABLE new ()":                                    scaling.CheckFault,
		"CREATE SCHEMA new":                                      scaling.CheckFault,
		"UPDATE mine SET id = 1":                                 scaling.CheckOK,
		"UPDATE other SET id = 1":                                scaling.CheckFault,
		"INSERT INTO other VALUES (1)":                           scaling.CheckFault,
		"DELETE FROM other":                                      scaling.CheckFault,
		"VACUUM other":                                           scaling.CheckWarning,
		"DROP INDEX CONCURRENTLY IF EXISTS i":                    "", // it is not there yet
	}
	text := "version: 1\nname: rights\nenvironment: {postgres: {primary: {dsn: \"" + dsn + "\"}}}\naction:\n  steps:\n"
	for statement := range states {
		text += fmt.Sprintf("    - sql: {up: [%q], down: [%q]}\n", statement, statement)
	}
	p, err := plan.Read("rights.yaml", []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	opts, _ := options(t)
	opts.JournalDir = t.TempDir()
	found := map[string]scaling.CheckState{}
	for _, c := range Doctor(t.Context(), p, opts) {
		if strings.HasPrefix(c.Name, "rights of step") {
			_, after, cut := strings.Cut(c.Detail, ": ")
			if !cut {
				after = c.Detail
			}
			found[after] = c.State
			if c.State != scaling.CheckOK && c.Mend == "" {
				t.Errorf("%+v: what is to be done?", c)
			}
		}
	}
	for statement, want := range states {
		if found[statement] != want {
			t.Errorf("%s: %q, want %q", statement, found[statement], want)
		}
	}
}
