package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"scaleproof/dbbench"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// A planPair is one query before beside after.
type planPair struct {
	Name, SQL string
	Args      string
	Where     string // it ran; empty where all have one node
	// Steps are what was asked of the query, from the surest to the least sure.
	Steps         []caseStep
	Before, After *planView
	// Generic are the plans for any arguments, where one of them has another
	// shape than that for these.
	GenericBefore, GenericAfter *planView
}

// Told are the steps that nothing else on the page tells, and Figures those that are
// rows of what changed.
func (p planPair) Told() []caseStep {
	return slices.DeleteFunc(slices.Clone(p.Steps), caseStep.isFigure)
}

// Figures are the others, as far as they were measured.
func (p planPair) Figures() []caseStep {
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s caseStep) bool { return !s.isFigure() || s.Words == notMeasured })
}

func (s caseStep) isFigure() bool {
	return slices.ContainsFunc(caseMetrics(), func(m struct{ question, metric string }) bool { return m.question == s.Question })
}

// HasGeneric tells whether there are generic plans to show.
func (p planPair) HasGeneric() bool { return p.GenericBefore != nil || p.GenericAfter != nil }

// A planView is a plan as a tree.
type planView struct {
	Error string // of the trials that failed
	Facts string
	Root  *nodeView
	Notes []string // of the plan as a whole
}

// A nodeView is one node of a plan.
type nodeView struct {
	Title      string
	Conditions []string
	Rows       string  // how many came, beside how many were planned
	Time       string  // by itself
	Share      float64 // of the execution time, its children's left out, in percent
	Details    string
	Warnings   []string
	// Changed says that the other plan has no such node. Open says that it or
	// one below it is worth a look.
	Changed, Open bool
	Children      []*nodeView
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
	ways := map[string]string{}
	if q := (queries{before, after}); q.onSeveralNodes() {
		for _, p := range q.placedCases() {
			ways[p.name] = p.way()
		}
	}
	for i, b := range before {
		pair := planPair{Name: b.Name, SQL: b.SQL, Args: strings.Join(b.Args, ", "), Where: ways[b.Name]}
		j := slices.IndexFunc(after, func(a dbbench.CaseResult) bool { return a.Name == b.Name })
		if j < 0 {
			pair.Before = viewPlan(b.Error, b.Rows, &b.PlanResult, nil)
			pairs = append(pairs, pair)
			continue
		}
		a := after[j]
		pair.Steps = caseSteps(&r.Comparison, &before[i], &a)
		pair.Before, pair.After = viewPlan(b.Error, b.Rows, &b.PlanResult, a.Plan), viewPlan(a.Error, a.Rows, &a.PlanResult, b.Plan)
		if isOther(b) || isOther(a) {
			pair.GenericBefore, pair.GenericAfter = viewGeneric(b, a.Generic), viewGeneric(a, b.Generic)
		}
		pairs = append(pairs, pair)
	}
	return pairs, nil
}

// isOther tells whether a query's generic plan has another shape than that for its
// arguments.
func isOther(c dbbench.CaseResult) bool {
	return c.Generic != nil && c.Generic.Fingerprint != c.Fingerprint
}

func viewGeneric(c dbbench.CaseResult, other *dbbench.PlanResult) *planView {
	if c.Generic == nil {
		return nil
	}
	var beside *dbbench.Plan
	if other != nil {
		beside = other.Plan
	}
	return viewPlan(c.Error, c.Rows, c.Generic, beside)
}

func cases(s *snapshot.Snapshot) ([]dbbench.CaseResult, error) {
	if s == nil {
		return nil, nil
	}
	var result dbbench.Result
	if _, err := s.Section("db", &result); err != nil {
		return nil, err
	}
	for i := range result.Cases {
		result.Cases[i].Node = cmp.Or(result.Cases[i].Node, result.Node)
	}
	return result.Cases, nil
}

// viewPlan shows a plan, and marks what other, which may be nil, does not have.
func viewPlan(fault string, rows float64, p *dbbench.PlanResult, other *dbbench.Plan) *planView {
	if p.Plan == nil || p.Plan.Root == nil {
		if fault == "" {
			return nil
		}
		return &planView{Error: fault}
	}
	facts := []string{
		unit.Format(rows, unit.Count) + " rows",
		unit.Format(p.Blocks, unit.Count) + " blocks touched",
		unit.Format(p.RowsRemoved, unit.Count) + " rows removed by filters",
		"worst estimate " + unit.Format(p.QError, unit.Count) + " times off",
	}
	if len(p.ServerTime) > 0 {
		facts = append([]string{unit.Format(stats.Median(p.ServerTime), unit.Seconds)}, facts...)
	}
	v := treeView{own: p.Plan.OwnTimes(), warnings: p.Plan.NodeWarnings(), small: len(p.Plan.Root.All()) <= smallPlan}
	if other != nil {
		v.known = map[string]bool{}
		for _, n := range other.Root.All() {
			v.known[line(n)] = true
		}
	}
	for _, own := range v.own {
		v.total += own
	}
	return &planView{Error: fault, Facts: strings.Join(facts, " · "), Root: v.node(p.Plan.Root), Notes: planNotes(p)}
}

// planNotes says what is of the plan and not of a node.
func planNotes(p *dbbench.PlanResult) []string {
	var notes []string
	if n := len(p.Shapes()); n > 1 {
		notes = append(notes, fmt.Sprintf("the runs had %d shapes of plan, of which this is the last", n))
	}
	if p.LackedWorkers > 0 {
		notes = append(notes, fmt.Sprintf("%d runs lacked parallel workers, and are left out of the time", p.LackedWorkers))
	}
	if p.JITTime > 0 {
		notes = append(notes, fmt.Sprintf("JIT took %s", unit.Format(p.JITTime, unit.Seconds)))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Plan.Settings)) {
		notes = append(notes, fmt.Sprintf("with %s = %s", name, p.Plan.Settings[name]))
	}
	return notes
}

// A sidedPlan names the side that a plan is of, for the template.
type sidedPlan struct {
	Side string
	Plan *planView
}

func sideOf(side string, p *planView) sidedPlan { return sidedPlan{side, p} }

// smallPlan is up to how many nodes a plan is shown in full at once, and
// worthLook from which share of the time on a node of a larger one is.
const (
	smallPlan = 12
	worthLook = 1.0 // percent
)

// A treeView makes the view of one plan.
type treeView struct {
	own      map[*dbbench.PlanNode]float64
	warnings map[*dbbench.PlanNode][]string
	known    map[string]bool // the lines of the other plan; nil where there is none
	total    float64
	small    bool
}

// line is a node's shape without those below it.
func line(n *dbbench.PlanNode) string {
	first, _, _ := strings.Cut(n.Shape(), "\n")
	return first
}

func (v treeView) node(n *dbbench.PlanNode) *nodeView {
	view := &nodeView{
		Title: n.Title(), Conditions: n.Traits(), Rows: rowsText(n), Time: unit.Format(v.own[n]/1e3, unit.Seconds),
		Details: nodeDetails(n), Changed: v.known != nil && !v.known[line(n)],
	}
	for _, warning := range v.warnings[n] {
		view.Warnings = append(view.Warnings, strings.TrimPrefix(warning, n.Title()+" "))
	}
	if n.SubplanName != "" {
		view.Title = n.SubplanName + ": " + view.Title
	}
	if v.total > 0 {
		view.Share = min(100*v.own[n]/v.total, 100)
	}
	view.Open = v.small || view.Share >= worthLook || len(view.Warnings) > 0 || view.Changed
	for _, child := range n.Children {
		below := v.node(child)
		view.Open = view.Open || below.Open
		view.Children = append(view.Children, below)
	}
	return view
}

// rowsText says how many rows came, and how many were planned, over all loops.
func rowsText(n *dbbench.PlanNode) string {
	switch {
	case !n.Analyzed:
		return unit.Format(n.PlanRows, unit.Count) + " rows planned"
	case n.Loops == 0:
		return "never run"
	}
	text := fmt.Sprintf("%s rows, %s planned", unit.Format(n.ActualRows*n.Loops, unit.Count), unit.Format(n.PlanRows*n.Loops, unit.Count))
	if n.Loops > 1 {
		text += fmt.Sprintf(", in %s loops", unit.Format(n.Loops, unit.Count))
	}
	return text
}

// nodeDetails lists what only some nodes have.
func nodeDetails(n *dbbench.PlanNode) string {
	var parts []string
	add := func(value float64, text string) {
		if value > 0 {
			parts = append(parts, unit.Format(value, unit.Count)+" "+text)
		}
	}
	kib := func(value float64, what string) {
		if value > 0 {
			parts = append(parts, unit.Format(value*1024, unit.Bytes)+" "+what)
		}
	}
	add(n.Blocks, "blocks with what is below")
	add(n.RowsRemoved*max(n.Loops, 1), "rows thrown away")
	add(n.TempBlocks, "temporary blocks")
	add(n.HeapFetches, "heap fetches")
	if n.SortMethod != "" {
		parts = append(parts, n.SortMethod)
	}
	kib(n.SortSpace, "of sort space in "+strings.ToLower(n.SortSpaceType))
	kib(n.PeakMemory, "of memory at most")
	kib(n.DiskUsage, "on disk")
	if n.HashBatches > 1 {
		add(n.HashBatches, "batches")
	}
	if n.WorkersPlanned > 0 {
		parts = append(parts, fmt.Sprintf("%.0f of %.0f workers launched", n.WorkersLaunched, n.WorkersPlanned))
	}
	return strings.Join(parts, " · ")
}
