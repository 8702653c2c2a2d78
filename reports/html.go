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
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"scaleproof/internal/snapshot"

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
	Views      []metricGroup // what the database's views say of the trials
	Nodes      []table       // queries by node, where there are several
	Statistics []table
	Resources  []table
	Validity   []table
	Warnings   []string
}

func newPage(r *Report) (*page, error) {
	p := &page{Report: r, Took: r.took(), Warnings: allWarnings(r), Database: databaseChanges(r)}
	for _, g := range groupMetrics(r.Comparison.Rows) {
		if g.Title == databaseTitle {
			p.Views = append(p.Views, g) // beside what else the database counted
		} else {
			p.Measures = append(p.Measures, g)
		}
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

// Listed reports whether the page lists what changed of the database.
func (d *databaseChange) Listed() bool { return d != nil && (d.Unexpected || d.Unexplained) }

// Trials says how many trials each side has.
func (p *page) Trials() string {
	switch {
	case p.Before == nil:
		return ""
	case interleaved(p.Before, p.After):
		return fmt.Sprintf("%d pairs of trials", p.Before.Trials)
	case p.After == nil || p.After.Trials == p.Before.Trials:
		return fmt.Sprintf("%d trials a side", p.Before.Trials)
	}
	return fmt.Sprintf("%d trials before, %d after", p.Before.Trials, p.After.Trials)
}

// A machine is where a side was measured, and the workload.
type machine struct {
	Side string // " before", " after", or empty where both are alike
	snapshot.Environment
	WorkloadHash string
}

// Machines are those of both sides, or one where they are alike: what a gate measures
// now may be elsewhere than its baseline.
func (p *page) Machines() []machine {
	var all []machine
	for _, side := range []struct {
		name string
		*snapshot.Snapshot
	}{{" before", p.Before}, {" after", p.After}} {
		if side.Snapshot != nil {
			all = append(all, machine{side.name, side.Environment, side.WorkloadHash})
		}
	}
	if len(all) == 2 && all[0].WorkloadHash == all[1].WorkloadHash && all[0].Host == all[1].Host && all[0].OS == all[1].OS && all[0].CPUs == all[1].CPUs && maps.Equal(all[0].Facts, all[1].Facts) {
		all = all[1:]
	}
	if len(all) == 1 {
		all[0].Side = ""
	}
	return all
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
	if p.Nodes, err = nodeTables(p.Report); err != nil {
		return err
	}
	if p.Statistics, err = statisticsTables(p.Report); err != nil {
		return err
	}
	if p.Database.Listed() {
		// The list of changes has the settings already.
		p.Statistics = slices.DeleteFunc(p.Statistics, func(t table) bool { return strings.HasSuffix(t.Title, settingsTitle) })
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
	write := func() error {
		encoder := json.NewEncoder(zipped)
		encoder.SetIndent("", " ")
		return encoder.Encode(value)
	}
	if r, ok := value.(*Report); ok {
		write = func() error { return WriteJSON(zipped, r) } // the bytes that were signed
	}
	if err := write(); err != nil {
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
