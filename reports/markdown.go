package reports

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"scaleproof/internal/unit"
	"scaleproof/scaling"
)

// markdownLimit is what GitHub takes as a comment, with room for what is added
// around it.
const markdownLimit = 60 << 10

// WriteMarkdown writes a report for a pull request's comment: below 64 kB, the
// most important first.
func WriteMarkdown(w io.Writer, r *Report) error {
	var b bytes.Buffer
	markdownHead(&b, r)
	markdownConditions(&b, r.Conditions)
	markdownAction(&b, r.Action)
	markdownTransition(&b, r.Through)
	markdownEfficiency(&b, r.Efficiency)
	markdownChecklist(&b, r.Checklist)
	for _, signature := range r.Signatures {
		state := "signed by " + md(signature.Name) + " at " + signature.At.UTC().Format(time.RFC3339) + ": " + md(signature.What())
		if signature.Problem != "" {
			state = "**invalid signature** of " + md(signature.Name) + ": " + md(signature.Problem)
		}
		fmt.Fprintf(&b, "\n*%s*\n", state)
	}
	markdownRows(&b, r.Comparison.Rows)
	markdownNodes(&b, r)
	markdownDatabase(&b, r)
	for i, warning := range allWarnings(r) {
		if i == 0 {
			b.WriteString("\n### Warnings\n\n")
		}
		fmt.Fprintf(&b, "- %s\n", md(warning))
	}
	_, err := w.Write(cutLines(b.Bytes(), markdownLimit))
	return err
}

func markdownHead(b *bytes.Buffer, r *Report) {
	sign := map[Word]string{Pass: "✅", Fail: "❌", Unsure: "❔"}[r.Verdict.Word]
	if sign == "" {
		sign = "⚠️"
	}
	fmt.Fprintf(b, "## %s %s: %s\n\n%s\n", sign, md(r.Plan.Name), r.Verdict.Word, md(r.Verdict.Headline))
	if r.Design != "" {
		fmt.Fprintf(b, "\n*%s*\n", md(r.Design.Label()))
	}
	if r.Plan.Hypothesis != "" {
		fmt.Fprintf(b, "\n> %s\n", md(r.Plan.Hypothesis))
	}
	if len(r.Conditions) == 0 {
		for _, reason := range r.Verdict.Reasons {
			fmt.Fprintf(b, "\n- %s", md(reason))
		}
	}
}

func markdownConditions(b *bytes.Buffer, results []ConditionResult) {
	if len(results) == 0 {
		return
	}
	b.WriteString("\n| | condition | |\n|---|---|---|\n")
	for _, c := range results {
		fmt.Fprintf(b, "| %s | %s `%s` | %s |\n", map[Word]string{Pass: "ok", Fail: "**failed**", Unsure: "unknown"}[c.Outcome], c.Kind, code(c.Text), md(c.Reason))
	}
}

func markdownAction(b *bytes.Buffer, o *scaling.Outcome) {
	if o == nil || len(o.Steps) == 0 {
		return
	}
	b.WriteString("\n### What was done\n\n| step | | before | after | took |\n|---|---|---|---|---|\n")
	markdownSteps(b, o.Steps)
	if o.Rollback == nil {
		return
	}
	state := "verified"
	if !o.Rollback.Verified {
		state = "**not verified**"
	}
	fmt.Fprintf(b, "\n### Rollback: %s\n\n%s\n\n| step | | from | to | took |\n|---|---|---|---|---|\n", state, md(o.Rollback.Reason))
	markdownSteps(b, o.Rollback.Steps)
	for _, d := range o.Rollback.Differences {
		fmt.Fprintf(b, "\n- %s", md(d))
	}
	b.WriteString("\n")
}

// markdownChecklist writes the definition of done as a task list.
func markdownChecklist(b *bytes.Buffer, items []ChecklistItem) {
	if len(items) == 0 {
		return
	}
	b.WriteString("\n### Definition of done\n\n")
	for _, item := range items {
		mark := " "
		if item.State == ItemDone {
			mark = "x"
		}
		state := ""
		if item.State != ItemDone {
			state = fmt.Sprintf(" **%s**", item.State)
		}
		fmt.Fprintf(b, "- [%s] %s%s: %s\n", mark, md(item.Text), state, mdWhole(item.Evidence))
	}
}

func markdownSteps(b *bytes.Buffer, steps []scaling.StepOutcome) {
	for _, s := range steps {
		status := string(s.Status)
		if s.Error != "" {
			status += ": " + md(s.Error)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", md(s.Name), status, md(s.Before), md(s.After),
			unit.Format(s.FinishedAt.Sub(s.StartedAt).Seconds(), unit.Seconds))
	}
}

// markdownRows puts what gates or changed into a table, and the rest behind a
// fold.
func markdownRows(b *bytes.Buffer, rows []Row) {
	var first, rest []Row
	for _, r := range rows {
		if r.Gate || r.Change == Improved || r.Change == Regressed {
			first = append(first, r)
		} else {
			rest = append(rest, r)
		}
	}
	if len(first) > 0 {
		b.WriteString("\n### What changed\n")
		markdownTable(b, first)
	}
	if len(rest) > 0 {
		fmt.Fprintf(b, "\n<details><summary>%d more metrics</summary>\n", len(rest))
		markdownTable(b, rest)
		b.WriteString("\n</details>\n")
	}
}

func markdownTable(b *bytes.Buffer, rows []Row) {
	b.WriteString("\n| metric | before | after | ratio | | |\n|---|--:|--:|--:|---|---|\n")
	for _, r := range rows {
		change := string(r.Change)
		if r.Change == Regressed {
			change = "**regressed**"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", code(r.Metric), sideText(r.Before, r.Unit), sideText(r.After, r.Unit), ratioText(r.Shown()), change, md(r.Reason))
	}
}

// cutLines shortens a text to whole lines within limit, and says so.
func cutLines(text []byte, limit int) []byte {
	if len(text) <= limit {
		return text
	}
	const notice = "\n\n(cut: the whole is in report.html)\n"
	cut := max(bytes.LastIndexByte(text[:limit-len(notice)], '\n'), 0) // a first line may be longer
	closing := ""
	if bytes.Count(text[:cut], []byte("<details>")) > bytes.Count(text[:cut], []byte("</details>")) {
		closing = "\n</details>\n"
	}
	return append(append(bytes.Clone(text[:cut]), closing...), notice...)
}

// md makes a text from outside harmless in Markdown: nothing in it is markup,
// HTML, a mention or a table's border.
func md(text string) string { return escaped(plain(text)) }

// mdWhole is md for a text whose end counts, within what a comment takes.
func mdWhole(text string) string { return escaped(cut(whole(text), 4*longest)) }

func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '@':
			b.WriteString("@" + apart)
		case r == '#':
			b.WriteString(`\#` + apart)
		case strings.ContainsRune("\\`*_[]{}|!~", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return strings.NewReplacer("://", ":"+apart+"//", "www.", "www"+apart+".").Replace(b.String()) // no link of its own
}

// apart is a space without width. GitHub looks for mentions, of people and of issues, in
// the text that Markdown has become, where neither a backslash nor an entity is left.
const apart = "\u200b"

// code makes a text harmless between backquotes in a table.
func code(text string) string {
	return strings.NewReplacer("`", "'", "|", "\\|").Replace(plain(text))
}
