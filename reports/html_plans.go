package reports

import (
	"fmt"
	"strings"

	"scaleproof/dbbench"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// A planPair is one query's plan before beside that after.
type planPair struct {
	Name, SQL     string
	Before, After *planView
	// Changes say in words how the plan changed; SameResult tells whether the
	// rows did not.
	Changes    []string
	SameResult string
}

// A planView is a plan as a list of lines, each indented by its depth.
type planView struct {
	Error string
	Facts string
	Nodes []nodeView
}

// A nodeView is one line of a plan.
type nodeView struct {
	Indent    int // ems
	Title     string
	Condition string
	Rows      string
	Share     float64 // of the execution time, its children's left out, in percent
	Warn      string
}

func planPairs(r *Report) ([]planPair, error) {
	before, err := cases(r.Before)
	if err != nil {
		return nil, err
	}
	after, err := cases(r.After)
	if err != nil {
		return nil, err
	}
	var pairs []planPair
	for _, b := range before {
		pair := planPair{Name: b.Name, SQL: b.SQL, Before: viewCase(b)}
		for _, a := range after {
			if a.Name != b.Name {
				continue
			}
			pair.After = viewCase(a)
			if b.Plan != nil && a.Plan != nil {
				pair.Changes = dbbench.DiffPlans(b.Plan, a.Plan)
			}
			switch {
			case a.ResultHash == "" || b.ResultHash == "":
			case a.ResultHash == b.ResultHash:
				pair.SameResult = "the result is the same"
			default:
				pair.SameResult = "the result differs"
			}
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

func cases(s *snapshot.Snapshot) ([]dbbench.CaseResult, error) {
	if s == nil {
		return nil, nil
	}
	var result dbbench.Result
	if _, err := s.Section("db", &result); err != nil {
		return nil, err
	}
	return result.Cases, nil
}

func viewCase(c dbbench.CaseResult) *planView {
	if c.Error != "" {
		return &planView{Error: c.Error}
	}
	if c.Plan == nil || c.Plan.Root == nil {
		return nil
	}
	v := &planView{Facts: strings.Join([]string{
		unit.Format(c.Rows, unit.Count) + " rows",
		unit.Format(c.Blocks, unit.Count) + " blocks touched",
		unit.Format(c.RowsRemoved, unit.Count) + " rows removed by filters",
		"worst estimate " + unit.Format(c.QError, unit.Count) + " times off",
	}, " · ")}
	v.add(c.Plan.Root, 0, max(c.Plan.Root.TotalTime*max(c.Plan.Root.Loops, 1), 1e-9))
	return v
}

// worthWarning is from which estimate error on a node is marked.
const worthWarning = 10

func (v *planView) add(n *dbbench.PlanNode, depth int, total float64) {
	own := n.TotalTime * max(n.Loops, 1)
	for _, child := range n.Children {
		own -= child.TotalTime * max(child.Loops, 1)
	}
	view := nodeView{
		Indent: depth, Title: n.Title(), Condition: n.Condition, Share: min(max(100*own/total, 0), 100),
		Rows: unit.Format(n.ActualRows*max(n.Loops, 1), unit.Count) + " rows",
	}
	switch ratio := n.Estimate(); {
	case ratio >= worthWarning:
		view.Warn = fmt.Sprintf("%s times more rows than planned", unit.Format(ratio, unit.Count))
	case ratio > 0 && ratio <= 1.0/worthWarning:
		view.Warn = fmt.Sprintf("%s times fewer rows than planned", unit.Format(1/ratio, unit.Count))
	}
	v.Nodes = append(v.Nodes, view)
	for _, child := range n.Children {
		v.add(child, depth+1, total)
	}
}
