package testpg

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestMain(m *testing.M) {
	if os.Getenv("TESTPG_CHILD_DIR") != "" {
		child()
	}
	Main(m)
}

// child starts a server, says where it is, and waits to be killed.
func child() {
	s, err := Start(context.Background(), Options{TempDir: os.Getenv("TESTPG_CHILD_DIR")})
	if err != nil {
		panic(err)
	}
	os.Stdout.WriteString(strconv.Itoa(s.Pid()) + "\n")
	select {}
}

func TestStartAndStopLeaveNothing(t *testing.T) {
	parent := openTempDir(t)
	s, err := Start(t.Context(), Options{TempDir: parent, Settings: map[string]string{"work_mem": "7MB"}})
	if err != nil {
		t.Fatal(err)
	}
	pid := s.Pid()
	conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	var workMem, preload, timing string
	if err := conn.QueryRow(t.Context(), "SELECT current_setting('work_mem'), current_setting('shared_preload_libraries'), current_setting('track_io_timing')").Scan(&workMem, &preload, &timing); err != nil {
		t.Fatal(err)
	}
	if workMem != "7MB" || timing != "on" || s.HasStatements != (preload == "pg_stat_statements") {
		t.Errorf("work_mem %s, shared_preload_libraries %q, track_io_timing %s", workMem, preload, timing)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("the second Stop: %v", err)
	}
	assertGone(t, parent, pid)
}

func TestTheServerDiesWithAKilledParent(t *testing.T) {
	parent := openTempDir(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TESTPG_CHILD_DIR="+parent)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	assertGone(t, parent, pid)
}

func TestStartFailsCleanly(t *testing.T) {
	parent := openTempDir(t)
	_, err := Start(t.Context(), Options{TempDir: parent, Settings: map[string]string{"no_such_setting": "1"}})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error %v does not say what the server's log says", err)
	}
	assertGone(t, parent, 0)
	if _, err := Start(t.Context(), Options{BinDir: t.TempDir()}); err == nil {
		t.Error("started without binaries")
	}
}

func TestRestartKeepsTheData(t *testing.T) {
	s, err := Start(t.Context(), Options{TempDir: openTempDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if err := s.Execute(t.Context(), "postgres", "CREATE TABLE kept (id int)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Restart(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Execute(t.Context(), "postgres", "SELECT * FROM kept"); err != nil {
		t.Error(err)
	}
}

// The server knows the password that it was not told, and no other.
func TestAWrongPasswordIsRefused(t *testing.T) {
	config, err := pgx.ParseConfig(ForTest(t).AdminDSN())
	if err != nil {
		t.Fatal(err)
	}
	config.Password += "x"
	var refusal *pgconn.PgError
	if conn, err := pgx.ConnectConfig(t.Context(), config); err == nil {
		conn.Close(t.Context())
		t.Error("a wrong password was taken")
	} else if !errors.As(err, &refusal) || refusal.Code != "28P01" {
		t.Errorf("%v", err)
	}
}

func TestNewDatabaseIsEmptyAndOwn(t *testing.T) {
	server := ForTest(t)
	conn, err := pgx.Connect(t.Context(), server.NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var name string
	var tables int
	if err := conn.QueryRow(t.Context(), "SELECT current_database(), count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&name, &tables); err != nil {
		t.Fatal(err)
	}
	if tables != 0 || !strings.Contains(name, "newdatabaseisempty") {
		t.Errorf("database %s has %d tables", name, tables)
	}
}

// openTempDir makes a folder that the server's user can reach, which is not so
// of those of t.TempDir when the tests run as root.
func openTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "testpg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// assertGone waits until parent is empty and no process has the id pid.
func assertGone(t *testing.T, parent string, pid int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		left, err := filepath.Glob(filepath.Join(parent, "*"))
		if err != nil {
			t.Fatal(err)
		}
		alive := pid != 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
		if len(left) == 0 && !alive {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %v, process %d alive: %v", left, pid, alive)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestReplicasFollowTheirPrimary(t *testing.T) {
	parent := openTempDir(t)
	primary, err := Start(t.Context(), Options{TempDir: parent})
	if err != nil {
		t.Fatal(err)
	}
	defer primary.Stop()
	if err := primary.Execute(t.Context(), "postgres", "CREATE TABLE before (n int)"); err != nil {
		t.Fatal(err)
	}
	replicas, err := primary.StartReplicas(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range replicas {
		defer r.Stop()
	}
	if err := primary.Execute(t.Context(), "postgres", "CREATE TABLE after AS SELECT FROM before"); err != nil {
		t.Fatal(err)
	}
	for i, r := range replicas {
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			err := r.Execute(t.Context(), "postgres", "SELECT FROM after")
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("replica %d does not follow: %v", i, err)
			}
		}
		if err := r.Execute(t.Context(), "postgres", "CREATE TABLE nowhere ()"); err == nil {
			t.Errorf("replica %d takes writes", i)
		}
	}
	for _, s := range append(replicas, primary) {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(parent, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
