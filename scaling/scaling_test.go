package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/redact"
	"scaleproof/internal/testpg"
	"scaleproof/internal/unit"
)

func TestMain(m *testing.M) { testpg.Main(m) }

func environment(t *testing.T) Environment {
	t.Helper()
	return Environment{Environ: os.Environ(), HTTP: http.DefaultClient, Now: time.Now}
}

func newExecutor(t *testing.T, env Environment) *Executor {
	t.Helper()
	return NewExecutor(env, nil, func(Event) {})
}

// fileStep is an exec step whose state is the text of a file.
func fileStep(path, value string) Step {
	return Step{Name: "file", Exec: &Exec{
		Command: []string{"sh", "-c", fmt.Sprintf("printf %%s %s > %s", value, path)},
		Undo:    []string{"sh", "-c", `printf %s "$SCALEPROOF_PRIOR" > ` + path},
		Read:    []string{"cat", path},
		Expect:  value,
	}}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func assertFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", filepath.Base(path), got, err, want)
	}
}

func TestApplyAndRollBackInReverse(t *testing.T) {
	a, b := writeFile(t, "a", "1"), writeFile(t, "b", "2")
	var events []string
	x := NewExecutor(environment(t), nil, func(e Event) { events = append(events, e.Step+" "+string(e.Status)) })
	steps := []Step{fileStep(a, "10"), fileStep(b, "20")}
	steps[0].Name, steps[1].Name = "first", "second"
	o, err := x.Apply(t.Context(), "id", steps)
	if err != nil || o.Status != Applied {
		t.Fatalf("%v, %+v", err, o)
	}
	assertFile(t, a, "10")
	if s := o.Steps[0]; s.Before != "1" || s.After != "10" || s.Status != Applied || s.Attempts != 1 {
		t.Errorf("step %+v", s)
	}
	r := x.Rollback(t.Context(), o, "a test")
	if !r.Verified || o.Status != RolledBack || r.Steps[0].Name != "second" || r.Steps[1].Name != "first" {
		t.Errorf("rollback %+v", r)
	}
	assertFile(t, a, "1")
	assertFile(t, b, "2")
	want := "first pending,first applied,second pending,second applied,second rolled-back,first rolled-back"
	if got := strings.Join(events, ","); got != want {
		t.Errorf("events %s", got)
	}
}

func TestAFailedStepStopsTheActionAndIsUndone(t *testing.T) {
	a, b := writeFile(t, "a", "1"), writeFile(t, "b", "2")
	half := fileStep(b, "half")
	half.Exec.Expect = "whole"
	half.Retry = 2
	x := newExecutor(t, environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{fileStep(a, "10"), half, fileStep(a, "30")})
	if err == nil || o.Status != Failed || o.Steps[1].Status != Failed || o.Steps[1].Attempts != 3 || o.Steps[2].Status != Skipped {
		t.Fatalf("%v, %+v", err, o)
	}
	if r := x.Rollback(t.Context(), o, "it failed"); !r.Verified || len(r.Steps) != 2 {
		t.Errorf("rollback %+v", r)
	}
	assertFile(t, a, "1")
	assertFile(t, b, "2")
}

func TestAThirdPartysChangeIsReportedNotOverwritten(t *testing.T) {
	a, b := writeFile(t, "a", "1"), writeFile(t, "b", "2")
	x := newExecutor(t, environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{fileStep(a, "10"), fileStep(b, "20")})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b, []byte("99"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := x.Rollback(t.Context(), o, "a test")
	if r.Verified || o.Status != Unverified || len(r.Differences) != 1 || !strings.Contains(r.Differences[0], `"99"`) {
		t.Errorf("rollback %+v", r)
	}
	assertFile(t, b, "99")
	assertFile(t, a, "1")
}

func TestRollbackGoesOnPastErrorsAndSaysSo(t *testing.T) {
	a, b := writeFile(t, "a", "1"), writeFile(t, "b", "2")
	stuck := fileStep(b, "20")
	stuck.Exec.Undo = []string{"false"}
	x := newExecutor(t, environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{fileStep(a, "10"), stuck})
	if err != nil {
		t.Fatal(err)
	}
	if r := x.Rollback(t.Context(), o, "a test"); r.Verified || len(r.Steps) != 2 || r.Steps[0].Error == "" {
		t.Errorf("rollback %+v", r)
	}
	assertFile(t, a, "1")
}

// A state goes back as it was, whole and without what its reading warned of, or the step
// does not begin.
func TestAStateIsRestoredWhole(t *testing.T) {
	for name, c := range map[string]struct{ state, fault string }{
		"longer than an output": {state: strings.Repeat("0123456789", 2000)},
		"as long as may be":     {state: strings.Repeat("x", stateLimit)},
		"too long":              {strings.Repeat("x", stateLimit+1), "longer than 96 KiB"},
		"no text":               {"caf\xe9", "no text"},
		"with a zero":           {"a\x00b", "no text"},
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, "state", c.state)
			step := fileStep(path, "10")
			step.Exec.Read = []string{"sh", "-c", "echo deprecated >&2; cat " + path}
			assertRestored(t, step, c.fault)
			assertFile(t, path, c.state)

			state := c.state
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if body, _ := io.ReadAll(r.Body); r.Method == http.MethodPut {
					state = string(body)
				}
				fmt.Fprint(w, state)
			}))
			defer server.Close()
			assertRestored(t, Step{Name: "http", HTTP: &HTTP{Method: http.MethodPut, URL: server.URL, Body: "10", Read: server.URL}}, c.fault)
			if state != c.state {
				t.Errorf("the server has %d bytes, and had %d", len(state), len(c.state))
			}
		})
	}
}

// assertRestored applies a step and undoes it, or finds the fault for which it does not
// begin.
func assertRestored(t *testing.T, step Step, fault string) {
	t.Helper()
	x := newExecutor(t, environment(t))
	o, err := x.Apply(t.Context(), "id", []Step{step})
	if fault != "" {
		if err == nil || !strings.Contains(err.Error(), fault) || o.Steps[0].Status != Skipped {
			t.Errorf("%v, %s", err, o.Steps[0].Status)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := x.Rollback(t.Context(), o, "a test"); !r.Verified {
		t.Errorf("rollback %.200q", r.Differences)
	}
}

func TestCancellingStopsTheChildrenOfTheStep(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "started")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	pid := make(chan string, 1)
	go func() {
		text, _ := os.ReadFile(fifo) // it holds until the child writes
		pid <- strings.TrimSpace(string(text))
		cancel()
	}()
	x := newExecutor(t, environment(t))
	// The shell's own child would outlive a signal to the shell alone.
	step := Step{Name: "long", Irreversible: true, Exec: &Exec{Command: []string{"sh", "-c", "sleep 600 & echo $! > " + fifo + "; wait"}}}
	o, err := x.Apply(ctx, "id", []Step{step})
	if !errors.Is(err, context.Canceled) || o.Steps[0].Status != Failed {
		t.Fatalf("%v, %+v", err, o)
	}
	var child int
	if _, err := fmt.Sscan(<-pid, &child); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for !errors.Is(syscall.Kill(child, 0), syscall.ESRCH) {
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child)); err == nil && strings.Contains(string(state), ") Z ") {
			return // dead, and not yet reaped by whoever inherited it
		}
		if time.Now().After(deadline) {
			t.Fatalf("the grandchild %d is alive", child)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestATimeoutSaysSo(t *testing.T) {
	x := newExecutor(t, environment(t))
	step := Step{Name: "slow", Timeout: unit.Duration(50 * time.Millisecond), Irreversible: true, Exec: &Exec{Command: []string{"sleep", "600"}}}
	if _, err := x.Apply(t.Context(), "id", []Step{step}); err == nil || !strings.Contains(err.Error(), "timeout of 50ms") {
		t.Errorf("error %v", err)
	}
}

// onDatabase is an environment whose primary is a new database with what sql makes, and
// a connection to it.
func onDatabase(t *testing.T, sql string) (Environment, *pgx.Conn) {
	t.Helper()
	env := environment(t)
	dsn := testpg.ForTest(t).NewDatabase(t)
	env.DSNs = map[string]string{"primary": dsn}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
	return env, conn
}

func TestSQLStepOnARealServer(t *testing.T) {
	env, conn := onDatabase(t, "CREATE TABLE incidents AS SELECT g id, g % 7 organization_id FROM generate_series(1, 1000) g")
	const state = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('i') AND indisvalid"
	index := Step{Name: "index", SQL: &SQL{
		Up:   []string{"CREATE INDEX CONCURRENTLY i ON incidents (organization_id)"},
		Down: []string{"DROP INDEX CONCURRENTLY IF EXISTS i"},
		Read: state, Expect: "1",
	}}
	x := newExecutor(t, env)
	o, err := x.Apply(t.Context(), "id", []Step{index})
	if err != nil || o.Steps[0].Before != "0" || o.Steps[0].After != "1" {
		t.Fatalf("%v, %+v", err, o.Steps[0])
	}
	if r := x.Rollback(t.Context(), o, "a test"); !r.Verified {
		t.Errorf("rollback %+v", r)
	}
	var count int
	if err := conn.QueryRow(t.Context(), state).Scan(&count); err != nil || count != 0 {
		t.Errorf("%d indexes are left, %v", count, err)
	}
	// A unique index on values that repeat fails, and leaves an invalid one.
	unique := Step{Name: "unique", SQL: &SQL{
		Up: []string{"CREATE UNIQUE INDEX CONCURRENTLY i ON incidents (organization_id)"}, Down: index.SQL.Down,
		Read: "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('i')", Expect: "1",
	}}
	o, err = x.Apply(t.Context(), "id", []Step{unique})
	if err == nil {
		t.Fatal("the unique index was made")
	}
	if r := x.Rollback(t.Context(), o, "it failed"); !r.Verified {
		t.Errorf("rollback %+v", r)
	}
	if err := conn.QueryRow(t.Context(), unique.SQL.Read).Scan(&count); err != nil || count != 0 {
		t.Errorf("%d invalid indexes are left, %v", count, err)
	}
}

// A query is taken as people write it: with a semicolon, or a remark behind it.
func TestAQueryMayEndAsAStatement(t *testing.T) {
	env, _ := onDatabase(t, "CREATE TABLE t (n int); INSERT INTO t VALUES (1)")
	for _, query := range []string{"SELECT n FROM t;", "SELECT n FROM t ; \n", "SELECT n FROM t -- of one row"} {
		step := Step{SQL: &SQL{Up: []string{"UPDATE t SET n = 2"}, Down: []string{"UPDATE t SET n = 1"}, Read: query, Expect: "2"}}
		wait := Step{Wait: &Wait{SQL: &WaitSQL{Query: query, Expect: "2"}}, Timeout: unit.Duration(time.Second)}
		x := newExecutor(t, env)
		o, err := x.Apply(t.Context(), "id", []Step{step, wait})
		if err != nil {
			t.Errorf("%q: %v", query, err)
		}
		if r := x.Rollback(t.Context(), o, "a test"); !r.Verified {
			t.Errorf("%q: %+v", query, r)
		}
	}
}

// An undo of which nothing can be read is not taken for verified.
func TestAnUndoWithoutAReadIsNotVerified(t *testing.T) {
	url, state := controlPlane(t)
	path := writeFile(t, "a", "1")
	blind := fileStep(path, "2")
	blind.Exec.Read, blind.Exec.Expect, blind.Exec.Undo = nil, "", []string{"sh", "-c", "printf 1 > " + path}
	steps := []Step{
		blind,
		{Name: "http", HTTP: &HTTP{Method: "PUT", URL: url, Body: "4", UndoBody: "1"}},
		{Name: "nothing", Exec: &Exec{Command: []string{"true"}, Undo: []string{"true"}}},
	}
	x := newExecutor(t, environment(t))
	for i, p := range x.Preview(t.Context(), steps) {
		if p.Unread != (i < 2) {
			t.Errorf("preview %+v", p)
		}
	}
	o, err := x.Apply(t.Context(), "id", steps)
	if err != nil {
		t.Fatal(err)
	}
	r := x.Rollback(t.Context(), o, "a test")
	if r.Verified || len(r.Differences) != 2 || !strings.Contains(r.Differences[0], "http: undone, but that can't be verified") {
		t.Errorf("rollback %+v", r)
	}
	assertFile(t, path, "1")
	if state() != "1" {
		t.Errorf("state %s", state())
	}
}

func TestATransactionIsAllOrNothing(t *testing.T) {
	env := environment(t)
	env.DSNs = map[string]string{"primary": testpg.ForTest(t).NewDatabase(t)}
	step := Step{Name: "two", SQL: &SQL{
		Up: []string{"CREATE TABLE a ()", "CREATE TABLE a ()"}, Down: []string{"DROP TABLE a"}, Transaction: true,
		Read: "SELECT count(*) FROM pg_tables WHERE tablename = 'a'", Expect: "1",
	}}
	x := newExecutor(t, env)
	o, err := x.Apply(t.Context(), "id", []Step{step})
	if err == nil {
		t.Fatal("it worked")
	}
	if r := x.Rollback(t.Context(), o, "it failed"); !r.Verified || r.Steps[0].After != "0" {
		t.Errorf("rollback %+v", r)
	}
}

// A controlPlane holds a state that is read by GET and set by PUT.
func controlPlane(t *testing.T) (url string, state func() string) {
	t.Helper()
	var mu sync.Mutex
	value := "1"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPut {
			body, err := io.ReadAll(r.Body)
			if err != nil || string(body) == "bad" {
				http.Error(w, "it must be a number", http.StatusBadRequest)
				return
			}
			value = string(body)
		}
		fmt.Fprintln(w, value)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() string { mu.Lock(); defer mu.Unlock(); return value }
}

func TestHTTPStepRestoresThePriorState(t *testing.T) {
	url, state := controlPlane(t)
	x := newExecutor(t, environment(t))
	step := Step{HTTP: &HTTP{Method: "PUT", URL: url, Body: "4", Read: url, Expect: "4"}}
	o, err := x.Apply(t.Context(), "id", []Step{step})
	if err != nil || state() != "4" {
		t.Fatalf("%v, state %s", err, state())
	}
	if r := x.Rollback(t.Context(), o, "a test"); !r.Verified || state() != "1" {
		t.Errorf("rollback %+v, state %s", r, state())
	}
	step.HTTP.Body = "bad"
	if _, err := x.Apply(t.Context(), "id", []Step{step}); err == nil || !strings.Contains(err.Error(), "it must be a number") {
		t.Errorf("error %v", err)
	}
}

// A redirection that net/http follows by a GET would change nothing, and answer 200.
func TestAChangeIsNotRedirectedToARead(t *testing.T) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen = append(seen, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(body)))
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/there", http.StatusMovedPermanently)
		case "/done":
			http.Redirect(w, r, "/result", http.StatusSeeOther)
		case "/kept":
			http.Redirect(w, r, "/there", http.StatusPermanentRedirect)
		}
	}))
	defer server.Close()
	x := newExecutor(t, environment(t))
	for _, step := range []Step{
		{HTTP: &HTTP{Method: http.MethodPut, URL: server.URL + "/moved", Body: "10", UndoBody: "1"}},
		{Notify: &Notify{URL: server.URL + "/moved", Text: "hello"}},
	} {
		if _, err := x.Apply(t.Context(), "id", []Step{step}); err == nil || !strings.Contains(err.Error(), "redirects") {
			t.Errorf("%s: error %v, after %q", step.Title(), err, seen)
		}
	}
	seen = nil
	for _, step := range []Step{
		{HTTP: &HTTP{Method: http.MethodPut, URL: server.URL + "/kept", Body: "10", UndoBody: "1"}},
		{HTTP: &HTTP{URL: server.URL + "/done", Body: "10", UndoBody: "1"}},
		{HTTP: &HTTP{Method: http.MethodGet, URL: server.URL + "/moved", UndoBody: "1"}},
	} {
		if _, err := x.Apply(t.Context(), "id", []Step{step}); err != nil {
			t.Error(err)
		}
	}
	if got, want := strings.Join(seen, ", "), "PUT /kept 10, PUT /there 10, POST /done 10, GET /result, GET /moved, GET /there"; got != want {
		t.Errorf("requests %s, want %s", got, want)
	}
}

func TestWaitUntilItHolds(t *testing.T) {
	env := environment(t)
	env.DSNs = map[string]string{"primary": testpg.ForTest(t).NewDatabase(t)}
	url, _ := controlPlane(t)
	x := newExecutor(t, env)
	marker := filepath.Join(t.TempDir(), "marker")
	short := unit.Duration(5 * time.Millisecond)
	steps := []Step{
		{Wait: &Wait{HTTP: &WaitHTTP{URL: url, Body: "1"}, Interval: short}},
		{Wait: &Wait{SQL: &WaitSQL{Query: "SELECT 6 * 7", Expect: "42"}, Interval: short}},
		// The first attempt makes what the second finds.
		{Wait: &Wait{Exec: []string{"sh", "-c", "test -e " + marker + " || { touch " + marker + "; exit 1; }"}, Interval: short}},
	}
	if o, err := x.Apply(t.Context(), "id", steps); err != nil {
		t.Errorf("%v, %+v", err, o)
	}
	never := Step{Timeout: unit.Duration(50 * time.Millisecond), Wait: &Wait{HTTP: &WaitHTTP{URL: url, Body: "2"}, Interval: short}}
	if _, err := x.Apply(t.Context(), "id", []Step{never}); err == nil || !strings.Contains(err.Error(), `without "2"`) || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("error %v", err)
	}
}

func TestSecretsStayOutOfEverything(t *testing.T) {
	const secret = "sentinel-secret"
	env := environment(t)
	env.Secrets = &redact.Secrets{}
	env.Secrets.Add(secret)
	path := writeFile(t, "a", secret)
	dir := t.TempDir()
	journal, err := OpenJournal(dir, "id")
	if err != nil {
		t.Fatal(err)
	}
	var events strings.Builder
	x := NewExecutor(env, journal, func(e Event) { fmt.Fprintln(&events, e) })
	leak := Step{Name: "leak", Irreversible: true, Exec: &Exec{Command: []string{"sh", "-c", "echo " + secret + "; exit 1"}}}
	o, _ := x.Apply(t.Context(), "id", []Step{fileStep(path, "new"), leak}) // its failure is wanted
	x.Rollback(t.Context(), o, "it printed "+secret)
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	outcome, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(journal.Path())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"outcome": string(outcome), "journal": string(lines), "events": events.String()} {
		if strings.Contains(text, secret) || len(text) < 20 {
			t.Errorf("the %s holds the secret, or nothing: %s", name, text)
		}
	}
	assertFile(t, path, secret) // the prior state itself came back whole
}

func TestTheJournalIsAheadOfTheChange(t *testing.T) {
	dir := t.TempDir()
	journal, err := OpenJournal(dir, "id")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(journal.Path()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	path := writeFile(t, "a", "before")
	seen := filepath.Join(dir, "seen")
	x := NewExecutor(environment(t), journal, func(Event) {})
	step := Step{Name: "look", Exec: &Exec{
		Command: []string{"cp", journal.Path(), seen}, Undo: []string{"true"}, Read: []string{"cat", path},
	}}
	if _, err := x.Apply(t.Context(), "id", []Step{step}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	var r Record
	if err := json.Unmarshal(text, &r); err != nil || r.Event != "begin" || r.Before != "before" || r.Undo == "" {
		t.Errorf("the step saw the journal as %s", text)
	}
	if _, err := OpenJournal(dir, "id"); err == nil {
		t.Error("a journal was overwritten")
	}
}

func TestPreviewChangesNothing(t *testing.T) {
	path := writeFile(t, "a", "1")
	previews := newExecutor(t, environment(t)).Preview(t.Context(), []Step{fileStep(path, "2"), fileStep("/nonexistent/a", "2"), fileStep(path, "1")})
	assertFile(t, path, "1")
	if previews[0].AlreadyThere() || !previews[2].AlreadyThere() || len(previews[2].Notes) != 1 {
		t.Errorf("previews %+v", previews)
	}
	if p := previews[0]; p.State != "1" || !strings.Contains(p.Undo, "SCALEPROOF_PRIOR") {
		t.Errorf("preview %+v", p)
	}
	if !strings.Contains(previews[1].State, "can't be read") {
		t.Errorf("preview %+v", previews[1])
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		step Step
		want string
	}{
		"none":         {Step{}, "does 0 things"},
		"two":          {Step{Exec: &Exec{}, SQL: &SQL{}}, "does 2 things (exec, sql)"},
		"no command":   {Step{Exec: &Exec{Undo: []string{"true"}}}, "exec.command"},
		"irreversible": {Step{Exec: &Exec{Command: []string{"true"}}}, "irreversible: true"},
		"no down":      {Step{SQL: &SQL{Up: []string{"SELECT 1"}}}, "irreversible: true"},
		"no url":       {Step{HTTP: &HTTP{URL: "here"}}, "http.url"},
		"expect":       {Step{HTTP: &HTTP{URL: "http://a/", UndoBody: "x", Expect: "y"}}, "needs read"},
		"wait":         {Step{Wait: &Wait{}}, "exactly one"},
		"retry":        {Step{Retry: -1, Wait: &Wait{Exec: []string{"true"}}}, "retry"},
	} {
		if err := c.step.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := fileStep("a", "b").Validate(); err != nil {
		t.Error(err)
	}
}
