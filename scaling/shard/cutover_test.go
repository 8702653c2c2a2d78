package shard

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/unit"
)

// A row that refers to a shared one which came after the copy is no orphan on the
// target: the cut-over waits for who brings it.
func TestASharedRowThatCameLater(t *testing.T) {
	t.Parallel()
	s := newStage(t, 20, 500)
	j := s.job(s.config(5, 9))
	must[*MoveResult](t)(j.Move(t.Context()))
	s.exec("source", "INSERT INTO countries VALUES ('at', 'Austria'); UPDATE organizations SET country = 'at' WHERE id = 7")
	refused := func() {
		t.Helper()
		_, err := j.Cutover(t.Context())
		if err == nil || !strings.Contains(err.Error(), "1 rows of public.organizations refer by organizations_country_fkey to rows of public.countries that are not there, which is shared by all") {
			t.Fatalf("%v", err)
		}
		s.exec("source", "UPDATE organizations SET name = name || '!' WHERE id = 7")
	}
	refused()
	s.exec("source", "UPDATE organizations SET country = 'de' WHERE id = 7")
	s.onEvent(j, "raising the fence", func() { s.exec("source", "UPDATE organizations SET country = 'at' WHERE id = 7") })
	refused()
	s.exec("target", "INSERT INTO countries VALUES ('at', 'Austria')")
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	s.assertEqual(j)
}

// onEvent runs f once, when the job says something.
func (s *stage) onEvent(j *Job, says string, f func()) {
	say, done := j.opts.OnEvent, false
	j.opts.OnEvent = func(text string) {
		if say(text); strings.Contains(text, says) && !done {
			done = true
			f()
		}
	}
}

// The fence compares what was written since both sides were compared, however it was
// written, and not all.
func TestWhatIsWrittenBeforeTheFence(t *testing.T) {
	const any = `INSERT INTO audit VALUES (7, '2031-01-01', 1); DELETE FROM audit WHERE org = 8; UPDATE audit SET day = day + 1000 WHERE org = 9;
		UPDATE incidents SET title = 'changed' WHERE organization_id = 9; UPDATE incidents SET created_at = created_at + interval '1 year' WHERE organization_id = 7 AND created_at < '2024-12-01';
		UPDATE teams SET organization_id = 30 WHERE id = 50; UPDATE teams SET organization_id = 10, parent_id = NULL WHERE id = 70; UPDATE users SET email = 'new@elsewhere.org' WHERE id = 41;`
	for mode, writes := range map[Mode]string{
		Online: any,
		// Badges come, go and change hands by the users that they refer to.
		Fenced: any + `DELETE FROM incidents WHERE organization_id IN (10, 12, 31); DELETE FROM users WHERE organization_id = 12;
		UPDATE users SET organization_id = 30, team_id = 30 WHERE organization_id = 10; UPDATE users SET organization_id = 11, team_id = 11 WHERE organization_id = 31;
		INSERT INTO badges VALUES (1000, 31, 'new'); UPDATE badges SET user_id = 32 WHERE id = 33`,
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, 40, 4_000)
			s.exec("source", "ALTER TABLE badges DROP CONSTRAINT badges_user_id_fkey, ADD FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE")
			if mode == Online {
				s.exec("source", "DROP TABLE badges")
			}
			c := s.config(5, 20)
			c.Mode = mode
			j := s.job(c)
			must[*MoveResult](t)(j.Move(t.Context()))
			s.onEvent(j, "raising the fence on primary", func() { s.exec("source", writes) })
			s.onEvent(j, "raising the fence on target", func() {
				s.exec("target", "INSERT INTO audit VALUES (13, '2031-01-01', 1); DELETE FROM audit WHERE org = 14; TRUNCATE incidents_2025; DELETE FROM incidents WHERE organization_id = 15")
			})
			r := must[*CutoverResult](t)(j.Cutover(t.Context()))
			if r.Compared < 1000 || r.Checked.Rows == 0 || r.Checked.Rows > r.Compared/2 {
				t.Errorf("%d rows were compared before the fence, and %d within", r.Compared, r.Checked.Rows)
			}
			s.assertEqual(j)
			must[*CutoverResult](t)(j.Back(t.Context()))
			s.assertEqual(j)
			for _, node := range []string{"source", "target"} {
				if n := s.count(node, "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'scaleproof_touch%' OR tgname LIKE 'scaleproof_wipe%') + (SELECT count(*) FROM scaleproof.touched)"); n != 0 {
					t.Errorf("%d triggers and notes were left on %s", n, node)
				}
			}
		})
	}
}

// Sessions that read for long keep no cut-over from its end, nor the fence up; what
// needs their tables alone is taken away once they have ended.
func TestALongReader(t *testing.T) {
	t.Parallel()
	s := newPlainStage(t, 500)
	j := s.job(s.plainConfig(Online, 5, 20))
	j.config.Fence = unit.Duration(15 * time.Second)
	must[*MoveResult](t)(j.Move(t.Context()))
	readers := map[string]*pgx.Conn{"source": s.conn("source"), "target": s.conn("target")}
	for _, reader := range readers {
		for _, sql := range []string{"BEGIN", "SELECT count(*) FROM incidents"} {
			if _, err := reader.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := must[*CutoverResult](t)(j.Cutover(t.Context()))
	if r.Phase != Moved || r.FenceSeconds > 15 {
		t.Errorf("%+v", r)
	}
	if left := Leftovers(t.Context(), []Node{j.source, j.target}); len(left) != 0 {
		t.Errorf("%+v", left)
	}
	s.exec("target", "UPDATE incidents SET state = 'goes on' WHERE organization_id = 7")
	for _, reader := range readers {
		if _, err := reader.Exec(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
	}
	must[*CutoverResult](t)(j.Cutover(t.Context()))
	if n := s.count("source", "SELECT count(*) FROM pg_class WHERE relreplident = 'f'"); n != 0 {
		t.Errorf("%d replica identities are not restored", n)
	}
	if n := s.count("target", "SELECT count(*) FROM pg_trigger WHERE tgname ~ '^scaleproof_(fence|after|empty)_'"); n != 0 {
		t.Errorf("%d triggers of the fence are left", n)
	}
}
