package dbbench

import (
	"fmt"
	"slices"
)

// MergeTrials returns one result of several trials of the same cases: for each case
// the figures of the last trial in which it worked, and beside them what became
// apart in any: results, shapes of plans, doubts, and in how many it failed. There
// must be a trial.
func MergeTrials(trials []*Result) *Result {
	last := trials[len(trials)-1]
	merged := *last
	merged.Cases, merged.notes, merged.Others = nil, nil, slices.Clone(last.Others)
	for _, t := range trials {
		merged.ClockCost = max(merged.ClockCost, t.ClockCost)
		for i, other := range t.Others {
			merged.Others[i].ClockCost = max(merged.Others[i].ClockCost, other.ClockCost)
		}
		for _, text := range t.notes {
			merged.note("%s", text)
		}
	}
	for i := range last.Cases {
		var all []CaseResult
		for _, t := range trials {
			all = append(all, t.Cases[i])
		}
		merged.Cases = append(merged.Cases, mergeCase(all))
	}
	merged.warn()
	return &merged
}

func mergeCase(trials []CaseResult) CaseResult {
	merged := trials[len(trials)-1]
	var worked []CaseResult
	fault := ""
	for _, c := range trials {
		if c.Error != "" {
			fault = c.Error
			continue
		}
		worked = append(worked, c)
	}
	if len(worked) == 0 {
		return merged
	}
	merged = worked[len(worked)-1]
	if failed := len(trials) - len(worked); failed > 0 {
		merged.Error = fmt.Sprintf("in %d of %d trials: %s", failed, len(trials), fault)
	}
	var hashes []string
	var plans, generic []*PlanResult
	for i := range worked {
		c := &worked[i]
		hashes = append(hashes, seen(c.ResultHash, c.ResultHashes)...)
		merged.Cut, merged.Unstable = merged.Cut || c.Cut, merged.Unstable || c.Unstable
		plans = append(plans, &c.PlanResult)
		if c.Generic != nil {
			generic = append(generic, c.Generic)
		}
	}
	merged.ResultHashes = several(hashes)
	merged.PlanResult = mergePlans(plans)
	if len(generic) > 0 {
		all := mergePlans(generic)
		merged.Generic = &all
	}
	return merged
}

func mergePlans(trials []*PlanResult) PlanResult {
	merged := *trials[len(trials)-1]
	merged.LackedWorkers = 0
	var prints []string
	for _, p := range trials {
		merged.LackedWorkers += p.LackedWorkers
		prints = append(prints, seen(p.Fingerprint, p.Fingerprints)...)
	}
	merged.Fingerprints = several(prints)
	return merged
}

// Results returns the hashes of all results that the case gave, sorted; none where
// it gave none.
func (c *CaseResult) Results() []string { return seen(c.ResultHash, c.ResultHashes) }

// Shapes returns the fingerprints of all shapes that the plan had, sorted; none
// where there is no plan.
func (p *PlanResult) Shapes() []string { return seen(p.Fingerprint, p.Fingerprints) }

// seen returns all values where they are kept, and else the one.
func seen(one string, all []string) []string {
	if len(all) > 0 || one == "" {
		return all
	}
	return []string{one}
}

// several returns the distinct values, sorted, where there is more than one.
func several(values []string) []string {
	all := slices.Compact(slices.Sorted(slices.Values(values)))
	if len(all) < 2 {
		return nil
	}
	return all
}
