package reports

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"scaleproof/dbbench"
	"scaleproof/internal/snapshot"
)

// A databaseChange is what became of the database through an action: an action that
// has no business with it should leave results, plans, indexes and settings alone.
type databaseChange struct {
	Sentence string
	Details  []string
	// Unexpected says that the details are of an action without a step that
	// changes databases; Unexplained, of one with a step that may.
	Unexpected, Unexplained bool
}

// databaseChanges compares both snapshots' databases; nil where nothing of them was
// measured on both sides, or nothing was done in between.
func databaseChanges(r *Report) *databaseChange {
	if r.Action == nil || r.Before == nil || r.After == nil {
		return nil
	}
	before, errBefore := cases(r.Before)
	after, errAfter := cases(r.After)
	if errBefore != nil || errAfter != nil || len(before) == 0 || len(after) == 0 {
		return nil
	}
	var d databaseChange
	kept := d.compareCases(before, after)
	d.compareNodes(r.Before, r.After)
	changed := len(d.Details) > 0
	does, may := stepsOnDatabase(r)
	switch {
	case len(does) > 0:
		d.Sentence = fmt.Sprintf("The action changes the database (%s): %s.", strings.Join(does, ", "), kept)
	case !changed:
		d.Sentence = fmt.Sprintf("No step of the action changes the database: %s, and nothing else of it changed.", kept)
	case len(may) > 0:
		d.Unexplained = true
		d.Sentence = fmt.Sprintf("The database changed, and whether the action did it (%s) is unknown: %s.", strings.Join(may, ", "), kept)
	default:
		d.Unexpected = true
		d.Sentence = fmt.Sprintf("No step of the action changes the database, and yet it changed: %s.", kept)
	}
	return &d
}

// stepsOnDatabase names the steps that change a database, statements and programs
// that may do anything, and those that may by what they configure, start or ask for.
// A scale or a wait does not.
func stepsOnDatabase(r *Report) (does, may []string) {
	for _, s := range r.Action.Steps {
		switch s.Kind {
		case "sql", "exec", "shard":
			does = append(does, plain(s.Name))
		case "http", "apply", "patch", "configmap", "resources", "restart":
			may = append(may, plain(s.Name))
		}
	}
	return does, may
}

func (d *databaseChange) add(format string, args ...any) {
	d.Details = append(d.Details, fmt.Sprintf(format, args...))
}

// compareCases says how many queries are as they were, of those that gave a plan on
// both sides and can be compared.
func (d *databaseChange) compareCases(before, after []dbbench.CaseResult) string {
	same, of, unclear := 0, 0, 0
	for i := range before {
		b := &before[i]
		j := slices.IndexFunc(after, func(c dbbench.CaseResult) bool { return c.Name == b.Name })
		if j < 0 || b.Error != "" && after[j].Error != "" {
			continue
		}
		a := &after[j]
		if otherWork(b, a) != "" || len(b.Results()) > 1 || len(b.Shapes()) > 1 {
			unclear++ // before the action already it was not the same each time
			continue
		}
		of++
		changed := false
		for _, step := range []caseStep{resultStep(b, a), planStep(b, a)} {
			if step.Change != Equivalent {
				changed = true
				d.add("%s: %s: %s", b.Name, step.Question, step.Words)
			}
		}
		if !changed {
			same++
		}
	}
	kept := fmt.Sprintf("%d of %d queries kept their plans and results", same, of)
	switch {
	case of == 0:
		return "no query could be compared"
	case of == 1 && same == 1:
		kept = "the only query kept its plan and result"
	case same == of:
		kept = fmt.Sprintf("all %d queries kept their plans and results", of)
	}
	if unclear > 0 {
		kept += fmt.Sprintf(" (%d more do not compare)", unclear)
	}
	return kept
}

// compareNodes compares settings and indexes of the nodes that both snapshots
// captured.
func (d *databaseChange) compareNodes(before, after *snapshot.Snapshot) {
	var was, is map[string]*dbbench.Statistics
	if _, err := before.Section("pg", &was); err != nil {
		return
	}
	if _, err := after.Section("pg", &is); err != nil {
		return
	}
	for _, node := range slices.Sorted(maps.Keys(was)) {
		if is[node] == nil {
			continue
		}
		d.compareView(node, "setting", textsOf(was[node], "settings", []string{"name"}, []string{"setting", "unit"}), textsOf(is[node], "settings", []string{"name"}, []string{"setting", "unit"}))
		if !was[node].InRecovery { // a replica has the indexes of its primary
			d.compareView(node, "index", textsOf(was[node], "indexes", []string{"schemaname", "indexrelname"}, []string{"definition"}), textsOf(is[node], "indexes", []string{"schemaname", "indexrelname"}, []string{"definition"}))
		}
	}
}

// textsOf returns the rows of a view as texts, by names.
func textsOf(s *dbbench.Statistics, view string, names, values []string) map[string]string {
	join := func(row dbbench.Row, columns []string) string {
		var texts []string
		for _, c := range columns {
			if text := row.Text(c); text != "" && text != "public" {
				texts = append(texts, text)
			}
		}
		return strings.Join(texts, " ")
	}
	texts := map[string]string{}
	for _, row := range s.Views[view] {
		if row.Text("schemaname") == ledgerSchema {
			continue // a move's own books
		}
		texts[join(row, names)] = join(row, values)
	}
	return texts
}

func (d *databaseChange) compareView(node, what string, was, is map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(was)) {
		switch now, there := is[name]; {
		case !there:
			d.add("%s: the %s %s is gone: %s", node, what, name, was[name])
		case now != was[name]:
			d.add("%s: the %s %s was %s, and is %s", node, what, name, was[name], now)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(is)) {
		if _, there := was[name]; !there {
			d.add("%s: the %s %s is new: %s", node, what, name, is[name])
		}
	}
}

// mostChanges is how many changes of the database a summary lists.
const mostChanges = 12

func (t *terminal) database(r *Report) {
	d := databaseChanges(r)
	if d == nil {
		return
	}
	t.heading("Database")
	sign := ""
	if d.Listed() {
		sign = "! "
	}
	t.wrapped(sign+plain(d.Sentence), 2)
	for i, detail := range d.Details {
		if i == mostChanges {
			t.printf("    and %d more\n", len(d.Details)-i)
			break
		}
		t.hanging("    - ", plain(detail))
	}
}

func markdownDatabase(b *bytes.Buffer, r *Report) {
	d := databaseChanges(r)
	if d == nil {
		return
	}
	fmt.Fprintf(b, "\n### Database\n\n%s\n", md(d.Sentence))
	for i, detail := range d.Details {
		if i == 0 {
			b.WriteString("\n")
		}
		if i == mostChanges {
			fmt.Fprintf(b, "- and %d more\n", len(d.Details)-i)
			break
		}
		fmt.Fprintf(b, "- %s\n", md(detail))
	}
}
