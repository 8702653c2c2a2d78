package reports

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"scaleproof/loadgen"
)

// A visit is what a browser did with a page.
type visit struct {
	mu       sync.Mutex
	faults   []string // exceptions, console errors, dialogs
	requests []string
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

// browse opens a page in a real browser, in one colour scheme, and evaluates
// expressions in it.
func browse(t *testing.T, html []byte, scheme string, results map[string]any) *visit {
	t.Helper()
	if !slices.ContainsFunc([]string{"chromium", "google-chrome", "chrome"}, func(name string) bool {
		_, err := exec.LookPath(name)
		return err == nil
	}) {
		t.Skip("no Chromium is installed")
	}
	path := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(path, html, 0o600); err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	v := &visit{}
	chromedp.ListenTarget(ctx, v.listen)
	actions := []chromedp.Action{
		network.Enable(),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Navigate("file://" + path),
		chromedp.Poll(`document.readyState === "complete"`, nil),
	}
	for expression, result := range results {
		actions = append(actions, chromedp.Evaluate(expression, result))
	}
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestThePageInABrowser(t *testing.T) {
	r := fixture(t)
	html := written(t, WriteHTML, r)
	drawn, err := charts(r)
	if err != nil {
		t.Fatal(err)
	}
	backgrounds := map[string]string{}
	for _, scheme := range []string{"light", "dark"} {
		var canvases, images, tables, unnamed int
		var title, background string
		v := browse(t, html, scheme, map[string]any{
			`document.querySelectorAll(".chart canvas").length`: &canvases,
			`document.images.length`:                            &images,
			`document.querySelectorAll("table").length`:         &tables,
			`[...document.querySelectorAll("section")].filter(s => !s.getAttribute("aria-labelledby")).length`: &unnamed,
			`document.title`: &title,
			`getComputedStyle(document.body).backgroundColor`: &background,
		})
		if len(v.faults) > 0 {
			t.Errorf("%s: the browser complains: %s", scheme, v.faults)
		}
		if len(v.requests) != 1 || !strings.HasPrefix(v.requests[0], "file://") {
			t.Errorf("%s: the page loads %s", scheme, v.requests)
		}
		if canvases != len(drawn) || len(drawn) == 0 || images != 0 || tables == 0 || unnamed != 0 {
			t.Errorf("%s: %d of %d charts, %d images, %d tables, %d sections without a name", scheme, canvases, len(drawn), images, tables, unnamed)
		}
		if !strings.HasPrefix(title, "fail: app-replicas") {
			t.Errorf("%s: the title is %q", scheme, title)
		}
		backgrounds[scheme] = background
	}
	if backgrounds["light"] == backgrounds["dark"] {
		t.Errorf("dark is as light: %v", backgrounds)
	}
}

func TestTheReportOfAnHourIsSmall(t *testing.T) {
	r := fixture(t)
	r.Through.Seconds = nil
	for i := range 3600 {
		r.Through.Seconds = append(r.Through.Seconds, loadgen.Second{Offset: float64(i), Length: 1, Requests: 1234 + int64(i%7), P50: .0123456789, P99: .0456789123, Max: .123456789, Scheduled: 1234})
	}
	if n := len(written(t, WriteHTML, r)); n > 3<<20 {
		t.Errorf("%d bytes", n)
	}
}
