package loadgen

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestUnsteady(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	series := func(n int, latency func(i int) float64, requests func(i int) int64) []Second {
		out := make([]Second, n)
		for i := range out {
			out[i] = Second{Length: 1, P50: latency(i) * (1 + .1*random.NormFloat64()), Requests: requests(i)}
		}
		return out
	}
	flat := func(int) float64 { return .01 }
	even := func(int) int64 { return 1000 + random.Int64N(100) }
	alarms := 0
	for range 1000 {
		if unsteady(series(60, flat, even)) != "" {
			alarms++
		}
	}
	if alarms > 0 { // noise of a tenth never makes a change of a fifth
		t.Errorf("%d false alarms of 1000", alarms)
	}
	if got := unsteady(series(30, func(i int) float64 { return .01 * float64(i+10) / 10 }, even)); !strings.Contains(got, "response time") {
		t.Errorf("a growing response time: %q", got)
	}
	if got := unsteady(series(30, flat, func(i int) int64 { return 1000 - int64(20*i) })); !strings.Contains(got, "throughput") {
		t.Errorf("a falling throughput: %q", got)
	}
	if got := unsteady(series(14, func(i int) float64 { return float64(i + 1) }, even)); got != "" {
		t.Errorf("14 seconds tell nothing: %q", got)
	}
	if got := unsteady(series(30, func(int) float64 { return 0 }, func(int) int64 { return 0 })); got != "" {
		t.Errorf("a target that never answers: %q", got)
	}
}
