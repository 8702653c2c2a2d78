package stats

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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
		for name, c := range map[string]struct {
			levels []float64
			each   int
			want   []int
		}{
			"one":                  {[]float64{100, 120}, 30, []int{30}},
			"two":                  {[]float64{100, 115, 107}, 30, []int{30, 60}},
			"many":                 {[]float64{100, 120, 100, 120, 140, 100}, 20, []int{20, 40, 60, 80, 100}},
			"longer than a window": {[]float64{100, 110}, 3 * ChangeWindow, []int{3 * ChangeWindow}},
			"at the end":           {[]float64{100, 100, 100, 100, 100, 100, 115}, leastSegment, []int{6 * leastSegment}},
		} {
			if got := ChangePoints(noisy(random, c.levels, c.each), .001, .03); !slices.Equal(got, c.want) {
				t.Errorf("%s: changes at %v, want %v", name, got, c.want)
			}
		}
	}
	exact := append(make([]float64, 12), 1, 1, 1, 1, 1)
	if got := ChangePoints(exact, .001, 0); !slices.Equal(got, []int{12}) {
		t.Errorf("without noise: changes at %v", got)
	}
}

// What made Hunter: a change that is soon taken back. No split of the whole series is
// significant in the end, so that a search that asks for that at once stops there.
func TestAChangeThatIsTakenBack(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 1))
	hidden := 0
	for range 50 {
		xs := slices.Concat(noisy(random, []float64{100}, 22), noisy(random, []float64{106}, 6), noisy(random, []float64{100}, 22))
		if got := ChangePoints(xs, .001, .03); len(got) != 2 || math.Abs(float64(got[0]-22)) > 1 || math.Abs(float64(got[1]-28)) > 1 {
			t.Errorf("changes at %v, want 22 and 28", got)
		}
		at, _ := bestSplit(xs)
		if (changeSearch{xs: xs}).between(0, at, len(xs)).p > .001 {
			hidden++
		}
	}
	if hidden < 25 {
		t.Errorf("only %d of 50 changes were hidden by their end", hidden)
	}
}

// The rate of false alarms that is documented.
func TestChangePointsFalseAlarms(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 2))
	const series, length = 300, 200
	alarms := 0
	for range series {
		alarms += len(ChangePoints(noisy(random, []float64{100}, length), .001, 0))
	}
	t.Logf("one false alarm in %d values", series*length/max(alarms, 1))
	// One in 1,500, and three standard errors.
	if expected := series * length / 1500.; float64(alarms) > expected+3*math.Sqrt(expected) {
		t.Errorf("%d false alarms in %d values", alarms, series*length)
	}
}

func TestChangePointsOfShortAndConstantSeries(t *testing.T) {
	for _, xs := range [][]float64{nil, {1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}, make([]float64, 500), slices.Repeat([]float64{.1}, 333)} {
		if got := ChangePoints(xs, .05, 0); len(got) != 0 {
			t.Errorf("%v changes at %v", xs, got)
		}
	}
}

// Steps that matter less than is asked for are merged into their neighbours.
func TestSmallChangesAreMerged(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 3))
	xs := noisy(random, []float64{1000, 1030, 1200, 1170, 1000}, 20)
	for _, c := range []struct {
		least float64
		want  []int
	}{{0, []int{20, 40, 60, 80}}, {.1, []int{40, 80}}, {.25, nil}} {
		if got := ChangePoints(xs, .001, c.least); !slices.Equal(got, c.want) {
			t.Errorf("of %v and more: changes at %v, want %v", c.least, got, c.want)
		}
	}
	// From nothing any change is as large as can be.
	if got := ChangePoints(append(make([]float64, 10), 1, 1, 1, 1, 1), .001, 1e6); len(got) != 1 {
		t.Errorf("from nothing: changes at %v", got)
	}
}

// What is appended leaves the changes alone that lie a window or more before it.
func TestWhatIsAppendedChangesNothingOld(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 4))
	changes := 0
	for range 200 {
		var xs []float64
		for len(xs) < 250 {
			xs = append(xs, noisy(random, []float64{100 + 4*random.Float64()}, 3+random.IntN(60))...)
		}
		long := ChangePoints(xs, .01, .005)
		changes += len(long)
		for i, at := range long {
			if before := slices.Concat([]int{0}, long)[i]; at-before < leastSegment || len(xs)-at < leastSegment {
				t.Fatalf("changes at %v of %d values", long, len(xs))
			}
		}
		n := ChangeWindow + random.IntN(len(xs)-ChangeWindow)
		old := func(points []int) (kept []int) {
			for _, at := range points {
				if at <= n-ChangeWindow {
					kept = append(kept, at)
				}
			}
			return kept
		}
		if short := ChangePoints(xs[:n], .01, .005); !slices.Equal(old(short), old(long)) {
			t.Fatalf("of the first %d of %d values %v, of all %v", n, len(xs), short, long)
		}
	}
	if changes < 400 {
		t.Errorf("only %d changes to look at", changes)
	}
}

// R: t.test(extra ~ group, data = sleep, var.equal = TRUE) has p = 0.07919.
func TestStudentPKnownAnswers(t *testing.T) {
	first := []float64{.7, -1.6, -.2, -1.2, -.1, 3.4, 3.7, .8, 0, 2}
	second := []float64{1.9, .8, 1.1, .1, -.1, 4.4, 5.5, 1.6, 4.6, 3.4}
	if p := studentP(first, second); !near(p, .07919, 5e-6) || studentP(second, first) != p {
		t.Errorf("p %v", p)
	}
	if studentP([]float64{2, 2}, []float64{2, 2}) != 1 || studentP([]float64{2, 2}, []float64{3, 3}) != 0 {
		t.Error("what does not vary is told wrongly")
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
	for _, length := range []int{400, 4000} {
		xs := noisy(rand.New(rand.NewPCG(4, 4)), []float64{100, 101, 100, 104}, length/4)
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			for b.Loop() {
				ChangePoints(xs, .001, 0)
			}
		})
	}
}
