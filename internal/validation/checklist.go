package validation

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"scaleproof/internal/plan"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// The states of a checklist's item.
const (
	itemDone    = "done"
	itemFailed  = "failed"
	itemUnknown = "unknown"
)

// commandTimeout bounds a command that shows whether an item is done.
const commandTimeout = time.Minute

// checklist looks at the evidence of each item. What has none is unknown.
func (r *runner) checklist(ctx context.Context, report *reports.Report) []reports.ChecklistItem {
	var items []reports.ChecklistItem
	for _, c := range r.plan.Checklist {
		item := reports.ChecklistItem{ID: c.ID, Text: c.Text}
		item.State, item.Evidence = evidence(ctx, c.Evidence, report)
		item.Evidence = r.plan.Secrets.String(item.Evidence)
		items = append(items, item)
	}
	return items
}

func evidence(ctx context.Context, e plan.Evidence, report *reports.Report) (state, text string) {
	switch {
	case e.Link != "":
		return itemDone, e.Link
	case e.Signed != "":
		return itemDone, "signed by " + e.Signed
	case e.Step != "":
		for _, s := range report.Action.Steps {
			if s.Name == e.Step && s.Status == scaling.Applied {
				return itemDone, fmt.Sprintf("step %s worked at %s", s.Name, s.FinishedAt.Format(time.RFC3339))
			}
		}
		return itemFailed, "step " + e.Step + " did not work"
	case len(e.Command) > 0:
		ctx, cancel := context.WithTimeout(ctx, commandTimeout)
		defer cancel()
		out, err := exec.CommandContext(ctx, e.Command[0], e.Command[1:]...).CombinedOutput()
		if err != nil {
			return itemFailed, fmt.Sprintf("%s: %v: %s", strings.Join(e.Command, " "), err, strings.TrimSpace(string(out)))
		}
		return itemDone, strings.Join(e.Command, " ") + " exits 0"
	}
	return itemUnknown, "no evidence was given"
}
