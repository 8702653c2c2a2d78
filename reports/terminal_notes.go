package reports

import (
	"io"
	"time"
)

// checklist prints the definition of done: what is open or failed with its
// reason, what is done in a line.
func (t *terminal) checklist(items []ChecklistItem) {
	if len(items) == 0 {
		return
	}
	t.heading("Definition of done")
	for _, item := range items {
		color := map[ItemState]string{ItemDone: green, ItemFailed: red, ItemUnknown: yellow}[item.State]
		t.printf("  %s %s\n", t.paint(color, pad(string(item.State), 8)), plain(item.Text))
		if item.State != ItemDone {
			t.wrapped(whole(item.Evidence), 11)
		}
	}
}

func (t *terminal) signatures(signatures []Signature) {
	for i, s := range signatures {
		if i == 0 {
			t.heading("Signatures")
		}
		if s.Problem != "" {
			t.printf("  %s %s\n", t.paint(red, pad("invalid", 8)), plain(s.Name))
			t.wrapped(plain(s.Problem), 11)
			continue
		}
		t.printf("  %s %s, %s, %s\n", t.paint(green, pad("signed", 8)), plain(s.Name), s.At.UTC().Format(time.RFC3339), s.Fingerprint)
		t.wrapped(plain(s.What()), 11)
	}
}

// WriteSignatures writes the signatures of a report for a terminal.
func WriteSignatures(w io.Writer, r *Report, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.signatures(r.Signatures)
	return t.out.Flush()
}

func (t *terminal) warnings(r *Report) {
	warnings := allWarnings(r)
	if len(warnings) == 0 {
		return
	}
	t.heading("Warnings")
	for _, w := range warnings {
		t.wrapped(plain(w), 2)
	}
}

// allWarnings gathers the warnings of a report and of what it holds, each once.
func allWarnings(r *Report) []string {
	var all []string
	seen := map[string]bool{}
	add := func(prefix string, warnings []string) {
		for _, w := range warnings {
			if !seen[w] {
				seen[w] = true
				all = append(all, prefix+w)
			}
		}
	}
	add("", r.Warnings)
	add("", r.Comparison.Warnings)
	if r.Before != nil {
		add("before: ", r.Before.Warnings)
	}
	if r.After != nil {
		add("after: ", r.After.Warnings)
	}
	return all
}
