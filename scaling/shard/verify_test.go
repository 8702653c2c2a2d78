package shard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// manySQL is the runbook's schema with many incidents, skewed: of 1,000
// organisations the first has a fifth of them.
const manySQL = `
CREATE TABLE organizations (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE incidents (id bigint NOT NULL, organization_id int NOT NULL, at timestamptz NOT NULL, cost numeric, title text NOT NULL);
INSERT INTO organizations SELECT i, 'organization ' || i FROM generate_series(1, 1000) i;
INSERT INTO incidents SELECT i, CASE WHEN i %% 5 = 0 THEN 1 ELSE 1 + (i::bigint * 7919) %% 1000 END, '2025-01-01'::timestamptz + i * interval '1 second', i / 100.0, 'incident ' || i FROM generate_series(1, %d) i;
ALTER TABLE incidents ADD PRIMARY KEY (id);
ALTER TABLE incidents ADD FOREIGN KEY (organization_id) REFERENCES organizations NOT VALID;
ALTER TABLE incidents VALIDATE CONSTRAINT incidents_organization_id_fkey;
ANALYZE;`

// Two million incidents go to two shards, and any one row among more than a million
// that is not right is found.
func TestTwoMillionIncidentsToTwoShards(t *testing.T) {
	const rows = 2_000_000
	s := emptyStage(t)
	s.addTarget("second")
	s.exec("source", fmt.Sprintf(manySQL, rows))
	first, second := s.plainConfig(Fenced, 1, 450), s.plainConfig(Fenced, 451, 1000)
	second.Name, second.Target = "rest", "second"
	moved := int64(0)
	for _, c := range []Config{first, second} {
		j := s.job(c)
		must[*MoveResult](t)(j.Move(t.Context()))
		v := s.assertEqual(j)
		moved += v.Rows
		t.Logf("%d rows compared in %.1f s", v.Rows, v.ChecksumSeconds)
	}
	if moved != rows+1000 {
		t.Errorf("%d rows moved of %d", moved, rows+1000)
	}
	// One changed byte, one zero more behind a decimal point, one row that is
	// missing and one that stands twice: each is told, and nothing else.
	s.exec("target", `SET session_replication_role = replica; ALTER TABLE incidents DROP CONSTRAINT incidents_pkey;
		UPDATE incidents SET title = 'incident 77777z' WHERE id = 777770; UPDATE incidents SET cost = 1.00 WHERE id = 100;
		DELETE FROM incidents WHERE id = 31415; INSERT INTO incidents SELECT * FROM incidents WHERE id = 999995`)
	v := must[*Verification](t)(s.job(first).Verify(t.Context()))
	want := []Difference{{"public.incidents", "100", differs}, {"public.incidents", "31415", missing}, {"public.incidents", "777770", differs}, {"public.incidents", "999995", doubled}}
	got := slices.SortedFunc(slices.Values(v.Differences), func(a, b Difference) int { return strings.Compare(a.Key, b.Key) })
	if v.Equal || !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestDifferencesAreNamedByKey(t *testing.T) {
	t.Parallel()
	s := newStage(t, 20, 2_000)
	j := s.job(s.config(3, 9))
	must[*MoveResult](t)(j.Move(t.Context()))
	// The hash of a bigint folds its halves: that of 17 is also that of 17 << 32.
	s.exec("target", "SET session_replication_role = replica; UPDATE teams SET parent_id = parent_id << 32 WHERE id = 25; UPDATE users SET email = 'other@example.com' WHERE id = 17; DELETE FROM badges WHERE id = 21; INSERT INTO audit VALUES (4, '2040-01-01', 1)")
	v := must[*Verification](t)(j.Verify(t.Context()))
	want := []Difference{{"public.audit", "4, 2040-01-01", extra}, {"public.badges", "21", missing}, {"public.teams", "25", differs}, {"public.users", "17", differs}}
	got := slices.SortedFunc(slices.Values(v.Differences), func(a, b Difference) int { return strings.Compare(a.Table, b.Table) })
	if !slices.Equal(got, want) || v.Equal {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsNotWholeIsNamed(t *testing.T) {
	t.Parallel()
	s := newStage(t, 20, 2_000)
	j := s.job(s.config(3, 9))
	must[*MoveResult](t)(j.Move(t.Context()))
	s.exec("source", "ALTER TABLE audit ADD CONSTRAINT positive CHECK (n > -5) NOT VALID")
	if faults, _, err := j.Check(t.Context()); err != nil || !slices.Contains(faults, "the constraint positive of audit is not validated on primary: validate it, make it anew, or drop it") {
		t.Errorf("%q, %v", faults, err)
	}
	s.exec("source", "ALTER TABLE audit DROP CONSTRAINT positive")
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
