package reports

import (
	"fmt"
	"io"
	"math"
	"slices"
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

// backtested returns the limits that are told of which forecasts could be tested
// on the past.
func (o *Outlook) backtested() []*Dated {
	limits, _ := o.shown()
	return slices.DeleteFunc(slices.Clone(limits), func(d *Dated) bool { return d.Backtest == nil })
}

// A growthGroup is what grows of one kind, the fastest first, and how many more
// there are.
type growthGroup struct {
	Title string
	Rows  []*Dated
	Rest  int
}

// growthGroups parts what grows into tables, indexes and everything else.
func growthGroups(growing []*Dated) []growthGroup {
	groups := []growthGroup{{Title: "Growing tables"}, {Title: "Growing indexes"}, {Title: "Growing else"}}
	for _, d := range growing {
		g := &groups[2]
		switch {
		case strings.Contains(d.Series, ".size.table."):
			g = &groups[0]
		case strings.Contains(d.Series, ".size.index."):
			g = &groups[1]
		}
		if len(g.Rows) == shownGrowing {
			g.Rest++
			continue
		}
		g.Rows = append(g.Rows, d)
	}
	return slices.DeleteFunc(groups, func(g growthGroup) bool { return len(g.Rows) == 0 })
}

// WriteOutlook writes an outlook for a terminal.
func WriteOutlook(w io.Writer, o *Outlook, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("  %s\n  %d snapshots\n", t.paint(bold, plain(o.Headline)), o.Nights)
	t.conditions(o.Conditions)
	t.limits(o)
	for _, g := range growthGroups(o.Growing) {
		t.heading(g.Title)
		for _, p := range g.Rows {
			t.printf("  %-44s %10s  %s a day (%s)\n", plain(p.Series), unit.Format(p.Last, p.Unit), unit.Format(p.Growth.Value, p.Unit), rangeText(p.Growth, p.Unit))
		}
		t.more(g.Rest)
	}
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
			t.wrapped(plain(p.Series)+": "+unknownText(p), 2)
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
			unit.Format(r.Now, r.Unit), amountText(r.Limit, r.Unit), amountText(r.Needed, r.Unit), r.when(), r.Confidence)
		t.wrapped(plain(r.Action), 6)
		if r.File != "" {
			t.printf("      plan: %s\n", plain(r.File))
		}
	}
}

// when says by when a recommendation is due.
func (r Recommendation) when() string {
	if r.By == nil {
		return "at any time"
	}
	return r.By.String()
}

// amountText prints an amount that may be missing.
func amountText(v *float64, base unit.Base) string {
	if v == nil {
		return "–"
	}
	return unit.Format(*v, base)
}

func rangeText(r capacity.Range, base unit.Base) string {
	return unit.Format(r.Low, base) + " to " + unit.Format(r.High, base)
}

// unknownText says what is known of what has too little history.
func unknownText(u *Undated) string {
	if u.Points == 0 {
		return "insufficient history: no point that counts"
	}
	amount := unit.Format(u.Last, u.Unit)
	if u.LimitValue != nil {
		amount += " of " + unit.Format(*u.LimitValue, u.Unit)
	}
	if u.Silent {
		return "nothing has come since " + u.To.Format(time.DateOnly) + ", when it was " + amount
	}
	text := "insufficient history: now " + amount
	if u.Points == 1 {
		text += ", 1 point"
	} else {
		text += fmt.Sprintf(", last changed by %s, %d points", unit.Format(u.LastChange, u.Unit), u.Points)
	}
	if u.EnoughAt != nil {
		text += ", enough on " + u.EnoughAt.Format(time.DateOnly)
	}
	return text
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
	made := "as would have been projected on"
	if d.Announced {
		made = "announced on"
	}
	text := fmt.Sprintf("%s %s: %s of what came since lay in the 80 %% interval, off by %s in the mean", made, s.Made.Format(time.DateOnly), unit.Format(s.Coverage80, unit.Ratio), unit.Format(s.MAE, d.Unit))
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
		fmt.Fprintf(m, "| `%s` | %s | %s | %s | %s | %s | %s | %s |\n", code(r.Resource), unit.Format(r.Now, r.Unit), amountText(r.Limit, r.Unit), amountText(r.Needed, r.Unit), md(r.when()), r.Confidence, md(r.Why), md(r.Action))
	}
	for _, r := range o.Recommendations {
		if r.Plan != "" {
			fmt.Fprintf(m, "\n<details><summary>%s</summary>\n\n```yaml\n%s```\n\n</details>\n", md(r.File), strings.ReplaceAll(plainLines(r.Plan), "```", "'''"))
		}
	}
	for _, g := range growthGroups(o.Growing) {
		for i, p := range g.Rows {
			m.head(i, g.Title, "| | now | a day | between |\n|---|--:|--:|---|")
			fmt.Fprintf(m, "| `%s` | %s | %s | %s |\n", code(p.Series), unit.Format(p.Last, p.Unit), unit.Format(p.Growth.Value, p.Unit), rangeText(p.Growth, p.Unit))
		}
		m.more(g.Rest, "more")
	}
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
	for i, d := range o.backtested() {
		b := d.Backtest
		m.head(i, "Backtest", "| | method | MASE | in the 80 % interval | in the 95 % interval | naive, 80 % | naive, 95 % |\n|---|---|--:|--:|--:|--:|--:|")
		fmt.Fprintf(m, "| `%s` | %s | %.2f | %s | %s | %s | %s |\n", code(d.Series), md(d.Method), b.MASE, unit.Format(b.Coverage80, unit.Ratio), unit.Format(b.Coverage95, unit.Ratio), unit.Format(b.Naive.Coverage80, unit.Ratio), unit.Format(b.Naive.Coverage95, unit.Ratio))
	}
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
		fmt.Fprintf(m, "- `%s` %s\n", code(p.Series), unknownText(p))
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
