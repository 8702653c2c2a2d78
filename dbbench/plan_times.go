package dbbench

import "strings"

// OwnTimes returns the milliseconds that each node took by itself, those below it
// left out, as far as a plan that timed its nodes tells. What parallel workers did
// at the same time counts once.
func (p *Plan) OwnTimes() map[*PlanNode]float64 {
	t := planTimes{elapsed: map[*PlanNode]float64{}, own: map[*PlanNode]float64{}, ctes: map[string]float64{}}
	t.measure(p.Root, 1)
	t.subtract(p.Root)
	return t.own
}

type planTimes struct {
	elapsed, own map[*PlanNode]float64
	ctes         map[string]float64 // that no scan of theirs has accounted for yet
}

// measure finds how long each node and all below it took. Below a Gather its loops
// are spread over so many processes.
func (t *planTimes) measure(n *PlanNode, processes float64) {
	t.elapsed[n] = n.TotalTime * n.Loops / processes
	if n.Type == "Gather" || n.Type == "Gather Merge" {
		processes = n.WorkersLaunched + 1
	}
	for _, child := range n.Children {
		if child.Relationship == "InitPlan" {
			t.measure(child, 1) // the leader alone runs it
			continue
		}
		t.measure(child, processes)
	}
	if name, ok := n.cte(); ok {
		t.ctes[name] = t.elapsed[n]
	}
}

// cte returns the name of the common table expression that the node computes.
func (n *PlanNode) cte() (string, bool) { return strings.CutPrefix(subplanName(n.SubplanName), "CTE ") }

// subtract takes from each node what its children took. A common table expression
// stands below the node that declares it, but runs for the scan that reads it.
func (t *planTimes) subtract(n *PlanNode) {
	own := t.elapsed[n]
	for _, child := range n.Children {
		t.subtract(child)
		if _, isCTE := child.cte(); !isCTE {
			own -= t.elapsed[child]
		}
	}
	if n.Type == "CTE Scan" {
		spent := min(t.ctes[n.Source], own)
		t.ctes[n.Source] -= spent
		own -= spent
	}
	t.own[n] = max(own, 0)
}
