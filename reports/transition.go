package reports

import (
	"bytes"
	"fmt"

	"scaleproof/loadgen"
)

// transitionTitle is the heading of how the load fared through the action.
const transitionTitle = "Under load meanwhile"

func (t *terminal) transition(through *loadgen.Result) {
	if through == nil || through.Transition == nil {
		return
	}
	t.heading(transitionTitle)
	for _, line := range through.Transition.Text() {
		t.printf("  %s\n", plain(line))
	}
}

func markdownTransition(b *bytes.Buffer, through *loadgen.Result) {
	if through == nil || through.Transition == nil {
		return
	}
	fmt.Fprintf(b, "\n### %s\n\n", transitionTitle)
	for _, line := range through.Transition.Text() {
		fmt.Fprintf(b, "- %s\n", md(line))
	}
}
