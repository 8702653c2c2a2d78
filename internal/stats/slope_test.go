package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTheilSenKnownAnswer(t *testing.T) {
	ts := []float64{1, 2, 3, 4, 10, 12, 18}
	ys := []float64{9, 15, 19, 20, 45, 55, 78}
	got := TheilSen(ts, ys, 0.93)
	if !near(got.Value, 4, 1e-12) || !near(got.Low, 26.0/7, 1e-12) || !near(got.High, 35.0/8, 1e-12) || !near(got.Confidence, 0.9698, 5e-4) {
		t.Errorf("got %+v, want 4 in [26/7, 35/8]", got)
	}
}

// Brute force: the inversions of every permutation.
func TestInversionCountsAgainstEnumeration(t *testing.T) {
	const n = 6
	counted := make([]float64, n*(n-1)/2+1)
	var permute func(left, taken []int)
	permute = func(left, taken []int) {
		if len(left) == 0 {
			inversions := 0
			for i := range taken {
				for j := range i {
					if taken[j] > taken[i] {
						inversions++
					}
				}
			}
			counted[inversions] += 1.0 / 720
			return
		}
		for i, x := range left {
			rest := append(append([]int{}, left[:i]...), left[i+1:]...)
			permute(rest, append(append([]int{}, taken...), x))
		}
	}
	permute([]int{0, 1, 2, 3, 4, 5}, nil)
	for i, want := range inversionCounts(n) {
		if !near(counted[i], want, 1e-12) {
			t.Errorf("%d inversions: %v, want %v", i, want, counted[i])
		}
	}
}

func TestTheilSenCoversTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{8, 25, 60} {
		const trials = 1500
		covered, achieved := 0, 0.0
		for range trials {
			ts, ys := make([]float64, n), make([]float64, n)
			for i := range ts {
				ts[i], ys[i] = float64(i), 0.5*float64(i)+random.NormFloat64()
			}
			if v := TheilSen(ts, ys, 0.9); v.Low <= 0.5 && 0.5 <= v.High {
				covered++
				achieved = v.Confidence
			}
		}
		if got := float64(covered) / trials; got < 0.88 || !near(got, achieved, 0.02) {
			t.Errorf("n = %d: the interval of 0.9 covers %.3f and says %.3f", n, got, achieved)
		}
	}
}

func TestTheilSenOfDegenerateInput(t *testing.T) {
	if v := TheilSen(nil, nil, 0.95); !math.IsNaN(v.Value) {
		t.Errorf("no points: %+v", v)
	}
	if v := TheilSen([]float64{1, 1, 1}, []float64{1, 2, 3}, 0.95); !math.IsNaN(v.Value) {
		t.Errorf("one time only: %+v", v)
	}
	if v := TheilSen([]float64{1, 2}, []float64{1, 3}, 0.95); v.Value != 2 || v.Low != 2 || v.High != 2 {
		t.Errorf("two points: %+v", v)
	}
	// Equal times leave few slopes: the interval stays within them.
	if v := TheilSen([]float64{1, 1, 1, 1, 1, 1, 1, 2}, make([]float64, 8), 0.5); v.Value != 0 || v.Low != 0 || v.High != 0 {
		t.Errorf("many ties: %+v", v)
	}
}
