package stats

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestMannWhitneyKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		xs, ys []float64
		u, p   float64
	}{
		{[]float64{2, 1, 3, 5}, []float64{12, 11, 13, 15}, 0, 2.0 / 70},
		{[]float64{2, 1, 3, 5}, []float64{1, 1, 1, 1, 1}, 17.5, 6.0 / 126}, // a table in wide use says 0
		{[]float64{1, 2, 3}, []float64{4, 5, 6}, 0, 0.1},
		{[]float64{1, 2, 3, 4, 5}, []float64{6, 7, 8, 9, 10}, 0, 2.0 / 252},
		{[]float64{1, 1}, []float64{1, 1}, 2, 1},
	} {
		u, p := MannWhitney(c.xs, c.ys)
		if !near(u, c.u, 1e-12) || !near(p, c.p, 1e-12) {
			t.Errorf("%v against %v: U %v, p %v; want %v, %v", c.xs, c.ys, u, p, c.u, c.p)
		}
	}
}

// Brute force: every way to share the values out.
func TestMannWhitneyAgainstEnumeration(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		n, m := 1+rng.IntN(5), 1+rng.IntN(5)
		xs, ys := make([]float64, n), make([]float64, m)
		for i := range xs {
			xs[i] = float64(rng.IntN(6)) // with ties
		}
		for i := range ys {
			ys[i] = float64(rng.IntN(6))
		}
		pooled := slices.Concat(xs, ys)
		statistic := func(inX uint) float64 {
			u := 0.0
			for i := range pooled {
				for j := range pooled {
					if inX>>i&1 == 1 && inX>>j&1 == 0 {
						switch {
						case pooled[i] > pooled[j]:
							u++
						case pooled[i] == pooled[j]:
							u += 0.5
						}
					}
				}
			}
			return u
		}
		mean, observed := float64(n*m)/2, statistic(1<<n-1)
		extreme, all := 0, 0
		for subset := uint(0); subset < 1<<(n+m); subset++ {
			if bits.OnesCount(subset) != n {
				continue
			}
			all++
			if math.Abs(statistic(subset)-mean) >= math.Abs(observed-mean)-1e-9 {
				extreme++
			}
		}
		u, p := MannWhitney(xs, ys)
		if !near(u, observed, 1e-9) || !near(p, float64(extreme)/float64(all), 1e-9) {
			t.Fatalf("%v against %v: U %v, p %v; enumeration %v, %v", xs, ys, u, p, observed, float64(extreme)/float64(all))
		}
	}
}

func TestTheApproximationMeetsTheExactTest(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	xs, ys := make([]float64, 55), make([]float64, 55)
	for i := range xs {
		xs[i], ys[i] = rng.NormFloat64(), rng.NormFloat64()+0.4
	}
	_, exact := MannWhitney(xs, ys)
	ranks := doubledRanks(xs, ys)
	sum := 0
	for _, r := range ranks[:55] {
		sum += r
	}
	if approximate := normalRankP(ranks, 55, sum); !near(exact, approximate, 0.002) {
		t.Errorf("exact %v, approximate %v", exact, approximate)
	}
}

func TestShiftKnownAnswers(t *testing.T) {
	logs := func(xs ...float64) []float64 {
		for i := range xs {
			xs[i] = math.Log(xs[i])
		}
		return xs
	}
	// The ratio of {1..5} to {2..6}: [1/4, 5/3] at no less than 95 %, which 5
	// against 5 values give as 96.8 %, and [1/3, 3/2] at 94.4 %.
	x, y := logs(2, 3, 4, 5, 6), logs(1, 2, 3, 4, 5)
	for _, c := range []struct{ confidence, low, high, achieved float64 }{
		{0.95, 1.0 / 4, 5.0 / 3, 1 - 2*4.0/252},
		{0.94, 1.0 / 3, 3.0 / 2, 1 - 2*7.0/252},
	} {
		got := Shift(x, y, c.confidence)
		if !near(math.Exp(got.Low), c.low, 1e-9) || !near(math.Exp(got.High), c.high, 1e-9) || !near(got.Confidence, c.achieved, 1e-9) {
			t.Errorf("at %v: [%v, %v] at %v, want %+v", c.confidence, math.Exp(got.Low), math.Exp(got.High), got.Confidence, c)
		}
	}
	if got := Shift([]float64{1, 2, 3}, []float64{4, 5, 6}, 0.95); !near(got.Confidence, 0.9, 1e-12) || got.Low != 1 || got.High != 5 || got.Value != 3 {
		t.Errorf("3 against 3: %+v", got)
	}
	if got := Shift(nil, []float64{1}, 0.95); !math.IsNaN(got.Value) || got.Confidence != 0 {
		t.Errorf("nothing against one: %+v", got)
	}
}

func TestShiftCoversTheTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	covered, runs := 0, 4000
	want := 0.0
	for range runs {
		xs, ys := make([]float64, 6), make([]float64, 6)
		for i := range xs {
			xs[i], ys[i] = rng.NormFloat64(), rng.NormFloat64()+1
		}
		got := Shift(xs, ys, 0.95)
		want = got.Confidence
		if got.Low <= 1 && 1 <= got.High {
			covered++
		}
	}
	// Three standard errors of a proportion of 4,000 runs are 0.9 %.
	if share := float64(covered) / float64(runs); !near(share, want, 0.01) {
		t.Errorf("covered %v, claimed %v", share, want)
	}
}

func TestMedianInterval(t *testing.T) {
	one := []float64{3, 1, 2, 5, 4}
	if got := MedianInterval(one, 0.95); got.Low != 1 || got.High != 5 || got.Value != 3 || !near(got.Confidence, 0.9375, 1e-12) {
		t.Errorf("5 values: %+v", got)
	}
	if got := MedianInterval(append(one, 6), 0.95); got.Low != 1 || got.High != 6 || !near(got.Confidence, 1-2.0/64, 1e-12) {
		t.Errorf("6 values: %+v", got)
	}
	ten := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	if got := MedianInterval(ten, 0.95); got.Low != 2 || got.High != 9 || !near(got.Confidence, 1-2*11.0/1024, 1e-12) {
		t.Errorf("10 values: %+v", got)
	}
	if got := MedianInterval(nil, 0.95); !math.IsNaN(got.Value) {
		t.Errorf("no values: %+v", got)
	}
	many := make([]float64, 2000)
	for i := range many {
		many[i] = float64(i + 1)
	}
	// Binomial(2000, 1/2) has a deviation of 22.36: 956 of 2,000 by the normal approximation.
	if got := MedianInterval(many, 0.95); got.Low != 956 || got.High != 1045 || !near(got.Confidence, 0.953, 0.003) {
		t.Errorf("2,000 values: %+v", got)
	}
}

func TestFisherKnownAnswers(t *testing.T) {
	// Fisher's lady tasting tea: 3 of 4 right.
	if p := Fisher(3, 4, 1, 4); !near(p, 34.0/70, 1e-9) {
		t.Errorf("tea: %v", p)
	}
	if p := Fisher(0, 1000, 10, 1000); !near(p, 0.0019094651653338, 1e-12) {
		t.Errorf("0 and 10 of 1,000: %v", p)
	}
	if p := Fisher(5, 100, 5, 100); !near(p, 1, 1e-9) {
		t.Errorf("equal: %v", p)
	}
}

func TestRateRatio(t *testing.T) {
	got := RateRatio(10, 1000, 20, 1000, 0.95)
	// Clopper-Pearson for 20 of 30: [0.4719, 0.8271].
	if !near(got.Value, 2, 1e-12) || !near(got.Low, 0.4719/0.5281, 0.001) || !near(got.High, 0.8271/0.1729, 0.01) {
		t.Errorf("%+v", got)
	}
	if got := RateRatio(0, 100, 3, 100, 0.95); !math.IsInf(got.High, 1) || got.Low <= 0 {
		t.Errorf("from none: %+v", got)
	}
	if got := RateRatio(0, 100, 0, 100, 0.95); !math.IsNaN(got.Value) {
		t.Errorf("none at all: %+v", got)
	}
}

func TestBenjaminiHochbergKnownAnswers(t *testing.T) {
	ps := []float64{.0001, .0004, .0019, .0095, .0201, .0278, .0298, .0344, .0459, .3240, .4262, .5719, .6528, .7590, 1}
	want := []float64{.0015, .003, .0095, .035625, .0603}
	got := BenjaminiHochberg(ps)
	discoveries := 0
	for i, p := range got {
		if i < len(want) && !near(p, want[i], 5e-5) {
			t.Errorf("adjusted %d: %v, want %v", i, p, want[i])
		}
		if p <= 0.05 {
			discoveries++
		}
	}
	if discoveries != 4 {
		t.Errorf("%d discoveries, want 4", discoveries)
	}
	shuffled := []float64{ps[3], ps[0]}
	if got := BenjaminiHochberg(shuffled); !near(got[0], ps[3], 1e-12) || !near(got[1], 2*ps[0], 1e-12) {
		t.Errorf("the order of the input is lost: %v", got)
	}
}

// The product gives what counting the subsets of ranks gives.
func TestLowUCountsAgainstRankSums(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 9}, {4, 4}, {6, 6}, {12, 5}, {20, 20}, {60, 60}, {3, 117}} {
		n, m := size[0], size[1]
		ranks := make([]int, n+m)
		for i := range ranks {
			ranks[i] = i + 1
		}
		sums := rankSumCounts(ranks, n)
		counts, all := lowUCounts(n, m)
		total, below, want := 0.0, 0.0, 0.0
		for _, count := range sums {
			total += count
		}
		if !near(all, total, 1e-9*total) {
			t.Errorf("%d against %d: %v orders, want %v", n, m, all, total)
		}
		for u := range n*m/2 + 1 {
			below, want = below+counts[u], want+sums[n*(n+1)/2+u]
			if !near(below, want, 1e-9*want) {
				t.Errorf("%d against %d: U is at most %d in %v orders, want %v", n, m, u, below, want)
				break
			}
		}
	}
}
