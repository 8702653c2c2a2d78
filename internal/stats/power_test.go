package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A change of the detectable size is found four times of five, at the level that is
// asked for and with as many values as there are.
func TestDetectable(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	for _, c := range []struct {
		n, m  int
		alpha float64
	}{{4, 4, .05}, {6, 6, .05}, {6, 6, .01}, {12, 6, .05}, {20, 20, .05}} {
		change := Detectable(1, c.n, c.m, c.alpha)
		found := 0
		const pairs = 2000
		for range pairs {
			a, b := noisy(random, []float64{0}, c.n), noisy(random, []float64{change}, c.m)
			if _, p := MannWhitney(a, b); p <= c.alpha {
				found++
			}
		}
		if share := float64(found) / pairs; share < 0.72 || share > 0.86 {
			t.Errorf("%+v: %.1f %% of changes of %.2f were found, want about 80 %%", c, 100*share, change)
		}
	}
	if got := SmallestP(4, 4); math.Abs(got-2./70) > 1e-12 {
		t.Errorf("the smallest p of 4 against 4 is %v", got)
	}
	if !math.IsInf(Detectable(1, 3, 3, .05), 1) || !math.IsInf(Detectable(0, 4, 4, .025), 1) || !math.IsInf(Detectable(1, 0, 9, .05), 1) {
		t.Error("something is found with too few values")
	}
	if !math.IsNaN(StandardDeviation([]float64{1})) || StandardDeviation([]float64{1, 2, 3}) != 1 {
		t.Error("the bounds are wrong")
	}
}

func TestDetectablePaired(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 5))
	for _, c := range []struct {
		n     int
		alpha float64
	}{{6, .05}, {8, .05}, {9, .01}, {12, .05}, {25, .05}} {
		change := DetectablePaired(1, c.n, c.alpha)
		found := 0
		const runs = 2000
		for range runs {
			if _, p := SignedRank(make([]float64, c.n), noisy(random, []float64{change}, c.n)); p <= c.alpha {
				found++
			}
		}
		if share := float64(found) / runs; share < 0.72 || share > 0.88 {
			t.Errorf("%+v: %.1f %% of changes of %.2f were found, want about 80 %%", c, 100*share, change)
		}
	}
	if !math.IsInf(DetectablePaired(1, 5, .05), 1) || !math.IsInf(DetectablePaired(0, 6, .025), 1) || !math.IsInf(DetectablePaired(1, 0, .05), 1) {
		t.Error("something is found with too few pairs")
	}
}
