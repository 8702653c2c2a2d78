package stats

import (
	"math"
	"math/rand/v2"
)

// The shape of the search for change points.
const (
	// leastSegment is the fewest values between two changes.
	leastSegment = 5
	permutations = 199
)

// ChangePoints returns the places in xs, in order, where its distribution
// changes: each is the index of the first value after a change. It is E-divisive
// (Matteson and James 2014, arXiv 1306.4933): the split of the largest energy
// distance is taken if a permutation test finds it at significance alpha, and
// then each part is split again. seed makes the test reproducible. Values must
// be finite. The time grows with the square of the number of values, and no more
// than a few hundred should be given.
func ChangePoints(xs []float64, alpha float64, seed uint64) []int {
	d := divisive{alpha: alpha, random: rand.New(rand.NewPCG(seed, 1))}
	d.split(xs, 0)
	return d.found
}

type divisive struct {
	alpha  float64
	random *rand.Rand
	found  []int
}

func (d *divisive) split(xs []float64, offset int) {
	if len(xs) < 2*leastSegment {
		return
	}
	at, observed := bestSplit(xs)
	shuffled := append([]float64(nil), xs...)
	asLarge := 0
	for range permutations {
		d.random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if _, q := bestSplit(shuffled); q >= observed {
			asLarge++
		}
		// Once too many are as large, the rest can't make it significant.
		if float64(asLarge+1) > d.alpha*(permutations+1) {
			return
		}
	}
	d.split(xs[:at], offset)
	d.found = append(d.found, offset+at)
	d.split(xs[at:], offset+at)
}

// bestSplit returns the split with the largest scaled energy distance between
// the two sides, and that distance. It moves one value at a time from the right
// to the left side, and keeps the sums of distances within each.
func bestSplit(xs []float64) (at int, best float64) {
	n := len(xs)
	total := 0.0
	for i := range xs {
		for j := range i {
			total += math.Abs(xs[i] - xs[j])
		}
	}
	left, right := 0.0, total
	best = math.Inf(-1)
	for m := 1; m < n; m++ {
		moved := xs[m-1]
		for _, x := range xs[:m-1] {
			left += math.Abs(moved - x)
		}
		for _, x := range xs[m:] {
			right -= math.Abs(moved - x)
		}
		if m < leastSegment || n-m < leastSegment {
			continue
		}
		a, b := float64(m), float64(n-m)
		between := total - left - right
		energy := 2*between/(a*b) - left/(a*(a-1)/2) - right/(b*(b-1)/2)
		if q := a * b / (a + b) * energy; q > best {
			at, best = m, q
		}
	}
	return at, best
}
