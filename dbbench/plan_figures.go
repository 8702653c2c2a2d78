package dbbench

import "math"

// Figures are what a plan says of its execution beside the time, each over all
// nodes and loops.
type Figures struct {
	Blocks          float64 `json:"blocks"`       // touched: shared and local, hit and read
	TempBlocks      float64 `json:"temp_blocks"`  // read and written
	RowsRead        float64 `json:"rows_read"`    // that scans returned or threw away
	RowsRemoved     float64 `json:"rows_removed"` // by filters, joins and rechecks
	QError          float64 `json:"q_error"`      // the worst estimate, at least 1; 0 where nothing ran
	HeapFetches     float64 `json:"heap_fetches"` // by index-only scans
	Spills          float64 `json:"spills"`       // nodes that wrote to disk what did not fit into work_mem
	WorkersPlanned  float64 `json:"workers_planned"`
	WorkersLaunched float64 `json:"workers_launched"`
	JITTime         float64 `json:"jit_time"` // seconds
	WALBytes        float64 `json:"wal_bytes"`
}

// Figures sums a plan up.
func (p *Plan) Figures() Figures {
	f := Figures{
		Blocks: p.Root.Blocks, TempBlocks: p.Root.TempBlocks, RowsRemoved: p.RowsRemoved(),
		QError: p.QError(), WALBytes: p.Root.Buffers.WALBytes,
	}
	if p.JIT != nil {
		f.JITTime = p.JIT.Timing.Total / 1e3
	}
	for _, n := range p.Root.All() {
		f.HeapFetches += n.HeapFetches
		if !n.Analyzed || n.Loops > 0 { // a Gather that never ran has lacked no worker
			f.WorkersPlanned += n.WorkersPlanned
			f.WorkersLaunched += n.WorkersLaunched
		}
		if n.Spilled() {
			f.Spills++
		}
		if n.isAccess() {
			f.RowsRead += math.Round((n.ActualRows + n.RowsRemoved) * n.Loops) // averages are rounded
		}
	}
	return f
}

// Spilled tells whether the node wrote to disk what did not fit into memory: a
// sort, a hash in several batches, an aggregate, or a store of rows.
func (n *PlanNode) Spilled() bool {
	spilled := n.SortSpaceType == "Disk" || n.HashBatches > 1 || n.DiskUsage > 0 || n.Storage == "Disk" || groupsOnDisk(n.FullSortGroups, n.PresortedGroups)
	for _, w := range n.Workers {
		spilled = spilled || w.SortSpaceType == "Disk" || w.DiskUsage > 0 || groupsOnDisk(w.FullSortGroups, w.PresortedGroups)
	}
	return spilled
}

func groupsOnDisk(groups ...*SortGroup) bool {
	for _, g := range groups {
		if g != nil && g.Disk != nil {
			return true
		}
	}
	return false
}

// RowsRemoved returns how many rows filters have discarded, over all loops.
func (p *Plan) RowsRemoved() float64 {
	total := 0.0
	for _, n := range p.Root.All() {
		total += n.RowsRemoved * max(n.Loops, 1)
	}
	return total
}

// QError returns the worst estimate of all nodes that ran: how many times more,
// or fewer, rows came than were planned (Moerkotte et al. 2009). 1 is exact;
// fewer than one row counts as one. It is 0 where the plan was not executed.
func (p *Plan) QError() float64 {
	_, ratio := p.WorstEstimate()
	if ratio == 0 {
		return 0
	}
	return max(ratio, 1/ratio)
}

// WorstEstimate returns the node whose rows were estimated worst, and how many
// times as many came as were planned: 10 is ten times too low, 0.1 ten times
// too high. Without a node that ran it returns nil and 0.
func (p *Plan) WorstEstimate() (worst *PlanNode, ratio float64) {
	p.Root.estimates(proof{}, func(n *PlanNode, r float64) {
		if worst == nil || math.Abs(math.Log(r)) > math.Abs(math.Log(ratio)) {
			worst, ratio = n, r
		}
	})
	return worst, ratio
}

// Estimate returns how many times as many rows came a loop as were planned,
// fewer than one counting as one. It is 0 where the node did not run.
func (n *PlanNode) Estimate() float64 {
	if !n.Analyzed || n.Loops == 0 {
		return 0
	}
	switch n.Type {
	case "BitmapAnd", "BitmapOr": // they count no rows
		return 0
	case "ModifyTable": // it counts what it returns; up to 13 what it writes is planned
		return 0
	}
	return max(n.ActualRows, 1) / max(n.PlanRows, 1)
}

// A proof says what the rows of a node can't prove of its estimate.
type proof struct {
	cut   bool // a parent may stop asking for rows: not that too many were planned
	again bool // a parent may go back and ask for rows again: not that too few were
}

// estimates visits each node that ran with the ratio of its rows. Those that prove
// nothing are left out.
func (n *PlanNode) estimates(p proof, visit func(*PlanNode, float64)) {
	if ratio := n.Estimate(); ratio > 0 && (ratio >= 1 || !p.cut) && (ratio <= 1 || !p.again) {
		visit(n, ratio)
	}
	for i, child := range n.Children {
		child.estimates(proof{n.cuts(i, p.cut), n.repeats(i, p.again)}, visit)
	}
}

// repeats tells whether the node may ask for rows of a child again in the same loop,
// as a merge join does for each outer row of the same key. Each time they are counted.
// But for a Result, what can go back keeps its rows.
func (n *PlanNode) repeats(child int, again bool) bool {
	return n.Type == "Merge Join" && n.Children[child].Relationship == "Inner" || n.Type == "Result" && again
}

// cuts tells whether the node may stop before it has all rows of a child.
func (n *PlanNode) cuts(child int, cut bool) bool {
	relationship := n.Children[child].Relationship
	if relationship == "SubPlan" || relationship == "InitPlan" {
		return true // EXISTS takes one row, and the plan does not say whether it is one
	}
	inner := relationship == "Inner"
	switch n.Type {
	case "Limit", "Merge Join":
		return true
	case "Nested Loop":
		// One match is enough for the inner side of these.
		return cut || inner && (n.InnerUnique || n.JoinType == "Semi" || n.JoinType == "Anti")
	case "Hash Join":
		return cut && !inner
	case "Sort", "Hash", "HashSetOp":
		return false // they take all rows before they give one
	case "Aggregate":
		return cut && n.Strategy == "Sorted"
	}
	return cut
}
