package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

// A ChecklistItem is one line of the definition of done.
type ChecklistItem struct {
	ID       string    `json:"id"`
	Text     string    `json:"text"`
	State    ItemState `json:"state"`
	Known    Known     `json:"known,omitempty"`    // by what; empty: by nothing
	Evidence string    `json:"evidence,omitempty"` // what shows it
	// Signer is who has to sign, where a plan asks for that.
	Signer string `json:"signer,omitempty"`
}

// ItemState is where an item stands.
type ItemState string

// The states.
const (
	ItemDone    ItemState = "done"
	ItemFailed  ItemState = "failed"
	ItemUnknown ItemState = "unknown"
)

// Known says by what an item's state is known.
type Known string

// The ways to know.
const (
	Measured  Known = "measured"
	Commanded Known = "commanded" // a command, a query or a page answered
	Signed    Known = "signed"
)

// StandardChecklist is the definition of done of a scaling change. What a plan
// says under the same ids takes the place of these.
func StandardChecklist() []ChecklistItem {
	return []ChecklistItem{
		{ID: "objectives", Text: "Scaling objectives met"},
		{ID: "performance", Text: "Performance metrics improved"},
		{ID: "utilisation", Text: "Resource utilisation within bounds"},
		{ID: "monitoring", Text: "Monitoring and alerting updated"},
		{ID: "load-test", Text: "Load testing completed"},
		{ID: "rollback", Text: "Rollback procedures tested"},
		{ID: "documentation", Text: "Documentation updated"},
		{ID: "team", Text: "Team notified of changes"},
	}
}

// IsStandardItem reports whether the standard checklist has an item of that id.
func IsStandardItem(id string) bool {
	return slices.ContainsFunc(StandardChecklist(), func(i ChecklistItem) bool { return i.ID == id })
}

// MeasureItem sets what a report itself shows of an item of the standard
// checklist. It leaves alone what no measurement can show.
func (r *Report) MeasureItem(item *ChecklistItem) error {
	item.State, item.Evidence = ItemUnknown, "no evidence was given"
	var state ItemState
	var evidence string
	var err error
	switch item.ID {
	case "objectives":
		state, evidence = r.objectivesDone()
	case "performance":
		state, evidence = r.performanceDone()
	case "utilisation":
		state, evidence, err = r.utilisationDone()
	case "load-test":
		state, evidence, err = r.loadDone()
	case "rollback":
		state, evidence = r.rollbackDone()
	default:
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for the evidence of %s: %w", item.ID, err)
	}
	item.State, item.Evidence = state, evidence
	if state != ItemUnknown {
		item.Known = Measured
	}
	return nil
}

func (r *Report) objectivesDone() (ItemState, string) {
	counts := map[Word]int{}
	all := 0
	for _, c := range r.Conditions {
		if c.Kind == Objective {
			counts[c.Outcome]++
			all++
		}
	}
	switch {
	case all == 0:
		return ItemUnknown, "the plan has no objectives"
	case counts[Fail] > 0:
		return ItemFailed, fmt.Sprintf("%d of %d objectives failed", counts[Fail], all)
	case counts[Unsure] > 0:
		return ItemUnknown, fmt.Sprintf("%d of %d objectives could not be decided", counts[Unsure], all)
	}
	return ItemDone, fmt.Sprintf("%d of %d objectives held", all, all)
}

func (r *Report) performanceDone() (ItemState, string) {
	changes := map[Change][]string{}
	judged := 0
	for _, row := range r.Comparison.Rows {
		named := func(c ConditionResult) bool {
			condition, err := expr.Parse(c.Text) // as it was written, which was valid
			return c.Kind == Objective && err == nil && loadgen.LongName(condition.Metric) == row.Metric
		}
		if row.Gate || slices.ContainsFunc(r.Conditions, named) {
			judged++
			changes[row.Change] = append(changes[row.Change], row.Metric)
		}
	}
	of := fmt.Sprintf("of %d metrics that the plan judges by", judged)
	switch {
	case judged == 0:
		return ItemUnknown, "the plan judges by no metric"
	case len(changes[Regressed]) > 0:
		return ItemFailed, fmt.Sprintf("%d %s regressed: %s", len(changes[Regressed]), of, strings.Join(changes[Regressed], ", "))
	case len(changes[Improved]) > 0:
		return ItemDone, fmt.Sprintf("%d %s improved, and none regressed: %s", len(changes[Improved]), of, strings.Join(changes[Improved], ", "))
	case len(changes[Inconclusive]) > 0:
		return ItemUnknown, fmt.Sprintf("none %s is shown to have improved, and %d are inconclusive", of, len(changes[Inconclusive]))
	}
	return ItemFailed, "none " + of + " improved"
}

// The bounds of utilisation, of what there is. Beyond them queues grow out of
// proportion, and nothing is left for a failure.
const (
	cpuBound    = 0.8
	memoryBound = 0.9
)

// utilisationDone holds what was used after the action against what there is: of
// the host, and of whatever was measured beside its limit.
func (r *Report) utilisationDone() (ItemState, string, error) {
	if r.After == nil {
		return ItemUnknown, "it was not measured after", nil
	}
	shares, err := utilisation(r.After)
	if err != nil {
		return ItemUnknown, "", err
	}
	if len(shares) == 0 {
		return ItemUnknown, "no resource was measured: measure.resources does", nil
	}
	state := ItemDone
	var texts []string
	for _, s := range shares {
		text := fmt.Sprintf("%s at %s, which is below %s", s.name, percent(s.share), percent(s.bound))
		if s.share > s.bound {
			state, text = ItemFailed, fmt.Sprintf("%s at %s, which should be below %s", s.name, percent(s.share), percent(s.bound))
		}
		texts = append(texts, text)
	}
	return state, strings.Join(texts, "; "), nil
}

// A share is how much of a limit is used, and how much may be.
type share struct {
	name         string
	share, bound float64
}

// utilisation lists the metrics of a snapshot whose limit is known.
func utilisation(s *snapshot.Snapshot) (shares []share, err error) {
	median := func(name string) (float64, bool) {
		m := s.Metric(name)
		if m == nil || len(m.Values.Observed()) == 0 {
			return 0, false
		}
		return stats.Median(m.Values.Observed()), true
	}
	for _, m := range s.Metrics {
		value, ok := median(m.Name)
		limit, limited := median(m.Name + capacity.LimitSuffix)
		switch {
		case !ok || strings.HasSuffix(m.Name, capacity.LimitSuffix):
		case limited && limit > 0:
			bound := memoryBound
			if m.Unit == unit.Cores {
				bound = cpuBound
			}
			shares = append(shares, share{m.Name, value / limit, bound})
		case m.Name == "host.cpu" && m.Unit == unit.Ratio:
			shares = append(shares, share{m.Name, value, cpuBound})
		}
	}
	var usage capacity.Usage
	if _, err := s.Section("resources", &usage); err != nil {
		return nil, err
	}
	if usage.MemoryTotal > 0 {
		shares = append(shares, share{"host.memory.used", usage.MemoryUsed / usage.MemoryTotal, memoryBound})
	}
	return shares, nil
}

func (r *Report) loadDone() (ItemState, string, error) {
	results, err := loads(r.After)
	if err != nil {
		return ItemUnknown, "", err
	}
	var texts []string
	state := ItemDone
	for _, name := range loadNames(r.After) {
		l := results[name]
		text := fmt.Sprintf("%s: %s requests at %s, %s", name, unit.Format(float64(l.Requests), unit.Count), unit.Format(l.Rate, unit.RequestsPerSecond), l.Validity)
		if !SpeaksOfTarget(l.Validity) {
			state = ItemFailed
			text += ", so that its figures don't speak of the target"
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return ItemUnknown, "no load was measured after the action", nil
	}
	return state, strings.Join(texts, "; "), nil
}

func (r *Report) rollbackDone() (ItemState, string) {
	if first := r.Rehearsal; first != nil && first.Rollback != nil {
		switch {
		case !first.Rollback.Verified:
			return ItemFailed, "rehearsed, and the prior state could not be verified: " + strings.Join(first.Rollback.Differences, "; ")
		case r.Action != nil && allApplied(r.Action):
			return ItemDone, fmt.Sprintf("rehearsed: applied, undone in %s and verified, and applied again", tookText(first.Rollback.StartedAt, first.Rollback.FinishedAt))
		}
	}
	if r.Action != nil && r.Action.Rollback != nil {
		back := r.Action.Rollback
		if !back.Verified {
			return ItemFailed, "undone, and the prior state could not be verified: " + strings.Join(back.Differences, "; ")
		}
		return ItemDone, fmt.Sprintf("undone in this run in %s, and the prior state verified", tookText(back.StartedAt, back.FinishedAt))
	}
	return ItemUnknown, "not rehearsed: rollback.rehearse applies, undoes, verifies and applies again"
}

// allApplied reports whether every step of an action worked.
func allApplied(o *scaling.Outcome) bool {
	return !slices.ContainsFunc(o.Steps, func(s scaling.StepOutcome) bool { return s.Status != scaling.Applied })
}

func tookText(from, to time.Time) string {
	return unit.Format(to.Sub(from).Seconds(), unit.Seconds)
}
