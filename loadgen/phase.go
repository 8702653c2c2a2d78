package loadgen

import (
	"fmt"

	"scaleproof/internal/unit"
	"scaleproof/loadgen/internal/arrival"
)

// maxPhases is the most phases that have figures of their own.
const maxPhases = 16

// phaseEnds returns when the phases end that have figures of their own, in
// nanoseconds from the run's start: those of stages, where there are several.
func (r *run) phaseEnds() (ends []int64) {
	if len(r.cfg.Stages) == 0 || len(r.stages) < 2 || len(r.stages) > maxPhases {
		return nil
	}
	end := int64(0)
	for _, s := range r.stages {
		end += int64(s.Length)
		ends = append(ends, end)
	}
	return ends
}

// unnamed says which parts of the run are too many to have figures of their own.
func (r *run) unnamed() (warnings []string) {
	if n := len(r.targets); n > maxNamedTargets {
		warnings = append(warnings, fmt.Sprintf("%d targets have no figures of their own: %d may have", n, maxNamedTargets))
	}
	if n := len(r.stages); n > maxPhases {
		warnings = append(warnings, fmt.Sprintf("the %d ramps and levels of the stages have no figures of their own: %d may have", n, maxPhases))
	}
	return warnings
}

// phaseResults are those of the phases that the run has reached.
func (r *run) phaseResults(groups []group) (list []PhaseResult) {
	begin := int64(0)
	for i := range groups {
		end := min(r.span.phases[i], r.span.end.Load())
		if end <= begin {
			break
		}
		list = append(list, PhaseResult{
			From: float64(begin-r.span.from) / 1e9, Length: float64(end-begin) / 1e9,
			TargetResult: groups[i].result(phaseName(r.stages[i], begin < r.span.from)),
		})
		begin = end
	}
	return list
}

func phaseName(s arrival.Stage, warmup bool) string {
	rate := unit.Format(s.To, unit.RequestsPerSecond)
	switch {
	case warmup:
		return "warm-up at " + rate
	case s.From != s.To:
		return "ramp to " + rate
	}
	return rate
}
