package reports

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/unit"
)

const (
	// shownGrowing is how many growing series are shown.
	shownGrowing = 10
	// shownLimits is how many limits that are not reached are shown.
	shownLimits = 12
)

// shown returns the limits that are told one by one, and how many are not: all
// that may be reached, and some of the others.
func (o *Outlook) shown() (limits []*Dated, rest int) {
	n := 0
	for n < len(o.Limits) && (n < shownLimits || o.Limits[n].Limit.Status != capacity.NotReached) {
		n++
	}
	return o.Limits[:n], len(o.Limits) - n
}

// WriteOutlook writes an outlook for a terminal.
func WriteOutlook(w io.Writer, o *Outlook, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("  %s\n  %d snapshots\n", t.paint(bold, plain(o.Headline)), o.Nights)
	t.conditions(o.Conditions)
	t.limits(o)
	for i, p := range o.Growing[:min(len(o.Growing), shownGrowing)] {
		if i == 0 {
			t.heading("Growing")
		}
		t.printf("  %-44s %10s  %s a day (%s)\n", plain(p.Series), unit.Format(p.Last, p.Unit), unit.Format(p.Growth.Value, p.Unit), rangeText(p.Growth, p.Unit))
	}
	t.more(len(o.Growing) - shownGrowing)
	t.recommendations(o.Recommendations)
	for i, c := range o.Changes {
		if i == 0 {
			t.heading("Since the night before")
		}
		t.wrapped(plain(c.Series+": "+c.Text), 2)
	}
	if len(o.Unknown) > 0 {
		t.heading("Not known")
		for _, p := range o.Unknown[:min(len(o.Unknown), shownGrowing)] {
			t.printf("  %s: insufficient history, %s%s\n", plain(p.Series), pointsText(p.Points), enoughText(p))
		}
		t.more(len(o.Unknown) - shownGrowing)
	}
	t.notes(o.Warnings)
	return t.out.Flush()
}

func (t *terminal) limits(o *Outlook) {
	limits, rest := o.shown()
	if len(limits) > 0 {
		t.heading("Limits")
	}
	for _, p := range limits {
		t.printf("  %s  %s of %s\n", t.paint(bold, plain(p.Series)), unit.Format(p.Last, p.Unit), unit.Format(p.Limit.Limit, p.Unit))
		t.printf("      %s; %s a day, %s confidence\n", p.Limit, unit.Format(p.Growth.Value, p.Unit), p.Confidence)
		for _, s := range p.Scenarios {
			t.printf("      %s: %s\n", plain(s.Scenario), scenarioText(s))
		}
		if text := scoreText(p); text != "" {
			t.wrapped(text, 6)
		}
	}
	t.more(rest)
}

func (t *terminal) more(n int) {
	if n > 0 {
		t.printf("  and %d more\n", n)
	}
}

func (t *terminal) recommendations(all []Recommendation) {
	if len(all) > 0 {
		t.heading("What to do")
	}
	for _, r := range all {
		t.printf("  %s  now %s of %s, needed %s; %s, %s confidence\n", t.paint(bold, plain(r.Resource)),
			unit.Format(r.Now, r.Unit), unit.Format(r.Limit, r.Unit), neededText(r), r.By, r.Confidence)
		t.wrapped(plain(r.Action), 6)
		if r.File != "" {
			t.printf("      plan: %s\n", plain(r.File))
		}
	}
}

func neededText(r Recommendation) string {
	if r.Needed == nil {
		return "–"
	}
	return unit.Format(*r.Needed, r.Unit)
}

func rangeText(r capacity.Range, base unit.Base) string {
	return unit.Format(r.Low, base) + " to " + unit.Format(r.High, base)
}

func pointsText(n int) string {
	if n == 1 {
		return "1 point"
	}
	return fmt.Sprintf("%d points", n)
}

func enoughText(p *capacity.Projection) string {
	if p.EnoughAt == nil {
		return ""
	}
	return ", enough on " + p.EnoughAt.Format(time.DateOnly)
}

func scenarioText(p *capacity.Projection) string {
	if p.Limit == nil {
		return "insufficient history"
	}
	return p.Limit.String()
}

// scoreText says how the projection of a month ago did, nothing where there was
// none.
func scoreText(d *Dated) string {
	s := d.Score
	if s == nil {
		return ""
	}
	text := fmt.Sprintf("projected on %s: %s of what came since lay in the 80 %% interval, off by %s in the mean", s.Made.Format(time.DateOnly), unit.Format(s.Coverage80, unit.Ratio), unit.Format(s.MAE, d.Unit))
	if l := s.Limit; l != nil && l.Outcome != "open" {
		text += "; the limit came " + l.Outcome
	}
	return text
}

// WriteOutlookMarkdown writes an outlook for a page or a message.
func WriteOutlookMarkdown(w io.Writer, o *Outlook) error {
	m := &outlookMarkdown{}
	fmt.Fprintf(m, "## %s\n\n%d snapshots, %s\n", md(o.Headline), o.Nights, o.GeneratedAt.UTC().Format("2 January 2006, 15:04 UTC"))
	for i, c := range o.Conditions {
		m.head(i, "", "| | condition | |\n|---|---|---|")
		fmt.Fprintf(m, "| %s | `%s` | %s |\n", map[Word]string{Pass: "ok", Fail: "**failed**", Unsure: "unknown"}[c.Outcome], code(c.Text), md(c.Reason))
	}
	limits, rest := o.shown()
	for i, p := range limits {
		m.head(i, "Limits", "| limit | now | of | a day | reached | within the horizon | confidence |\n|---|--:|--:|--:|---|--:|---|")
		fmt.Fprintf(m, "| `%s` | %s | %s | %s | %s | %s | %s |\n", code(p.Series), unit.Format(p.Last, p.Unit), unit.Format(p.Limit.Limit, p.Unit), unit.Format(p.Growth.Value, p.Unit), md(p.Limit.String()), probabilityText(p.Limit), p.Confidence)
		for _, s := range p.Scenarios {
			fmt.Fprintf(m, "| %s | | | | %s | | |\n", md("– "+s.Scenario), md(scenarioText(s)))
		}
	}
	m.more(rest, "limits that are not reached")
	for i, r := range o.Recommendations {
		m.head(i, "What to do", "| resource | now | of | needed | by | sure | why | how |\n|---|--:|--:|--:|---|---|---|---|")
		fmt.Fprintf(m, "| `%s` | %s | %s | %s | %s | %s | %s | %s |\n", code(r.Resource), unit.Format(r.Now, r.Unit), unit.Format(r.Limit, r.Unit), neededText(r), md(r.By.String()), r.Confidence, md(r.Why), md(r.Action))
	}
	for _, r := range o.Recommendations {
		if r.Plan != "" {
			fmt.Fprintf(m, "\n<details><summary>%s</summary>\n\n```yaml\n%s```\n\n</details>\n", md(r.File), strings.ReplaceAll(plainLines(r.Plan), "```", "'''"))
		}
	}
	for i, p := range o.Growing[:min(len(o.Growing), shownGrowing)] {
		m.head(i, "Growing", "| | now | a day | between |\n|---|--:|--:|---|")
		fmt.Fprintf(m, "| `%s` | %s | %s | %s |\n", code(p.Series), unit.Format(p.Last, p.Unit), unit.Format(p.Growth.Value, p.Unit), rangeText(p.Growth, p.Unit))
	}
	m.more(len(o.Growing)-shownGrowing, "more")
	m.rest(o)
	_, err := io.WriteString(w, m.String())
	return err
}

// An outlookMarkdown is a page in the making.
type outlookMarkdown struct{ strings.Builder }

// head begins a table before its first row.
func (m *outlookMarkdown) head(row int, title, head string) {
	if row > 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(m, "\n### %s\n", title)
	}
	fmt.Fprintf(m, "\n%s\n", head)
}

func (m *outlookMarkdown) more(n int, what string) {
	if n > 0 {
		fmt.Fprintf(m, "\nAnd %d %s.\n", n, what)
	}
}

// rest writes what came of past projections, what changed and what is unknown.
func (m *outlookMarkdown) rest(o *Outlook) {
	scored := 0
	for _, p := range o.Limits {
		if text := scoreText(p); text != "" {
			if scored++; scored == 1 {
				m.WriteString("\n### Last month's projections\n\n")
			}
			if scored <= shownLimits {
				fmt.Fprintf(m, "- `%s` %s\n", code(p.Series), md(text))
			}
		}
	}
	for i, c := range o.Changes {
		if i == 0 {
			m.WriteString("\n### Since the night before\n\n")
		}
		fmt.Fprintf(m, "- `%s` %s\n", code(c.Series), md(c.Text))
	}
	if len(o.Unknown)+len(o.Warnings) > 0 {
		m.WriteString("\n### Not known\n\n")
	}
	for _, p := range o.Unknown[:min(len(o.Unknown), shownGrowing)] {
		fmt.Fprintf(m, "- `%s` insufficient history: %s%s\n", code(p.Series), pointsText(p.Points), enoughText(p))
	}
	m.more(len(o.Unknown)-shownGrowing, "series with insufficient history")
	for _, w := range o.Warnings {
		fmt.Fprintf(m, "- %s\n", md(w))
	}
}

func probabilityText(p *capacity.Passage) string {
	if math.IsNaN(p.Probability) {
		return ""
	}
	return unit.Format(p.Probability, unit.Ratio)
}
