package dbbench

import (
	"math"
	"testing"
)

func TestOwnTimes(t *testing.T) {
	scan := &PlanNode{Type: "Seq Scan", TotalTime: 8, Loops: 3}
	gather := &PlanNode{Type: "Gather", TotalTime: 10, Loops: 1, Details: Details{}, Children: []*PlanNode{scan}}
	gather.WorkersLaunched = 2
	lookup := &PlanNode{Type: "Index Scan", TotalTime: 0.01, Loops: 100}
	loop := &PlanNode{Type: "Nested Loop", TotalTime: 12, Loops: 1, Children: []*PlanNode{gather, lookup}}
	own := (&Plan{Root: loop}).OwnTimes()
	for n, want := range map[*PlanNode]float64{scan: 8, gather: 2, lookup: 1, loop: 1} {
		if math.Abs(own[n]-want) > 1e-9 {
			t.Errorf("%s: %v ms, want %v", n.Type, own[n], want)
		}
	}
	computed := &PlanNode{Type: "Aggregate", Relationship: "InitPlan", SubplanName: "CTE top", TotalTime: 5, Loops: 1}
	reader := &PlanNode{Type: "CTE Scan", Source: "top", TotalTime: 6, Loops: 1}
	root := &PlanNode{Type: "Sort", TotalTime: 7, Loops: 1, Children: []*PlanNode{computed, reader}}
	own = (&Plan{Root: root}).OwnTimes()
	for n, want := range map[*PlanNode]float64{computed: 5, reader: 1, root: 1} {
		if own[n] != want {
			t.Errorf("%s: %v ms, want %v", n.Type, own[n], want)
		}
	}
}

// The shares of a real plan make up its time: no node takes less than nothing, and
// together they take no more than the whole did, but for rounding and for workers
// that did not end together.
func TestOwnTimesOfStoredPlans(t *testing.T) {
	for _, path := range storedPlanFiles(t) {
		for _, stored := range readPlans(t, path) {
			plan, err := DecodePlan(stored.Plan)
			if err != nil {
				t.Fatal(err)
			}
			var sum float64
			for n, own := range plan.OwnTimes() {
				if own < 0 || math.IsNaN(own) {
					t.Errorf("%s of %s: %s took %v ms", stored.Name, path, n.Title(), own)
				}
				sum += own
			}
			if whole := plan.Root.TotalTime * plan.Root.Loops; sum > 1.5*whole+0.5 {
				t.Errorf("%s of %s: the nodes took %v ms of %v", stored.Name, path, sum, whole)
			}
		}
	}
}
