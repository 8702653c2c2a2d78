package shard

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// assertEqual verifies both sides.
func (s *stage) assertEqual(j *Job) *Verification {
	s.t.Helper()
	v := must[*Verification](s.t)(j.Verify(s.t.Context()))
	if !v.Equal {
		s.t.Fatalf("the sides differ: %v\n%v\n%+v", v.Faults, v.Differences, v.Tables)
	}
	return v
}

func TestAFencedMoveThereAndBackAndCleanedUp(t *testing.T) {
	t.Parallel()
	s := newStage(t, 100, 5_000)
	j := s.job(s.config(11, 40))
	p := must[*Plan](t)(j.Plan(t.Context(), 3))
	if len(p.Faults) > 0 || p.Moving.Count != 30 || len(p.Proposal.Ranges) != 3 {
		t.Fatalf("%v %+v %+v", p.Faults, p.Moving, p.Proposal.Ranges)
	}
	m := must[*MoveResult](t)(j.Move(t.Context()))
	if m.Phase != Copied || m.Copied == 0 || m.Copied != m.Rows {
		t.Fatalf("%+v", m)
	}
	v := s.assertEqual(j)
	if want := s.count("source", `SELECT (SELECT count(*) FROM organizations WHERE id BETWEEN 11 AND 40) + (SELECT count(*) FROM incidents WHERE organization_id BETWEEN 11 AND 40)
		+ (SELECT count(*) FROM teams WHERE organization_id BETWEEN 11 AND 40) + (SELECT count(*) FROM users WHERE organization_id BETWEEN 11 AND 40)
		+ (SELECT count(*) FROM audit WHERE org BETWEEN 11 AND 40) + (SELECT count(*) FROM badges WHERE id BETWEEN 51 AND 200) + 2`); v.Rows != want || m.Rows != want {
		t.Errorf("verified %d rows, copied %d, want %d", v.Rows, m.Rows, want)
	}
	// The source goes on; the target refuses.
	s.exec("source", "UPDATE incidents SET title = 'changed' WHERE organization_id = 12; INSERT INTO audit VALUES (13, '2030-01-01', 7); DELETE FROM badges WHERE id = 60")
	if err := s.try("target", "INSERT INTO audit VALUES (13, '2031-01-01', 7)"); err == nil {
		t.Error("the target took a write before the cut-over")
	}
	r := must[*CutoverResult](t)(j.Cutover(t.Context()))
	if r.Phase != Moved || r.Epoch != 1 || r.FenceSeconds <= 0 || r.CopiedAgain == 0 {
		t.Fatalf("%+v", r)
	}
	s.assertEqual(j)
	if err := s.try("source", "INSERT INTO audit VALUES (13, '2031-01-01', 7)"); err == nil {
		t.Error("the source took a write of the range after the cut-over")
	}
	s.exec("source", "INSERT INTO audit VALUES (50, '2031-01-01', 7)")
	if n := s.count("target", "SELECT least(nextval('refs'), nextval('tickets'))"); n < headroom {
		t.Errorf("the target gives %d of a sequence of no column, which the source has given", n)
	}
	s.exec("target", "INSERT INTO audit VALUES (13, '2031-01-01', 7); INSERT INTO users (organization_id, team_id, email) VALUES (13, 13, 'new@example.com'); DELETE FROM audit WHERE org = 14")
	b := must[*CutoverResult](t)(j.Back(t.Context()))
	if b.Phase != Copied || b.Epoch != 2 {
		t.Fatalf("%+v", b)
	}
	s.assertEqual(j)
	if n := s.count("source", "SELECT (SELECT count(*) FROM audit WHERE org = 14) * 100 + (SELECT count(*) FROM users WHERE email = 'new@example.com') * 10 + (SELECT count(*) FROM audit WHERE org = 13 AND day = '2031-01-01')"); n != 11 {
		t.Errorf("the way back has lost something: %d", n)
	}
	s.exec("source", "INSERT INTO audit VALUES (14, '2032-01-01', 7)")
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	s.assertEqual(j)
	others := s.count("source", "SELECT count(*) FROM incidents WHERE organization_id NOT BETWEEN 11 AND 40")
	c := must[*CleanupResult](t)(j.Cleanup(t.Context()))
	if c.Phase != Cleaned || c.Deleted == 0 {
		t.Errorf("%+v", c)
	}
	if n := s.count("source", "SELECT (SELECT count(*) FROM organizations WHERE id BETWEEN 11 AND 40) + (SELECT count(*) FROM incidents WHERE organization_id BETWEEN 11 AND 40) + (SELECT count(*) FROM badges b WHERE NOT EXISTS (SELECT FROM users WHERE id = user_id))"); n != 0 {
		t.Errorf("%d rows were left on the source", n)
	}
	if n := s.count("source", "SELECT count(*) FROM incidents"); n != others {
		t.Errorf("%d of the others' incidents are left of %d", n, others)
	}
	if n := s.count("source", "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'scaleproof%'"); n != 0 {
		t.Errorf("%d triggers were left behind", n)
	}
	if _, err := j.Back(t.Context()); err == nil {
		t.Error("went back after the clean-up")
	}
	if _, err := j.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing to compare with") {
		t.Errorf("%v", err)
	}
}

// try runs a statement that may fail.
func (s *stage) try(node, sql string) error {
	s.t.Helper()
	conn := s.conn(node)
	_, err := conn.Exec(s.t.Context(), sql)
	return err
}

// A chunk is bounded also where an index finds its rows.
func TestChunksAreBounded(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 150_000)
	s.exec("source", "CREATE INDEX ON incidents (organization_id)")
	c := s.plainConfig(Fenced, 9, 9)
	j := s.job(c)
	chunks := func() []chunk {
		c := must[*Catalog](t)(j.catalog(t.Context()))
		incidents := c.table("public.incidents")
		var of []chunk
		if err := j.source.with(t.Context(), func(conn *pgx.Conn) (err error) {
			of, err = j.chunksOf(t.Context(), conn, c, incidents, incidents.leaves[0])
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return of
	}
	if of := chunks(); len(of) != 1 || of[0].condition != "true" {
		t.Errorf("%+v", of)
	}
	s.exec("source", "UPDATE pg_statistic SET stawidth = 1000000 WHERE starelid = 'incidents'::regclass")
	if of := chunks(); len(of) < 2 || !strings.Contains(of[0].condition, "ctid") {
		t.Errorf("%+v", of)
	}
}

// Which side has failed is told, though each failure ends the other side too.
func TestTheSideThatFailsIsNamed(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 20_000)
	s.exec("target", strings.Split(plainSQL, "INSERT")[0])
	for says, query := range map[string]string{
		"out of the source: ERROR: division by zero":      "SELECT id, organization_id, title, (1 / (id - 15000))::text, created_at FROM incidents",
		"into the target: ERROR: null value in column \"": "SELECT id, organization_id, CASE WHEN id < 10 THEN NULL ELSE title END, state, created_at FROM incidents",
	} {
		p := &pipe{s.conn("source"), s.conn("target"), newGate(), &meter{}}
		if _, err := p.copyInto(t.Context(), "incidents", "binary", query, "incidents"); err == nil || !strings.Contains(err.Error(), "copying incidents "+says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
