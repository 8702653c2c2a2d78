package main

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shirou/gopsutil/v3/process"

	"scaleproof/internal/testpg"
)

// sentinel is the secret of each kind that a plan can hold, and escaped one that JSON
// and quoting write differently; the part that both have may be seen nowhere.
const (
	sentinelPart = "sentinel-8d1f"
	sentinel     = sentinelPart + "-secret"
	escaped      = `"&<` + sentinelPart + `\>'`
)

// arguments gathers, each millisecond until stop is called, the command lines of all
// processes that have begun since, and returns those that hold a sentinel. The test's
// own is older: the sentinel is compiled in.
func arguments(t *testing.T) (stop func() []string) {
	t.Helper()
	older := map[int32]bool{}
	for _, id := range processes(t) {
		older[id] = true
	}
	done := make(chan struct{})
	var found []string
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			for _, id := range processes(t) {
				if older[id] {
					continue
				}
				if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id)); err == nil && strings.Contains(string(line), sentinelPart) {
					found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
				}
			}
		}
	})
	return func() []string {
		close(done)
		wait.Wait()
		return found
	}
}

// processes are the IDs of the machine's processes.
func processes(t *testing.T) []int32 {
	t.Helper()
	ids, err := process.Pids()
	if err != nil {
		t.Error(err)
	}
	return ids
}

// databaseOf is the address of a database that a role with the sentinel as its
// password may connect to.
func databaseOf(t *testing.T) (address string) {
	t.Helper()
	dsn := testpg.ForTest(t).NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = conn.Exec(context.Background(), "DROP ROLE IF EXISTS secret_test")
		_ = conn.Close(context.Background())
	})
	if _, err := conn.Exec(t.Context(), "CREATE ROLE secret_test LOGIN PASSWORD '"+sentinel+"'"); err != nil {
		t.Fatal(err)
	}
	_, address, _ = strings.Cut(dsn, "@")
	return address
}

// A plan takes secrets as a DSN's password, as the environment of a command, in a
// header, in a body and as a webhook, and its steps print, read and fail with them.
// They are in no file of the run, no output, no argument of a child.
func TestSecretsAreSeenNowhere(t *testing.T) {
	t.Parallel()
	address := databaseOf(t)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			return
		}
		fmt.Fprint(w, "seen: ", r.Header.Get("Authorization"), r.URL.Path) // as some servers do
	}))
	defer hook.Close()
	for _, token := range []string{sentinel, escaped} {
		failing := token == sentinel
		last := "true"
		if failing {
			last = `echo "$API_TOKEN"; exit 3`
		}
		plan := writeFile(t, "plan.yaml", fmt.Sprintf(`version: 1
name: secrets
environment:
  postgres: {primary: {dsn: "postgres://secret_test:${DB_PASSWORD}@%[1]s"}}
measure:
  trials: 4
  load: [{name: api, targets: ["GET %[2]s/health"], headers: ["Authorization: Bearer ${API_TOKEN}"], rate: 50, duration: 100ms}]
action:
  load_through: api
  steps:
    - name: print
      exec:
        command: [sh, -c, 'echo "token $API_TOKEN"; sleep 0.2']
        undo: [sh, -c, 'echo "back $API_TOKEN $SCALEPROOF_PRIOR"']
        read: [sh, -c, 'echo "state $API_TOKEN"']
        env: {API_TOKEN: "${API_TOKEN}"}
    - name: send
      http: {url: "%[2]s/x", headers: {Authorization: "Bearer ${API_TOKEN}"}, body: '{"token": "${API_TOKEN}"}', undo_body: "${API_TOKEN}"}
    - name: tell
      notify: {url: "%[2]s/${SLACK_WEBHOOK}", text: "token ${API_TOKEN}", undo_text: undone}
    - name: tell-json
      notify: {url: "%[2]s/${SLACK_WEBHOOK}", json: {token: "${API_TOKEN}"}}
    - name: database
      sql:
        up: ["SELECT 'password ${DB_PASSWORD}'"]
        down: ["SELECT 1"]
        read: "SELECT 'state ${DB_PASSWORD}'"
    - name: last
      exec: {command: [sh, -c, %[3]q], undo: ["true"], env: {API_TOKEN: "${API_TOKEN}"}}
rollback: {when: always}
`, address, hook.URL, last))
		environment := map[string]string{"DB_PASSWORD": sentinel, "API_TOKEN": token, "SLACK_WEBHOOK": sentinel}
		out := filepath.Join(t.TempDir(), "out")
		stop := arguments(t)
		var said strings.Builder
		for _, args := range [][]string{{"doctor"}, {"run", "--dry-run"}, {"run", "--out", out}} {
			got := runCommand(t, environment, append(args, "-f", plan)...)
			said.WriteString(got.out + got.err)
			// Of what send has undone nothing can be read.
			if args[len(args)-1] == out && (got.code != 5 || failing != strings.Contains(got.out, "exit status 3")) {
				t.Errorf("exit code %d, want 5\n%s\n%s", got.code, got.out, got.err)
			}
		}
		if found := stop(); len(found) > 0 {
			t.Errorf("an argument holds the secret: %q", found[0])
		}
		if strings.Contains(said.String(), sentinelPart) {
			t.Errorf("an output holds the secret:\n%s", said.String())
		}
		files := 0
		err := filepath.WalkDir(out, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			files++
			text, err := os.ReadFile(path)
			if strings.Contains(string(text), sentinelPart) {
				t.Errorf("%s holds the secret", filepath.Base(path))
			}
			return err
		})
		if err != nil || files < 6 {
			t.Errorf("%d files, %v", files, err)
		}
	}
}

func TestASecretInAnArgumentIsRefused(t *testing.T) {
	plan := writeFile(t, "plan.yaml", "version: 1\nname: x\naction: {steps: [{exec: {command: [curl, \"-u\", \"me:${API_TOKEN}\"], undo: [\"true\"]}}]}\n")
	got := runCommand(t, map[string]string{"API_TOKEN": sentinel}, "run", "-f", plan)
	if got.code != 2 || !strings.Contains(got.err, "plan.yaml:3:") || !strings.Contains(got.err, "hand it over by exec.env") || strings.Contains(got.err, sentinel) {
		t.Errorf("%+v", got)
	}
}
