package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"scaleproof/dbbench"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// nodeStatistics is what the statistics views of one node told on both sides: at
// the end of each measurement, and what they counted through it. What was not
// captured is nil.
type nodeStatistics struct {
	name           string
	before, after  *dbbench.Statistics
	counted, later *dbbench.StatisticsDelta
}

// statisticsTables shows what the database itself counted, node by node.
func statisticsTables(r *Report) ([]table, error) {
	nodes, err := statisticsOf(r)
	if err != nil {
		return nil, err
	}
	activity, err := activities(r)
	if err != nil {
		return nil, err
	}
	var tables []table
	for _, n := range nodes {
		prefix := ""
		if len(nodes) > 1 {
			prefix = n.name + ": "
		}
		own := full(n.statements(), n.indexes(), n.tables(), n.settings())
		if pair := activity[n.name]; pair != nil {
			own = append(own, pair.tables()...)
		}
		for _, t := range own {
			t.Title = prefix + t.Title
			tables = append(tables, t)
		}
	}
	return tables, nil
}

func statisticsOf(r *Report) ([]nodeStatistics, error) {
	nodes := map[string]*nodeStatistics{}
	at := func(name string) *nodeStatistics {
		if nodes[name] == nil {
			nodes[name] = &nodeStatistics{name: name}
		}
		return nodes[name]
	}
	read := func(s *snapshot.Snapshot, set func(*nodeStatistics, *dbbench.Statistics), count func(*nodeStatistics, *dbbench.StatisticsDelta)) error {
		if s == nil {
			return nil
		}
		var captured map[string]*dbbench.Statistics
		var deltas map[string]*dbbench.StatisticsDelta
		if _, err := s.Section("pg", &captured); err != nil {
			return err
		}
		if _, err := s.Section("pg.delta", &deltas); err != nil {
			return err
		}
		for name, c := range captured {
			set(at(name), c)
		}
		for name, d := range deltas {
			count(at(name), d)
		}
		return nil
	}
	if err := read(r.Before, func(n *nodeStatistics, s *dbbench.Statistics) { n.before = s }, func(n *nodeStatistics, d *dbbench.StatisticsDelta) { n.counted = d }); err != nil {
		return nil, err
	}
	if err := read(r.After, func(n *nodeStatistics, s *dbbench.Statistics) { n.after = s }, func(n *nodeStatistics, d *dbbench.StatisticsDelta) { n.later = d }); err != nil {
		return nil, err
	}
	var list []nodeStatistics
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		list = append(list, *nodes[name])
	}
	return list, nil
}

// A tally is what a view counted through one measurement, by one column of its
// rows. Rows that share it, such as a statement of several roles, are summed.
type tally struct {
	known bool // false: nothing is known of any row
	rows  map[string]*tallied
}

// tallied is what the rows of one key counted. Of those that are unknown there is
// no figure.
type tallied struct {
	row            dbbench.Row
	sums           map[string]float64
	known, unknown int
}

func tallyOf(d *dbbench.StatisticsDelta, view, key string) tally {
	t := tally{rows: map[string]*tallied{}}
	if d == nil || d.Unknown != "" {
		return t
	}
	var rows []dbbench.DeltaRow
	rows, t.known = d.Views[view]
	for _, r := range rows {
		id := fmt.Sprint(r.Row[key])
		c := t.rows[id]
		if c == nil {
			c = &tallied{row: r.Row, sums: map[string]float64{}}
			t.rows[id] = c
		}
		if c.row["query"] == nil { // only the busiest have their text
			c.row = r.Row
		}
		if r.Unknown != "" {
			c.unknown++
			continue
		}
		c.known++
		for name, value := range r.Counters {
			c.sums[name] += value
		}
	}
	return t
}

// sum returns a counter of a key, 0 where it is not known.
func (t tally) sum(id, counter string) float64 {
	if c := t.rows[id]; c != nil {
		return c.sums[counter]
	}
	return 0
}

// figure prints what a key counted. A row that is not in the delta counted
// nothing; one that is unknown is never a zero.
func (t tally) figure(id string, text func(sums map[string]float64) string) string {
	switch c := t.rows[id]; {
	case !t.known || c != nil && c.known == 0:
		return "unknown"
	case c == nil:
		return text(nil)
	case c.unknown > 0:
		return "known: " + text(c.sums)
	default:
		return text(c.sums)
	}
}

// count prints a counter of a key.
func (t tally) count(id, counter string) string {
	return t.figure(id, func(sums map[string]float64) string { return unit.Format(sums[counter], unit.Count) })
}

// ownExplain begins the statements by which dbbench reads plans.
const ownExplain = "EXPLAIN (ANALYZE, BUFFERS"

// statements lists the statements that took the most time on either side.
func (n nodeStatistics) statements() table {
	t := table{
		Title: "Top statements", Note: "By pg_stat_statements, the busiest first. Other clients of the database count too; scaleproof's own EXPLAINs are left out. Roles are summed; \"known\" stands before the sum of those that could be counted.",
		Head: columns("statement", "#calls before", "#after", "#mean time before", "#after", "#total before", "#after"),
	}
	before, after := tallyOf(n.counted, "pg_stat_statements", "queryid"), tallyOf(n.later, "pg_stat_statements", "queryid")
	texts := map[string]string{}
	for _, side := range []tally{before, after} {
		for id, c := range side.rows {
			texts[id] = cmp.Or(texts[id], c.row.Text("query"))
		}
	}
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(texts)), func(id string) bool { return strings.HasPrefix(texts[id], ownExplain) })
	time := func(id string) float64 {
		return max(before.sum(id, "total_exec_time"), after.sum(id, "total_exec_time"))
	}
	slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(time(b), time(a)) })
	for _, id := range ids[:min(len(ids), topRows)] {
		row := []string{texts[id]}
		for _, figure := range []func(map[string]float64) string{
			func(c map[string]float64) string { return unit.Format(c["calls"], unit.Count) },
			func(c map[string]float64) string {
				return unit.Format(c["total_exec_time"]/1e3/c["calls"], unit.Seconds)
			},
			func(c map[string]float64) string { return unit.Format(c["total_exec_time"]/1e3, unit.Seconds) },
		} {
			for _, side := range []tally{before, after} {
				row = append(row, side.figure(id, func(c map[string]float64) string {
					if c["calls"] == 0 {
						return "–"
					}
					return figure(c)
				}))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// sizesOf returns the sizes of tables and indexes by their OID, in bytes.
func sizesOf(s *dbbench.Statistics) map[string]float64 {
	sizes := map[string]float64{}
	if s != nil {
		for _, row := range s.Views["sizes"] {
			bytes, _ := row["total_bytes"].(float64)
			sizes[fmt.Sprint(row["relid"])] = bytes
		}
	}
	return sizes
}

// indexes lists how often each index was used, and those that never were.
func (n nodeStatistics) indexes() table {
	t := table{
		Title: "Index usage", Note: "Scans through each measurement. An index without any since the statistics were reset only costs.",
		Head: columns("index", "table", "#scans before", "#after", "#since reset", "#size", ""),
	}
	if n.after == nil {
		return t
	}
	was := map[string]bool{}
	if n.before != nil {
		for _, row := range n.before.Views["pg_stat_user_indexes"] {
			was[fmt.Sprint(row["indexrelid"])] = true
		}
	}
	before, after := tallyOf(n.counted, "pg_stat_user_indexes", "indexrelid"), tallyOf(n.later, "pg_stat_user_indexes", "indexrelid")
	sizes := sizesOf(n.after)
	rows := slices.Clone(n.after.Views["pg_stat_user_indexes"])
	isNew := func(row dbbench.Row) bool { return n.before != nil && !was[fmt.Sprint(row["indexrelid"])] }
	// What is new comes first, then what was used most, then what only costs.
	slices.SortStableFunc(rows, func(a, b dbbench.Row) int {
		x, y := fmt.Sprint(a["indexrelid"]), fmt.Sprint(b["indexrelid"])
		if isNew(a) != isNew(b) {
			if isNew(a) {
				return -1
			}
			return 1
		}
		used := func(id string) float64 { return before.sum(id, "idx_scan") + after.sum(id, "idx_scan") }
		return cmp.Or(cmp.Compare(used(y), used(x)), cmp.Compare(sizes[y], sizes[x]))
	})
	for _, row := range rows[:min(len(rows), mostIndexes)] {
		id := fmt.Sprint(row["indexrelid"])
		total, _ := row["idx_scan"].(float64)
		note, scansBefore := "", before.count(id, "idx_scan")
		switch {
		case isNew(row):
			note, scansBefore = "new", "–"
		case total == 0:
			note = "never used"
		}
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(row["indexrelname"]), fmt.Sprint(row["relname"]), scansBefore,
			after.count(id, "idx_scan"), unit.Format(total, unit.Count), unit.Format(sizes[id], unit.Bytes), note,
		})
	}
	if len(rows) > mostIndexes {
		t.Note += fmt.Sprintf(" %d of %d are shown.", mostIndexes, len(rows))
	}
	return t
}

// mostIndexes is how many indexes are shown.
const mostIndexes = 40

// tables lists the tables with their growth from one measurement to the other.
func (n nodeStatistics) tables() table {
	t := table{
		Title: "Table growth", Note: "Sizes with indexes and TOAST at the end of each measurement.",
		Head: columns("table", "#size before", "#after", "#growth", "#rows before", "#after", "#dead rows", "#sequential scans before", "#after"),
	}
	if n.after == nil {
		return t
	}
	before, after := sizesOf(n.before), sizesOf(n.after)
	rowsBefore := map[string]float64{}
	if n.before != nil {
		for _, row := range n.before.Views["pg_stat_user_tables"] {
			rowsBefore[fmt.Sprint(row["relid"])], _ = row.Number("n_live_tup")
		}
	}
	scansBefore, scansAfter := tallyOf(n.counted, "pg_stat_user_tables", "relid"), tallyOf(n.later, "pg_stat_user_tables", "relid")
	rows := slices.Clone(n.after.Views["pg_stat_user_tables"])
	slices.SortStableFunc(rows, func(a, b dbbench.Row) int {
		return cmp.Compare(after[fmt.Sprint(b["relid"])], after[fmt.Sprint(a["relid"])])
	})
	for _, row := range rows[:min(len(rows), 2*topRows)] {
		id := fmt.Sprint(row["relid"])
		sizeBefore, growth, liveBefore := "–", "–", "–"
		if size, ok := before[id]; ok {
			sizeBefore, growth = unit.Format(size, unit.Bytes), unit.Format(after[id]-size, unit.Bytes)
		}
		if live, ok := rowsBefore[id]; ok {
			liveBefore = unit.Format(live, unit.Count)
		}
		live, _ := row["n_live_tup"].(float64)
		dead, _ := row["n_dead_tup"].(float64)
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(row["relname"]), sizeBefore, unit.Format(after[id], unit.Bytes), growth, liveBefore, unit.Format(live, unit.Count), unit.Format(dead, unit.Count),
			scansBefore.count(id, "seq_scan"), scansAfter.count(id, "seq_scan"),
		})
	}
	return t
}

// settingsTitle is that of the settings that changed.
const settingsTitle = "Settings that changed"

// settings lists the settings that differ from one measurement to the other.
func (n nodeStatistics) settings() table {
	t := table{Title: settingsTitle, Head: columns("setting", "before", "after")}
	if n.before == nil || n.after == nil {
		return t
	}
	values := func(s *dbbench.Statistics) map[string]string {
		all := map[string]string{}
		for _, row := range s.Views["settings"] {
			value := fmt.Sprint(row["setting"])
			if base, ok := row["unit"].(string); ok {
				value += " × " + base
			}
			all[fmt.Sprint(row["name"])] = value
		}
		return all
	}
	before, after := values(n.before), values(n.after)
	both := maps.Clone(before)
	maps.Copy(both, after)
	for _, name := range slices.Sorted(maps.Keys(both)) {
		if before[name] != after[name] {
			t.Rows = append(t.Rows, []string{name, cmp.Or(before[name], "the default"), cmp.Or(after[name], "the default")})
		}
	}
	return t
}
