package stats

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// The shape of the search for change points.
const (
	// ChangeWindow is how many values are looked at at once, as Hunter has it.
	ChangeWindow = 50
	// leastSegment is the fewest values between two changes.
	leastSegment = 5
	// weakly is how much less significant than in the end a split may be at first: what
	// blurs a change, such as the next one, may not be split off yet.
	weakly = 10
)

// ChangePoints returns the places in xs, in order, where its mean changes: each is the
// index of the first value after a change. It is E-divisive (Matteson and James 2014,
// arXiv 1306.4933) with the changes of Hunter (Fleming et al. 2023, arXiv 2301.03034):
// a window of ChangeWindow values is split where the energy distance of both sides is
// largest, and its parts again, as long as Student's t-test tells them apart at ten times
// alpha. Then the weakest splits are merged until each is significant at alpha and changes
// the mean by minChange or more, a fraction of the smaller one. The window then moves to
// the last change or, without any, by half its length.
//
// It goes beyond Hunter in three things. A split that tells nothing apart counts if what
// it parts splits at alpha, since a change that is soon taken back hides in the mean of
// both; each split is placed anew between its neighbours in the end; and splits are merged
// within their window, and what it called is never taken back. So no value has a say in
// changes that lie ChangeWindow or more before it, and what is appended leaves them alone.
//
// Splits are tested where they look best, so that alpha is not the rate of false alarms:
// at .001 there is about one in 1,500 values of independent normal noise. Values must be
// finite. The result depends on the values alone, and the time is linear in their number.
func ChangePoints(xs []float64, alpha, minChange float64) []int {
	search := changeSearch{xs, alpha, minChange}
	var found []int
	last := 0 // the last change, or where the values begin
	for start := 0; start+2*leastSegment <= len(xs); {
		end := min(start+ChangeWindow, len(xs))
		changes := search.place(search.merge(search.split(start, end), last, end), start, end)
		start += ChangeWindow / 2
		if len(changes) > 0 {
			found = append(found, changes...)
			last = found[len(found)-1]
			start = last
		}
	}
	return found
}

type changeSearch struct {
	xs               []float64
	alpha, minChange float64
}

// split returns the weak splits of xs[from:to], in order. One that tells nothing apart
// counts if what it parts splits significantly.
func (c changeSearch) split(from, to int) []int {
	at, p := c.best(from, to)
	if p > weakly*c.alpha {
		_, before := c.best(from, at)
		_, after := c.best(at, to)
		if min(before, after) > c.alpha {
			return nil
		}
	}
	return slices.Concat(c.split(from, at), []int{at}, c.split(at, to))
}

// best returns where xs[from:to] splits best, and the p-value of that; infinite where
// there is nothing to split.
func (c changeSearch) best(from, to int) (at int, p float64) {
	if to-from < 2*leastSegment {
		return from, math.Inf(1)
	}
	at, distance := bestSplit(c.xs[from:to])
	at += from
	if distance <= 0 {
		return at, math.Inf(1)
	}
	return at, c.between(from, at, to).p
}

// merge removes splits until each tells apart what lies between its neighbours: the
// least significant first, then the smallest. The first is held against what is behind
// from too, the last against what is before to.
func (c changeSearch) merge(splits []int, from, to int) []int {
	for len(splits) > 0 {
		var weakest step
		removed := -1
		for i, at := range splits {
			left, right := neighbours(splits, i, max(from, at-ChangeWindow), to)
			if s := c.between(left, at, right); removed < 0 || s.weaker(weakest, c.alpha) {
				weakest, removed = s, i
			}
		}
		if weakest.p <= c.alpha && weakest.change >= c.minChange {
			break
		}
		splits = slices.Delete(splits, removed, removed+1)
	}
	return splits
}

// place moves each split to the best place between its neighbours in xs[from:to], which
// were not known when it was found.
func (c changeSearch) place(splits []int, from, to int) []int {
	for i := range splits {
		left, right := neighbours(splits, i, from, to)
		at, _ := bestSplit(c.xs[left:right])
		splits[i] = left + at
	}
	return splits
}

// neighbours returns the splits beside the i-th one, from before the first and to after
// the last.
func neighbours(splits []int, i, from, to int) (left, right int) {
	if i > 0 {
		from = splits[i-1]
	}
	if i+1 < len(splits) {
		to = splits[i+1]
	}
	return from, to
}

// A step is what a split tells apart: p is that of the t-test, change the difference of
// the means as a fraction of the smaller one.
type step struct{ p, change float64 }

// weaker reports whether s should go before other: the less significant where one is
// not at alpha, else the smaller.
func (s step) weaker(other step, alpha float64) bool {
	if max(s.p, other.p) > alpha {
		return s.p > other.p
	}
	return s.change < other.change
}

// between compares xs[from:at] with xs[at:to].
func (c changeSearch) between(from, at, to int) step {
	left, right := c.xs[from:at], c.xs[at:to]
	a, b := mean(left), mean(right)
	return step{studentP(left, right), math.Abs(a-b) / min(math.Abs(a), math.Abs(b))}
}

// studentP returns the two-sided p-value of Student's t-test of two samples of equal
// variance. Where neither varies it is 1 if they are equal, else 0.
func studentP(xs, ys []float64) float64 {
	if slices.Max(xs) == slices.Min(xs) && slices.Max(ys) == slices.Min(ys) {
		if xs[0] == ys[0] {
			return 1
		}
		return 0
	}
	n, m := float64(len(xs)), float64(len(ys))
	free := n + m - 2
	squares := (n-1)*math.Pow(StandardDeviation(xs), 2) + (m-1)*math.Pow(StandardDeviation(ys), 2)
	t := (mean(ys) - mean(xs)) / math.Sqrt(squares/free*(1/n+1/m))
	return 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: free}.CDF(-math.Abs(t))
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
