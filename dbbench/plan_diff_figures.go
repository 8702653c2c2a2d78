package dbbench

import (
	"strconv"
)

// farOff is from which factor an estimate is worth a word, and moved from which
// change of it.
const (
	farOff = 10
	moved  = 2
)

// ratios returns the estimate of each node that ran and whose rows prove
// something.
func (n *PlanNode) ratios() map[*PlanNode]float64 {
	ratios := map[*PlanNode]float64{}
	n.estimates(proof{}, func(node *PlanNode, ratio float64) { ratios[node] = ratio })
	return ratios
}

// estimates says where rows are estimated far better or worse than before.
func (d *planDiff) estimates(was, is map[*PlanNode]float64) {
	for _, pair := range d.pairs {
		before, after := was[pair.before], is[pair.after]
		change := max(before, after) / min(before, after)
		switch {
		case before == 0 || after == 0 || change < moved:
		case off(after) >= farOff:
			d.say("%s: rows estimated %s, before %s", pair.after.words(), estimateWords(after), estimateWords(before))
		case off(before) >= farOff:
			d.say("%s: rows estimated well, before %s", pair.after.words(), estimateWords(before))
		}
	}
}

func off(ratio float64) float64 { return max(ratio, 1/ratio) }

func estimateWords(ratio float64) string {
	switch {
	case off(ratio) < moved:
		return "well"
	case ratio > 1:
		return short(ratio) + " times too low"
	}
	return short(1/ratio) + " times too high"
}

// short prints a number with three digits.
func short(x float64) string {
	if x >= 100 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 3, 64)
}

// figures says what changed of the execution beside the shape: spills, workers,
// the compiler, and rows that an index-only scan had to look up.
func (d *planDiff) figures(before, after *Plan) {
	was, is := before.Figures(), after.Figures()
	if !before.Root.Analyzed || !after.Root.Analyzed {
		return
	}
	switch {
	case is.Spills > 0 && was.Spills == 0:
		for _, n := range after.Root.All() {
			if n.Spilled() {
				d.say("%s spills to disk", n.Title())
			}
		}
	case is.Spills == 0 && was.Spills > 0:
		d.say("nothing spills to disk any more")
	}
	if is.WorkersPlanned != was.WorkersPlanned {
		d.say("%s workers planned, before %s", short(is.WorkersPlanned), short(was.WorkersPlanned))
	}
	if is.WorkersLaunched < is.WorkersPlanned {
		d.say("only %s of %s workers planned were launched, so that its time does not count", short(is.WorkersLaunched), short(is.WorkersPlanned))
	}
	switch {
	case before.JIT == nil && after.JIT != nil:
		d.say("JIT compiles the query, in %s ms", short(after.JIT.Timing.Total))
	case before.JIT != nil && after.JIT == nil:
		d.say("JIT does not compile the query any more")
	}
	if off := max(was.HeapFetches, 1); is.HeapFetches >= 100 && is.HeapFetches/off >= farOff {
		d.say("index-only scans looked up %s rows in their tables, before %s: VACUUM lets them do without", short(is.HeapFetches), short(was.HeapFetches))
	}
}
