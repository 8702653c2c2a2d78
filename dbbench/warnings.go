package dbbench

import (
	"fmt"
	"slices"
)

// note adds a warning of what the figures do not tell.
func (r *Result) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// warn says what makes the figures doubtful: of a trial, or of several.
func (r *Result) warn() {
	r.Warnings = slices.Clone(r.notes)
	say := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	for _, n := range r.Nodes() {
		if n.ClockCost > healthyClock {
			say("reading the clock of %s takes %.0f ns, above the %.0f of a healthy one: times of nodes are too long (see pg_test_timing)", n.Node, n.ClockCost*1e9, healthyClock*1e9)
		}
	}
	for _, c := range r.Cases {
		if c.Cut && c.Error == "" {
			say("%s has fewer repetitions than asked for: the suite's budget was spent", c.Name)
		}
		if c.Unstable {
			say("%s gave different numbers of rows within one trial: its data changes", c.Name)
		}
		if n := len(c.ResultHashes); n > 1 {
			say("%s gave %d different results in the trials: its data changes", c.Name, n)
		}
		c.PlanResult.warn(c.Name, "", say)
		if c.Generic != nil {
			c.Generic.warn(c.Name, ", made for any arguments", say)
		}
	}
}

func (p *PlanResult) warn(name, kind string, say func(string, ...any)) {
	if n := len(p.Fingerprints); n > 1 {
		say("%s had %d shapes of plan%s", name, n, kind)
	}
	if p.LackedWorkers > 0 {
		say("%s lacked parallel workers in %d runs%s, which are left out", name, p.LackedWorkers, kind)
	}
}
