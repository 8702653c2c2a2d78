package loadgen

import (
	"fmt"
	"math"
	"slices"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// A Transition says how a load fared through an action: what it cost while it
// ran, and when the target was steady again. Times are seconds.
type Transition struct {
	// Action is how long the action took.
	Action float64 `json:"action_seconds"`
	// Before is the steady state before the action, After that at the run's end.
	// Nil: there were too few seconds, or they were not steady.
	Before *Level `json:"before,omitempty"`
	After  *Level `json:"after,omitempty"`
	// SteadyAfter is from the action's start until the target stays at After; nil
	// without After.
	SteadyAfter *float64 `json:"steady_after_seconds,omitempty"`
	// Requests ended, and Errors of them failed, from the action's start until
	// the target was steady, or to the run's end.
	Requests int64 `json:"requests"`
	Errors   int64 `json:"errors"`
	// ExcessLatency is what all successes of that time waited longer than the
	// mean of Before, together: the area between the two. 0 without Before.
	ExcessLatency float64 `json:"excess_latency_seconds"`
	WorstP99      float64 `json:"worst_p99"` // of a second of that time
	// EvidenceAfter is from the action's start to the first sign of new capacity,
	// which Evidence tells; nil where there was none.
	EvidenceAfter *float64 `json:"evidence_after_seconds,omitempty"`
	Evidence      string   `json:"evidence,omitempty"`
}

// A Level is a steady state: medians over its seconds.
type Level struct {
	Throughput float64 `json:"throughput"` // successes per second
	Mean       float64 `json:"mean"`       // response time
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	Errors     float64 `json:"errors"` // fraction of requests
}

// The shape of a steady state in a series of seconds.
const (
	levelSeconds  = 3   // fewer make no level before an action
	settleSeconds = 5   // fewer don't tell a steady state from a pause
	settleShare   = 0.8 // of the seconds that must be alike
	alikeErrors   = 0.01
	lastingFor    = 2 // seconds that a change must last to be evidence
)

// Through returns how r fared through an action from start to end. r must be
// the result of a run without a warm-up that began before start and ended after
// end.
func (r *Result) Through(start, end time.Time) *Transition {
	from, to := start.Sub(r.StartedAt).Seconds(), end.Sub(r.StartedAt).Seconds()
	t := &Transition{Action: to - from}
	series := slices.DeleteFunc(slices.Clone(r.Seconds), func(s Second) bool { return s.Length < .5 })
	begun := firstSecond(series, func(s Second) bool { return s.Offset+s.Length > from })
	over := firstSecond(series, func(s Second) bool { return s.Offset >= to })
	before, rest := series[:begun], series[begun:]
	if len(before) >= levelSeconds {
		t.Before = levelOf(before)
	}
	until := len(rest)
	if tail := tailOf(series[over:]); Settled(tail) {
		t.After = levelOf(tail)
		until = settledAt(rest, t.After)
		after := 0.0
		if until > 0 {
			after = max(rest[until-1].Offset+rest[until-1].Length-from, 0)
		}
		t.SteadyAfter = &after
	}
	t.account(rest[:until])
	t.findEvidence(r, before, rest, from)
	return t
}

func firstSecond(series []Second, is func(Second) bool) int {
	if i := slices.IndexFunc(series, is); i >= 0 {
		return i
	}
	return len(series)
}

// tailOf is the end of a series that tells its last steady state: a half, at
// least settleSeconds.
func tailOf(series []Second) []Second {
	return series[len(series)-min(max(len(series)/2, settleSeconds), len(series)):]
}

func levelOf(series []Second) *Level {
	return &Level{
		Throughput: medianOf(series, throughputOf),
		Mean:       medianOf(series, func(s Second) float64 { return s.Mean }),
		P50:        medianOf(series, func(s Second) float64 { return s.P50 }),
		P99:        medianOf(series, func(s Second) float64 { return s.P99 }),
		Errors:     medianOf(series, errorsOf),
	}
}

func medianOf(series []Second, value func(Second) float64) float64 {
	return stats.Median(values(series, value))
}

func throughputOf(s Second) float64 { return float64(s.Requests-s.Errors) / s.Length }

func errorsOf(s Second) float64 {
	if s.Requests == 0 {
		return 0
	}
	return float64(s.Errors) / float64(s.Requests)
}

// Settled reports whether a series of seconds is a steady state: there are
// enough, and but for a hiccup all are like their median.
func Settled(series []Second) bool {
	if len(series) < settleSeconds {
		return false
	}
	level, alike := levelOf(series), 0
	for _, s := range series {
		if level.like(s) {
			alike++
		}
	}
	return float64(alike) >= settleShare*float64(len(series))
}

// like reports whether s differs from the level by no more than matters.
func (l *Level) like(s Second) bool {
	return near(throughputOf(s), l.Throughput) && near(s.P50, l.P50) && math.Abs(errorsOf(s)-l.Errors) <= alikeErrors
}

func near(v, level float64) bool {
	return v == level || v > 0 && level > 0 && math.Abs(math.Log(v/level)) <= math.Log1p(steadyChange)
}

// settledAt returns the index from which series stays at a level. One second
// that differs from both its neighbours is a hiccup of something else.
func settledAt(series []Second, level *Level) int {
	unlike := func(i int) bool { return i >= 0 && i < len(series) && !level.like(series[i]) }
	for i := len(series) - 1; i >= 0; i-- {
		if unlike(i) && (i == 0 || unlike(i-1) || unlike(i+1)) {
			return i + 1
		}
	}
	return 0
}

// account adds up what the transition cost.
func (t *Transition) account(series []Second) {
	for _, s := range series {
		t.Requests += s.Requests
		t.Errors += s.Errors
		t.WorstP99 = max(t.WorstP99, s.P99)
		if t.Before != nil {
			t.ExcessLatency += max(s.Mean-t.Before.Mean, 0) * float64(s.Requests-s.Errors)
		}
	}
}

// findEvidence looks for the first sign of new capacity: an address that did
// not serve before the action, or a change for the better that lasts and is
// beyond every second before it.
func (t *Transition) findEvidence(r *Result, before, rest []Second, from float64) {
	for address, since := range r.BackendsSince {
		if since >= from {
			t.saw(since-from, "the first connection to "+address)
		}
	}
	if t.Before == nil {
		return
	}
	least, most := math.Inf(1), 0.0
	for _, s := range before {
		least, most = min(least, s.P50), max(most, throughputOf(s))
	}
	for _, c := range []struct {
		better func(Second) bool
		text   string
	}{
		{func(s Second) bool {
			return throughputOf(s) > most && throughputOf(s) > t.Before.Throughput*(1+steadyChange)
		}, "the throughput rose beyond " + unit.Format(t.Before.Throughput, unit.RequestsPerSecond)},
		{func(s Second) bool { return s.P50 > 0 && s.P50 < least && s.P50 < t.Before.P50/(1+steadyChange) }, "the median response time fell below " + unit.Format(t.Before.P50, unit.Seconds)},
	} {
		for i := range rest[:max(len(rest)-lastingFor+1, 0)] {
			if !slices.ContainsFunc(rest[i:i+lastingFor], func(s Second) bool { return !c.better(s) }) {
				t.saw(max(rest[i].Offset-from, 0), c.text)
				break
			}
		}
	}
}

// saw keeps the earliest sign; of two at once the one that sorts first.
func (t *Transition) saw(after float64, text string) {
	if t.EvidenceAfter == nil || after < *t.EvidenceAfter || after == *t.EvidenceAfter && text < t.Evidence {
		t.EvidenceAfter, t.Evidence = &after, text
	}
}

// Text says the transition in sentences.
func (t *Transition) Text() []string {
	var lines []string
	if t.SteadyAfter != nil && *t.SteadyAfter == 0 {
		lines = append(lines, fmt.Sprintf("steady all the time: no second was unlike those at the end (the action took %s)", unit.Format(t.Action, unit.Seconds)))
	} else if t.SteadyAfter != nil {
		lines = append(lines, fmt.Sprintf("steady %s after the action began (it took %s)", unit.Format(*t.SteadyAfter, unit.Seconds), unit.Format(t.Action, unit.Seconds)))
	} else {
		lines = append(lines, fmt.Sprintf("not steady by the end of the load, after an action of %s", unit.Format(t.Action, unit.Seconds)))
	}
	if t.Requests > 0 { // else there was no while
		cost := fmt.Sprintf("%d of %d requests failed meanwhile", t.Errors, t.Requests)
		if t.Before != nil {
			cost += fmt.Sprintf(", and the others waited %s longer in total", unit.Format(t.ExcessLatency, unit.Seconds))
		}
		lines = append(lines, fmt.Sprintf("%s; in the worst second p99 was %s", cost, unit.Format(t.WorstP99, unit.Seconds)))
	}
	if t.EvidenceAfter != nil {
		lines = append(lines, fmt.Sprintf("first evidence of new capacity after %s: %s", unit.Format(*t.EvidenceAfter, unit.Seconds), t.Evidence))
	} else {
		lines = append(lines, "no evidence of new capacity")
	}
	if t.Before != nil && t.After != nil {
		lines = append(lines, fmt.Sprintf("before: %s, p50 %s, p99 %s; at the end: %s, p50 %s, p99 %s",
			unit.Format(t.Before.Throughput, unit.RequestsPerSecond), unit.Format(t.Before.P50, unit.Seconds), unit.Format(t.Before.P99, unit.Seconds),
			unit.Format(t.After.Throughput, unit.RequestsPerSecond), unit.Format(t.After.P50, unit.Seconds), unit.Format(t.After.P99, unit.Seconds)))
	}
	return lines
}
