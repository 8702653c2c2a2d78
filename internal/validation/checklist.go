package validation

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"scaleproof/internal/child"
	"scaleproof/internal/plan"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// evidenceTimeout bounds each look for evidence.
const evidenceTimeout = time.Minute

// checklist looks at the evidence of each item of the definition of done: the
// standard one, in which the plan's items replace those of the same id. What has
// no evidence is unknown.
func (r *runner) checklist(ctx context.Context, report *reports.Report) []reports.ChecklistItem {
	planned := map[string]plan.ChecklistItem{}
	for _, c := range r.plan.Checklist {
		planned[c.ID] = c
	}
	var items []reports.ChecklistItem
	for _, item := range reports.StandardChecklist() {
		c := planned[item.ID]
		item.Text = orDefault(c.Text, item.Text)
		items = append(items, r.checkItem(ctx, item, c.Evidence, report))
	}
	for _, c := range r.plan.Checklist {
		if !reports.IsStandardItem(c.ID) {
			items = append(items, r.checkItem(ctx, reports.ChecklistItem{ID: c.ID, Text: c.Text}, c.Evidence, report))
		}
	}
	return items
}

// checkItem looks for what shows that an item is done: first at what the plan
// names, else at what the run has measured.
func (r *runner) checkItem(ctx context.Context, item reports.ChecklistItem, e plan.Evidence, report *reports.Report) reports.ChecklistItem {
	ctx, cancel := context.WithTimeout(ctx, evidenceTimeout)
	defer cancel()
	item.Known = reports.Commanded
	switch {
	case e.Link != "":
		item.State, item.Evidence = r.linkEvidence(ctx, e.Link)
	case e.Step != "":
		item.State, item.Evidence = stepEvidence(report.Action, e.Step)
	case len(e.Command) > 0:
		item.State, item.Evidence = commandEvidence(ctx, e.Command)
	case e.Query != "":
		item.State, item.Evidence = r.queryEvidence(ctx, e.Query)
	case e.Rule != "":
		item.State, item.Evidence = r.ruleEvidence(ctx, e.Rule)
	case e.Signed != "":
		item.State, item.Known, item.Signer = reports.ItemUnknown, "", e.Signed
		item.Evidence = fmt.Sprintf("to be signed by %s: scaleproof sign", e.Signed)
	default:
		item.Known = ""
		if err := report.MeasureItem(&item); err != nil {
			item.State, item.Evidence = reports.ItemUnknown, err.Error()
		}
	}
	if item.State == reports.ItemUnknown {
		item.Known = ""
	}
	item.Evidence = r.plan.Secrets.String(item.Evidence)
	return item
}

// stepEvidence is a step that worked, with the end of what it answered.
func stepEvidence(o *scaling.Outcome, name string) (reports.ItemState, string) {
	for _, s := range o.Steps {
		if s.Name != name || s.Status != scaling.Applied {
			continue
		}
		text := fmt.Sprintf("step %s worked at %s", s.Name, s.FinishedAt.UTC().Format(time.RFC3339))
		if answer := strings.TrimSpace(s.Output); answer != "" {
			text += ": " + answer
		}
		return reports.ItemDone, text
	}
	return reports.ItemFailed, "step " + name + " did not work"
}

func commandEvidence(ctx context.Context, command []string) (reports.ItemState, string) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := child.Run(ctx, cmd)
	if ctx.Err() != nil {
		return reports.ItemUnknown, strings.Join(command, " ") + " did not end: " + ctx.Err().Error()
	}
	if err != nil {
		return reports.ItemFailed, fmt.Sprintf("%s: %v: %s", strings.Join(command, " "), err, strings.TrimSpace(out.String()))
	}
	return reports.ItemDone, fmt.Sprintf("%s exits 0 at %s", strings.Join(command, " "), time.Now().UTC().Format(time.RFC3339))
}
