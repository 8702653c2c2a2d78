package reports

import (
	"io"
	"strings"
	"unicode/utf8"

	"scaleproof/dbbench"
	"scaleproof/internal/unit"
)

// WriteAdvice writes advice for a terminal: what to do, the statement that does it,
// and what speaks for and against it.
func WriteAdvice(w io.Writer, r *dbbench.AdviceResult, style TerminalStyle) error {
	t := newTerminal(w, style)
	if len(r.Advice) == 0 {
		t.printf("  Nothing to advise.\n")
	}
	kind := dbbench.AdviceKind("")
	for _, a := range r.Advice {
		if a.Kind != kind {
			kind = a.Kind
			t.heading(string(kind))
		}
		t.advice(a)
	}
	if len(r.Rejected) > 0 {
		t.heading("tried, and of no use")
		for _, a := range r.Rejected {
			t.printf("  %s\n", plain(a.Object))
			t.points("-", a.Doubts)
		}
	}
	t.notes(r.Notes)
	return t.out.Flush()
}

func (t *terminal) advice(a dbbench.Advice) {
	size := ""
	if a.Bytes > 0 {
		size = " (" + unit.Format(a.Bytes, unit.Bytes) + ")"
	}
	t.printf("  %s%s\n", t.paint(bold, plain(a.Text)), size)
	if a.SQL != "" {
		t.printf("    %s\n", t.paint(cyan, plain(a.SQL)+";"))
	}
	t.points("+", a.Evidence)
	t.points("-", a.Doubts)
}

// points lists what speaks for or against something.
func (t *terminal) points(sign string, texts []string) {
	for _, text := range texts {
		t.hanging("    "+sign+" ", plain(text))
	}
}

// hanging wraps a text whose further lines are indented below its first word.
func (t *terminal) hanging(lead, text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && utf8.RuneCountInString(lead+line+" "+word) > t.style.Width {
			t.printf("%s%s\n", lead, line)
			lead, line = strings.Repeat(" ", utf8.RuneCountInString(lead)), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	t.printf("%s%s\n", lead, line)
}
