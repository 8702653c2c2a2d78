package dbbench

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"scaleproof/internal/unit"
)

// A candidate is an index that a plan looks as if it lacked.
type candidate struct {
	table   string   // quoted, with its schema
	columns []string // quoted, each perhaps with DESC
	cases   []string // the names of those whose plan asked for it
	why     string   // what the first of their plans says
}

func (c candidate) key() string { return c.table + " (" + strings.Join(c.columns, ", ") + ")" }

// A tableInfo is what candidates need to know of a table.
type tableInfo struct {
	Name, Qualified string // as a plan and as SQL name it
	Visible         bool   // the search path finds it by its name
	Columns         []string
	Alike           map[string][]string // the types to which a cast of a column changes nothing
	Distinct        map[string]float64  // of the values of a column, where it is known
}

// candidates looks through the plan of a case for tables that were read whole, or
// of which most rows were thrown away, and proposes indexes on what the rows were
// chosen, joined and ordered by.
func (c CaseResult) candidates(tables map[string]tableInfo) []candidate {
	var found []candidate
	walkDown(c.Plan.Root, nil, func(n *PlanNode, above []*PlanNode) {
		table, known := tables[n.table()]
		if !n.isAccess() || !known || (n.ActualRows+n.RowsRemoved)*max(n.Loops, 1) < manyRead {
			return
		}
		equal, ranged := table.clauses(n)
		order := table.order(n, above)
		joined := table.joins(n, above)
		slices.SortStableFunc(equal, func(x, y string) int { return cmp.Compare(table.Distinct[y], table.Distinct[x]) })
		propose := func(columns ...[]string) {
			if all := slices.Concat(columns...); len(all) > 0 && len(all) <= 4 {
				found = append(found, candidate{table: table.Qualified, columns: distinctColumns(all), cases: []string{c.Name}, why: reasonOf(n)})
			}
		}
		propose(equal)
		propose(equal, order)
		for _, column := range ranged {
			propose(equal, []string{column})
		}
		for _, column := range joined {
			propose([]string{column})
			propose([]string{column}, equal)
		}
	})
	return found
}

// reasonOf says what a node read and threw away.
func reasonOf(n *PlanNode) string {
	loops := max(n.Loops, 1)
	text := n.Title() + " read " + unit.Format((n.ActualRows+n.RowsRemoved)*loops, unit.Count) + " rows"
	if n.RowsRemoved > 0 {
		text += " and threw " + unit.Format(n.RowsRemoved*loops, unit.Count) + " away"
	}
	return text
}

// walkDown visits each node with those above it, the nearest first.
func walkDown(n *PlanNode, above []*PlanNode, visit func(*PlanNode, []*PlanNode)) {
	visit(n, above)
	for _, child := range n.Children {
		walkDown(child, append([]*PlanNode{n}, above...), visit)
	}
}

// A column of a plan's condition, perhaps with its table's alias and a cast.
const columnForm = `\(?(?:("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)\.)?("(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)\)?(?:::([a-z ]+(?:\(\d+\))?))?`

var (
	clauseForm = regexp.MustCompile(`^` + columnForm + ` (= ANY|=|<=|>=|<|>) (.+)$`)
	joinForm   = regexp.MustCompile(`^` + columnForm + ` = ` + columnForm + `$`)
	wordForm   = regexp.MustCompile(`'(?:[^']|'')*'|` + cast + `|"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_]*`)
	sortForm   = regexp.MustCompile(`^` + columnForm + `( DESC)?$`)
)

// clauses returns the columns that the node's filter holds equal to something, and
// those that it holds against a bound.
func (t tableInfo) clauses(n *PlanNode) (equal, ranged []string) {
	for _, text := range conjuncts(n.Filter) {
		match := clauseForm.FindStringSubmatch(text)
		if match == nil || !t.has(match[1:4], n.Alias) || t.mentions(match[5]) {
			continue
		}
		if strings.HasPrefix(match[4], "=") {
			equal = append(equal, match[2])
		} else {
			ranged = append(ranged, match[2])
		}
	}
	return distinctColumns(equal), distinctColumns(ranged)
}

// has tells whether the parts of a columnForm are one of the table's columns, of the right
// alias, and of a cast that leaves its values as they are.
func (t tableInfo) has(parts []string, alias string) bool {
	qualifier, column, cast := parts[0], unquoteName(parts[1]), parts[2]
	return (qualifier == "" || unquoteName(qualifier) == alias) && slices.Contains(t.Columns, column) && (cast == "" || slices.Contains(t.Alike[column], cast))
}

// mentions tells whether the other side of a clause names a column of the table,
// so that no index finds it. Texts in quotes are none, nor is the type of a cast: a
// column often has the name of its type.
func (t tableInfo) mentions(text string) bool {
	return slices.ContainsFunc(wordForm.FindAllString(text, -1), func(word string) bool {
		return slices.Contains(t.Columns, unquoteName(word))
	})
}

// order returns the columns of a sort right above the node, of which a limit takes
// the first rows.
func (t tableInfo) order(n *PlanNode, above []*PlanNode) []string {
	var sort *PlanNode
	for _, parent := range above {
		switch {
		case parent.Type == "Sort" && sort == nil:
			sort = parent
		case parent.Type == "Gather" || parent.Type == "Gather Merge":
		case parent.Type == "Limit" && sort != nil:
			return t.sortColumns(n, sort)
		default:
			return nil
		}
	}
	return nil
}

func (t tableInfo) sortColumns(n, sort *PlanNode) []string {
	var columns []string
	descending := 0
	for _, key := range sort.SortKey {
		match := sortForm.FindStringSubmatch(key)
		if match == nil || !t.has(match[1:4], n.Alias) {
			return nil
		}
		if match[4] != "" {
			descending++
		}
		columns = append(columns, match[2]+match[4])
	}
	if descending == len(columns) { // an index is read backwards as well
		for i := range columns {
			columns[i] = strings.TrimSuffix(columns[i], " DESC")
		}
	}
	return columns
}

// joins returns the columns by which the nearest join above meets the node's rows.
func (t tableInfo) joins(n *PlanNode, above []*PlanNode) []string {
	for _, parent := range above {
		if !parent.isJoin() {
			continue
		}
		var columns []string
		for _, text := range conjuncts(cmp.Or(parent.HashCond, parent.MergeCond, parent.JoinFilter)) {
			match := joinForm.FindStringSubmatch(text)
			if match == nil {
				continue
			}
			for _, side := range [][]string{match[1:4], match[4:7]} {
				if side[0] != "" && t.has(side, n.Alias) {
					columns = append(columns, side[1])
				}
			}
		}
		return distinctColumns(columns)
	}
	return nil
}

// conjuncts splits a condition at its ANDs. What stands under OR or NOT stays
// whole, and so matches no form above.
func conjuncts(condition string) []string {
	text := strings.TrimSpace(condition)
	if text == "" {
		return nil
	}
	if inner, ok := unwrap(text); ok {
		text = inner
	}
	var parts []string
	depth, quote, start := 0, byte(0), 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		case depth == 0 && strings.HasPrefix(text[i:], " AND "):
			parts = append(parts, text[start:i])
			start = i + len(" AND ")
			i = start - 1 // the space after an AND begins no other
		}
	}
	if len(parts) == 0 {
		return []string{text}
	}
	var all []string
	for _, part := range append(parts, text[start:]) {
		all = append(all, conjuncts(part)...)
	}
	return all
}

// unwrap takes off the parentheses that enclose all of a text.
func unwrap(text string) (string, bool) {
	if len(text) < 2 || text[0] != '(' || text[len(text)-1] != ')' {
		return text, false
	}
	depth, quote := 0, byte(0)
	for i := range len(text) - 1 {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth == 0 && quote == 0 {
			return text, false
		}
	}
	return text[1 : len(text)-1], true
}

func unquoteName(name string) string {
	if len(name) >= 2 && name[0] == '"' {
		return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
	}
	return name
}

// distinctColumns keeps the first of each column.
func distinctColumns(columns []string) []string {
	var all, names []string
	for _, c := range columns {
		if name := strings.TrimSuffix(c, " DESC"); !slices.Contains(names, name) {
			names, all = append(names, name), append(all, c)
		}
	}
	return all
}

// mergeCandidates joins equal candidates of several cases, and leaves out those
// that an index which is there begins with.
func mergeCandidates(all []candidate, indexes []Row) []candidate {
	var merged []candidate
	for _, c := range all {
		i := slices.IndexFunc(merged, func(m candidate) bool { return m.key() == c.key() })
		switch {
		case i >= 0:
			merged[i].cases = distinctColumns(append(merged[i].cases, c.cases...))
		case !slices.ContainsFunc(indexes, c.servedBy):
			merged = append(merged, c)
		}
	}
	return merged
}

// servedBy tells whether an index begins with the candidate's columns.
func (c candidate) servedBy(index Row) bool {
	keys := index.list("keys")
	if index.Text("of_table") != c.table || index.Text("amname") != "btree" || index.Text("condition") != "" || index["indisvalid"] != true || len(keys) < len(c.columns) {
		return false
	}
	for i, column := range c.columns {
		if keys[i] != strings.TrimSuffix(column, " DESC") {
			return false
		}
	}
	return true
}
