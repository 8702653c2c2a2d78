package dbbench

import (
	"fmt"
	"slices"
	"strings"
)

// DiffPlans says in words what changed from one plan to another: how each table
// is read, how tables are joined, what else the plan does, and where both were
// executed, what was estimated worse, spilled to disk or lacked workers. It
// returns nothing where nothing of that changed.
func DiffPlans(before, after *Plan) []string {
	var d planDiff
	was, is := before.Root.parts(), after.Root.parts()
	d.accesses(was, is)
	d.joins(was, is)
	d.others(was, is)
	if len(d.words) == 0 && before.Fingerprint() != after.Fingerprint() {
		d.say("the same nodes stand in another order")
	}
	d.estimates(before.Root.ratios(), after.Root.ratios())
	d.figures(before, after)
	return d.words
}

// A planDiff gathers the differences of two plans.
type planDiff struct {
	words []string
	pairs []nodePair // the nodes that correspond
}

type nodePair struct{ before, after *PlanNode }

func (d *planDiff) say(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(d.words, text) {
		d.words = append(d.words, text)
	}
}

// planParts are the nodes of a plan by what they do, each in the plan's order.
type planParts struct {
	accesses, joins keyed
	others          keyed
}

// keyed nodes are found by what they are about, such as the tables that they
// join. Several may be about the same.
type keyed struct {
	keys  []string // in order, each once
	nodes map[string][]*PlanNode
}

func (k *keyed) add(key string, n *PlanNode) {
	if k.nodes == nil {
		k.nodes = map[string][]*PlanNode{}
	}
	if k.nodes[key] == nil {
		k.keys = append(k.keys, key)
	}
	k.nodes[key] = append(k.nodes[key], n)
}

// either returns the keys of both, those of k first.
func (k keyed) either(other keyed) []string {
	keys := slices.Clone(k.keys)
	for _, key := range other.keys {
		if k.nodes[key] == nil {
			keys = append(keys, key)
		}
	}
	return keys
}

func (n *PlanNode) isAccess() bool {
	return strings.HasSuffix(n.Type, " Scan") && n.Relation != ""
}

func (n *PlanNode) isJoin() bool {
	return n.Type == "Nested Loop" || n.Type == "Hash Join" || n.Type == "Merge Join"
}

func (n *PlanNode) parts() planParts {
	var p planParts
	for _, node := range n.All() {
		switch {
		case node.isAccess():
			p.accesses.add(node.name(), node)
		case node.isJoin():
			p.joins.add(strings.Join(node.reads(), ", "), node)
		case node.Type == "Hash" || strings.HasPrefix(node.Type, "Bitmap"):
			// These are told with the node that they serve.
		default:
			p.others.add(node.family(), node)
		}
	}
	return p
}

// name is what a node reads: the table, and its alias where it has another.
func (n *PlanNode) name() string {
	if n.Alias != "" && n.Alias != n.Relation {
		return n.Relation + " " + n.Alias
	}
	return n.Relation
}

// reads returns the names of what the node and those below it read, sorted,
// each once.
func (n *PlanNode) reads() []string {
	var names []string
	for _, node := range n.All() {
		switch {
		case node.isAccess():
			names = append(names, node.name())
		case strings.HasSuffix(node.Type, " Scan") && len(node.Children) == 0 && node.Alias != "":
			names = append(names, node.Alias) // of a function, values or a CTE
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// family groups types of node that replace one another.
func (n *PlanNode) family() string {
	switch n.Type {
	case "Aggregate", "Group", "Unique":
		return "grouping"
	case "Sort", "Incremental Sort":
		return "sorting"
	case "Gather", "Gather Merge":
		return "gathering"
	case "Append", "Merge Append":
		return "appending"
	}
	return n.Type
}

// words names the node with what serves it: the indexes of a bitmap.
func (n *PlanNode) words() string {
	title := n.Title()
	if n.Type != "Bitmap Heap Scan" {
		return title
	}
	var indexes []string
	for _, node := range n.All() {
		if node.Type == "Bitmap Index Scan" {
			indexes = append(indexes, node.Index)
		}
	}
	return strings.Replace(title, "Heap Scan", "Heap Scan using "+strings.Join(indexes, " and "), 1)
}

// accesses compares how each table is read.
func (d *planDiff) accesses(was, is planParts) {
	for _, key := range was.accesses.either(is.accesses) {
		a, b := was.accesses.nodes[key], is.accesses.nodes[key]
		for i := range max(len(a), len(b)) {
			switch {
			case i >= len(b):
				d.say("%s is gone: %s", a[i].words(), gone(len(b), key))
			case i >= len(a):
				d.say("%s is new: %s", b[i].words(), added(len(a), key))
			default:
				d.pair(a[i], b[i])
			}
		}
	}
}

func gone(left int, name string) string {
	if left == 0 {
		return name + " is not read any more"
	}
	return name + " is read fewer times"
}

func added(before int, name string) string {
	if before == 0 {
		return name + " was not read before"
	}
	return name + " is read more times"
}

// pair compares two nodes that correspond.
func (d *planDiff) pair(a, b *PlanNode) {
	d.pairs = append(d.pairs, nodePair{a, b})
	if was, is := a.words(), b.words(); was != is {
		d.say("%s became %s", was, is)
		return
	}
	was, is := a.conditionsShape(), b.conditionsShape()
	if was != is {
		d.say("%s: %s became %s", b.words(), orNothing(was), orNothing(is))
	}
}

// conditionsShape joins the traits of a node and of the bitmap below it.
func (n *PlanNode) conditionsShape() string {
	traits := n.foldedTraits()
	for _, child := range n.Children {
		if strings.HasPrefix(child.Type, "Bitmap") {
			traits = append(traits, child.conditionsShape())
		}
	}
	return strings.Join(traits, ", ")
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// joins compares how the same tables are joined, and in which order.
func (d *planDiff) joins(was, is planParts) {
	reordered := false
	for _, key := range was.joins.either(is.joins) {
		a, b := was.joins.nodes[key], is.joins.nodes[key]
		reordered = reordered || len(a) != len(b)
		for i := range min(len(a), len(b)) {
			d.join(a[i], b[i], key)
		}
	}
	if before, after := was.joinOrder(), is.joinOrder(); reordered && before != after {
		d.say("the joins changed: %s became %s", orNothing(before), orNothing(after))
	}
}

// join compares two joins of the same tables.
func (d *planDiff) join(a, b *PlanNode, tables string) {
	d.pairs = append(d.pairs, nodePair{a, b})
	switch was, is := a.Title(), b.Title(); {
	case was != is:
		d.say("%s of %s became %s", was, tables, is)
	case a.conditionsShape() != b.conditionsShape():
		d.say("%s of %s: %s became %s", is, tables, orNothing(a.conditionsShape()), orNothing(b.conditionsShape()))
	case a.outer() != b.outer():
		d.say("%s of %s starts from %s, and started from %s", is, tables, orNothing(b.outer()), orNothing(a.outer()))
	}
}

// outer names what the first side of a join reads.
func (n *PlanNode) outer() string {
	if len(n.Children) == 0 {
		return ""
	}
	return strings.Join(n.Children[0].reads(), ", ")
}

// joinOrder prints the topmost joins as nested pairs: ((a, b), c).
func (p planParts) joinOrder() string {
	if len(p.joins.keys) == 0 {
		return ""
	}
	var order []string
	inside := map[*PlanNode]bool{}
	for _, key := range p.joins.keys {
		for _, n := range p.joins.nodes[key] {
			if !inside[n] {
				order = append(order, n.order(inside))
			}
		}
	}
	return strings.Join(order, " and ")
}

func (n *PlanNode) order(inside map[*PlanNode]bool) string {
	inside[n] = true
	if n.isAccess() || len(n.Children) == 0 {
		return strings.Join(n.reads(), ", ")
	}
	var sides []string
	for _, child := range n.Children {
		if side := child.order(inside); side != "" {
			sides = append(sides, side)
		}
	}
	if len(sides) < 2 {
		return strings.Join(sides, "")
	}
	return "(" + strings.Join(sides, ", ") + ")"
}

// others compares sorts, aggregates, gathers and the like: those that are in
// both plans cancel out, and what is left corresponds in order.
func (d *planDiff) others(was, is planParts) {
	for _, key := range was.others.either(is.others) {
		a, b := cancel(was.others.nodes[key], is.others.nodes[key])
		for i := range max(len(a), len(b)) {
			switch {
			case i >= len(b):
				d.say("%s is gone", a[i].full())
			case i >= len(a):
				d.say("%s is new", b[i].full())
			default:
				d.say("%s became %s", a[i].full(), b[i].full())
			}
		}
	}
}

// full is a node's title with its traits.
func (n *PlanNode) full() string {
	if traits := n.foldedTraits(); len(traits) > 0 {
		return n.Title() + " (" + strings.Join(traits, ", ") + ")"
	}
	return n.Title()
}

// cancel removes what both lists have.
func cancel(a, b []*PlanNode) (onlyA, onlyB []*PlanNode) {
	onlyB = slices.Clone(b)
	for _, n := range a {
		i := slices.IndexFunc(onlyB, func(other *PlanNode) bool { return other.full() == n.full() })
		if i < 0 {
			onlyA = append(onlyA, n)
			continue
		}
		onlyB = slices.Delete(onlyB, i, i+1)
	}
	return onlyA, onlyB
}
