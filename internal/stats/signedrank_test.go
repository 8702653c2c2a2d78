package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The depression scale of nine patients before and after a tranquilizer (Hollander and
// Wolfe 1973, page 29), which is also the example of R's wilcox.test: V = 40, the
// one-sided p .01953; the estimate -.46, and at 96.1 % from -.786 to -.010.
func TestSignedRankKnownAnswers(t *testing.T) {
	before := []float64{1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30}
	after := []float64{0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29}
	if w, p := SignedRank(after, before); w != 40 || !near(p, 2*10./512, 1e-12) {
		t.Errorf("V %v, p %v", w, p)
	}
	got := PairedShift(before, after, .95)
	if !near(got.Value, -.46, 1e-9) || !near(got.Low, -.786, 1e-9) || !near(got.High, -.010, 1e-9) || !near(got.Confidence, 1-2*10./512, 1e-12) {
		t.Errorf("%+v", got)
	}
	// Quantiles of the statistic (R's qsignrank(.025, n)): the interval leaves out one
	// average less at each end.
	for n, quantile := range map[int]int{6: 1, 7: 3, 8: 4, 9: 6, 10: 9, 12: 14, 15: 26, 20: 53} {
		if outside, confidence := averagesOutside(n, .95); outside != quantile-1 || confidence < .95 {
			t.Errorf("%d pairs: %d averages are left out at %v", n, outside, confidence)
		}
	}
}

func TestFewPairsShowNothing(t *testing.T) {
	for n, smallest := range map[int]float64{1: 1, 2: .5, 3: .25, 4: .125, 5: .0625, 6: .03125, 7: .015625} {
		xs, ys := make([]float64, n), make([]float64, n)
		for i := range ys {
			ys[i] = float64(i + 1)
		}
		if _, p := SignedRank(xs, ys); p != smallest || SmallestPairedP(n) != smallest {
			t.Errorf("%d pairs: p %v, smallest %v, want %v", n, p, SmallestPairedP(n), smallest)
		}
		whole := Interval{float64(n+1) / 2, 1, float64(n), 1 - smallest}
		if got := PairedShift(xs, ys, .95); n < 7 && got != whole {
			t.Errorf("%d pairs: %+v, want the whole range %+v", n, got, whole)
		}
	}
	if w, p := SignedRank(nil, nil); !math.IsNaN(w) || !math.IsNaN(p) || !math.IsNaN(PairedShift(nil, nil, .95).Value) {
		t.Error("no pairs have a value")
	}
}

// Brute force: every way to give the signs, with ties and zeros.
func TestSignedRankAgainstEnumeration(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 1))
	for range 300 {
		n := 1 + rng.IntN(9)
		zeros, differences := make([]float64, n), make([]float64, n)
		for i := range differences {
			differences[i] = float64(rng.IntN(9) - 4)
		}
		rank := func(i int) float64 { // the midrank of a size: half of those that are as large, all that are smaller
			below := 0.5
			for _, d := range differences {
				switch size := math.Abs(differences[i]); {
				case math.Abs(d) < size:
					below++
				case math.Abs(d) == size:
					below += 0.5
				}
			}
			return below
		}
		statistic := func(positive func(i int) bool) (sum, mean float64) {
			for i, d := range differences {
				if d == 0 {
					continue
				}
				mean += rank(i) / 2
				if positive(i) {
					sum += rank(i)
				}
			}
			return sum, mean
		}
		observed, mean := statistic(func(i int) bool { return differences[i] > 0 })
		extreme := 0
		for signs := range 1 << n {
			if sum, _ := statistic(func(i int) bool { return signs>>i&1 == 1 }); math.Abs(sum-mean) >= math.Abs(observed-mean)-1e-9 {
				extreme++
			}
		}
		want := float64(extreme) / float64(int(1)<<n)
		if w, p := SignedRank(zeros, differences); !near(w, observed, 1e-9) || !near(p, want, 1e-12) {
			t.Fatalf("%v: W %v, p %v; enumeration %v, %v", differences, w, p, observed, want)
		}
	}
	if _, p := SignedRank([]float64{3, 3, 3}, []float64{3, 3, 3}); p != 1 {
		t.Errorf("nothing but zeros: p %v", p)
	}
	// Pratt: a zero takes the lowest rank from the others, and no sign. The sums of the
	// ranks 2, 3 and 4 are 0, 2, 3, 4, 5, 6, 7 and 9; that of {+2, +3, -4} is 5, and six
	// of the eight are as far from 4.5.
	if w, p := SignedRank([]float64{0, 0, 0, 0}, []float64{0, 1, 2, -3}); w != 5 || p != 1 {
		t.Errorf("with a zero: W %v, p %v", w, p)
	}
}

// What must hold of any pairs.
func TestPairedShiftProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(22, 1))
	for range 300 {
		n := 1 + rng.IntN(14)
		xs, ys, moved := make([]float64, n), make([]float64, n), make([]float64, n)
		by := float64(rng.IntN(9) - 4)
		for i := range xs {
			xs[i], ys[i] = float64(rng.IntN(32)), float64(rng.IntN(32)) // with ties
			moved[i] = ys[i] + by
		}
		got := PairedShift(xs, ys, .9)
		if got.Low > got.Value || got.Value > got.High {
			t.Fatalf("%v and %v: the estimate is outside: %+v", xs, ys, got)
		}
		if shifted := PairedShift(xs, moved, .9); shifted != (Interval{got.Value + by, got.Low + by, got.High + by, got.Confidence}) {
			t.Fatalf("%v and %v, moved by %v: %+v, not %+v", xs, ys, by, shifted, got)
		}
		if turned := PairedShift(ys, xs, .9); turned != (Interval{-got.Value, -got.High, -got.Low, got.Confidence}) {
			t.Fatalf("%v and %v, turned: %+v, not %+v", xs, ys, turned, got)
		}
		w, p := SignedRank(xs, ys)
		if back, same := SignedRank(ys, xs); same != p || w < 0 || back < 0 {
			t.Fatalf("%v and %v, turned: p %v, not %v", xs, ys, same, p)
		}
		shuffled := make([]float64, n)
		for i, at := range rng.Perm(n) {
			shuffled[i], moved[i] = xs[at], ys[at]
		}
		if PairedShift(shuffled, moved, .9) != got {
			t.Fatalf("%v and %v: the order of the pairs matters", xs, ys)
		}
		// What the test does not reject lies in the interval that inverts it.
		if wide := PairedShift(xs, ys, .95); p > 1-wide.Confidence+1e-9 && (wide.Low > 0 || wide.High < 0) && distinct(xs, ys) {
			t.Fatalf("%v and %v: p %v, and %+v", xs, ys, p, wide)
		}
	}
}

// distinct tells whether the sizes of the differences are, without zeros: then the
// test and the interval are of the same distribution.
func distinct(xs, ys []float64) bool {
	sizes := []float64{0}
	for _, d := range pairDifferences(xs, ys) {
		sizes = append(sizes, math.Abs(d))
	}
	slices.Sort(sizes)
	return len(slices.Compact(sizes)) == len(xs)+1
}

func TestPairedShiftCoversTheTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 1))
	const runs = 4000
	covered, rejected, want := 0, 0, 0.0
	for range runs {
		xs, ys := make([]float64, 8), make([]float64, 8)
		for i := range xs {
			both := 10 * rng.NormFloat64() // what the trials of a pair share
			xs[i], ys[i] = both+rng.NormFloat64(), both+rng.NormFloat64()+1
		}
		got := PairedShift(xs, ys, .95)
		want = got.Confidence
		if got.Low <= 1 && 1 <= got.High {
			covered++
		}
		for i := range ys {
			ys[i]--
		}
		if _, p := SignedRank(xs, ys); p <= 1-want+1e-9 {
			rejected++
		}
	}
	// Three standard errors of a proportion of 4,000 runs are 0.9 %.
	if share := float64(covered) / runs; !near(share, want, .01) {
		t.Errorf("covered %v, claimed %v", share, want)
	}
	if share := float64(rejected) / runs; !near(share, 1-want, .01) {
		t.Errorf("rejected %v, claimed %v", share, 1-want)
	}
}
