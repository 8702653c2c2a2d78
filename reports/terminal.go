package reports

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"scaleproof/internal/unit"
	"scaleproof/scaling"
)

// TerminalStyle fits a summary to a terminal. A width of 0 is 100 columns.
type TerminalStyle struct {
	Color bool
	Width int
}

// WriteTerminal writes the summary of a report for a terminal: the verdict, then
// why, then what was done and what changed.
func WriteTerminal(w io.Writer, r *Report, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.verdict(r)
	t.conditions(r.Conditions)
	t.action(r.Action)
	t.transition(r.Through)
	t.efficiency(r.Efficiency)
	t.rows(r.Comparison.Rows)
	t.nodes(r)
	t.database(r)
	t.checklist(r.Checklist)
	t.signatures(r.Signatures)
	t.warnings(r)
	return t.out.Flush()
}

type terminal struct {
	out   *bufio.Writer // keeps the first error for Flush
	style TerminalStyle
}

func (t *terminal) printf(format string, args ...any) { fmt.Fprintf(t.out, format, args...) }

// The colours of ANSI terminals that read well on light and dark.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (t *terminal) paint(code, text string) string {
	if !t.style.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func colorOf(w Word) string {
	switch w {
	case Pass:
		return green
	case Unsure, Interrupted:
		return yellow
	}
	return red
}

func (t *terminal) verdict(r *Report) {
	t.printf("%s  %s\n", t.paint(bold+";"+colorOf(r.Verdict.Word), strings.ToUpper(string(r.Verdict.Word))), plain(r.Verdict.Headline))
	about := plain(r.Plan.Name)
	if took := r.took(); took != "" {
		about += ", " + took
	}
	if r.Design != "" {
		about += ", " + r.Design.Label()
	}
	t.printf("%s\n", t.paint(dim, about))
	if r.Plan.Hypothesis != "" {
		t.printf("%s\n", t.paint(dim, "hypothesis: "+plain(r.Plan.Hypothesis)))
	}
	// Why nothing could be judged stands in no condition.
	if len(r.Conditions) == 0 || r.Verdict.Word == Broken {
		for _, reason := range r.Verdict.Reasons {
			t.printf("  %s\n", plain(reason))
		}
	}
}

func (t *terminal) heading(text string) { t.printf("\n%s\n", t.paint(bold, text)) }

func (t *terminal) conditions(results []ConditionResult) {
	if len(results) == 0 {
		return
	}
	t.heading("Conditions")
	for _, c := range results {
		mark := map[Word]string{Pass: "ok", Fail: "FAILED", Unsure: "unknown"}[c.Outcome]
		t.printf("  %s %s\n", t.paint(colorOf(c.Outcome), pad(mark, 8)), plain(c.Text))
		t.wrapped(plain(c.Reason), 11)
	}
}

// wrapped prints a text at an indent, broken at spaces.
func (t *terminal) wrapped(text string, indent int) {
	for _, line := range wrap(text, t.style.Width-indent) {
		t.printf("%s%s\n", strings.Repeat(" ", indent), t.paint(dim, line))
	}
}

func (t *terminal) action(o *scaling.Outcome) {
	if o == nil || len(o.Steps) == 0 {
		return
	}
	t.heading("What was done")
	t.steps(o.Steps)
	if o.Rollback == nil {
		return
	}
	state := t.paint(green, "verified")
	if !o.Rollback.Verified {
		state = t.paint(red, "NOT VERIFIED")
	}
	t.heading("Rollback, " + state)
	t.steps(o.Rollback.Steps)
}

func (t *terminal) steps(steps []scaling.StepOutcome) {
	for _, s := range steps {
		color := green
		switch s.Status {
		case scaling.Failed, scaling.Unverified:
			color = red
		case scaling.Skipped, scaling.Pending:
			color = dim
		}
		change := StateChange(s)
		if change != "" {
			change = "  " + change
		}
		took := unit.Format(s.FinishedAt.Sub(s.StartedAt).Seconds(), unit.Seconds)
		t.printf("  %s %s%s  %s\n", t.paint(color, pad(string(s.Status), 11)), plain(s.Name), t.paint(bold, change), t.paint(dim, took))
		if s.Error != "" {
			t.wrapped(plain(s.Error), 14)
		}
	}
}

// StateChange says the state that a step found and the one that it left, for a line.
// What a step that failed left is not known, unless it was read.
func StateChange(s scaling.StepOutcome) string {
	switch {
	case s.Before == "" && s.After == "":
		return ""
	case s.After == "" && s.Status == scaling.Failed:
		return "was " + oneLine(s.Before)
	}
	return oneLine(s.Before) + " -> " + oneLine(s.After)
}

// headline reports whether a metric that changed belongs into a summary: of a
// latency the median and the 99th percentile, not each quantile between.
func headline(r Row) bool {
	if r.Change != Improved && r.Change != Regressed {
		return false
	}
	for _, suffix := range []string{".throughput", ".capacity", ".errors", ".response.p50", ".response.p99", ".time.p50", ".blocks"} {
		if strings.HasSuffix(r.Metric, suffix) {
			return true
		}
	}
	return false
}

// rows prints the metrics on which the verdict depends, and the headlines of
// those that changed; the others are in the report.
func (t *terminal) rows(rows []Row) {
	var shown []Row
	for _, r := range rows {
		if r.Gate || headline(r) {
			shown = append(shown, r)
		}
	}
	if len(rows) == 0 {
		return
	}
	if len(shown) == 0 {
		shown = rows
	}
	t.heading("What changed")
	table := [][]string{{"metric", "before", "after", "ratio", ""}}
	for _, r := range shown {
		table = append(table, []string{plain(r.Metric), sideText(r.Before, r.Unit), sideText(r.After, r.Unit), ratioText(r.Shown()), string(r.Change)})
	}
	t.table(table)
	if hidden := len(rows) - len(shown); hidden > 0 {
		t.printf("  %s\n", t.paint(dim, fmt.Sprintf("and %d more metrics in the report", hidden)))
	}
}

func (t *terminal) table(table [][]string) {
	widths := make([]int, len(table[0]))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range table {
		line := "  " + pad(row[0], widths[0])
		for i := 1; i < len(row)-1; i++ {
			line += "  " + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(row[i])) + row[i]
		}
		change := row[len(row)-1]
		if n == 0 {
			t.printf("%s\n", t.paint(dim, strings.TrimRight(line+"  "+change, " ")))
			continue
		}
		t.printf("%s  %s\n", line, t.paint(changeColor(Change(change)), change))
	}
}

func changeColor(c Change) string {
	switch c {
	case Improved:
		return green
	case Regressed:
		return red
	case Inconclusive:
		return yellow
	}
	return dim
}

func sideText(s Side, base unit.Base) string {
	if s.Median == nil {
		return "unknown"
	}
	return unit.Format(*s.Median, base)
}

func ratioText(i *Interval) string {
	if i == nil {
		return ""
	}
	return fmt.Sprintf("%sx (%s to %s)", unit.Format(i.Value, unit.Count), unit.Format(i.Low, unit.Count), unit.Format(i.High, unit.Count))
}

// The most characters of a text from outside that are shown: of a name or a reason,
// and of what loses its meaning without its end, such as a query or evidence.
const (
	longest      = 400
	longestWhole = 64 << 10
)

// plain makes a text from outside harmless for a terminal: without control
// characters, which could move the cursor, and without those that change the
// direction of what follows.
func plain(text string) string { return cut(strings.Map(harmless, text), longest) }

// Plain is plain for what is printed without a writer of this package.
func Plain(text string) string { return plain(text) }

// whole is plain for a text whose end counts.
func whole(text string) string { return cut(strings.Map(harmless, text), longestWhole) }

// plainLines is whole for a text of many lines.
func plainLines(text string) string {
	return cut(strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return harmless(r)
	}, text), longestWhole)
}

func harmless(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return ' '
	case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == utf8.RuneError:
		return '\uFFFD'
	}
	return r
}

func cut(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most]) + "…"
}

// oneLine shortens a state to fit a line.
func oneLine(text string) string {
	text = plain(strings.TrimSpace(text))
	if runes := []rune(text); len(runes) > 40 {
		text = string(runes[:39]) + "…"
	}
	if text == "" {
		return "(empty)"
	}
	return text
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(width-utf8.RuneCountInString(text), 0))
}
