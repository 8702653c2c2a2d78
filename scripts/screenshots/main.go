// Command screenshots takes pictures of a report in a browser, light and dark.
//
//	go run ./scripts/screenshots scaleproof-demo/report.html docs/images
//
// With a third argument, "all", it also shows a telephone's view, the whole page
// and the printed one.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: screenshots REPORT.html FOLDER [all]")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], len(os.Args) > 3); err != nil {
		fmt.Fprintln(os.Stderr, "screenshots:", err)
		os.Exit(1)
	}
}

func run(report, folder string, all bool) error {
	report, err := filepath.Abs(report)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ctx, _ = chromedp.NewContext(ctx)
	defer chromedp.Cancel(ctx) // closed, not killed: it takes its temporary files away
	for _, shot := range []struct {
		name, scheme string
		width        int64
		full, extra  bool
	}{
		{"report-light.png", "light", 1180, false, false},
		{"report-dark.png", "dark", 1180, false, false},
		{"report-phone.png", "light", 390, false, true},
		{"report-whole.png", "light", 1180, true, true},
	} {
		if shot.extra && !all {
			continue
		}
		if err := take(ctx, "file://"+report, shot.scheme, shot.width, shot.full, filepath.Join(folder, shot.name)); err != nil {
			return fmt.Errorf("taking %s: %w", shot.name, err)
		}
	}
	if !all {
		return nil
	}
	return printed(ctx, filepath.Join(folder, "report.pdf"))
}

func take(ctx context.Context, url, scheme string, width int64, full bool, path string) error {
	var picture []byte
	capture := chromedp.CaptureScreenshot(&picture)
	if full {
		capture = chromedp.FullScreenshot(&picture, 100)
	}
	err := chromedp.Run(ctx,
		chromedp.EmulateViewport(width, 860),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Navigate(url),
		chromedp.WaitReady(`html[data-ready="true"]`),
		capture,
	)
	if err != nil {
		return err
	}
	return os.WriteFile(path, picture, 0o644)
}

func printed(ctx context.Context, path string) error {
	var pdf []byte
	err := chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		pdf, _, err = page.PrintToPDF().WithPrintBackground(true).Do(ctx)
		return err
	}))
	if err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return os.WriteFile(path, pdf, 0o644)
}
