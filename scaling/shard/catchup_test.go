package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/unit"
)

// locking holds what a statement locks on the target, until it is let go.
func (s *stage) locking(sql string) (pid uint32, release func()) {
	s.t.Helper()
	tx, err := s.conn("target").Begin(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := tx.Exec(s.t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
		s.t.Fatal(err)
	}
	return tx.Conn().PgConn().PID(), func() {
		if err := tx.Rollback(s.t.Context()); err != nil {
			s.t.Error(err)
		}
	}
}

// A target that neither applies nor fails is not waited for without end: what it
// waits for is told.
func TestATargetThatStandsStill(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 500)
	c := s.plainConfig(Online, 5, 20)
	c.Stall = unit.Duration(2 * time.Second)
	j := s.job(c)
	must[*MoveResult](t)(j.Move(t.Context()))
	pid, release := s.locking("SELECT FROM incidents WHERE id = 4 FOR UPDATE") // of organisation 7
	s.exec("source", "UPDATE incidents SET title = 'waits' WHERE id = 4")
	for name, phase := range map[string]func() error{
		"verify":  func() error { _, err := j.Verify(t.Context()); return err },
		"cutover": func() error { _, err := j.Cutover(t.Context()); return err },
	} {
		err := phase()
		if err == nil || !strings.Contains(err.Error(), "no progress for 2s, the limit (shard.stall)") || !strings.Contains(err.Error(), fmt.Sprintf("waits for a lock that the sessions %d hold", pid)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	release()
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	if n := s.count("target", "SELECT count(*) FROM incidents WHERE title = 'waits'"); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// Nor is a session that holds the target's tables, before anything is fenced.
func TestATargetWhoseTablesAreHeld(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 500)
	c := s.plainConfig(Fenced, 5, 20)
	c.Fence = unit.Duration(time.Second)
	j := s.job(c)
	must[*MoveResult](t)(j.Move(t.Context()))
	_, release := s.locking("LOCK TABLE incidents IN SHARE MODE")
	if _, err := j.Cutover(t.Context()); err == nil || !strings.Contains(err.Error(), "other sessions hold tables of target for longer than the fence may last (1s)") {
		t.Errorf("%v", err)
	}
	release()
}
