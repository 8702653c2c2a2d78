package dbbench

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// Fingerprint identifies the shape of a plan: a SHA-256, its first 16 digits.
func (p *Plan) Fingerprint() string {
	sum := sha256.Sum256([]byte(p.Root.Shape()))
	return hex.EncodeToString(sum[:8])
}

// Shape describes the node and those below it without anything that changes
// from one execution to the next: types, relations, indexes, joins, parallelism,
// keys, and conditions with their constants folded.
func (n *PlanNode) Shape() string {
	var b strings.Builder
	n.shape(&b, 0)
	return b.String()
}

func (n *PlanNode) shape(b *strings.Builder, depth int) {
	b.WriteString(strings.Repeat("  ", depth))
	if name := subplanName(n.SubplanName); name != "" {
		b.WriteString(name + ": ")
	}
	b.WriteString(n.Title())
	for _, part := range n.foldedTraits() {
		b.WriteString(" (" + part + ")")
	}
	b.WriteByte('\n')
	for _, child := range n.Children {
		child.shape(b, depth+1)
	}
}

// Traits are the parts of a node's shape beside its title, each with its name:
// conditions, keys and order, with their constants.
func (n *PlanNode) Traits() []string {
	return n.traits(func(text string) string { return text })
}

// foldedTraits are the traits with their constants folded.
func (n *PlanNode) foldedTraits() []string { return n.traits(foldConstants) }

func (n *PlanNode) traits(print func(string) string) []string {
	var traits []string
	for _, t := range []struct{ name, text string }{
		{"Index Cond", n.IndexCond},
		{"Recheck Cond", n.RecheckCond},
		{"TID Cond", n.TIDCond},
		{"Hash Cond", n.HashCond},
		{"Merge Cond", n.MergeCond},
		{"Join Filter", n.JoinFilter},
		{"Filter", n.Filter},
		{"One-Time Filter", n.OneTimeFilter},
		{"Run Condition", n.RunCondition},
		{"Conflict Filter", n.ConflictFilter},
		{"Order By", n.OrderBy},
		{"Cache Key", n.CacheKey},
		{"Sort Key", strings.Join(n.SortKey, ", ")},
		{"Presorted Key", strings.Join(n.PresortedKey, ", ")},
		{"Group Key", strings.Join(n.GroupKey, ", ")},
		{"Grouping Sets", groupingSets(n.GroupingSets)},
		{"Conflict Resolution", n.ConflictResolution},
	} {
		if t.text != "" {
			traits = append(traits, t.name+": "+print(t.text))
		}
	}
	return traits
}

func groupingSets(sets []GroupingSet) string {
	var texts []string
	for _, set := range sets {
		for _, keys := range append(set.GroupKeys, set.HashKeys...) {
			texts = append(texts, "("+strings.Join(keys, ", ")+")")
		}
	}
	return strings.Join(texts, ", ")
}

// subplanName is the name without what only one version says: up to 16 it ends
// with the parameters that the plan returns.
func subplanName(name string) string {
	before, _, _ := strings.Cut(name, " (returns ")
	return before
}

// constant matches what two executions of one query may differ in: texts with
// their casts, numbers, truth values, NULL, and the parameters that stand for
// them, $1 or, from 17, (InitPlan 1).col1. A quoted name and that of a subplan match too,
// so that nothing is found inside of them.
var constant = regexp.MustCompile(`"(?:[^"]|"")*"|` +
	`SubPlan \d+|` +
	`(?:E?'(?:[^']|'')*'|\$\d+|\(InitPlan \d+\)\.col\d+|\b(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|true|false|NULL)\b)(?:` + cast + `)*`)

// cast is a type's name behind ::, as Postgres prints it.
const cast = `::(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*)(?:\.(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*))?` +
	`(?: varying| precision)?(?:\(\d+(?:,-?\d+)?\))?(?: with(?:out)? time zone)?(?:\[\])*`

// foldConstants puts ? for each constant of a condition. IS NULL and its kin are
// no constants.
func foldConstants(condition string) string {
	matches := constant.FindAllStringIndex(condition, -1)
	var b strings.Builder
	end := 0
	for _, m := range matches {
		text := condition[m[0]:m[1]]
		isTest := strings.HasSuffix(condition[:m[0]], "IS ") || strings.HasSuffix(condition[:m[0]], "IS NOT ")
		if text[0] == '"' || text[0] == 'S' || isTest {
			continue
		}
		b.WriteString(condition[end:m[0]] + "?")
		end = m[1]
	}
	return b.String() + condition[end:]
}

// Title names the node as EXPLAIN's text does: "Index Scan using ix on
// incidents i", "Parallel Hash Left Join", "Partial HashAggregate".
func (n *PlanNode) Title() string {
	title := n.kind()
	if n.Direction == "Backward" {
		title += " Backward"
	}
	switch {
	case n.Index != "" && n.Relation == "":
		title += " on " + n.Index // a bitmap of the index alone
	case n.Index != "":
		title += " using " + n.Index
	}
	read := n.Relation
	if read == "" {
		read = n.Source
	}
	if read != "" {
		title += " on " + read
	}
	if n.Alias != "" && n.Alias != read {
		if read == "" {
			title += " on"
		}
		title += " " + n.Alias
	}
	return title
}

// kind is the type of a node with its strategy and its part in a parallel plan.
func (n *PlanNode) kind() string {
	kind := n.Type
	switch n.Type {
	case "Aggregate":
		kind = map[string]string{"Sorted": "GroupAggregate", "Hashed": "HashAggregate", "Mixed": "MixedAggregate"}[n.Strategy]
		if kind == "" {
			kind = n.Type
		}
	case "SetOp":
		if n.Strategy == "Hashed" {
			kind = "HashSetOp"
		}
		if n.Command != "" {
			kind += " " + n.Command
		}
	case "ModifyTable":
		if n.Operation != "" {
			kind = n.Operation
		}
	}
	if n.JoinType != "" && n.JoinType != "Inner" {
		kind = strings.TrimSuffix(kind, " Join") + " " + n.JoinType + " Join"
	}
	if n.PartialMode == "Partial" || n.PartialMode == "Finalize" {
		kind = n.PartialMode + " " + kind
	}
	if n.ParallelAware {
		kind = "Parallel " + kind
	}
	return kind
}

// All returns the node and those below it, parents first.
func (n *PlanNode) All() []*PlanNode {
	all := []*PlanNode{n}
	for _, child := range n.Children {
		all = append(all, child.All()...)
	}
	return all
}
