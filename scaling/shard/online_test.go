package shard

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"scaleproof/internal/unit"
)

// plainSQL is the runbook's schema, in which each table names its organisation:
// what an online move takes. Keys are drawn from sequences.
const plainSQL = `
CREATE TABLE organizations (id bigserial PRIMARY KEY, name text NOT NULL);
CREATE TABLE users (id bigserial PRIMARY KEY, organization_id bigint NOT NULL REFERENCES organizations, email text NOT NULL);
CREATE TABLE incidents (id bigserial PRIMARY KEY, organization_id bigint NOT NULL REFERENCES organizations, title text NOT NULL, state text NOT NULL, created_at timestamptz NOT NULL DEFAULT now());
INSERT INTO organizations SELECT i, 'organization ' || i FROM generate_series(1, 50) i;
INSERT INTO users SELECT i, 1 + i %% 50, 'user' || i FROM generate_series(1, 500) i;
INSERT INTO incidents (id, organization_id, title, state) SELECT i, CASE WHEN i %% 4 = 0 THEN 7 ELSE 1 + (i::bigint * 7919) %% 50 END, 'incident ' || i, 'open' FROM generate_series(1, %d) i;
SELECT setval('organizations_id_seq', 50), setval('users_id_seq', 500), setval('incidents_id_seq', %[1]d);
ANALYZE;`

func newPlainStage(t *testing.T, incidents int) *stage {
	t.Helper()
	s := emptyStage(t)
	s.exec("source", fmt.Sprintf(plainSQL, incidents))
	return s
}

func (s *stage) plainConfig(mode Mode, from, to int) Config {
	c := s.config(from, to)
	c.Mode, c.Tables = mode, nil
	return c
}

// An acknowledged write is one whose commit a writer has seen.
type acknowledged struct {
	organization, id int64
	state            string // empty: deleted
}

// writers are clients that read the routing before each write, write to the shard
// that has the organisation, and remember what was acknowledged. A refusal of the
// fence is no loss: they try again elsewhere.
type writers struct {
	s        *stage
	routing  Routing
	set      Organizations
	mu       sync.Mutex
	last     map[int64]acknowledged // by the id of an incident
	refused  atomic.Int64
	written  atomic.Int64
	onTarget atomic.Int64
}

// run writes until ctx ends.
func (w *writers) run(ctx context.Context, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	conns := map[string]*pgx.Conn{}
	for _, node := range []string{"source", "target"} {
		conn, err := pgx.Connect(ctx, w.s.nodes[node])
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
		conns[node] = conn
	}
	var mine []acknowledged
	pace := time.NewTicker(5 * time.Millisecond) // a service's load, which leaves the move a processor
	defer pace.Stop()
	for ; ctx.Err() == nil; <-pace.C {
		organization := int64(1 + rng.IntN(50))
		routes, err := w.routing.Read(ctx)
		if err != nil {
			return err
		}
		node := "source"
		if organization >= 5 && organization <= 20 && routes.has("target", w.set) {
			node = "target"
		}
		a, index, err := w.write(conns[node], rng, organization, mine)
		var fault *pgconn.PgError
		switch {
		case errors.As(err, &fault) && fault.Code == "25006":
			w.refused.Add(1)
			continue
		case err != nil:
			return fmt.Errorf("writing to %s: %w", node, err)
		}
		if index < 0 {
			mine = append(mine, a)
		} else {
			mine[index] = a
		}
		w.mu.Lock()
		w.last[a.id] = a
		w.mu.Unlock()
		w.written.Add(1)
		if node == "target" {
			w.onTarget.Add(1)
		}
	}
	return nil
}

// write inserts, or updates or deletes a row of this writer and organisation.
func (w *writers) write(conn *pgx.Conn, rng *rand.Rand, organization int64, mine []acknowledged) (acknowledged, int, error) {
	ctx := context.Background() // a write that has begun is waited for, so that its end is known
	for index, a := range mine {
		if a.organization != organization || a.state == "" || rng.IntN(3) > 0 {
			continue
		}
		if rng.IntN(4) == 0 {
			_, err := conn.Exec(ctx, "DELETE FROM incidents WHERE id = $1", a.id)
			a.state = ""
			return a, index, err
		}
		a.state = fmt.Sprintf("state %d", rng.Uint64())
		tag, err := conn.Exec(ctx, "UPDATE incidents SET state = $1 WHERE id = $2", a.state, a.id)
		if err == nil && tag.RowsAffected() != 1 {
			err = fmt.Errorf("incident %d of organisation %d is not there", a.id, organization)
		}
		return a, index, err
	}
	a := acknowledged{organization: organization, state: "new"}
	err := conn.QueryRow(ctx, "INSERT INTO incidents (organization_id, title, state) VALUES ($1, 'written', 'new') RETURNING id", organization).Scan(&a.id)
	return a, -1, err
}

// check looks for every acknowledged write on the shard that has its
// organisation; others, but for copies that the source still has, on none.
func (w *writers) check(where func(organization int64) string) {
	w.s.t.Helper()
	rows := map[string]map[int64]string{}
	for _, node := range []string{"source", "target"} {
		rows[node] = map[int64]string{}
		found, err := w.s.conn(node).Query(w.s.t.Context(), "SELECT id, state FROM incidents WHERE title = 'written'")
		if err != nil {
			w.s.t.Fatal(err)
		}
		var id int64
		var state string
		if _, err := pgx.ForEachRow(found, []any{&id, &state}, func() error {
			rows[node][id] = state
			return nil
		}); err != nil {
			w.s.t.Fatal(err)
		}
	}
	faults := 0
	for id, a := range w.last {
		here := where(a.organization)
		if got := rows[here][id]; got != a.state {
			if faults++; faults < 10 {
				w.s.t.Errorf("incident %d of organisation %d on %s is %q, acknowledged %q", id, a.organization, here, got, a.state)
			}
		}
	}
	for node, have := range rows {
		for id := range have {
			a, known := w.last[id]
			if !known || where(a.organization) != node {
				if faults++; faults < 10 {
					w.s.t.Errorf("incident %d is on %s, where it should not be", id, node)
				}
			}
		}
	}
	w.s.t.Logf("%d writes, %d of them on the target, %d refused", w.written.Load(), w.onTarget.Load(), w.refused.Load())
}

func (s *stage) startWriters(set Organizations, routing Routing) (w *writers, stop func()) {
	s.t.Helper()
	w = &writers{s: s, routing: routing, set: set, last: map[int64]acknowledged{}}
	ctx, cancel := context.WithCancel(s.t.Context())
	var group sync.WaitGroup
	for i := range 2 {
		group.Go(func() {
			if err := w.run(ctx, uint64(i)); err != nil && ctx.Err() == nil {
				s.t.Error(err)
			}
		})
	}
	return w, func() {
		cancel()
		group.Wait()
	}
}

// await waits until so many more writes were acknowledged.
func (w *writers) await(counter *atomic.Int64, more int64) {
	w.s.t.Helper()
	want, deadline := counter.Load()+more, time.Now().Add(time.Minute)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for counter.Load() < want {
		if time.Now().After(deadline) || w.s.t.Failed() {
			w.s.t.Fatal("the writers are stuck")
		}
		<-ticker.C
	}
}

// No acknowledged write is lost or doubled by a move under live writes: there,
// back, there again and cleaned up.
func TestMovesUnderLiveWritesLoseNothing(t *testing.T) {
	for _, mode := range []Mode{Online, Fenced} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newPlainStage(t, 10_000)
			j := s.job(s.plainConfig(mode, 5, 20))
			w, stop := s.startWriters(j.config.Organizations, j.opts.Routing)
			defer stop()
			w.await(&w.written, 50)
			if m := must[*MoveResult](t)(j.Move(t.Context())); mode == Online && m.Phase != Following {
				t.Errorf("phase %s", m.Phase)
			}
			w.await(&w.written, 50)
			if mode == Online {
				s.exec("target", "SET session_replication_role = replica; UPDATE users SET email = 'wrong' WHERE id = 7") // of organisation 8
				v := must[*Verification](t)(j.Verify(t.Context()))
				if want := []Difference{{"public.users", "7", differs}}; !slices.Equal(v.Differences, want) || v.Equal || !v.Live {
					t.Errorf("%+v", v)
				}
				s.exec("target", "SET session_replication_role = replica; UPDATE users SET email = 'user7' WHERE id = 7")
				s.assertEqual(j) // what is on its way is waited for
			} else if v := must[*Verification](t)(j.Verify(t.Context())); v.Equal || !strings.Contains(v.Summary(), "the source takes writes") {
				t.Errorf("%+v", v)
			}
			r := must[*CutoverResult](t)(j.Cutover(t.Context()))
			t.Logf("the fence lasted %.2f s, %d rows copied again", r.FenceSeconds, r.CopiedAgain)
			if mode == Online && r.CopiedAgain > 0 {
				t.Errorf("replication has lost something: %d rows were copied again", r.CopiedAgain)
			}
			w.await(&w.onTarget, 50)
			b := must[*CutoverResult](t)(j.Back(t.Context()))
			t.Logf("the fence lasted %.2f s on the way back", b.FenceSeconds)
			w.await(&w.written, 50)
			must[*CutoverResult](t)(j.Cutover(t.Context()))
			w.await(&w.onTarget, 50)
			must[*CleanupResult](t)(j.Cleanup(t.Context()))
			w.await(&w.written, 50)
			stop()
			w.check(func(organization int64) string {
				if organization >= 5 && organization <= 20 {
					return "target"
				}
				return "source"
			})
			if n := s.count("source", "SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name = '"+j.slot()+"') + (SELECT count(*) FROM pg_publication) + (SELECT count(*) FROM pg_class WHERE relreplident = 'f')"); n != 0 {
				t.Errorf("%d things of the replication were left behind", n)
			}
		})
	}
}

// Writes that the target can't apply are told, and don't let a cut-over wait for
// ever. Given up and begun anew it comes to its end.
func TestWritesThatCantBeApplied(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 500)
	j := s.job(s.plainConfig(Online, 5, 20))
	must[*MoveResult](t)(j.Move(t.Context()))
	s.exec("target", "ALTER TABLE incidents ADD CONSTRAINT titled CHECK (title <> 'refused')")
	s.exec("source", "INSERT INTO incidents (organization_id, title, state) VALUES (7, 'refused', 'new')")
	for name, phase := range map[string]func(context.Context) error{
		"cutover": func(ctx context.Context) error { _, err := j.Cutover(ctx); return err },
		"verify":  func(ctx context.Context) error { _, err := j.Verify(ctx); return err },
	} {
		if err := phase(t.Context()); err == nil || !strings.Contains(err.Error(), "target can't apply the writes that it follows") {
			t.Fatalf("%s: %v", name, err)
		}
	}
	// Where the server does not count its failures it makes no progress, either.
	c := must[*Catalog](t)(j.catalog(t.Context()))
	f := &follower{job: j, catalog: c, source: s.conn("source"), target: s.conn("target"), failed: 1 << 40, since: time.Now()}
	j.config.Stall = unit.Duration(2 * time.Second)
	if err := f.await(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "no progress for 2s, the limit (shard.stall): target is ") {
		t.Errorf("%v", err)
	}
	// A step whose time is up says where it stood.
	j.config.Stall = 0
	upTo, cancel := context.WithTimeoutCause(t.Context(), 1500*time.Millisecond, errors.New("the step has lasted for its 1.5s"))
	defer cancel()
	f = &follower{job: j, catalog: c, source: s.conn("source"), target: s.conn("target"), failed: 1 << 40, since: time.Now()}
	if err := f.await(upTo, 0); err == nil || !strings.Contains(err.Error(), "the step has lasted for its 1.5s (target is ") {
		t.Errorf("%v", err)
	}
	s.exec("target", "ALTER TABLE incidents DROP CONSTRAINT titled")
	if err := j.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	must[*MoveResult](t)(j.Move(t.Context()))
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	if n := s.count("target", "SELECT count(*) FROM incidents WHERE title = 'refused'"); n != 1 {
		t.Errorf("%d rows", n)
	}
}
