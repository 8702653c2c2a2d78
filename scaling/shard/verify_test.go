package shard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// million is a table of so many rows of organisations 1 to 4, without a primary
// key, so that a row can stand twice.
const millionSQL = `
CREATE TABLE organizations (id int PRIMARY KEY);
INSERT INTO organizations SELECT generate_series(1, 4);
CREATE TABLE events (id bigint, organization_id int NOT NULL, at timestamptz, price numeric, name text);
INSERT INTO events SELECT i, 1 + i %% 4, '2025-01-01'::timestamptz + i * interval '1 second', i / 100.0, 'event ' || i FROM generate_series(1, %d) i;`

// verifyBoth compares two databases that no ledger knows.
func (s *stage) verifyBoth(j *Job) *Verification {
	s.t.Helper()
	c := must[*Catalog](s.t)(j.catalog(s.t.Context()))
	return must[*Verification](s.t)(j.verify(s.t.Context(), c, side{node: j.source}, side{node: j.target}))
}

func TestAnyOneRowOfAMillionIsFound(t *testing.T) {
	const rows = 1_000_000
	s := emptyStage(t)
	for _, node := range []string{"source", "target"} {
		s.exec(node, fmt.Sprintf(millionSQL, rows))
	}
	j := s.job(s.plainConfig(Fenced, 1, 4))
	if v := s.verifyBoth(j); !v.Equal || v.Rows != rows+4 {
		t.Fatalf("%+v", v)
	}
	for _, c := range []struct{ name, sql, back, what string }{
		{"a changed byte", "UPDATE events SET name = 'event 77777z' WHERE id = 777770", "UPDATE events SET name = 'event 777770' WHERE id = 777770", extra},
		{"a zero more", "UPDATE events SET price = 1.00 WHERE id = 100", "UPDATE events SET price = 100 / 100.0 WHERE id = 100", extra},
		{"a missing row", "DELETE FROM events WHERE id = 31415", "INSERT INTO events SELECT i, 1 + i % 4, '2025-01-01'::timestamptz + i * interval '1 second', i / 100.0, 'event ' || i FROM generate_series(31415, 31415) i", missing},
		{"a doubled row", "INSERT INTO events SELECT * FROM events WHERE id = 999999", "DELETE FROM events WHERE ctid = (SELECT max(ctid) FROM events WHERE id = 999999)", doubled},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.t = t
			s.exec("target", c.sql)
			v := s.verifyBoth(j)
			if v.Equal || !slices.ContainsFunc(v.Differences, func(d Difference) bool { return d.What == c.what }) || len(v.Differences) > 2 {
				t.Errorf("%+v", v)
			}
			s.exec("target", c.back)
		})
	}
	s.t = t
	if v := s.verifyBoth(j); !v.Equal {
		t.Errorf("not equal at the end: %s", v.Summary())
	}
}

func TestDifferencesAreNamedByKey(t *testing.T) {
	s := newStage(t, 20, 2_000)
	j := s.job(s.config(3, 9))
	must[*MoveResult](t)(j.Move(t.Context()))
	s.exec("target", "SET session_replication_role = replica; UPDATE users SET email = 'other@example.com' WHERE id = 17; DELETE FROM badges WHERE id = 21; INSERT INTO audit VALUES (4, '2040-01-01', 1)")
	v := must[*Verification](t)(j.Verify(t.Context()))
	want := []Difference{{"public.audit", "4, 2040-01-01", extra}, {"public.badges", "21", missing}, {"public.users", "17", differs}}
	got := slices.SortedFunc(slices.Values(v.Differences), func(a, b Difference) int { return strings.Compare(a.Table, b.Table) })
	if !slices.Equal(got, want) || v.Equal {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsNotWholeIsNamed(t *testing.T) {
	s := newStage(t, 20, 2_000)
	j := s.job(s.config(3, 9))
	must[*MoveResult](t)(j.Move(t.Context()))
	for _, c := range []struct{ sql, want string }{
		{"SET session_replication_role = replica; DELETE FROM teams WHERE id = 3", "refer by teams_parent_id_fkey"},
		{"SET session_replication_role = replica; INSERT INTO audit VALUES (19, '2040-01-01', 1)", "1 rows of public.audit belong to organisations that were never moved here"},
		{"ALTER TABLE audit ADD CONSTRAINT positive CHECK (n > -5) NOT VALID", "positive of audit is not validated"},
		{"DROP INDEX incidents_organization", "missing: index CREATE INDEX incidents_organization"},
		{"ALTER TABLE users DROP CONSTRAINT users_email_key", "missing: constraint users users_email_key"},
		{"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'badges_pkey'::regclass", "the index badges_pkey is not valid"},
	} {
		s.exec("target", c.sql)
		v := must[*Verification](t)(j.Verify(t.Context()))
		if v.Equal || !strings.Contains(strings.Join(v.Faults, "\n"), c.want) {
			t.Errorf("%s: %v", c.sql, v.Faults)
		}
	}
	if _, err := j.Cutover(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing was switched") {
		t.Errorf("cut over to a target that is not whole: %v", err)
	}
	s.exec("source", "INSERT INTO audit VALUES (4, '2041-01-01', 1)") // no fence was left
}

// Sums of the digests don't depend on how the rows were cut into parts.
func TestDigestsAddUp(t *testing.T) {
	whole := digest{}
	var parts [3]digest
	for i := range 1000 {
		d := digest{1, uint64(i) * 0x9e3779b97f4a7c15, uint64(i) * 0xbf58476d1ce4e5b9}
		whole.add(d)
		parts[(i*i)%3].add(d)
	}
	parts[2].add(parts[0])
	parts[2].add(parts[1])
	if parts[2] != whole {
		t.Errorf("%v and %v", parts[2], whole)
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, "-1": ^uint64(0), "9223372036854775807": 1<<63 - 1, "-9223372036854775808": 1 << 63, "-18446744073709551615": 1} {
		if got, err := word(text); err != nil || got != want {
			t.Errorf("word(%s) = %d, %v, want %d", text, got, err, want)
		}
	}
	if _, err := word("many"); err == nil {
		t.Error("read many")
	}
}

func TestBlockRangesCoverAll(t *testing.T) {
	if got := blockRanges(0, 10); !slices.Equal(got, []string{"true"}) {
		t.Errorf("%v", got)
	}
	got := blockRanges(25, 10)
	want := []string{"t.ctid >= '(0,0)' AND t.ctid < '(10,0)'", "t.ctid >= '(10,0)' AND t.ctid < '(20,0)'", "t.ctid >= '(20,0)'"}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
