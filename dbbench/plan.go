package dbbench

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// DecodePlan reads the output of EXPLAIN (FORMAT JSON): an array of one plan, as
// Postgres gives it, or the plan alone.
func DecodePlan(data []byte) (*Plan, error) {
	data = bytes.TrimSpace(data)
	var plans []json.RawMessage
	if len(data) > 0 && data[0] == '[' {
		if err := json.Unmarshal(data, &plans); err != nil {
			return nil, fmt.Errorf("decoding a plan: %w", err)
		}
		if len(plans) != 1 {
			return nil, fmt.Errorf("decoding a plan: there are %d, not one", len(plans))
		}
		data = plans[0]
	}
	var outer struct {
		Plan          map[string]any `json:"Plan"`
		PlanningTime  float64        `json:"Planning Time"`
		ExecutionTime float64        `json:"Execution Time"`
	}
	if err := json.Unmarshal(data, &outer); err != nil {
		return nil, fmt.Errorf("decoding a plan: %w", err)
	}
	if outer.Plan == nil {
		return nil, errors.New(`decoding a plan: it has no "Plan": was it made by EXPLAIN (FORMAT JSON)?`)
	}
	root, err := decodeNode(outer.Plan, 0)
	if err != nil {
		return nil, err
	}
	return &Plan{Root: root, PlanningTime: outer.PlanningTime, ExecutionTime: outer.ExecutionTime, Raw: data}, nil
}

// maxDepth bounds the recursion on hostile input; real plans are far shallower.
const maxDepth = 1000

func decodeNode(fields map[string]any, depth int) (*PlanNode, error) {
	if depth > maxDepth {
		return nil, errors.New("decoding a plan: it is nested too deeply")
	}
	n := &PlanNode{
		Type: text(fields, "Node Type"), Relation: text(fields, "Relation Name"), Index: text(fields, "Index Name"),
		JoinType: text(fields, "Join Type"), Condition: condition(fields),
		PlanRows: number(fields, "Plan Rows"), ActualRows: number(fields, "Actual Rows"), Loops: number(fields, "Actual Loops"),
		TotalTime:   number(fields, "Actual Total Time"),
		RowsRemoved: number(fields, "Rows Removed by Filter") + number(fields, "Rows Removed by Join Filter") + number(fields, "Rows Removed by Index Recheck"),
		TempBlocks:  number(fields, "Temp Read Blocks") + number(fields, "Temp Written Blocks"),
	}
	if n.Type == "" {
		return nil, errors.New(`decoding a plan: a node has no "Node Type"`)
	}
	_, n.Analyzed = fields["Actual Rows"]
	for _, kind := range []string{"Shared Hit", "Shared Read", "Local Hit", "Local Read"} {
		n.Blocks += number(fields, kind+" Blocks")
	}
	children, _ := fields["Plans"].([]any) // absent on leaves
	for _, child := range children {
		fields, ok := child.(map[string]any)
		if !ok {
			return nil, errors.New(`decoding a plan: an entry of "Plans" is no node`)
		}
		node, err := decodeNode(fields, depth+1)
		if err != nil {
			return nil, err
		}
		n.Children = append(n.Children, node)
	}
	return n, nil
}

func text(fields map[string]any, name string) string {
	value, _ := fields[name].(string) // absent is empty
	return value
}

func number(fields map[string]any, name string) float64 {
	value, _ := fields[name].(float64) // absent is zero
	return value
}

// condition joins the conditions of a node, in a fixed order.
func condition(fields map[string]any) string {
	var parts []string
	for _, name := range []string{"Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter"} {
		if value := text(fields, name); value != "" {
			parts = append(parts, value)
		}
	}
	return strings.Join(parts, " AND ")
}

// All returns the node and those below it, parents first.
func (n *PlanNode) All() []*PlanNode {
	all := []*PlanNode{n}
	for _, child := range n.Children {
		all = append(all, child.All()...)
	}
	return all
}

// constants are what two executions of one query may differ in: numbers, quoted
// texts with their casts, and parameters.
var constants = regexp.MustCompile(`'(?:[^']|'')*'(?:::[a-z_ ]+(?:\[\])?(?:\(\d+\))?)?|\$\d+|\b\d+(?:\.\d+)?\b`)

// Shape describes the node and those below it without anything that changes
// from one execution to the next: types, relations, indexes, joins, and
// conditions with their constants folded.
func (n *PlanNode) Shape() string {
	var b strings.Builder
	n.shape(&b, 0)
	return b.String()
}

func (n *PlanNode) shape(b *strings.Builder, depth int) {
	fmt.Fprintf(b, "%s%s", strings.Repeat("  ", depth), n.Title())
	if n.Condition != "" {
		fmt.Fprintf(b, " (%s)", constants.ReplaceAllString(n.Condition, "?"))
	}
	b.WriteByte('\n')
	for _, child := range n.Children {
		child.shape(b, depth+1)
	}
}

// Title names the node in a few words: "Index Scan on incidents using ix".
func (n *PlanNode) Title() string {
	title := n.Type
	if n.JoinType != "" && n.JoinType != "Inner" {
		title += " " + n.JoinType
	}
	if n.Relation != "" {
		title += " on " + n.Relation
	}
	if n.Index != "" {
		title += " using " + n.Index
	}
	return title
}

// Fingerprint identifies the shape of a plan: a SHA-256, its first 16 digits.
func (p *Plan) Fingerprint() string {
	sum := sha256.Sum256([]byte(p.Root.Shape()))
	return hex.EncodeToString(sum[:8])
}

// QError returns the worst estimate of all nodes that ran: how many times more,
// or fewer, rows came than were planned (Moerkotte et al. 2009). 1 is exact;
// fewer than one row counts as one. It is 0 where the plan was not executed.
func (p *Plan) QError() float64 {
	worst := 0.0
	for _, n := range p.Root.All() {
		if n.Analyzed && n.Loops > 0 {
			actual, planned := max(n.ActualRows, 1), max(n.PlanRows, 1)
			worst = max(worst, actual/planned, planned/actual)
		}
	}
	return worst
}

// RowsRemoved returns how many rows filters have discarded, over all loops.
func (p *Plan) RowsRemoved() float64 {
	total := 0.0
	for _, n := range p.Root.All() {
		total += n.RowsRemoved * max(n.Loops, 1)
	}
	return total
}

// DiffPlans says in words how the shape changed from one plan to another; none
// where it did not.
func DiffPlans(before, after *Plan) []string {
	if before.Fingerprint() == after.Fingerprint() {
		return nil
	}
	var differences []string
	was, is := before.Root.accesses(), after.Root.accesses()
	for _, relation := range slices.Sorted(keysOf(was, is)) {
		if a, b := strings.Join(was[relation], " and "), strings.Join(is[relation], " and "); a != b {
			differences = append(differences, fmt.Sprintf("%s became %s", orNothing(a), orNothing(b)))
		}
	}
	if len(differences) == 0 {
		differences = append(differences, "the same tables are read in the same way, in another order or by other joins or conditions")
	}
	return differences
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// keysOf iterates over the keys of both maps, each once.
func keysOf(a, b map[string][]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range a {
			if !yield(k) {
				return
			}
		}
		for k := range b {
			if _, both := a[k]; !both && !yield(k) {
				return
			}
		}
	}
}

// accesses returns how each relation is read, by its name.
func (n *PlanNode) accesses() map[string][]string {
	byRelation := map[string][]string{}
	for _, node := range n.All() {
		if node.Relation != "" {
			byRelation[node.Relation] = append(byRelation[node.Relation], node.Title())
		}
	}
	return byRelation
}
