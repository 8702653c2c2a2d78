package shard

import (
	"strings"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

// Tables without a primary key make the fence long: a plan, a check and a preview say
// so, with the rows that move, before anybody has to wait.
func TestTablesWithoutAPrimaryKeyAreTold(t *testing.T) {
	t.Parallel()
	s := newStage(t, 40, 500)
	s.exec("source", "CREATE TABLE visits (organization_id bigint NOT NULL, at timestamptz, n int); INSERT INTO visits SELECT 1 + i % 40, '2025-01-01', i FROM generate_series(1, 60000) i; ANALYZE visits")
	small, large := s.job(s.config(5, 8)), s.job(s.config(1, 40))
	p := must[*Plan](t)(small.Plan(t.Context(), 0))
	if len(p.Whole) != 1 || p.Whole[0].Table != "public.visits" || p.Whole[0].Rows != 6000 || p.Whole[0].Seconds <= 0 || p.Whole[0].Longer {
		t.Errorf("all of them: %+v", p.Whole)
	}
	const says = "public.visits has no primary key, so that it is compared as a whole behind the fence: about 6000 rows"
	if all := strings.Join(p.Warnings, "\n"); !strings.Contains(all, says) || strings.Contains(all, "raise shard.fence") {
		t.Errorf("%s", all)
	}
	p = must[*Plan](t)(large.Plan(t.Context(), 0))
	if w := p.Whole[0]; w.Rows < 30_000 || w.Rows > 90_000 { // as the planner expects
		t.Errorf("some of them: %+v", w)
	}
	_, warnings, err := small.Check(t.Context())
	if err != nil || !strings.Contains(strings.Join(warnings, "\n"), says) {
		t.Errorf("%q, %v", warnings, err)
	}
	large.config.Fence = unit.Duration(time.Microsecond)
	notes := must[[]string](t)(large.FenceNotes(t.Context()))
	if len(notes) != 2 || !strings.Contains(notes[1], "longer than the fence may last, 1µs: the cut-over would be given up: raise shard.fence") {
		t.Errorf("%q", notes)
	}
	s.exec("source", "DROP TABLE visits")
	if notes := must[[]string](t)(large.FenceNotes(t.Context())); len(notes) != 0 {
		t.Errorf("%q", notes)
	}
}
