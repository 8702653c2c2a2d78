package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSpread(t *testing.T) {
	calm := []float64{10, 10.1, 9.9, 10.05, 9.95, 10.02, 9.97}
	wild := []float64{20, 23, 16, 21.5, 17, 25, 18.9}
	if before, after, p := Spread(calm, wild); p > .05 || after < 10*before {
		t.Errorf("a spread %g beside %g has p %g", before, after, p)
	}
	moved := make([]float64, len(calm))
	for i, x := range calm {
		moved[i] = x + 100
	}
	if before, after, p := Spread(calm, moved); p < .5 || math.Abs(before-after) > 1e-9 {
		t.Errorf("the level counts: %g, %g, p %g", before, after, p)
	}
	if _, _, p := Spread([]float64{1}, calm); !math.IsNaN(p) {
		t.Errorf("one value has a spread: p %g", p)
	}
}

// Samples of equal spread must not be called different more often than the level
// of the test says.
func TestSpreadKeepsItsLevel(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const pairs = 2000
	called, found := 0, 0
	draw := func(deviation float64) []float64 {
		xs := make([]float64, 6)
		for i := range xs {
			xs[i] = rng.NormFloat64() * deviation
		}
		return xs
	}
	for range pairs {
		if _, _, p := Spread(draw(1), draw(1)); p <= .05 {
			called++
		}
		if _, _, p := Spread(draw(1), draw(8)); p <= .05 {
			found++
		}
	}
	t.Logf("false alarms %.1f %%, eight times the spread found %.1f %%", 100*float64(called)/pairs, 100*float64(found)/pairs)
	if limit := .05 + 3*math.Sqrt(.05*.95/pairs); float64(called)/pairs > limit {
		t.Errorf("%d of %d equal spreads were called different", called, pairs)
	}
	if found < pairs/2 {
		t.Errorf("only %d of %d large changes were found", found, pairs)
	}
}
