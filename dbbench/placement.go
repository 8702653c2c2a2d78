package dbbench

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"scaleproof/internal/invalid"
)

// A Moment is when a suite is measured.
type Moment string

// The moments.
const (
	BeforeAction Moment = "before" // or without any action
	AfterAction  Moment = "after"  // while what the action did stands
)

// A Placement names the node that a query runs on: one, or where it goes before an
// action and where after it, as those of organisations do that move to another
// shard. Its YAML form is a name, or {before: NAME, after: NAME}. The zero value is
// the node that queries run on which name none.
type Placement struct {
	Before string `yaml:"before"`
	After  string `yaml:"after"`
}

// On is the placement of queries that stay on one node.
func On(node string) Placement { return Placement{node, node} }

// At returns the name of the node at a moment.
func (p Placement) At(m Moment) string {
	if m == AfterAction {
		return p.After
	}
	return p.Before
}

// Moves reports whether the queries go elsewhere after an action than before.
func (p Placement) Moves() bool { return p.Before != p.After }

// String names the node, or both.
func (p Placement) String() string {
	if p.Moves() {
		return p.Before + " before and " + p.After + " after"
	}
	return p.Before
}

// UnmarshalYAML decodes a name, or the names of both moments.
func (p *Placement) UnmarshalYAML(node ast.Node) error {
	if _, ok := node.(*ast.MappingNode); ok {
		type fields Placement // without this method
		return yaml.NodeToValue(node, (*fields)(p), yaml.Strict())
	}
	err := yaml.NodeToValue(node, &p.Before)
	p.After = p.Before
	return err
}

// MarshalJSON writes what UnmarshalYAML reads.
func (p Placement) MarshalJSON() ([]byte, error) {
	if !p.Moves() {
		return json.Marshal(p.Before)
	}
	return json.Marshal(map[Moment]string{BeforeAction: p.Before, AfterAction: p.After})
}

// validate returns the fault of a placement, or nil.
func (p Placement) validate() error {
	if (p.Before == "") != (p.After == "") {
		return invalid.Field("", "names a node for one moment alone: name both, before and after")
	}
	return nil
}

// A NamedNode is where a configuration names a node.
type NamedNode struct {
	Field string // of the configuration, such as queries[0].node.after
	Query string // of a suite's file, whose fields the configuration lacks; else empty
	Node  string
}

// NamedNodes lists the nodes that the configuration names, without those that queries
// run on unnamed. It reads the suite; one that can't be read names none.
func (c Config) NamedNodes() []NamedNode {
	named := namedNodes("node", "", c.Node)
	for i, q := range c.Queries {
		named = append(named, namedNodes(fmt.Sprintf("queries[%d].node", i), "", q.Node)...)
	}
	if c.Suite == "" {
		return named
	}
	suite, err := LoadSuite(c.Suite)
	if err != nil {
		return named // AllQueries tells
	}
	for _, q := range suite {
		named = append(named, namedNodes("suite", q.Name, q.Node)...)
	}
	return named
}

func namedNodes(field, query string, p Placement) (named []NamedNode) {
	if !p.Moves() && p.Before != "" {
		return []NamedNode{{field, query, p.Before}}
	}
	for _, m := range []Moment{BeforeAction, AfterAction} {
		at := field
		if query == "" {
			at += "." + string(m)
		}
		if node := p.At(m); node != "" { // one moment alone is validate's
			named = append(named, NamedNode{at, query, node})
		}
	}
	return named
}

// checkLoad refuses a load of queries that are not all placed alike: its clients have
// one node.
func (c Config) checkLoad(queries []Query) error {
	for _, q := range queries {
		if c.Load != nil && q.Node != queries[0].Node {
			return invalid.Field("load", "its clients have one node, and the query %s is on %s, %s on %s: place all alike, or leave the load to a plan of its own",
				queries[0].Name, placeText(queries[0].Node), q.Name, placeText(q.Node))
		}
	}
	return nil
}

func placeText(p Placement) string {
	if p == (Placement{}) {
		return "the primary"
	}
	return p.String()
}

// placed returns the queries with the configuration's node where they name none.
func (c Config) placed(queries []Query) []Query {
	queries = slices.Clone(queries)
	for i := range queries {
		if queries[i].Node == (Placement{}) {
			queries[i].Node = c.Node
		}
	}
	return queries
}
