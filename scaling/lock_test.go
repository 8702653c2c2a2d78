package scaling

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/testpg"
)

func TestOneRunHoldsTheFileLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "locks")
	first, err := AcquireFileLock(dir, "http://x/", "first")
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if _, err := AcquireFileLock(dir, "http://x/", "second"); !errors.As(err, &locked) || locked.Holder != "first" || locked.Target != "http://x/" {
		t.Errorf("error %v", err)
	}
	other, err := AcquireFileLock(dir, "http://y/", "second")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*FileLock{first, other} {
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// However takers and leavers meet, there is never more than one.
func TestTheFileLockExcludes(t *testing.T) {
	dir := t.TempDir()
	var holders, taken atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for taken.Load() < 300 {
				l, err := AcquireFileLock(dir, "target", "x")
				if errors.As(err, new(*LockedError)) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				taken.Add(1)
				holders.Add(-1)
				if err := l.Release(context.Background()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

func TestTheAdvisoryLock(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	take := func(holder string) (*AdvisoryLock, error) {
		return AcquireAdvisoryLock(t.Context(), AdvisoryConfig{Node: "primary", DSN: dsn, Holder: holder, Interval: 20 * time.Millisecond})
	}
	first, err := take("first")
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if _, err := take("second"); !errors.As(err, &locked) || locked.Holder[:len("first (pid ")] != "first (pid " {
		t.Fatalf("error %v", err)
	}
	admin, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(t.Context())
	end := func(holder string) {
		t.Helper()
		if _, err := admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = $1", holder); err != nil {
			t.Fatal(err)
		}
	}
	held := func(holder string) (n int) {
		t.Helper()
		if err := admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks l JOIN pg_stat_activity USING (pid)
			WHERE l.locktype = 'advisory' AND granted AND application_name = $1`, holder).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// A session that ends, as when a step restarts the server, is taken again.
	kept, stop := first.Keep(t.Context())
	end("first")
	for held("first") == 0 && kept.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	if kept.Err() != nil {
		t.Fatal(context.Cause(kept))
	}
	stop()
	// Where another was quicker, it is lost.
	end("first")
	second, err := take("second")
	if err != nil {
		t.Fatal(err)
	}
	kept, stop = first.Keep(t.Context())
	<-kept.Done()
	if cause := context.Cause(kept); !errors.Is(cause, ErrLockLost) || !errors.As(cause, &locked) {
		t.Errorf("cause %v", cause)
	}
	stop()
	for _, l := range []*AdvisoryLock{first, second} {
		if err := l.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// A server that neither answers nor ends a connection has the lock lost in time.
func TestALockOfASilentServerIsLost(t *testing.T) {
	dsn := testpg.ForTest(t).NewDatabase(t)
	advisory, err := AcquireAdvisoryLock(t.Context(), AdvisoryConfig{Node: "primary", DSN: dsn, Holder: "silent", Interval: 20 * time.Millisecond, Patience: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	session := int(advisory.conn.PgConn().PID())
	if err := syscall.Kill(session, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(session, syscall.SIGCONT) })
	api := &kubectl.Client{Context: "c", Namespace: "n", Run: func(ctx context.Context, stdin []byte, args []string) ([]byte, []byte, error) {
		if slices.Contains(args, "create") {
			return stdin, nil, nil
		}
		<-ctx.Done()
		return nil, nil, ctx.Err()
	}}
	lease, err := AcquireLease(t.Context(), api, LeaseConfig{Name: "lock", Holder: "silent", Duration: 300 * time.Millisecond, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for name, lock := range map[string]Lock{"the database's": advisory, "the namespace's": lease} {
		kept, stop := lock.Keep(t.Context())
		select {
		case <-kept.Done():
		case <-time.After(20 * time.Second):
		}
		if cause := context.Cause(kept); !errors.Is(cause, ErrLockLost) {
			t.Errorf("%s lock: cause %v", name, cause)
		}
		stop()
	}
}

func TestAJournalHasOneWriter(t *testing.T) {
	journal, err := OpenJournal(t.TempDir(), "id")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReopenJournal(journal.Path()); !errors.Is(err, ErrRunning) {
		t.Errorf("error %v", err)
	}
	if err := journal.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := ReopenJournal(journal.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}
