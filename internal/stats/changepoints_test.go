package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func noisy(random *rand.Rand, levels []float64, each int) []float64 {
	var xs []float64
	for _, level := range levels {
		for range each {
			xs = append(xs, level+random.NormFloat64())
		}
	}
	return xs
}

func TestChangePointsAreFoundWhereTheyAre(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		got := ChangePoints(noisy(random, []float64{0, 6, 2}, 30), 0.01, 7)
		if len(got) != 2 || math.Abs(float64(got[0]-30)) > 2 || math.Abs(float64(got[1]-60)) > 2 {
			t.Errorf("changes at %v, want 30 and 60", got)
		}
	}
}

// Without a change the share of series in which one is found is that of the
// test's significance.
func TestChangePointsFalseAlarms(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	const series = 400
	alarms := 0
	for i := range series {
		if len(ChangePoints(noisy(random, []float64{0}, 40), 0.05, uint64(i))) > 0 {
			alarms++
		}
	}
	if share := float64(alarms) / series; share > 0.05+3*math.Sqrt(.05*.95/series) {
		t.Errorf("false alarms in %.1f %% of the series", 100*share)
	}
}

func TestChangePointsOfShortAndConstantSeries(t *testing.T) {
	for _, xs := range [][]float64{nil, {1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, make([]float64, 50)} {
		if got := ChangePoints(xs, 0.05, 1); len(got) != 0 {
			t.Errorf("%v changes at %v", xs, got)
		}
	}
}

// The incremental sums give what the definition of the energy distance gives.
func TestBestSplitIsTheBruteForceOne(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for range 50 {
		xs := noisy(random, []float64{0, random.Float64() * 3}, 5+random.IntN(10))
		at, best := 0, math.Inf(-1)
		for m := leastSegment; m <= len(xs)-leastSegment; m++ {
			if q := energyOf(xs[:m], xs[m:]); q > best {
				at, best = m, q
			}
		}
		if gotAt, got := bestSplit(xs); gotAt != at || math.Abs(got-best) > 1e-9*math.Abs(best) {
			t.Fatalf("split at %d with %v, want %d with %v", gotAt, got, at, best)
		}
	}
}

func energyOf(a, b []float64) float64 {
	mean := func(xs, ys []float64, same bool) float64 {
		sum, n := 0.0, 0.0
		for i, x := range xs {
			for j, y := range ys {
				if !same || i < j {
					sum += math.Abs(x - y)
					n++
				}
			}
		}
		return sum / n
	}
	na, nb := float64(len(a)), float64(len(b))
	return na * nb / (na + nb) * (2*mean(a, b, false) - mean(a, a, true) - mean(b, b, true))
}

func BenchmarkChangePoints(b *testing.B) {
	xs := noisy(rand.New(rand.NewPCG(4, 4)), []float64{0, 1, 0}, 130)
	for b.Loop() {
		ChangePoints(xs, 0.01, 1)
	}
}
