package reports

import (
	"io"
	"strings"
	"unicode/utf8"

	"scaleproof/scaling"
)

// WriteChecks writes the checks of a plan's needs for a terminal, the mend beside
// each fault.
func WriteChecks(w io.Writer, checks []scaling.Check, style TerminalStyle) error {
	t := newTerminal(w, style)
	faults, warnings := 0, 0
	names := len("what")
	for _, c := range checks {
		names = max(names, min(utf8.RuneCountInString(c.Name), style.Width/3))
	}
	t.printf("  %s\n", t.paint(bold, pad("state", 8)+"  "+pad("what", names)+"  found"))
	for _, c := range checks {
		color := green
		switch c.State {
		case scaling.CheckFault:
			color = red
			faults++
		case scaling.CheckWarning:
			color = yellow
			warnings++
		}
		found := wrap(plain(c.Detail), style.Width-names-14)
		if c.Mend != "" {
			found = append(found, wrap("mend: "+plain(c.Mend), style.Width-names-14)...)
		}
		name := plain(c.Name)
		if utf8.RuneCountInString(name) > names {
			t.printf("  %s  %s\n", t.paint(color, pad(string(c.State), 8)), name)
			c.State, name = "", ""
		}
		for i, line := range found {
			if i > 0 {
				c.State, name = "", ""
			}
			t.printf("  %s  %s  %s\n", t.paint(color, pad(string(c.State), 8)), pad(name, names), line)
		}
	}
	t.printf("\n  %d checks, %d faults, %d warnings\n", len(checks), faults, warnings)
	return t.out.Flush()
}

// wrap breaks a text between words into lines of at most width characters; a longer
// word has a line of its own. There is always one line.
func wrap(text string, width int) []string {
	lines := []string{""}
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		word := words[i]
		if i+1 < len(words) && strings.HasPrefix(words[i+1], "%") { // a figure keeps its sign
			i++
			word += " " + words[i]
		}
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
