package reports

import (
	"io"

	"scaleproof/scaling"
)

// WriteChecks writes the checks of a plan's needs for a terminal, the mend beside
// each fault.
func WriteChecks(w io.Writer, checks []scaling.Check, style TerminalStyle) error {
	t := newTerminal(w, style)
	faults, warnings := 0, 0
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
		t.printf("  %s %s\n", t.paint(color, pad(string(c.State), 8)), t.paint(bold, plain(c.Name)))
		t.wrapped(plain(c.Detail), 11)
		if c.Mend != "" {
			t.printf("           mend: %s\n", plain(c.Mend))
		}
	}
	t.printf("\n  %d checks, %d faults, %d warnings\n", len(checks), faults, warnings)
	return t.out.Flush()
}
