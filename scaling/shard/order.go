package shard

import (
	"cmp"
	"slices"
	"strings"
)

// ordered returns the tables, parents first. Of tables whose keys go in a circle,
// those by which others reach an organisation come first: clean-up takes the
// tables from the end, and must not lose the rows by which it finds others.
func (k *classifier) ordered(tables []*Table) []*Table {
	o := &ordering{byName: k.byName, number: map[*Table]int{}, low: map[*Table]int{}, onStack: map[*Table]bool{}}
	for _, t := range tables {
		if o.number[t] == 0 {
			o.visit(t)
		}
	}
	for _, circle := range o.circles {
		var names []string
		for _, t := range circle {
			names = append(names, t.String())
		}
		k.warn("foreign keys go in a circle through %s: while clean-up deletes, rows of the organisations refer to rows that are gone", strings.Join(names, ", "))
	}
	return o.order
}

// An ordering finds strongly connected components by Tarjan's algorithm ("Depth-first
// search and linear graph algorithms", 1972), which gives parents before children.
type ordering struct {
	byName      map[string]*Table
	number, low map[*Table]int // number: from 1 on, as they are visited
	stack       []*Table
	onStack     map[*Table]bool
	order       []*Table
	circles     [][]*Table
}

func (o *ordering) visit(t *Table) {
	o.number[t] = len(o.number) + 1
	o.low[t] = o.number[t]
	o.stack, o.onStack[t] = append(o.stack, t), true
	for _, f := range t.ForeignKeys {
		to := o.byName[f.To]
		switch {
		case to == nil:
		case o.number[to] == 0:
			o.visit(to)
			o.low[t] = min(o.low[t], o.low[to])
		case o.onStack[to]:
			o.low[t] = min(o.low[t], o.number[to])
		}
	}
	if o.low[t] < o.number[t] {
		return
	}
	component := slices.Clone(o.stack[slices.Index(o.stack, t):])
	o.stack = o.stack[:len(o.stack)-len(component)]
	for _, member := range component {
		o.onStack[member] = false
	}
	slices.SortFunc(component, func(a, b *Table) int {
		return cmp.Or(cmp.Compare(o.hops(a), o.hops(b)), strings.Compare(a.String(), b.String()))
	})
	o.order = append(o.order, component...)
	if len(component) > 1 {
		o.circles = append(o.circles, component)
	}
}

// hops is how many keys lead from a table to the organisation's column.
func (o *ordering) hops(t *Table) int {
	n := 0
	for ; t.Class == ByKey; t = o.byName[t.Via.To] {
		n++
	}
	return n
}
