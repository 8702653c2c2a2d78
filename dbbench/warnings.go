package dbbench

import "fmt"

// warn says what makes figures of a trial doubtful.
func (r *Result) warn(runs []*caseRun) {
	say := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if r.ClockCost > healthyClock {
		say("reading the clock of %s takes %.0f ns, above the %.0f of a healthy one: times of nodes are too long (see pg_test_timing)", r.Node, r.ClockCost*1e9, healthyClock*1e9)
	}
	for _, run := range runs {
		if run.cut && run.result.Error == "" {
			say("%s has fewer repetitions than asked for: the suite's budget was spent", run.name)
		}
		if run.unstable {
			say("%s gave different numbers of rows within one trial: its data changes", run.name)
		}
		for _, p := range run.plans {
			if len(p.fingerprints) > 1 {
				say("%s had %d shapes of plan within one trial (%s)", run.name, len(p.fingerprints), p.mode)
			}
			if p.result.LackedWorkers > 0 {
				say("%s lacked parallel workers in %d runs, which are left out", run.name, p.result.LackedWorkers)
			}
		}
	}
}
