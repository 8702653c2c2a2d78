package validation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/expr"
	"scaleproof/internal/history"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

var april = time.Date(2026, 4, 1, 2, 0, 0, 0, time.UTC)

func figure(name string, base unit.Base, v float64) history.Figure {
	return history.Figure{Name: name, Unit: base, Better: snapshot.Neutral, Median: v}
}

// everyNight returns the collections of a plan on a machine, until april: left
// counts the nights that follow.
func everyNight(plan, host string, n int, figures func(left float64) []history.Figure) []history.Entry {
	var entries []history.Entry
	for i := range n {
		left := n - 1 - i
		entries = append(entries, history.Entry{
			ID: fmt.Sprintf("%s-%s-%03d", plan, host, i), Plan: plan, Host: host, Phase: string(Collecting), StartedAt: april.AddDate(0, 0, -left), Trials: 1, Metrics: figures(float64(left)),
		})
	}
	return entries
}

func inOrder(lists ...[]history.Entry) []history.Entry {
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b history.Entry) int { return a.StartedAt.Compare(b.StartedAt) })
	return all
}

func namesOf(limits []*reports.Dated) []string {
	var names []string
	for _, d := range limits {
		names = append(names, d.Series)
	}
	slices.Sort(names)
	return names
}

// What several machines, plans and runs measure under one name is told apart: the
// load of a run's test is no night's.
func TestSeriesAreOfTheirSource(t *testing.T) {
	collected := func(used, cpu float64) func(left float64) []history.Figure {
		return func(left float64) []history.Figure {
			return []history.Figure{
				figure("host.filesystem.root", unit.Bytes, (used-left)*gib), figure("host.filesystem.root_limit", unit.Bytes, (used+20)*gib),
				figure("host.cpu", unit.Ratio, cpu), figure("pg.primary.connections", unit.Count, used), figure("pg.primary.connections_limit", unit.Count, 2000),
			}
		}
	}
	run := history.Entry{ID: "run", Plan: "deploy", Host: "a", Phase: "after", StartedAt: april.Add(-time.Hour), Trials: 5, Metrics: []history.Figure{
		figure("host.cpu", unit.Ratio, 0.99), figure("pg.primary.connections", unit.Count, 1999), figure("load.api.capacity", unit.RequestsPerSecond, 700),
	}}
	entries := inOrder(everyNight("shop", "a", 40, collected(100, 0.1)), everyNight("billing", "b", 40, collected(900, 0.2)), []history.Entry{run})
	o := outlookOf(t, entries, OutlookOptions{Now: april})
	want := []string{
		"host.cpu@a", "host.cpu@b", "host.filesystem.root@a", "host.filesystem.root@b", "pg.primary.connections@billing", "pg.primary.connections@shop",
	}
	if got := namesOf(o.Limits); !slices.Equal(got, want) {
		t.Fatalf("limits %v, want %v", got, want)
	}
	for name, v := range map[string]float64{"host.cpu@a": 0.1, "host.cpu@b": 0.2, "host.filesystem.root@a": 100 * gib, "pg.primary.connections@shop": 100} {
		if d := limitNamed(o, name); d.Last != v || d.Points != 40 || len(d.Warnings) > 3 {
			t.Errorf("%s is %v of %d points, want %v: %q", name, d.Last, d.Points, v, d.Warnings)
		}
	}
	if d := limitNamed(o, "host.filesystem.root@b"); d.Limit.Limit != 920*gib || !strings.Contains(o.Recommendations[0].File+o.Recommendations[0].Action, "file system") {
		t.Errorf("%+v of %+v", d.Limit, o.Recommendations)
	}
	if !capacity.Named("host.filesystem.root@b", "disk") || capacity.Named("host.cpu@b", "host.cpu@a") {
		t.Error("a pattern is of every source, unless it names one")
	}
	if all := SeriesOf(entries, "host.filesystem.root", april); len(all) != 2 || all[0].Kind != capacity.Size || len(all[1].Values) != 40 {
		t.Errorf("%+v", all)
	}
	if one := SeriesOf(entries, "host.cpu@b", april); len(one) != 1 || one[0].Values[0] != 0.2 {
		t.Errorf("%+v", one)
	}
	// Snapshots of before the machine was kept are of the only one there is.
	unnamed := everyNight("shop", "", 80, collected(100, 0.1))[:40]
	if all := SeriesOf(inOrder(unnamed, everyNight("shop", "a", 40, collected(100, 0.1))), "host.cpu", april); len(all) != 1 || len(all[0].Values) != 80 {
		t.Errorf("%+v", all)
	}
}

func planOfCapacity(t *testing.T, section string) *plan.Plan {
	t.Helper()
	return readPlan(t, "version: 1\nname: nightly\nenvironment: {prometheus: {url: \"${PROM}\"}}\ncapacity:\n"+section, "")
}

// A limit counts as long as it is measured; a metric that is measured rarely is
// not gone; a limit for all series of a query is that of each.
func TestLimitsThatCount(t *testing.T) {
	p := planOfCapacity(t, `  prometheus:
    - {name: volume, query: a, limit: b, unit: bytes, kind: size}
    - {name: queue, query: a, limit: b}
  limits: [{metric: load.api.p99, value: 80ms}]
`)
	nights := everyNight("nightly", "a", 100, func(left float64) []history.Figure {
		all := []history.Figure{
			figure("pg.primary.slots", unit.Bytes, (90-left/2)*gib), figure("prom.volume.data", unit.Bytes, (80-left/2)*gib), figure("prom.volume.logs", unit.Bytes, (70-left/2)*gib),
			figure("prom.volume_limit", unit.Bytes, 100*gib), figure("prom.queue.a", unit.Count, 7), figure("prom.queue.other_limit", unit.Count, 9),
		}
		if left > 60 {
			all = append(all, figure("pg.primary.slots_limit", unit.Bytes, 100*gib))
		}
		return all
	})
	var runs []history.Entry
	for i := range 8 {
		runs = append(runs, history.Entry{ID: fmt.Sprint("run-", i), Plan: "deploy", Phase: "after", StartedAt: april.AddDate(0, 0, 14*(i-8)+4), Metrics: []history.Figure{figure("load.api.p99", unit.Seconds, 0.05+float64(i)/1000)}})
	}
	o := outlookOf(t, inOrder(nights, runs), OutlookOptions{Plan: p, Now: april})
	if got, want := namesOf(o.Limits), []string{"load.api.p99", "prom.volume.data", "prom.volume.logs"}; !slices.Equal(got, want) {
		t.Errorf("limits %v, want %v", got, want)
	}
	warnings := strings.Join(o.Warnings, "\n")
	for _, text := range []string{"the limit of pg.primary.slots was last measured on 2026-01-30, and counts no more", "1 series is of the query queue without a limit, such as prom.queue.a"} {
		if !strings.Contains(warnings, text) {
			t.Errorf("%q is not among %q", text, warnings)
		}
	}
	wrong := planOfCapacity(t, "  limits: [{metric: volume, value: 3s}]\n")
	_, err := Outlook(t.Context(), nights, OutlookOptions{Plan: wrong, Now: april})
	if fault := (*plan.Error)(nil); !errors.As(err, &fault) || !strings.Contains(err.Error(), "is measured in bytes") {
		t.Errorf("a limit of 3 s for bytes: %v", err)
	}
}

// A machine that collects no more, and a node that does not answer, are unknown for
// a month: no policy passes on the others alone. A disk that is gone is gone.
func TestWhatHasFallenSilentIsUnknown(t *testing.T) {
	machine := func(left float64) []history.Figure {
		all := []history.Figure{
			figure("host.filesystem.root", unit.Bytes, 10*gib), figure("host.filesystem.root_limit", unit.Bytes, 100*gib),
			figure("pg.primary.connections", unit.Count, 7), figure("pg.primary.connections_limit", unit.Count, 97),
		}
		if left > 12 {
			all = append(all, figure("host.filesystem.old", unit.Bytes, gib), figure("host.filesystem.old_limit", unit.Bytes, 9*gib),
				figure("pg.replica.connections", unit.Count, 8), figure("pg.replica.connections_limit", unit.Count, 97))
		}
		return all
	}
	until := func(days int, entries []history.Entry) []history.Entry {
		return slices.DeleteFunc(entries, func(e history.Entry) bool { return april.Sub(e.StartedAt) < time.Duration(days)*24*time.Hour })
	}
	entries := inOrder(everyNight("nightly", "a", 60, machine), until(10, everyNight("nightly", "b", 60, machine)), until(40, everyNight("nightly", "c", 60, machine)))
	policy := func(text string) reports.ConditionResult {
		c, err := expr.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return outlookOf(t, entries, OutlookOptions{Now: april, FailIf: []expr.Condition{c}}).Conditions[0]
	}
	if got := policy("disk.p90 < 30d"); got.Outcome != reports.Unsure || !strings.Contains(got.Reason, "host.filesystem.root@b was last measured on 2026-03-22") {
		t.Errorf("%+v", got)
	}
	if got := policy("connections.p90 < 30d"); got.Outcome != reports.Unsure || !strings.Contains(got.Reason, "pg.replica.connections was last measured") {
		t.Errorf("%+v", got)
	}
	if got := policy("primary.connections.p90 < 30d"); got.Outcome != reports.Pass {
		t.Errorf("%+v", got)
	}
	var unknown []string
	for _, u := range outlookOf(t, entries, OutlookOptions{Now: april}).Unknown {
		unknown = append(unknown, u.Series)
	}
	slices.Sort(unknown)
	if want := []string{"host.filesystem.old@b", "host.filesystem.root@b", "pg.replica.connections"}; !slices.Equal(unknown, want) {
		t.Errorf("unknown are %v, want %v", unknown, want)
	}
}

func TestASnapshotFromTheFutureIsLeftOut(t *testing.T) {
	entries := past(40, april)
	ahead := past(1, april.AddDate(0, 0, 10))
	ahead[0].ID = "ahead"
	o := outlookOf(t, append(entries, ahead...), OutlookOptions{Now: april})
	if warnings := strings.Join(o.Warnings, "\n"); !strings.Contains(warnings, "from the future, such as ahead") || o.Nights != 40 || limitNamed(o, "host.filesystem.root") == nil {
		t.Errorf("%d nights, warnings %q", o.Nights, warnings)
	}
}

func TestRecommendationsByTheirGround(t *testing.T) {
	p := planOfCapacity(t, "  limits:\n    - {metric: prom.api, from: load.api.capacity, target: deployment/app}\n    - {metric: prom.free, value: 10GiB, below: true}\n")
	nights := everyNight("nightly", "a", 80, func(left float64) []history.Figure {
		return []history.Figure{
			figure("prom.api", unit.RequestsPerSecond, 900-4*left), figure("prom.free", unit.Bytes, (30+left)*gib),
			figure("k8s.deployment.app.pods", unit.Count, 3), figure("k8s.deployment.app.pods_limit", unit.Count, 40), figure("k8s.deployment.app.hpa.scaler", unit.Count, 40),
			figure("k8s.deployment.full.pods", unit.Count, 20), figure("k8s.deployment.full.pods_limit", unit.Count, 20), figure("k8s.deployment.full.hpa.full", unit.Count, 20),
			figure("k8s.deployment.web.pods", unit.Count, 90-left), figure("k8s.deployment.web.pods_limit", unit.Count, 100), figure("k8s.deployment.web.hpa.web-scaler", unit.Count, 100),
			figure("pg.primary.slots_inactive", unit.Bytes, 50*gib), figure("pg.primary.transaction_ids", unit.Count, 2.0e9-1e7*left), figure("pg.primary.transaction_ids_limit", unit.Count, 2144483648),
			figure("pg.primary.standby", unit.Count, 0),
			figure("pg.replica.standby", unit.Count, 1), figure("pg.replica.transaction_ids", unit.Count, 2.0e9-1e7*left-9), figure("pg.replica.transaction_ids_limit", unit.Count, 2144483648),
			figure("pg.other.standby", unit.Count, 1), figure("pg.other.sequence.public.a_seq", unit.Ratio, 0.95-0.002*left),
		}
	})
	run := history.Entry{ID: "run", Plan: "deploy", Phase: "after", StartedAt: april.AddDate(0, 0, -3).Add(time.Hour), Metrics: []history.Figure{figure("load.api.capacity", unit.RequestsPerSecond, 1000), figure("k8s.deployment.app.pods", unit.Count, 6)}}
	o := outlookOf(t, inOrder(nights, []history.Entry{run}), OutlookOptions{Plan: p, Now: april})
	plans := map[string]reports.Recommendation{}
	for _, r := range o.Recommendations {
		plans[r.Resource] = r
	}
	for resource, texts := range map[string][]string{
		// 900 and 4 a day for 80 days of what 6 carried, not 3.
		"prom.api":                       {"from 3 to 8 replicas (6 carried the limit on 2026-03-29)", "replicas: 8, owner: adjust"},
		"prom.free":                      {"make sure of "},
		"k8s.deployment.web.pods":        {"patch: {target: hpa/web-scaler, type: merge, patch: {spec: {maxReplicas: 170}}}"},
		"k8s.deployment.full.pods":       {"a quarter more", "patch: {target: hpa/full, type: merge, patch: {spec: {maxReplicas: 25}}}"},
		"pg.primary.slots_inactive":      {"at any time", "max_slot_wal_keep_size = '102400MB'", "pg_reload_conf"},
		"pg.other.sequence.public.a_seq": {"on the primary of other: "},
	} {
		r := plans[resource]
		if said := r.Action + r.Plan; resource == "pg.primary.slots_inactive" {
			texts = texts[1:]
			if r.By != nil || r.Limit != nil {
				t.Errorf("%+v", r)
			}
		} else if said == "" {
			t.Errorf("nothing is recommended for %s", resource)
		}
		for _, text := range texts {
			if !strings.Contains(r.Action+"\n"+r.Plan, text) {
				t.Errorf("%s: %q is not in %s\n%s", resource, text, r.Action, r.Plan)
			}
		}
	}
	if r, twice := plans["pg.replica.transaction_ids"]; twice {
		t.Errorf("the limit of the primary stands twice: %+v", r)
	}
	if plans["pg.other.sequence.public.a_seq"].Plan != "" {
		t.Error("a plan alters a standby")
	}
}

func TestPlansHaveNamesOfTheirOwn(t *testing.T) {
	taken := map[string]bool{}
	long := "pg.primary.sequence.public." + strings.Repeat("a", 60)
	names := map[string]bool{}
	for _, resource := range []string{"prom.a.b_c", "prom.a.b.c", long + ".x", long + ".y"} {
		name := planName(resource, taken)
		if names[name] || len(name) > longestPlanName {
			t.Errorf("%s is called %q", resource, name)
		}
		names[name] = true
	}
}

// Of tables only the largest are listed: one that is not is not gone.
func TestATableThatFellToPlace51IsNotGone(t *testing.T) {
	entries := everyNight("nightly", "a", 40, func(left float64) []history.Figure {
		var all []history.Figure
		for i := range 50 {
			name := fmt.Sprintf("pg.primary.size.table.public.t%02d", i)
			if i == 49 && left == 0 {
				name = "pg.primary.size.table.public.risen"
			}
			all = append(all, figure(name, unit.Bytes, float64(1000-i)*gib))
		}
		return all
	})
	o := outlookOf(t, entries, OutlookOptions{Now: april})
	told := fmt.Sprint(o.Changes)
	for _, text := range []string{"t49 is not among the 50 largest any more, or not there", "risen is new, or new among the 50 largest"} {
		if !strings.Contains(told, text) {
			t.Errorf("%q is not in %s", text, told)
		}
	}
}

// Two machines may collect by one plan, a minute apart: the night before is not the
// first of them.
func TestTheNightBeforeIsNotTheSameNight(t *testing.T) {
	collected := func(left float64) []history.Figure {
		table, limit := "gone", 97.0
		if left == 0 {
			table, limit = "fresh", 197
		}
		return []history.Figure{
			figure("pg.primary.size.table.public."+table, unit.Bytes, gib), figure("pg.primary.connections", unit.Count, 7), figure("pg.primary.connections_limit", unit.Count, limit),
		}
	}
	second := everyNight("nightly", "b", 30, collected)
	for i := range second {
		second[i].StartedAt = second[i].StartedAt.Add(time.Minute)
	}
	o := outlookOf(t, inOrder(everyNight("nightly", "a", 30, collected), second), OutlookOptions{Now: april.Add(time.Hour)})
	told := fmt.Sprint(o.Changes)
	for _, text := range []string{"its limit went from 97 to 197", "gone is not there any more", "fresh is new"} {
		if !strings.Contains(told, text) {
			t.Errorf("%q is not told in %s", text, told)
		}
	}
}

// A name that no collection gives a metric is no part of a plan.
func TestANameIsNoStepOfAPlan(t *testing.T) {
	for name, plans := range map[string]int{
		"k8s.deployment.app.web.memory": 1,
		"k8s.deployment.app.web, limits: {}}\n    - name: more\n      exec: {command: [id]}\n#.memory": 0,
		"pg.primary.sequence.public.x'; DROP TABLE organizations; --":                                  0,
	} {
		o := outlookOf(t, everyNight("nightly", "a", 40, func(left float64) []history.Figure {
			return []history.Figure{figure(name, unit.Ratio, 0.99-left/400), figure(name+"_limit", unit.Ratio, 1)}
		}), OutlookOptions{Now: april})
		if len(o.Recommendations) != 1 || strings.Count(o.Recommendations[0].Plan, "action:") != plans {
			t.Errorf("%q: %+v", name, o.Recommendations)
		}
	}
}
