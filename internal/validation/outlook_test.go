package validation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/capacity"
	"scaleproof/internal/history"
	"scaleproof/internal/plan"
	"scaleproof/internal/testpg"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

const nightlyPlan = `version: 1
name: nightly
variables:
  SHOP: shop
environment:
  # where everything is
  kubernetes: {context: "${CONTEXT}", namespace: "${SHOP}"}
  postgres:
    primary: {dsn: "${DSN}"}
  prometheus: {url: "${PROM}"}
capacity:
  prometheus:
    - {name: api, query: "sum(rate(requests[5m]))", unit: requests/second}
    - {name: volume, query: sum(used), unit: bytes, kind: size}
  limits:
    - {metric: prom.api, from: load.api.capacity, target: deployment/app}
    - {metric: prom.volume, value: 1TiB}
    - {metric: prom.forgotten, value: 7}
  scenarios:
    - {name: twice the users, growth: 2}
    - {name: a large organisation, metrics: [disk], add: 20GiB, add_per_day: 1GiB}
`

func readPlan(t *testing.T, text, dsn string) *plan.Plan {
	t.Helper()
	p, err := plan.Read("p.yaml", []byte(text), func(name string) (string, bool) {
		value, ok := map[string]string{"DSN": dsn, "DATABASE_URL": dsn, "CONTEXT": "prod", "PROM": "http://127.0.0.1:1", "KUBE_CONTEXT": "prod", "KUBE_NAMESPACE": "shop"}[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const gib = 1 << 30

// past is a history of n nights until now in which everything has a limit that
// comes nearer, and a run that measured a capacity.
func past(n int, now time.Time) []history.Entry {
	random := rand.New(rand.NewPCG(3, 4))
	var entries []history.Entry
	for i := range n {
		left := float64(n - 1 - i)
		noisy := func(v, noise float64) float64 { return v + noise*random.NormFloat64() }
		e := history.Entry{ID: fmt.Sprintf("night-%03d", i), Plan: "nightly", Phase: string(Collecting), StartedAt: now.AddDate(0, 0, i-n+1), Trials: 1, Metrics: []history.Figure{
			figure("host.filesystem.root", unit.Bytes, noisy((140-2*left)*gib, gib/4)), figure("host.filesystem.root_limit", unit.Bytes, 180*gib),
			figure("pg.primary.connections", unit.Count, noisy(80-0.5*left, 1)), figure("pg.primary.connections_limit", unit.Count, 97),
			figure("pg.primary.transaction_ids", unit.Count, noisy(2.0e9-1e7*left, 1e5)), figure("pg.primary.transaction_ids_limit", unit.Count, 2144483648),
			figure("pg.primary.sequence.public.small_id_seq", unit.Ratio, 0.95-0.002*left),
			figure("pg.primary.sequence.public.Odd_Name_id_seq", unit.Ratio, 0.95-0.002*left),
			figure("pg.primary.size.table.public.incidents", unit.Bytes, noisy((90-left/8)*gib, gib/50)),
			figure("pg.primary.size.index.public.incidents_pkey", unit.Bytes, noisy((9-left/80)*gib, gib/500)),
			figure("pg.primary.wal", unit.Bytes, noisy((9000-20*left)*gib, gib)),
			figure("k8s.deployment.app.pods", unit.Count, 4),
			figure("k8s.deployment.app.app.memory", unit.Bytes, noisy((1.8-0.005*left)*gib, gib/200)), figure("k8s.deployment.app.app.memory_limit", unit.Bytes, 2*gib),
			figure("prom.api", unit.RequestsPerSecond, noisy(900-4*left, 5)),
			figure("prom.volume", unit.Bytes, noisy((300-left/10)*gib, gib/100)),
			figure("host.cpu", unit.Ratio, noisy(0.3, 0.02)),
		}}
		if i < n-20 {
			e.Metrics = append(e.Metrics, figure("pg.primary.size.table.public.dropped", unit.Bytes, gib))
		}
		if i >= n-3 {
			e.Metrics = append(e.Metrics, figure("pg.primary.size.table.public.young", unit.Bytes, float64(i)))
		}
		if i == n-10 {
			e.Metrics = append(e.Metrics, figure("load.api.capacity", unit.RequestsPerSecond, 1000))
		}
		entries = append(entries, e)
	}
	return entries
}

func outlookOf(t *testing.T, entries []history.Entry, o OutlookOptions) *reports.Outlook {
	t.Helper()
	o.Horizon = 90 * 24 * time.Hour
	outlook, err := Outlook(t.Context(), entries, o)
	if err != nil {
		t.Fatal(err)
	}
	return outlook
}

func limitNamed(o *reports.Outlook, name string) *reports.Dated {
	for _, d := range o.Limits {
		if d.Series == name {
			return d
		}
	}
	return nil
}

func TestAnOutlookDatesEveryLimit(t *testing.T) {
	now := time.Date(2026, 4, 1, 2, 0, 0, 0, time.UTC)
	o := outlookOf(t, past(80, now), OutlookOptions{Plan: readPlan(t, nightlyPlan, "postgres://127.0.0.1:1/x"), Now: now})
	for name, days := range map[string]float64{
		"host.filesystem.root": 20, "pg.primary.connections": 34, "pg.primary.transaction_ids": 14.4, "pg.primary.sequence.public.small_id_seq": 25,
		"k8s.deployment.app.app.memory": 41, "prom.api": 25,
	} {
		d := limitNamed(o, name)
		if d == nil || d.Limit.P50 == nil {
			t.Errorf("%s has no date: %+v", name, d)
			continue
		}
		if got := d.Limit.P50.Sub(now).Hours() / 24; got < days*0.8-2 || got > days*1.2+2 {
			t.Errorf("%s is reached in %.1f days, want %.1f", name, got, days)
		}
		if d.Past == nil || d.Score == nil || d.Score.Points < 29 || d.Score.Coverage95 < 0.7 {
			t.Errorf("%s: the projection of a month ago is scored as %+v", name, d.Score)
		}
	}
	for name, d := range map[string]*reports.Dated{"host.cpu": limitNamed(o, "host.cpu"), "prom.volume": limitNamed(o, "prom.volume")} {
		if d == nil || d.Limit.Status != capacity.NotReached {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if !strings.HasPrefix(o.Headline, "First comes pg.primary.transaction_ids") {
		t.Errorf("the headline is %q", o.Headline)
	}
	disk := limitNamed(o, "host.filesystem.root")
	if len(disk.Scenarios) != 2 || !disk.Scenarios[0].Limit.P50.Before(*disk.Limit.P50) || !disk.Scenarios[1].Limit.P50.Before(*disk.Limit.P50) {
		t.Errorf("scenarios: %+v", disk.Scenarios)
	}
	if cpu := limitNamed(o, "host.cpu"); len(cpu.Scenarios) != 1 {
		t.Errorf("bytes were added to a ratio: %+v", cpu.Scenarios)
	}
	if o.Growing[0].Series != "pg.primary.wal" || o.Growing[1].Series != "pg.primary.size.table.public.incidents" {
		t.Errorf("growing: %+v", o.Growing)
	}
	if len(o.Unknown) != 1 || o.Unknown[0].Series != "pg.primary.size.table.public.young" || o.Unknown[0].EnoughAt == nil {
		t.Errorf("unknown: %+v", o.Unknown)
	}
	warnings := strings.Join(o.Warnings, "\n")
	for _, text := range []string{"limits prom.forgotten, of which the history knows nothing", "not measured for a week, as those of a table that was dropped, and left out: 1 of the metrics"} {
		if !strings.Contains(warnings, text) {
			t.Errorf("%q is not among %q", text, warnings)
		}
	}
}

// Each recommended plan is read as any other plan, and those for Postgres do on a
// real server what they say.
func TestRecommendedPlansWork(t *testing.T) {
	for _, nightly := range []string{"", nightlyPlan} {
		t.Run(fmt.Sprint("nightly=", nightly != ""), func(t *testing.T) { recommendedPlansWork(t, nightly) })
	}
}

func recommendedPlansWork(t *testing.T, nightly string) {
	now := time.Date(2026, 4, 1, 2, 0, 0, 0, time.UTC)
	dsn := testpg.ForTest(t).NewDatabase(t)
	execute(t, dsn, "CREATE TABLE small (id serial PRIMARY KEY)", "INSERT INTO small DEFAULT VALUES", `CREATE TABLE "Odd Name" (id serial PRIMARY KEY)`)
	var p *plan.Plan
	if nightly != "" {
		p = readPlan(t, nightly, dsn)
	}
	o := outlookOf(t, past(80, now), OutlookOptions{Plan: p, Now: now})
	done := map[string]bool{}
	for _, r := range o.Recommendations {
		if r.Needed != nil && *r.Needed < *r.Limit || r.Action == "" || r.Why == "" || r.By == nil {
			t.Errorf("%+v", r)
		}
		if r.Plan == "" {
			continue
		}
		if strings.Contains(r.Plan, dsn) {
			t.Errorf("%s tells what the environment holds", r.File)
		}
		recommended := readPlan(t, r.Plan, dsn)
		done[r.Resource] = true
		for _, step := range recommended.Action.Steps {
			if step.SQL == nil || strings.Contains(r.Resource, "connections") {
				continue
			}
			execute(t, dsn, step.SQL.Up...)
		}
	}
	want := []string{"pg.primary.transaction_ids", "pg.primary.sequence.public.small_id_seq", "pg.primary.connections", "k8s.deployment.app.app.memory"}
	if p != nil {
		want = append(want, "prom.api")
	}
	for _, name := range want {
		if !done[name] {
			t.Errorf("nothing to apply for %s", name)
		}
	}
	if limitNamed(o, "host.cpu").Limit.Status != capacity.NotReached {
		t.Error("host.cpu was dated")
	}
	for _, table := range []string{"small", "Odd Name"} {
		if got := queryText(t, dsn, "SELECT data_type || ' ' || (SELECT data_type FROM pg_sequences WHERE sequencename = '"+table+"_id_seq') FROM information_schema.columns WHERE table_name = '"+table+"'"); got != "bigint bigint" {
			t.Errorf("the column of %s and its sequence are %s", table, got)
		}
	}
	if refused := tryExecute(t, dsn, isOldest); refused == nil || !strings.Contains(refused.Error(), "are those of database") {
		t.Errorf("a database that has just been frozen is to be frozen: %v", refused)
	}
}

func TestThePlanOfTheDocumentationIsRead(t *testing.T) {
	text, err := os.ReadFile("../../docs/capacity.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ := strings.Cut(after, "```")
	p, err := plan.Read("capacity.md", []byte(example), func(string) (string, bool) { return "http://127.0.0.1:1", true })
	if err != nil || len(p.Capacity.Limits) != 2 || len(p.Capacity.Scenarios) != 2 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestWhatTheNightHasChangedIsTold(t *testing.T) {
	now := time.Date(2026, 4, 1, 2, 0, 0, 0, time.UTC)
	entries := past(60, now)
	last := &entries[59]
	for i, f := range last.Metrics {
		switch f.Name {
		case "pg.primary.connections_limit":
			last.Metrics[i].Median = 197
		case "pg.primary.size.table.public.incidents":
			last.Metrics[i].Median += 20 * gib
		case "pg.primary.size.index.public.incidents_pkey":
			last.Metrics[i].Name = "pg.primary.size.index.public.incidents_new"
		}
	}
	o := outlookOf(t, entries, OutlookOptions{Now: now})
	told := ""
	for _, c := range o.Changes {
		told += c.Series + ": " + c.Text + "\n"
	}
	for _, text := range []string{
		"pg.primary.connections: its limit went from 97 to 197", "pg.primary.size.table.public.incidents: grew by 20.1 GiB in one night",
		"incidents_new: is new", "incidents_pkey: is not there any more",
	} {
		if !strings.Contains(told, text) {
			t.Errorf("%q is not told in\n%s", text, told)
		}
	}
	quiet := outlookOf(t, past(60, now), OutlookOptions{Now: now})
	if len(quiet.Changes) > 1 {
		t.Errorf("a night like any other: %+v", quiet.Changes)
	}
}

func TestAnOutlookOfLittle(t *testing.T) {
	now := time.Date(2026, 4, 1, 2, 0, 0, 0, time.UTC)
	empty := outlookOf(t, nil, OutlookOptions{Now: now})
	if !strings.HasPrefix(empty.Headline, "Insufficient history") || len(empty.Limits) != 0 {
		t.Errorf("%+v", empty)
	}
	young := outlookOf(t, past(3, now), OutlookOptions{Now: now})
	if !strings.Contains(young.Headline, "There will be enough on 2026-04-03") || len(young.Recommendations) != 0 || len(young.Limits) != 0 {
		t.Errorf("%q %+v", young.Headline, young.Recommendations)
	}
	stale := outlookOf(t, past(30, now), OutlookOptions{Now: now.AddDate(0, 0, 9)})
	if !strings.Contains(strings.Join(stale.Warnings, "\n"), "the newest snapshot is 9 d old") {
		t.Errorf("%q", stale.Warnings)
	}
}

// execute runs statements, each on its own, as a step does.
func execute(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	if err := tryExecute(t, dsn, statements...); err != nil {
		t.Fatal(err)
	}
}

func tryExecute(t *testing.T, dsn string, statements ...string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

func queryText(t *testing.T, dsn, sql string) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), sql).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}
