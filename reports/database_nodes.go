package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"scaleproof/dbbench"
	"scaleproof/internal/unit"
)

// nodeTables shows, where queries ran on several nodes or went from one to another,
// each beside where it ran before and after, and what the nodes hold; none where the
// suite has one node.
func nodeTables(r *Report) ([]table, error) {
	q := queriesOf(r.Before, r.After)
	if !q.onSeveralNodes() {
		return nil, nil
	}
	holds, err := heldTable(r)
	if err != nil {
		return nil, err
	}
	return full(placedTable(r, q), holds), nil
}

// onSeveralNodes reports whether not all cases of both sides ran on the same node.
func (q queries) onSeveralNodes() bool {
	nodes := map[string]bool{}
	for _, c := range slices.Concat(q.before, q.after) {
		nodes[c.Node] = true
	}
	return len(nodes) > 1
}

// A placedCase is one query with the nodes that it ran on; empty: it did not.
type placedCase struct{ name, before, after string }

// placedCases lists the cases of both sides by the node that has them after.
func (q queries) placedCases() []placedCase {
	var all []placedCase
	for _, c := range q.before {
		p := placedCase{name: c.Name, before: c.Node}
		if _, after := q.pair(c.Name); after != nil {
			p.after = after.Node
		}
		all = append(all, p)
	}
	for _, c := range q.after {
		if before, _ := q.pair(c.Name); before == nil {
			all = append(all, placedCase{name: c.Name, after: c.Node})
		}
	}
	slices.SortStableFunc(all, func(a, b placedCase) int {
		return cmp.Compare(cmp.Or(a.after, a.before), cmp.Or(b.after, b.before))
	})
	return all
}

// way says where a case ran.
func (p placedCase) way() string {
	if p.before == p.after {
		return p.after
	}
	return cmp.Or(p.before, "–") + " → " + cmp.Or(p.after, "–")
}

// placedTable shows the queries by node.
func placedTable(r *Report, q queries) table {
	t := table{
		Title: "Queries by node", Note: "Medians of the trials, of each query where it ran. What could not be measured is unknown.",
		Head: columns("query", "on", "#time before", "#after", "#blocks before", "#after", "rows"),
	}
	for _, p := range q.placedCases() {
		row := []string{p.name, p.way()}
		for _, metric := range []string{"time.p50", "blocks"} {
			before, after := "unknown", "unknown"
			if of := r.Comparison.row("db." + p.name + "." + metric); of != nil {
				before, after = sideText(of.Before, of.Unit), sideText(of.After, of.Unit)
			}
			row = append(row, before, after)
		}
		t.Rows = append(t.Rows, append(row, q.rowsWords(p.name)))
	}
	return t
}

// rowsWords says how many rows a query gave, and what became of them.
func (q queries) rowsWords(name string) string {
	before, after := q.pair(name)
	switch {
	case after != nil && after.Error != "":
		return "failed after"
	case before == nil || before.Error != "":
		return "not known before"
	case after == nil:
		return "not known after"
	case otherWork(before, after) != "":
		return "other work"
	}
	words := map[Change]string{Equivalent: "the same", Changed: "they differ"}[resultStep(before, after).Change]
	return unit.Format(after.Rows, unit.Count) + ", " + cmp.Or(words, "they vary")
}

// heldTable shows what the tables of each node hold at the end of each measurement.
func heldTable(r *Report) (table, error) {
	t := table{
		Title: "What each node holds", Note: "Tables with their indexes and TOAST, and the rows that the statistics count, at the end of each measurement.",
		Head: columns("node", "#tables before", "#after", "#size before", "#after", "#rows before", "#after"),
	}
	nodes, err := statisticsOf(r)
	if err != nil {
		return t, err
	}
	for _, n := range nodes {
		before, after := heldBy(n.before), heldBy(n.after)
		row := []string{n.name}
		for i := range before {
			row = append(row, before[i], after[i])
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// ledgerSchema is of scaleproof's own tables, which a move makes.
const ledgerSchema = "scaleproof"

// heldBy returns how many tables a node has, their size and their rows.
func heldBy(s *dbbench.Statistics) [3]string {
	if s == nil {
		return [3]string{"unknown", "unknown", "unknown"}
	}
	tables, bytes, rows := 0, 0.0, 0.0
	for _, row := range s.Views["pg_stat_user_tables"] {
		if row.Text("schemaname") == ledgerSchema {
			continue
		}
		tables++
		live, _ := row.Number("n_live_tup")
		rows += live
	}
	for _, row := range s.Views["sizes"] {
		if row.Text("schemaname") != ledgerSchema && row.Text("relkind") != "i" {
			size, _ := row.Number("total_bytes")
			bytes += size
		}
	}
	return [3]string{fmt.Sprint(tables), unit.Format(bytes, unit.Bytes), unit.Format(rows, unit.Count)}
}

// movedQueries warns of queries that ran elsewhere after than before: another server
// is part of what changed.
func movedQueries(q queries) []string {
	names, ways := map[string][]string{}, []string(nil)
	for _, p := range q.placedCases() {
		if p.before == "" || p.after == "" || p.before == p.after {
			continue
		}
		way := p.before + " before and on " + p.after + " after"
		if names[way] == nil {
			ways = append(ways, way)
		}
		names[way] = append(names[way], p.name)
	}
	for i, way := range ways {
		ways[i] = fmt.Sprintf("%s ran on %s: the servers' machines, versions, settings and caches are part of what changed", strings.Join(names[way], ", "), way)
	}
	return ways
}

func (t *terminal) nodes(r *Report) {
	tables, err := nodeTables(r)
	if err != nil {
		t.notes([]string{err.Error()})
	}
	for _, of := range tables {
		t.heading(of.Title)
		rows := [][]string{of.titles()}
		for _, row := range of.Rows {
			var cells []string
			for _, cell := range row {
				cells = append(cells, plain(cell))
			}
			rows = append(rows, cells)
		}
		t.table(rows)
	}
}

func (t table) titles() []string {
	var titles []string
	for _, c := range t.Head {
		titles = append(titles, c.Title)
	}
	return titles
}

func markdownNodes(b *bytes.Buffer, r *Report) {
	tables, err := nodeTables(r)
	if err != nil {
		fmt.Fprintf(b, "\n- %s\n", md(err.Error()))
	}
	for _, t := range tables {
		fmt.Fprintf(b, "\n### %s\n\n| %s |\n|", t.Title, strings.Join(t.titles(), " | "))
		for _, c := range t.Head {
			b.WriteString(map[bool]string{true: "--:|", false: "---|"}[c.Num])
		}
		for _, row := range t.Rows {
			b.WriteString("\n|")
			for _, cell := range row {
				b.WriteString(" " + md(cell) + " |")
			}
		}
		b.WriteString("\n")
	}
}
