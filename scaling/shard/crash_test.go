package shard

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childVariable holds what a child process does: see killed.
const childVariable = "SCALEPROOF_SHARD_CHILD"

// A childJob is a phase that a process of its own works on, and the moment at
// which it is killed: when an event begins with KillAt.
type childJob struct {
	Config Config
	Nodes  map[string]string
	Phase  string
	KillAt string
}

// die is kill -9, from inside at the exact moment.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// mortalRouting dies before or after it writes.
type mortalRouting struct {
	FileRouting
	at string
}

func (r mortalRouting) Write(ctx context.Context, next Routes) error {
	if r.at == "before routing" {
		die()
	}
	err := r.FileRouting.Write(ctx, next)
	if r.at == "after routing" {
		die()
	}
	return err
}

// runChild is the process of a childJob.
func runChild(text string) int {
	var c childJob
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		panic(err)
	}
	j, err := New(c.Config, c.Nodes, Options{
		Environ: os.Environ(), Now: time.Now, Routing: mortalRouting{FileRouting{c.Config.Routing.File}, c.KillAt},
		OnEvent: func(event string) {
			fmt.Println(event)
			if c.KillAt != "" && strings.Contains(event, c.KillAt) {
				die()
			}
		},
	})
	if err == nil {
		err = phaseOf(context.Background(), j, c.Phase)
	}
	if err != nil {
		fmt.Println("failed:", err)
		return 1
	}
	return 0
}

func phaseOf(ctx context.Context, j *Job, phase string) (err error) {
	switch phase {
	case "move":
		_, err = j.Move(ctx)
	case "cutover":
		_, err = j.Cutover(ctx)
	case "back":
		_, err = j.Back(ctx)
	case "cleanup":
		_, err = j.Cleanup(ctx)
	default:
		err = errors.New("no such phase: " + phase)
	}
	return err
}

// killed runs a phase in a process of its own that is killed at a moment.
func (s *stage) killed(c Config, phase, at string) {
	s.t.Helper()
	cmd := s.child(c, phase, at)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		s.t.Fatalf("%s was not killed at %q: %v\n%s", phase, at, err, out)
	}
}

func (s *stage) child(c Config, phase, at string) *exec.Cmd {
	s.t.Helper()
	text, err := json.Marshal(childJob{c, s.nodes, phase, at})
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	return cmd
}

// A move survives kill -9 at each moment: it is asked for again, and comes to the
// same end, with what was written meanwhile.
func TestEachPhaseSurvivesBeingKilled(t *testing.T) {
	for _, mode := range []Mode{Fenced, Online} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newPlainStage(t, 2_000)
			c := s.plainConfig(mode, 5, 20)
			j := s.job(c)
			// The fence of a killed process goes with its session, which the server
			// ends as soon as it sees that nobody is there.
			write := func(node string) {
				s.awaitWrite(node, "UPDATE incidents SET state = state || 'x' WHERE organization_id = 9 AND id % 50 = 0; INSERT INTO incidents (organization_id, title, state) VALUES (10, 'written', 'new')")
			}
			moments := []string{"making 3 tables", "making indexes"}
			if mode == Online {
				moments = append(moments, "making the slot", "following the writes")
			}
			for _, at := range moments {
				s.killed(c, "move", at)
				write("source")
			}
			must[*MoveResult](t)(j.Move(t.Context()))
			for _, at := range []string{"the fence is up", "before routing"} {
				s.killed(c, "cutover", at)
				if at == "the fence is up" {
					write("source") // the fence went with the process
				}
			}
			if err := s.try("source", "INSERT INTO incidents (organization_id, title, state) VALUES (10, 'lost', 'new')"); err == nil {
				t.Error("the source took a write of a range that was closed")
			}
			if left := Leftovers(t.Context(), []Node{j.source, j.target}); len(left) != 1 || !strings.Contains(left[0].What, "stopped in its middle") {
				t.Errorf("%+v", left)
			}
			s.killed(c, "cutover", "after routing")
			write("target") // applications have read the new routing
			if r := must[*CutoverResult](t)(j.Cutover(t.Context())); r.FenceSeconds <= 0 {
				t.Error("the fence of a process that was killed is not told")
			}
			write("target")
			for _, at := range []string{"the fence is up", "before routing", "after routing"} {
				s.killed(c, "back", at)
			}
			write("source")
			must[*CutoverResult](t)(j.Back(t.Context()))
			s.assertEqualRows(j)
			must[*CutoverResult](t)(j.Cutover(t.Context()))
			if n, want := s.count("target", "SELECT count(*) FROM incidents WHERE title = 'written'"), int64(len(moments)+1+2+1); n != want {
				t.Errorf("%d written rows came over, want %d", n, want)
			}
			s.killed(c, "cleanup", "deleting from public.incidents")
			left := s.count("source", "SELECT count(*) FROM incidents WHERE organization_id BETWEEN 5 AND 20")
			if r := must[*CleanupResult](t)(j.Cleanup(t.Context())); left == 0 || r.Deleted < left || s.count("source", "SELECT count(*) FROM organizations WHERE id BETWEEN 5 AND 20") != 0 {
				t.Errorf("clean-up went on with %d incidents: %+v", left, r)
			}
		})
	}
}

// awaitWrite runs statements that a fence may still refuse.
func (s *stage) awaitWrite(node, sql string) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := s.try(node, sql)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal(err)
		}
	}
}

// assertEqualRows makes both sides equal first where the source has moved on.
func (s *stage) assertEqualRows(j *Job) {
	s.t.Helper()
	c := must[*Catalog](s.t)(j.catalog(s.t.Context()))
	must[int64](s.t)(j.reconcile(s.t.Context(), c, side{node: j.source}, side{node: j.target}, c.owned()))
	s.assertEqual(j)
}

// A copy that is killed in the middle of its chunks goes on with the others, into
// tables that it makes, and into those with keys that refuse rows which are there.
func TestACopyGoesOnWithItsChunks(t *testing.T) {
	for name, schema := range map[string]string{"made": "", "with keys": strings.Split(plainSQL, "INSERT")[0]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newPlainStage(t, 200_000)
			s.exec("target", schema)
			c := s.plainConfig(Fenced, 1, 50)
			c.Workers = 1 // its session serves all chunks
			j := s.job(c)
			cmd := s.child(c, "move", "")
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			s.awaitChunks(1)
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			for lines := bufio.NewScanner(out); lines.Scan(); {
			}
			_ = cmd.Wait() // it was killed
			before := must[State](t)(j.State(t.Context()))
			if before.ChunksDone == 0 || before.ChunksDone == before.Chunks {
				t.Fatalf("killed too early or too late: %+v", before)
			}
			// Rows move within the table: they may be in a chunk that is done, one that is
			// not, or both; others are gone, and an organisation comes.
			s.exec("source", "UPDATE incidents SET state = 'moved' WHERE id % 3 = 0; DELETE FROM incidents WHERE id % 1000 = 1; INSERT INTO organizations VALUES (0 + 45 * 100, 'outside'); UPDATE users SET organization_id = 4500 WHERE id % 50 = 7")
			r := must[*MoveResult](t)(j.Move(t.Context()))
			if !r.Resumed || r.CopiedAgain == 0 || r.Copied >= r.CopiedAgain+200_000 {
				t.Errorf("%+v", r)
			}
			s.assertEqual(j)
		})
	}
}

func (s *stage) awaitChunks(n int64) {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	conn := s.conn("target")
	for done := int64(0); done < n; <-ticker.C {
		_ = conn.QueryRow(s.t.Context(), "SELECT count(done_at) FROM scaleproof.chunk").Scan(&done) // there may be no ledger yet
		if time.Now().After(deadline) {
			s.t.Fatal("no chunk was copied")
		}
	}
}

// Two processes never work on the same move.
func TestTheSecondIsRefused(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 100)
	j := s.job(s.plainConfig(Fenced, 5, 20))
	if err := j.alone(t.Context(), func(ctx context.Context) error {
		_, err := j.Move(ctx)
		return err
	}); !errors.Is(err, ErrRunning) {
		t.Errorf("%v", err)
	}
}

// The session of a process that was killed may hold the lock for a moment more.
func TestALockThatIsGivenBackSoonIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 100)
	j := s.job(s.plainConfig(Fenced, 5, 20))
	dying, watching := s.conn("target"), s.conn("target")
	if _, err := dying.Exec(t.Context(), "SELECT pg_advisory_lock($1)", j.lockKey("job")); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- j.alone(t.Context(), func(context.Context) error { return nil }) }()
	for asked := false; !asked; {
		select {
		case err := <-ended:
			t.Fatalf("it ended with %v before the lock was given back", err)
		default:
		}
		if err := watching.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_try_advisory_lock%')").Scan(&asked); err != nil {
			t.Fatal(err)
		}
	}
	if err := dying.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A phase that has ended holds its lock no more, so that the next may follow at once: a
// server notices only a moment later that a session is gone.
func TestAPhaseThatHasEndedHoldsNoLock(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 100)
	j := s.job(s.plainConfig(Fenced, 5, 20))
	conn, held := s.conn("target"), 0
	for range 100 {
		if err := j.alone(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		var locks int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").Scan(&locks); err != nil {
			t.Fatal(err)
		}
		held += locks
	}
	if held > 0 {
		t.Errorf("%d times of 100 the lock was still held", held)
	}
}
