package shard

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPartitionsThatHaveNoPlace(t *testing.T) {
	of := func(name, parent, bound string) partition { return partition{Name: name, Parent: parent, Bound: bound} }
	a := []partition{of("p1", "t", "1"), of("p2", "t", "2"), of("p3", "t", "3")}
	for name, c := range map[string]struct {
		b    []partition
		want string
	}{
		"in one piece":    {nil, ""},
		"alike":           {a, ""},
		"one is lacking":  {a[:2], "p3"},
		"other names":     {[]partition{of("x", "t", "1"), of("y", "t", "2"), of("z", "t", "3")}, ""},
		"one for others":  {[]partition{of("p1", "t", "1"), of("rest", "t", "DEFAULT")}, ""},
		"of other parent": {[]partition{of("p1", "t", "1"), of("x", "u", "2"), of("rest", "u", "DEFAULT")}, "p2 p3"},
	} {
		var names []string
		for _, p := range missingPartitions(a, c.b) {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// partitionedSQL is plainSQL with incidents in partitions, whose key has not the
// organisation.
const partitionedSQL = `
CREATE TABLE organizations (id bigserial PRIMARY KEY, name text NOT NULL);
CREATE TABLE incidents (id bigserial, organization_id bigint NOT NULL REFERENCES organizations, title text NOT NULL, created_at date NOT NULL, PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE incidents_2024 PARTITION OF incidents FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE incidents_later PARTITION OF incidents FOR VALUES FROM ('2025-01-01') TO ('2030-01-01') PARTITION BY RANGE (created_at);
CREATE TABLE incidents_2025 PARTITION OF incidents_later FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO organizations SELECT i, 'organization ' || i FROM generate_series(1, 50) i;
INSERT INTO incidents (organization_id, title, created_at) SELECT 1 + i % 50, 'incident ' || i, '2024-01-01'::date + i FROM generate_series(1, 500) i;
ANALYZE;`

const newPartitionSQL = `CREATE TABLE public.incidents_2026 PARTITION OF incidents_later FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY RANGE (created_at);
CREATE TABLE public.incidents_2026_rest PARTITION OF public.incidents_2026 DEFAULT;
INSERT INTO incidents (organization_id, title, created_at) VALUES (7, 'in a new partition', '2026-05-01')`

// A partition that is made while the move lasts is told before the fence, with what
// to do; once that is done, its rows go with the others.
func TestAPartitionThatAppears(t *testing.T) {
	for _, mode := range []Mode{Online, Fenced} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := emptyStage(t)
			s.exec("source", partitionedSQL)
			j := s.job(s.plainConfig(mode, 5, 20))
			must[*MoveResult](t)(j.Move(t.Context()))
			s.assertMoveEqual(j)
			s.exec("source", newPartitionSQL)
			var events []string
			j.opts.OnEvent = func(text string) { events = append(events, text) }
			var faults *FaultsError
			if mode == Online { // one that comes while the target is waited for
				c := must[*Catalog](t)(j.catalog(t.Context()))
				if err := j.catchUp(t.Context(), c); !errors.As(err, &faults) || !strings.Contains(err.Error(), "target can't apply the writes that it follows") {
					t.Fatalf("catching up: %v", err)
				}
			}
			if _, err := j.Verify(t.Context()); !errors.As(err, &faults) || len(faults.Faults) != 2 {
				t.Fatalf("verify: %v", err)
			}
			if _, err := j.Cutover(t.Context()); !errors.As(err, &faults) || !strings.Contains(err.Error(), "the partition public.incidents_2026 of public.incidents is on primary, and target has no place for its rows") {
				t.Fatalf("cutover: %v", err)
			}
			if text := strings.Join(events, "\n"); strings.Contains(text, "fence") {
				t.Errorf("the fence was touched: %s", text)
			}
			s.exec("source", "INSERT INTO incidents (organization_id, title, created_at) VALUES (8, 'goes on', '2024-05-01')")
			// What it says works.
			make := regexp.MustCompile(`run there: (CREATE TABLE [^;]*)`)
			identity := regexp.MustCompile(`ALTER TABLE .*`)
			for _, fault := range faults.Faults {
				s.exec("target", make.FindStringSubmatch(fault)[1])
				if mode == Online && strings.Contains(fault, "incidents_2026_rest ") {
					s.exec("source", identity.FindString(fault))
				}
			}
			s.exec("source", "UPDATE incidents SET title = 'changed there' WHERE title = 'in a new partition'")
			must[*CutoverResult](t)(j.Cutover(t.Context()))
			if n := s.count("target", "SELECT count(*) FROM incidents WHERE title IN ('changed there', 'goes on')"); n != 2 {
				t.Errorf("%d rows of those written meanwhile are on the target", n)
			}
		})
	}
}

func (s *stage) assertMoveEqual(j *Job) {
	s.t.Helper()
	if v := must[*Verification](s.t)(j.Verify(s.t.Context())); !v.Equal {
		s.t.Fatalf("%s", v.Summary())
	}
}

// One that is made when all was looked at is found behind the fence, which is lifted.
func TestAPartitionThatAppearsAtTheFence(t *testing.T) {
	t.Parallel()
	s := emptyStage(t)
	s.exec("source", partitionedSQL)
	j := s.job(s.plainConfig(Fenced, 5, 20))
	must[*MoveResult](t)(j.Move(t.Context()))
	j.opts.OnEvent = func(text string) {
		if strings.HasPrefix(text, "raising the fence") {
			s.exec("source", newPartitionSQL)
		}
	}
	if _, err := j.Cutover(t.Context()); err == nil || !strings.Contains(err.Error(), "the fence is lifted, and primary has the organisations as before") || !strings.Contains(err.Error(), "incidents_2026_rest") {
		t.Fatalf("%v", err)
	}
	s.exec("source", "UPDATE incidents SET title = 'goes on' WHERE organization_id = 7")
}

// A target with tables of its own is looked at before the move.
func TestPartitionsThatTheTargetLacksFromTheFirst(t *testing.T) {
	t.Parallel()
	s := emptyStage(t)
	s.exec("source", partitionedSQL)
	s.exec("target", strings.Split(partitionedSQL, "INSERT")[0]+"DROP TABLE incidents_2025")
	j := s.job(s.plainConfig(Fenced, 5, 20))
	p := must[*Plan](t)(j.Plan(t.Context(), 0))
	want := []string{"the partition public.incidents_2025 of public.incidents is on primary, and target has no place for its rows: run there: " +
		"CREATE TABLE public.incidents_2025 PARTITION OF public.incidents_later FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"}
	if diff := cmp.Diff(want, p.Faults); diff != "" {
		t.Error(diff)
	}
}
