package reports

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"scaleproof/dbbench"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// A visit is what a browser did with a page.
type visit struct {
	ctx      context.Context
	mu       sync.Mutex
	faults   []string // exceptions, console errors, dialogs
	requests []string
	saved    chan string // the IDs of downloads that have come to their end
}

func (v *visit) listen(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		v.faults = append(v.faults, e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		v.faults = append(v.faults, "console: "+string(e.Type))
	case *cdppage.EventJavascriptDialogOpening:
		v.faults = append(v.faults, "dialog: "+e.Message)
	case *network.EventRequestWillBeSent:
		v.requests = append(v.requests, e.Request.URL)
	}
}

// startBrowser starts a real browser, which ends with the test. Told to close rather
// than killed, it takes away what it has put into the folder for temporary files.
func startBrowser(t testing.TB) context.Context {
	t.Helper()
	if !slices.ContainsFunc([]string{"chromium", "google-chrome", "chrome"}, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}) {
		t.Skip("no Chromium is installed")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	ctx, _ = chromedp.NewContext(ctx)
	// Its pages are tabs of this one browser only if it runs before they are opened.
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("closing Chromium: %v", err)
		}
	})
	return ctx
}

// A view is how a page is looked at.
type view struct {
	scheme string // light or dark
	media  string // screen or print
	width  int64
}

func (w view) actions(url string) []chromedp.Action {
	return []chromedp.Action{
		network.Enable(),
		chromedp.EmulateViewport(w.width, 900),
		emulation.SetEmulatedMedia().WithMedia(w.media).WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: w.scheme}}),
		chromedp.Navigate(url),
		chromedp.WaitReady(`html[data-ready="true"]`),
	}
}

// savePage writes a page where a browser can open it.
func savePage(t testing.TB, html []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, html, 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// visitPage opens a page in a tab of its own.
func visitPage(t *testing.T, started context.Context, url string, w view) *visit {
	t.Helper()
	ctx, cancel := chromedp.NewContext(started)
	t.Cleanup(cancel)
	v := &visit{ctx: ctx, saved: make(chan string, 10)}
	chromedp.ListenTarget(ctx, v.listen)
	v.do(t, w.actions(url)...)
	return v
}

func (v *visit) do(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(v.ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// ask evaluates an expression in a page.
func ask[T any](t *testing.T, v *visit, expression string) (result T) {
	t.Helper()
	v.do(t, chromedp.Evaluate(expression, &result))
	return result
}

// faint lists texts whose contrast with what is behind them is below WCAG's AA.
const faint = `(() => {
	const rgb = (c) => (c.match(/[\d.]+/g) || []).map(Number);
	const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] === 1) return c; } return [255, 255, 255]; };
	const found = new Set();
	for (const e of document.querySelectorAll("body *")) {
		const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
		if (!own || ["SCRIPT", "STYLE"].includes(e.tagName) || !e.getClientRects().length) continue;
		const [a, b] = [light(rgb(getComputedStyle(e).color).slice(0, 3)), light(behind(e).slice(0, 3))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) found.add(e.tagName + "." + e.className + " " + ratio.toFixed(1));
	}
	return [...found];
})()`

func TestThePageInABrowser(t *testing.T) {
	r := fixture(t)
	drawn, err := charts(r)
	if err != nil {
		t.Fatal(err)
	}
	started, url := startBrowser(t), savePage(t, written(t, WriteHTML, r))
	backgrounds := map[string]string{}
	for name, w := range map[string]view{
		"light": {"light", "screen", 1180}, "dark": {"dark", "screen", 1180}, "phone": {"light", "screen", 390}, "paper": {"dark", "print", 794},
	} {
		v := visitPage(t, started, url, w)
		canvases, images := ask[int](t, v, `document.querySelectorAll(".chart canvas").length`), ask[int](t, v, `document.images.length`)
		if canvases != len(drawn) || len(drawn) < 5 || images != 0 {
			t.Errorf("%s: %d of %d charts, %d images", name, canvases, len(drawn), images)
		}
		if unnamed := ask[int](t, v, `[...document.querySelectorAll("section")].filter(s => !document.getElementById(s.getAttribute("aria-labelledby"))).length`); unnamed != 0 {
			t.Errorf("%s: %d sections without a name", name, unnamed)
		}
		if unread := ask[int](t, v, `[...document.querySelectorAll("figure")].filter(f => !f.querySelector("details table tbody tr")).length`); unread != 0 {
			t.Errorf("%s: %d charts without a table behind them", name, unread)
		}
		if texts := ask[[]string](t, v, faint); len(texts) > 0 {
			t.Errorf("%s: too faint to read: %s", name, strings.Join(texts, "; "))
		}
		if wide := ask[int64](t, v, `document.scrollingElement.scrollWidth`); wide > w.width {
			t.Errorf("%s: the page is %d wide, and the window %d", name, wide, w.width)
		}
		if hidden := ask[int](t, v, `[...document.querySelectorAll(".metrics .badge")].filter(b => b.getBoundingClientRect().right > innerWidth).length`); hidden != 0 {
			t.Errorf("%s: the verdicts of %d metrics lie beyond the edge", name, hidden)
		}
		if title := ask[string](t, v, `document.title`); !strings.HasPrefix(title, "fail: app-replicas") {
			t.Errorf("%s: the title is %q", name, title)
		}
		backgrounds[name] = ask[string](t, v, `getComputedStyle(document.body).backgroundColor`)
		v.mu.Lock()
		if len(v.faults) > 0 {
			t.Errorf("%s: the browser complains: %s", name, v.faults)
		}
		if len(v.requests) != 1 || !strings.HasPrefix(v.requests[0], "file://") {
			t.Errorf("%s: the page loads %s", name, v.requests)
		}
		v.mu.Unlock()
	}
	if backgrounds["light"] == backgrounds["dark"] || backgrounds["paper"] != "rgb(255, 255, 255)" {
		t.Errorf("backgrounds: %v", backgrounds)
	}
}

func TestTheTrendInABrowser(t *testing.T) {
	trend := Trend{Metric: "load.api." + hostile, Unit: unit.Seconds}
	for i := range 30 {
		trend.Points = append(trend.Points, TrendPoint{At: fixtureTime.AddDate(0, 0, i), ID: fmt.Sprint("night-", i), Commit: hostile, Value: .1 + .05*float64(i/20)})
	}
	trend.Changes = []TrendChange{{trend.Points[20], .1, .15}}
	var html bytes.Buffer
	if err := WriteTrends(&html, []Trend{trend, trend}); err != nil {
		t.Fatal(err)
	}
	v := visitPage(t, startBrowser(t), savePage(t, html.Bytes()), view{"dark", "screen", 390})
	if canvases := ask[int](t, v, `document.querySelectorAll(".chart canvas").length`); canvases != 2 {
		t.Errorf("%d charts", canvases)
	}
	if texts := ask[[]string](t, v, faint); len(texts) > 0 {
		t.Errorf("too faint to read: %s", texts)
	}
	v.do(t, chromedp.Focus(".chart", chromedp.ByQuery), chromedp.KeyEvent(kb.End))
	if said := ask[string](t, v, `document.querySelector(".readout").textContent`); said != "2026-03-30, median 150 ms" {
		t.Errorf("the last point reads %q", said)
	}
	if len(v.faults) > 0 || len(v.requests) != 1 {
		t.Errorf("the browser complains %s, and loads %s", v.faults, v.requests)
	}
}

// rangeOf is the visible part of the first chart's x axis.
const rangeOf = `(() => { const x = document.querySelector(".chart").plot.scales.x; return x.max - x.min; })()`

func TestThePageByKeyboard(t *testing.T) {
	v := visitPage(t, startBrowser(t), savePage(t, written(t, WriteHTML, fixture(t))), view{"light", "screen", 1180})
	v.do(t, chromedp.KeyEvent(kb.Tab))
	if first := ask[string](t, v, `document.activeElement.className`); first != "skip" {
		t.Errorf("the first stop is %q, not the link past the head", first)
	}
	v.do(t, chromedp.Focus(".chart", chromedp.ByQuery), chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.ArrowRight))
	if said := ask[string](t, v, `document.querySelector(".readout").textContent`); !strings.HasPrefix(said, "1 s, succeeded") {
		t.Errorf("the second point reads %q", said)
	}
	all := ask[float64](t, v, rangeOf)
	v.do(t, chromedp.KeyEvent("+"))
	if zoomed := ask[float64](t, v, rangeOf); zoomed > .6*all {
		t.Errorf("zoomed in, the chart shows %g of %g s", zoomed, all)
	}
	v.do(t, chromedp.KeyEvent("0"))
	if back := ask[float64](t, v, rangeOf); back != all {
		t.Errorf("back again, the chart shows %g of %g s", back, all)
	}
	v.do(t, chromedp.Click(`[data-zoom="in"]`, chromedp.ByQuery))
	if zoomed := ask[float64](t, v, rangeOf); zoomed > .6*all {
		t.Errorf("the button leaves %g of %g s", zoomed, all)
	}
	if out := ask[int](t, v, `[...document.querySelectorAll(".scroll")].filter(s => s.scrollWidth > s.clientWidth && s.tabIndex < 0).length`); out != 0 {
		t.Errorf("%d tables can't be scrolled by the keyboard", out)
	}
	if len(v.faults) > 0 {
		t.Errorf("the browser complains: %s", v.faults)
	}
}

func TestThePageOnPaper(t *testing.T) {
	v := visitPage(t, startBrowser(t), savePage(t, written(t, WriteHTML, fixture(t))), view{"dark", "screen", 1180})
	dark := ask[string](t, v, `getComputedStyle(document.documentElement).getPropertyValue("--text")`)
	const folded = `[...document.querySelectorAll("details:not([open])")].filter((d) => !d.closest("figure")).length`
	onScreen := ask[int](t, v, folded)
	v.do(t, chromedp.Evaluate(`dispatchEvent(new Event("beforeprint"))`, nil))
	if left := ask[int](t, v, folded); onScreen == 0 || left != 0 {
		t.Errorf("of %d parts that are folded away %d can't be read on paper", onScreen, left)
	}
	light := ask[string](t, v, `getComputedStyle(document.documentElement).getPropertyValue("--text")`)
	if dark == light {
		t.Errorf("charts are printed in the colours of the dark page, %q", dark)
	}
	v.do(t, chromedp.Evaluate(`dispatchEvent(new Event("afterprint"))`, nil))
	if again := ask[int](t, v, folded); again != onScreen {
		t.Errorf("%d parts are folded away after printing, and were %d", again, onScreen)
	}
	var pdf []byte
	v.do(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		pdf, _, err = cdppage.PrintToPDF().Do(ctx)
		return err
	}))
	if !strings.HasPrefix(string(pdf), "%PDF") || len(pdf) < 10_000 {
		t.Errorf("%d bytes of PDF", len(pdf))
	}
	if len(v.faults) > 0 {
		t.Errorf("the browser complains: %s", v.faults)
	}
}

func TestTheDataCanBeDownloaded(t *testing.T) {
	r := fixture(t)
	v := visitPage(t, startBrowser(t), savePage(t, written(t, WriteHTML, r)), view{"light", "screen", 1180})
	folder := t.TempDir()
	chromedp.ListenTarget(v.ctx, func(event any) {
		if e, ok := event.(*browser.EventDownloadProgress); ok && e.State == browser.DownloadProgressStateCompleted {
			v.saved <- e.GUID
		}
	})
	v.do(t,
		browser.SetDownloadBehavior(browser.SetDownloadBehaviorBehaviorAllowAndName).WithDownloadPath(folder).WithEventsEnabled(true),
		chromedp.Click("#download", chromedp.ByQuery),
	)
	file, err := os.Open(filepath.Join(folder, v.download(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	read, err := ReadJSON(file)
	if err != nil || read.ID != r.ID || len(read.Comparison.Rows) != len(r.Comparison.Rows) {
		t.Errorf("%v, %v", read, err)
	}
	v.do(t, chromedp.Evaluate(`document.querySelector("figure details").open = true`, nil), chromedp.Click("[data-csv]", chromedp.ByQuery))
	data, err := os.ReadFile(filepath.Join(folder, v.download(t)))
	if err != nil || !strings.HasPrefix(string(data), "time,succeeded,failed\n0,") || strings.Count(string(data), "\n") != len(r.Through.Seconds)+1 {
		t.Errorf("%v, the CSV is\n%s", err, data)
	}
}

func (v *visit) download(t *testing.T) string {
	t.Helper()
	select {
	case name := <-v.saved:
		return name
	case <-v.ctx.Done():
		t.Fatal("nothing was downloaded")
	}
	return ""
}

func TestTheReportOfAnHourIsSmall(t *testing.T) {
	if n := len(written(t, WriteHTML, hourly(t))); n > 3<<20 {
		t.Errorf("%d bytes", n)
	} else {
		t.Logf("%d bytes", n)
	}
}

// hourly is the report of a run of an hour: two sides of six trials with three
// loads, each measured for 100 s, and as many statements, tables and indexes as a
// large database has.
func hourly(t testing.TB) *Report {
	t.Helper()
	r := fixture(t)
	r.Through = busyLoad("api", .020, 3600)
	for _, s := range []*snapshot.Snapshot{r.Before, r.After} {
		captured, counted := busyStatistics(500)
		sections := map[string]any{"pg": captured, "pg.delta": counted}
		for _, name := range []string{"api", "search", "export"} {
			sections["load."+name] = busyLoad(name, s.Metrics[0].Values[0], 600)
		}
		for name, section := range sections {
			if err := s.PutSection(name, section); err != nil {
				t.Fatal(err)
			}
		}
	}
	return r
}

// A page must open in under a second: make bench-report.
func BenchmarkOpenTheReportOfAnHour(b *testing.B) {
	var html strings.Builder
	if err := WriteHTML(&html, hourly(b)); err != nil {
		b.Fatal(err)
	}
	ctx, url := startBrowser(b), savePage(b, []byte(html.String()))
	w := view{"light", "screen", 1180}
	for b.Loop() {
		if err := chromedp.Run(ctx, w.actions(url)...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(html.Len()), "page-bytes")
}

// busyLoad is a load with as many distinct latencies and seconds as a real one.
func busyLoad(name string, median float64, seconds int) *loadgen.Result {
	r := load(name, median, 1000)
	r.Seconds = nil
	for i := range seconds {
		r.Seconds = append(r.Seconds, loadgen.Second{
			Offset: float64(i), Length: 1, Requests: 1234 + int64(i%97), Errors: int64(i % 3), Scheduled: 1234,
			P50: median * (1 + float64(i%89)/500), P99: 3 * median * (1 + float64(i%83)/300), Max: 9 * median * (1 + float64(i%79)/100),
		})
	}
	return r
}

// busyStatistics are those of a database with many tables, each with an index and
// a statement of its own.
func busyStatistics(n int) (map[string]*dbbench.Statistics, map[string]*dbbench.StatisticsDelta) {
	s := &dbbench.Statistics{Node: "primary", Views: map[string][]dbbench.Row{}}
	d := &dbbench.StatisticsDelta{Node: "primary", Seconds: 1800, Views: map[string][]dbbench.DeltaRow{}}
	for i := range n {
		id := fmt.Sprint(i)
		statement := dbbench.Row{"queryid": id, "query": fmt.Sprintf("SELECT a.id, a.name, b.state, b.created_at FROM table_%d a JOIN table_%d b ON a.id = b.owner_id WHERE a.id = $1 AND b.state = $2 ORDER BY b.created_at DESC LIMIT $3", i, (i*7)%n)}
		for j, column := range []string{"calls", "rows", "total_exec_time", "min_exec_time", "max_exec_time", "mean_exec_time", "stddev_exec_time", "shared_blks_hit", "shared_blks_read", "temp_blks_read", "wal_bytes"} {
			statement[column] = math.Sqrt(float64(i*31+j+1)) * 1234.567
		}
		table := dbbench.Row{"relid": id, "relname": "table_" + id, "schemaname": "public", "n_live_tup": 1e6 + float64(i), "n_dead_tup": float64(i), "seq_scan": float64(i), "idx_scan": 1e5 + float64(i)}
		s.Views["pg_stat_statements"] = append(s.Views["pg_stat_statements"], statement)
		s.Views["pg_stat_user_tables"] = append(s.Views["pg_stat_user_tables"], table)
		s.Views["pg_stat_user_indexes"] = append(s.Views["pg_stat_user_indexes"], dbbench.Row{"indexrelid": "i" + id, "indexrelname": "table_" + id + "_pkey", "relname": "table_" + id, "idx_scan": float64(i)})
		s.Views["sizes"] = append(s.Views["sizes"], dbbench.Row{"relid": id, "total_bytes": 1e8 + 8192*float64(i)}, dbbench.Row{"relid": "i" + id, "total_bytes": 1e7})
		d.Views["pg_stat_statements"] = append(d.Views["pg_stat_statements"], dbbench.DeltaRow{Row: statement, Counters: map[string]float64{"calls": 1000 + float64(i), "total_exec_time": 5e3 + float64(i)}})
		d.Views["pg_stat_user_tables"] = append(d.Views["pg_stat_user_tables"], dbbench.DeltaRow{Row: table, Counters: map[string]float64{"seq_scan": 1, "idx_scan": 1000}})
	}
	return map[string]*dbbench.Statistics{"primary": s}, map[string]*dbbench.StatisticsDelta{"primary": d}
}
