package reports

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode"

	"scaleproof/internal/unit"
)

//go:embed assets
var assets embed.FS

// WriteHTML writes a report as one page that needs no network: styles, scripts,
// charts and the data behind them are in the file. Nothing in the report can
// become markup or script: html/template escapes it, and the page's policy lets
// it load nothing.
func WriteHTML(w io.Writer, r *Report) error {
	page, err := newPage(r)
	if err != nil {
		return fmt.Errorf("writing the report as HTML: %w", err)
	}
	return writePage(w, "page.tmpl", page)
}

// writePage fills a template of the assets.
func writePage(w io.Writer, name string, page any) error {
	t, err := template.New(name).Funcs(template.FuncMap{
		"side": sideText, "ratio": ratioText, "plain": plain, "source": plainLines, "state": stateText, "sided": sideOf, "diff": diffStates,
		"quantity": unit.Format, "probability": probabilityText, "unknown": unknownText, "amount": amountText,
		"since": func(at, start time.Time) string { return unit.Format(at.Sub(start).Seconds(), unit.Seconds) },
	}).ParseFS(assets, "assets/*.tmpl")
	if err == nil {
		err = t.Execute(w, page)
	}
	if err != nil {
		return fmt.Errorf("writing HTML: %w", err)
	}
	return nil
}

// A page is what the template shows.
type page struct {
	*Report
	inlined
	Took       string
	Measures   []metricGroup
	Charts     []chart
	Plans      []planPair
	Database   *databaseChange
	Statistics []table
	Resources  []table
	Validity   []table
	Warnings   []string
}

func newPage(r *Report) (*page, error) {
	p := &page{
		Report: r, Took: r.FinishedAt.Sub(r.StartedAt).Round(1e8).String(),
		Measures: groupMetrics(r.Comparison.Rows), Warnings: allWarnings(r), Database: databaseChanges(r),
	}
	var err error
	if p.Charts, err = charts(r); err != nil {
		return nil, err
	}
	if p.Plans, err = planPairs(r); err != nil {
		return nil, err
	}
	if err := p.addTables(); err != nil {
		return nil, err
	}
	return p, p.inline(p.Charts, r)
}

// An inlined is what a page holds so that it needs no network.
type inlined struct {
	Style  template.CSS
	Script template.JS
	// Data is the charts as JSON that is safe in a script, and Raw all that the
	// page was made from as JSON, compressed, in base64url.
	Data template.JS
	Raw  string
}

// inline fills all that a page needs for its charts and its download.
func (p *inlined) inline(charts []chart, raw any) error {
	style, err := readAssets("uPlot.min.css", "report.css")
	if err != nil {
		return err
	}
	script, err := readAssets("uPlot.iife.min.js", "report.js")
	if err != nil {
		return err
	}
	p.Style, p.Script = template.CSS(style), template.JS(script)
	// The encoder escapes <, > and &, so that no text can end the script.
	data, err := json.Marshal(charts)
	if err != nil {
		return err
	}
	p.Data = template.JS(escapeInvisible(data))
	p.Raw, err = compressed(raw)
	return err
}

// addTables adds the figures that are no metrics of the comparison.
func (p *page) addTables() (err error) {
	if p.Statistics, err = statisticsTables(p.Report); err != nil {
		return err
	}
	resources, err := resourceTable(p.Report)
	if err != nil {
		return err
	}
	validity, err := validityTable(p.Report)
	p.Resources, p.Validity = full(resources), full(validity)
	return err
}

// compressed returns what a page was made from as JSON for the download: a fifth
// of its size, and the browser reads nothing of it until then.
func compressed(value any) (string, error) {
	var b bytes.Buffer
	text := base64.NewEncoder(base64.RawURLEncoding, &b) // which no escaping of the template changes
	zipped := gzip.NewWriter(text)
	encoder := json.NewEncoder(zipped)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	if err := errors.Join(zipped.Close(), text.Close()); err != nil {
		return "", err
	}
	return b.String(), nil
}

func readAssets(names ...string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		text, err := assets.ReadFile("assets/" + name)
		if err != nil {
			return "", err
		}
		b.Write(text)
		b.WriteByte('\n')
	}
	return b.String(), nil
}

// stateText shortens a step's state for a table.
func stateText(text string) string {
	if text == "" {
		return ""
	}
	return oneLine(text)
}

// escapeInvisible writes the characters that turn the direction of text as JSON
// escapes, so that the page's source shows what it holds.
func escapeInvisible(data []byte) string {
	var b strings.Builder
	for _, r := range string(data) {
		if unicode.Is(unicode.Bidi_Control, r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plainLines is plain for a text of many lines.
func plainLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = plain(line)
	}
	return strings.Join(lines, "\n")
}
