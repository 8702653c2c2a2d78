package reports

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// stepSummaryLimit is what GitHub takes of one step's summary: a longer one is
// dropped whole.
const stepSummaryLimit = 1 << 20

// WriteStepSummary writes what is to be appended to GITHUB_STEP_SUMMARY, of which
// used bytes are there already: the Markdown or, where there is no room for it,
// as many whole lines as there is.
func WriteStepSummary(w io.Writer, r *Report, used int64) error {
	var b bytes.Buffer
	if err := WriteMarkdown(&b, r); err != nil {
		return err
	}
	b.WriteByte('\n')
	room := stepSummaryLimit - used
	if room < leastSummary {
		return nil
	}
	if _, err := w.Write(cutLines(b.Bytes(), int(room))); err != nil {
		return fmt.Errorf("writing the step's summary: %w", err)
	}
	return nil
}

// leastSummary is less than any summary is worth.
const leastSummary = 1 << 10

// WriteAnnotation writes one workflow command that tells the verdict at the head
// of a run on GitHub, beside the plan's file.
func WriteAnnotation(w io.Writer, r *Report, file string) error {
	level := "error"
	switch r.Verdict.Word {
	case Pass:
		level = "notice"
	case Unsure, Interrupted:
		level = "warning"
	}
	text := plain(r.Verdict.Headline)
	for i, reason := range r.Verdict.Reasons {
		if i == annotatedReasons {
			text += fmt.Sprintf("\nand %d more", len(r.Verdict.Reasons)-i)
			break
		}
		if r.Verdict.Word != Pass {
			text += "\n" + plain(reason)
		}
	}
	position := ""
	if file != "" {
		position = "file=" + commandProperty(file) + ","
	}
	title := fmt.Sprintf("scaleproof %s: %s", plain(r.Plan.Name), r.Verdict.Word)
	_, err := fmt.Fprintf(w, "::%s %stitle=%s::%s\n", level, position, commandProperty(title), commandData(text))
	if err != nil {
		return fmt.Errorf("writing the annotation: %w", err)
	}
	return nil
}

// annotatedReasons is how many reasons an annotation has.
const annotatedReasons = 5

// commandData escapes the text of a workflow command, and commandProperty a value
// before it, so that neither can end the line or begin another command.
func commandData(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

func commandProperty(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(commandData(plain(text)))
}
