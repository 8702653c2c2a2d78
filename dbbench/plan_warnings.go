package dbbench

import (
	"fmt"

	"scaleproof/internal/unit"
)

// The bounds beyond which a plan is warned of.
const (
	manyTimesOff  = 10   // rows beside those planned
	mostlyRemoved = 0.9  // the share of the rows read that filters threw away
	manyRead      = 1000 // rows: fewer cost nothing
	muchOfTime    = 0.2  // the share of the time that is JIT
)

// Warnings says what in the plan is likely to cost time, and at which node.
func (p *Plan) Warnings() []string {
	var warnings []string
	say := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if !p.Root.Analyzed {
		say("the plan was not executed: without ANALYZE there are no actual rows, and no q-error")
	}
	if worst, ratio := p.WorstEstimate(); worst != nil {
		switch {
		case ratio >= manyTimesOff:
			say("%s gave %s times more rows than planned: ANALYZE, or extended statistics, would help the planner", worst.Title(), unit.Format(ratio, unit.Count))
		case ratio <= 1./manyTimesOff:
			say("%s gave %s times fewer rows than planned: ANALYZE, or extended statistics, would help the planner", worst.Title(), unit.Format(1/ratio, unit.Count))
		}
	}
	for _, n := range p.Root.All() {
		n.warn(say)
	}
	f := p.Figures()
	if f.WorkersLaunched < f.WorkersPlanned {
		say("only %.0f of %.0f parallel workers were launched: max_parallel_workers was used up", f.WorkersLaunched, f.WorkersPlanned)
	}
	if p.ExecutionTime > 0 && f.JITTime*1e3 > muchOfTime*p.ExecutionTime {
		say("JIT took %s of the time: raise jit_above_cost", unit.Format(f.JITTime*1e3/p.ExecutionTime, unit.Ratio))
	}
	return warnings
}

// NodeWarnings says what is likely to cost time at each node, an estimate that is
// far off included.
func (p *Plan) NodeWarnings() map[*PlanNode][]string {
	warnings := map[*PlanNode][]string{}
	p.Root.estimates(proof{}, func(n *PlanNode, ratio float64) {
		if off(ratio) >= farOff {
			warnings[n] = append(warnings[n], "rows estimated "+estimateWords(ratio))
		}
	})
	for _, n := range p.Root.All() {
		n.warn(func(format string, args ...any) { warnings[n] = append(warnings[n], fmt.Sprintf(format, args...)) })
	}
	return warnings
}

func (n *PlanNode) warn(say func(string, ...any)) {
	removed := n.RowsRemoved * max(n.Loops, 1)
	read := removed + n.ActualRows*max(n.Loops, 1)
	if n.isAccess() && read >= manyRead && removed > mostlyRemoved*read {
		say("%s read %s rows and threw %s of them away: an index on the condition would not", n.Title(), unit.Format(read, unit.Count), unit.Format(removed/read, unit.Ratio))
	}
	if n.Spilled() {
		say("%s spilled to disk: it needs more work_mem", n.Title())
	}
	if n.HeapFetches > manyRead {
		say("%s went to the table for %s rows: VACUUM would spare that", n.Title(), unit.Format(n.HeapFetches, unit.Count))
	}
}
