package loadgen

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

// phase is part of a series of seconds that are all alike.
type phase struct {
	seconds  int
	requests int64
	errors   int64
	latency  float64
}

func seriesOf(phases ...phase) *Result {
	r := &Result{StartedAt: time.Unix(1000, 0)}
	for _, p := range phases {
		for range p.seconds {
			r.Seconds = append(r.Seconds, Second{
				Offset: float64(len(r.Seconds)), Length: 1, Requests: p.requests, Errors: p.errors,
				Mean: p.latency, P50: p.latency, P99: 3 * p.latency, Max: 4 * p.latency,
			})
		}
	}
	return r
}

func (r *Result) between(from, to float64) *Transition {
	at := func(s float64) time.Time { return r.StartedAt.Add(time.Duration(s * 1e9)) }
	return r.Through(at(from), at(to))
}

func TestATransitionAddsUpWhatItCost(t *testing.T) {
	// Steady, an action of two seconds that hurts for three, then better.
	r := seriesOf(phase{5, 100, 0, .010}, phase{3, 100, 20, .030}, phase{10, 100, 0, .005})
	got := r.between(5, 7)
	if got.Action != 2 || got.SteadyAfter == nil || *got.SteadyAfter != 3 {
		t.Fatalf("%+v, steady after %v", got, got.SteadyAfter)
	}
	if got.Requests != 300 || got.Errors != 60 || math.Abs(got.ExcessLatency-3*80*.020) > 1e-9 || got.WorstP99 != .090 {
		t.Errorf("%d requests, %d errors, %v s of excess, worst p99 %v", got.Requests, got.Errors, got.ExcessLatency, got.WorstP99)
	}
	if got.Before.P50 != .010 || got.After.P50 != .005 || got.Before.Throughput != 100 {
		t.Errorf("from %+v to %+v", got.Before, got.After)
	}
	if got.EvidenceAfter == nil || *got.EvidenceAfter != 3 || !strings.Contains(got.Evidence, "response time fell") {
		t.Errorf("evidence after %v: %s", got.EvidenceAfter, got.Evidence)
	}
	for _, want := range []string{"steady 3 s after", "60 of 300 requests failed", "4.80 s longer", "after 3 s: the median"} {
		if text := strings.Join(got.Text(), "\n"); !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

// An action that no second shows has cost nothing, and of no requests nothing is said.
func TestAnActionThatNothingShows(t *testing.T) {
	r := seriesOf(phase{15, 100, 0, .010})
	text := strings.Join(r.between(5, 5.1).Text(), "\n")
	if !strings.Contains(text, "steady all the time") || strings.Contains(text, "0 of 0") {
		t.Error(text)
	}
}

func TestASaturatedTargetShowsNewCapacityInItsThroughput(t *testing.T) {
	r := seriesOf(phase{6, 100, 0, 2}, phase{2, 100, 0, 2}, phase{8, 180, 0, 1.9})
	r.BackendsSince = map[string]float64{"10.0.0.1:80": .01, "10.0.0.2:80": 8.5}
	got := r.between(6, 6.5)
	if *got.EvidenceAfter != 2 || !strings.Contains(got.Evidence, "throughput rose") {
		t.Errorf("evidence after %v: %s", *got.EvidenceAfter, got.Evidence)
	}
	r.BackendsSince["10.0.0.2:80"] = 7.25
	if got = r.between(6, 6.5); *got.EvidenceAfter != 1.25 || !strings.HasSuffix(got.Evidence, "10.0.0.2:80") {
		t.Errorf("evidence after %v: %s", *got.EvidenceAfter, got.Evidence)
	}
	if got.ExcessLatency != 0 || got.SteadyAfter == nil || *got.SteadyAfter != 2 {
		t.Errorf("%+v", got)
	}
}

func TestATransitionSaysWhatItCantTell(t *testing.T) {
	restless := seriesOf(phase{5, 100, 0, .01})
	for i := range 12 {
		restless.Seconds = append(restless.Seconds, seriesOf(phase{1, 100, 0, .01 * math.Pow(1.5, float64(i))}).Seconds...)
		restless.Seconds[5+i].Offset = float64(5 + i)
	}
	for name, got := range map[string]*Transition{
		"no end":       seriesOf(phase{5, 100, 0, .01}, phase{4, 100, 0, .01}).between(5, 6),
		"never steady": restless.between(5, 6),
		"nothing":      (&Result{}).between(0, 1),
		"after it all": seriesOf(phase{5, 100, 0, .01}).between(50, 60),
	} {
		if got.SteadyAfter != nil || got.After != nil || got.EvidenceAfter != nil {
			t.Errorf("%s: %+v", name, got)
		}
		if text := strings.Join(got.Text(), "\n"); !strings.Contains(text, "not steady") || !strings.Contains(text, "no evidence") {
			t.Errorf("%s: %s", name, text)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := seriesOf(phase{2, 100, 0, .01}, phase{9, 100, 0, .01}).between(2, 3); got.Before != nil || got.ExcessLatency != 0 {
		t.Errorf("two seconds make a level: %+v", got.Before)
	}
}

func TestAHiccupDoesNotEndASteadyState(t *testing.T) {
	r := seriesOf(phase{5, 100, 0, .01}, phase{12, 100, 0, .01})
	r.Seconds[14].P50 = .5
	got := r.between(5, 6)
	if got.SteadyAfter == nil || *got.SteadyAfter != 0 || got.Requests != 0 {
		t.Errorf("one second of trouble: %+v, steady after %v", got, got.SteadyAfter)
	}
	r.Seconds[13].P50 = .5
	if got = r.between(5, 6); got.SteadyAfter != nil && *got.SteadyAfter < 9 {
		t.Errorf("two seconds of trouble: steady after %v", *got.SteadyAfter)
	}
}
