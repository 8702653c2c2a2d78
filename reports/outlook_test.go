package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/expr"
	"scaleproof/internal/unit"
)

// outlookFixture is a disk that fills, with a hostile name beside it.
func outlookFixture(t *testing.T) *Outlook {
	t.Helper()
	now := time.Date(2026, 4, 1, 2, 0, 0, 0, time.UTC)
	series := func(name string, base unit.Base, kind capacity.Kind, days int, at func(day float64) float64) capacity.Series {
		s := capacity.Series{Name: name, Unit: base, Kind: kind}
		for i := range days {
			s.Times = append(s.Times, now.AddDate(0, 0, i-days+1))
			s.Values = append(s.Values, at(float64(i-days+1)))
		}
		return s
	}
	dated := func(s capacity.Series, limit float64) *Dated {
		opts := capacity.ProjectOptions{Now: now}
		if limit > 0 {
			opts.Limit = &limit
		}
		p, err := capacity.Project(s, opts)
		if err != nil {
			t.Fatal(err)
		}
		return &Dated{Projection: p, History: s}
	}
	const gib = 1 << 30
	most := 4096.0
	wave := func(day float64) float64 { return math.Mod(math.Abs(day)*7919, 13) / 13 }
	disk := series("host.filesystem.root", unit.Bytes, capacity.Size, 80, func(day float64) float64 { return (140 + 2*day + wave(day)) * gib })
	o := &Outlook{
		SchemaVersion: SchemaVersion, GeneratedAt: now, Nights: 80,
		Limits: []*Dated{
			dated(series("host.cpu", unit.Ratio, capacity.Gauge, 80, func(day float64) float64 { return 0.3 + 0.02*wave(day) }), 1),
			dated(disk, 180*gib),
		},
		Growing: []*Dated{
			dated(series("pg.primary.size.table.public.incidents", unit.Bytes, capacity.Size, 80, func(day float64) float64 { return (90 + day/8 + wave(day)/50) * gib }), 0),
			dated(series(`pg.primary.size.table.</script><img src=x onerror=alert(1)>`, unit.Bytes, capacity.Size, 80, func(day float64) float64 { return (9 + day/80) * gib }), 0),
		},
		Unknown:  []*Undated{{Projection: dated(series("pg.primary.size.table.young", unit.Bytes, capacity.Size, 3, func(day float64) float64 { return day + 9 }), 0).Projection, LimitValue: &most}},
		Changes:  []NightChange{{"pg.primary.connections", "its limit went from 97 to 197"}},
		Warnings: []string{"reading the occupancy of <replica>: refused"},
	}
	o.Order()
	past, err := capacity.Project(capacity.Series{Name: disk.Name, Unit: disk.Unit, Kind: disk.Kind, Times: disk.Times[:50], Values: disk.Values[:50]}, capacity.ProjectOptions{Limit: &o.Limits[0].Limit.Limit})
	if err != nil {
		t.Fatal(err)
	}
	first := o.Limits[0]
	first.Past = past
	if first.Score, err = capacity.ScoreProjection(past, disk); err != nil {
		t.Fatal(err)
	}
	twice, err := capacity.Project(disk, capacity.ProjectOptions{Limit: &first.Limit.Limit, Scenario: capacity.Scenario{Name: "twice the users", Growth: 2}})
	if err != nil {
		t.Fatal(err)
	}
	first.Scenarios = append(first.Scenarios, twice)
	needed := 320.0 * gib
	o.Recommendations = []Recommendation{{
		Resource: first.Series, Unit: first.Unit, Now: first.Last, Limit: &first.Limit.Limit, Needed: &needed, By: first.Limit, Confidence: first.Confidence,
		Why: "grows by 2 GiB a day", Action: "give the file system 320 GiB", File: "capacity-disk.yaml", Plan: "version: 1\n# </script> ```\nname: disk\n",
	}}
	condition, err := expr.Parse("disk.p90 < 30d")
	if err != nil {
		t.Fatal(err)
	}
	o.Judge([]expr.Condition{condition})
	return o
}

func TestAnOutlookInEveryForm(t *testing.T) {
	o := outlookFixture(t)
	if o.Limits[0].Series != "host.filesystem.root" || o.Verdict.Word != Fail {
		t.Fatalf("%+v", o)
	}
	golden(t, "outlook.txt", written(t, func(w io.Writer, o *Outlook) error { return WriteOutlook(w, o, TerminalStyle{Width: 100}) }, o))
	golden(t, "outlook.md", written(t, WriteOutlookMarkdown, o))
	dir := filepath.Join(t.TempDir(), "capacity")
	for range 2 {
		if err := WriteOutlookFiles(dir, o); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "capacity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var again Outlook
	if err := json.Unmarshal(data, &again); err != nil || again.Headline != o.Headline || len(again.Limits[0].History.Values) != 80 {
		t.Errorf("%v: %+v", err, again)
	}
	if plan, err := os.ReadFile(filepath.Join(dir, "capacity-disk.yaml")); err != nil || string(plan) != o.Recommendations[0].Plan {
		t.Errorf("%v: %q", err, plan)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteOutlookFiles(file, o); err == nil {
		t.Error("a file was taken for a folder")
	}
}

func TestTheOutlookInABrowser(t *testing.T) {
	o := outlookFixture(t)
	started, url := startBrowser(t), savePage(t, written(t, WriteOutlookHTML, o))
	for _, scheme := range []string{"light", "dark"} {
		v := visitPage(t, started, url, view{scheme, "screen", 1180})
		canvases, images := ask[int](t, v, `document.querySelectorAll(".chart canvas").length`), ask[int](t, v, `document.images.length`)
		unnamed := ask[int](t, v, `[...document.querySelectorAll("section")].filter(s => !s.getAttribute("aria-labelledby")).length`)
		title, text := ask[string](t, v, `document.title`), ask[string](t, v, `document.body.innerText`)
		if len(v.faults) > 0 || len(v.requests) != 1 || canvases != 4 || images != 0 || unnamed != 0 {
			t.Errorf("%s: faults %v, requests %v, %d charts, %d images, %d sections without a name", scheme, v.faults, v.requests, canvases, images, unnamed)
		}
		if texts := ask[[]string](t, v, faint); len(texts) > 0 {
			t.Errorf("%s: too faint to read: %s", scheme, strings.Join(texts, "; "))
		}
		for _, wanted := range []string{"First comes host.filesystem.root", "twice the users", "give the file system 320 GiB", "its limit went from 97 to 197", "Last month", "now 9 B of 4 KiB, last changed by 1 B, 3 points, enough on 2026-04-03", "Growing tables", "MASE", "</script><img"} {
			if !strings.Contains(title+text, wanted) {
				t.Errorf("%s: %q is not on the page", scheme, wanted)
			}
		}
	}
}

func TestAnOutlookOfThousandsIsTrimmed(t *testing.T) {
	o := outlookFixture(t)
	for i := range 3000 {
		d := *o.Growing[0]
		p := *d.Projection
		p.Series = fmt.Sprint("pg.primary.size.table.", i)
		d.Projection = &p
		o.Growing = append(o.Growing, &d)
	}
	o.Trim()
	if n := len(written(t, WriteOutlookHTML, o)); n > 6<<20 {
		t.Errorf("%d bytes", n)
	}
}

// A policy passes only on what is known as far as it asks.
func TestAPolicyPassesOnlyOnWhatIsKnown(t *testing.T) {
	now := time.Date(2026, 4, 1, 2, 0, 0, 0, time.UTC)
	day := func(n int) *time.Time { at := now.AddDate(0, 0, n); return &at }
	limit, step := 7.0, unit.Duration(24*time.Hour)
	dated := func(name string, p capacity.Passage) *Dated {
		return &Dated{Projection: &capacity.Projection{Series: name, Step: step, Limit: &p}}
	}
	soon := dated("host.filesystem.root", capacity.Passage{Status: capacity.Expected, P10: day(3), P50: day(5), P90: day(8), Horizon: *day(10)})
	late := dated("host.filesystem.data", capacity.Passage{Status: capacity.NotReached, Horizon: *day(10)})
	full := dated("host.filesystem.full", capacity.Passage{Status: capacity.Exceeded, P10: day(0), P50: day(0), P90: day(0), Horizon: *day(10)})
	young := &Undated{Projection: &capacity.Projection{Series: "host.filesystem.new", Status: capacity.InsufficientHistory}, LimitValue: &limit}
	unlimited := &Undated{Projection: young.Projection}
	for _, c := range []struct {
		text    string
		limits  []*Dated
		unknown []*Undated
		want    Word
		says    string
	}{
		{"disk.p90 < 30d", []*Dated{late}, nil, Unsure, "not known"},
		{"disk.p90 < 11d", []*Dated{late}, nil, Pass, "not reached"},
		{"disk.p90 < 12d", []*Dated{late}, nil, Unsure, "--horizon"},
		{"disk.p90 < 30d", []*Dated{late, soon}, nil, Fail, "root"},
		{"disk.p90 < 7d", []*Dated{late, soon}, nil, Pass, ""},
		{"disk.p90 < 7d", []*Dated{soon, full}, []*Undated{young}, Fail, "full"},
		{"disk.p90 < 7d", []*Dated{soon}, []*Undated{young}, Unsure, "too little history of host.filesystem.new"},
		{"disk.p90 < 7d", []*Dated{soon}, []*Undated{unlimited}, Pass, "root"},
		{"disk.p90 < 7d", nil, []*Undated{young}, Unsure, "too little history"},
		{"disk.p90 > 5d", []*Dated{late}, nil, Fail, "data"},
	} {
		condition, err := expr.Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		o := &Outlook{GeneratedAt: now, Headline: "x", Limits: c.limits, Unknown: c.unknown}
		o.Judge([]expr.Condition{condition})
		if got := o.Conditions[0]; got.Outcome != c.want || o.Verdict.Word != c.want || !strings.Contains(got.Reason, c.says) {
			t.Errorf("%s of %d limits: %+v, want %s for %q", c.text, len(c.limits), got, c.want, c.says)
		}
	}
}
