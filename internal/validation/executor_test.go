package validation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/plan"
	"scaleproof/internal/redact"
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
	// What doctor advises, where the server knows it.
	if _, err := conn.Exec(t.Context(), `DO $$ BEGIN
		IF current_setting('server_version_num')::int >= 150000 THEN EXECUTE 'GRANT ALTER SYSTEM ON PARAMETER maintenance_work_mem TO doctor_test'; END IF;
	END $$`); err != nil {
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
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	granted := scaling.CheckOK
	if version := conn.PgConn().ParameterStatus("server_version"); strings.HasPrefix(version, "13") || strings.HasPrefix(version, "14") {
		granted = scaling.CheckFault
	}
	states := map[string]scaling.CheckState{
		"CREATE INDEX CONCURRENTLY i ON mine (id)":               scaling.CheckOK,
		"create unique index if not exists i on public.mine(id)": scaling.CheckOK,
		"CREATE INDEX i ON other (id)":                           scaling.CheckFault,
		"ALTER TABLE ONLY other SET (fillfactor = 50)":           scaling.CheckFault,
		"DROP TABLE other":                                       scaling.CheckFault,
		"CREATE DATABASE shard_1":                                scaling.CheckFault,
		"ALTER SYSTEM SET work_mem = '8MB'":                      scaling.CheckFault,
		"ALTER SYSTEM SET maintenance_work_mem = '8MB'":          granted,
		"CREATE TABLE new ()":                                    scaling.CheckFault,
		"CREATE SCHEMA new":                                      scaling.CheckFault,
		"UPDATE mine SET id = 1":                                 scaling.CheckOK,
		"UPDATE other SET id = 1":                                scaling.CheckFault,
		"INSERT INTO other VALUES (1)":                           scaling.CheckFault,
		"DELETE FROM other":                                      scaling.CheckFault,
		"VACUUM other":                                           scaling.CheckWarning,
		"DROP INDEX CONCURRENTLY IF EXISTS i":                    "", // it is not there yet
		"ALTER TABLE nowhere SET (fillfactor = 50)":              scaling.CheckWarning,
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

// Two nodes may be one database, for two roles. A run does not meet its own lock there,
// and another run meets it.
func TestTwoNodesOfOneDatabaseHaveOneLock(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	text := fmt.Sprintf(`version: 1
name: roles
environment: {postgres: {primary: {dsn: %q}, nodes: [{name: owner, dsn: %[1]q}]}}
action:
  steps:
    - {name: table, sql: {node: owner, up: [CREATE TABLE t (id int)], down: [DROP TABLE t], read: "SELECT to_regclass('t')"}}
    - {name: index, sql: {up: [CREATE INDEX t_id ON t (id)], down: [DROP INDEX IF EXISTS t_id]}}
`, dsn)
	p, err := plan.Read("roles.yaml", []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	opts, _ := options(t)
	o, err := Apply(t.Context(), p, opts)
	if err != nil || o.Status != scaling.Applied {
		t.Fatalf("%+v, %v", o, err)
	}
	_, unlock, err := newRunner(p, opts).lock(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := Apply(t.Context(), p, opts); err == nil || !strings.Contains(err.Error(), "is acting on the database of node primary") {
		t.Errorf("error %v", err)
	}
}

// A run that loses its lock was not interrupted: it says so, before it has changed
// anything and after.
func TestALostLockIsSaid(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	r := newRunner(planFor(t, s, 5, ""), opts)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("%w (another)", scaling.ErrLockLost))
	var environment *EnvironmentError
	if err := lockFault(ctx, ctx.Err()); !errors.As(err, &environment) || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "the lock was lost") {
		t.Errorf("before the action: %v", err)
	}
	fault := errors.Join(errors.New("step x"), ctx.Err())
	act := &action{err: fault, outcome: &scaling.Outcome{Status: scaling.Failed, Steps: []scaling.StepOutcome{{Name: "x", Status: scaling.Failed}}}}
	report := r.newReport()
	r.judge(ctx, report, act, fault)
	if report.Verdict.Word != reports.Fail || !strings.Contains(report.Verdict.Headline, "the lock was lost") {
		t.Errorf("verdict %+v", report.Verdict)
	}
	if reason := r.rollbackReason(ctx, report, act, fault); !strings.Contains(reason, "the lock was lost") {
		t.Errorf("reason %q", reason)
	}
	interrupted, stop := context.WithCancel(t.Context())
	stop()
	if r.judge(interrupted, report, act, fault); report.Verdict.Word != reports.Interrupted || lockFault(interrupted, interrupted.Err()) != context.Canceled {
		t.Errorf("verdict %+v of an interruption", report.Verdict)
	}
}

// An answer that a process did not live to take is none to the question of the one that
// goes on: much may have happened since.
func TestAResumedRunAsksAgain(t *testing.T) {
	opts, _ := options(t)
	opts.JournalDir = t.TempDir()
	r := newRunner(&plan.Plan{Secrets: &redact.Secrets{}}, opts)
	question := filepath.Join(opts.JournalDir, questionFile+"look.json")
	if err := writeJSON(question, Approval{Step: "look"}); err != nil { // by the one that was killed
		t.Fatal(err)
	}
	if _, err := Approve(opts.JournalDir, Answer{Yes: true, By: "ann"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*approvalInterval)
	defer cancel()
	if by, err := r.approve(ctx, "look", "is it well?"); err == nil {
		t.Errorf("approved by %s, who was not asked", by)
	}
}

// A step's request may take as long as the step, whatever other requests may.
func TestAStepsRequestIsBoundedByTheStep(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	opts.HTTP = &http.Client{Timeout: time.Nanosecond}
	p := planFor(t, s, 5, "")
	if o, err := newRunner(p, opts).executor(nil, func(scaling.Event) {}).Apply(t.Context(), "id", p.Action.Steps); err != nil {
		t.Errorf("%v, %+v", err, o.Steps)
	}
}

func TestAQuestionTellsNoSecret(t *testing.T) {
	opts, events := options(t)
	opts.JournalDir = t.TempDir()
	var asked string
	opts.Ask = func(_ context.Context, question string) (Answer, error) {
		asked = question
		return Answer{Yes: true, By: "ann"}, nil
	}
	r := newRunner(planFor(t, newTarget(t), 5, ""), opts)
	r.plan.Secrets.Add("sentinel-secret")
	if by, err := r.approve(t.Context(), "look", "is sentinel-secret right?"); err != nil || by != "ann" {
		t.Errorf("%s, %v", by, err)
	}
	if asked != "is xxxxx right?" || strings.Contains(events(), "sentinel") {
		t.Errorf("asked %q, events %s", asked, events())
	}
}
