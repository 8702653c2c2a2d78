package capacity

import (
	"math"
	"slices"
)

// medianInPlace returns the median of xs and leaves them in another order.
func medianInPlace(xs []float64) float64 {
	n := len(xs)
	if n == 0 {
		return math.NaN()
	}
	high := selectInPlace(xs, n/2)
	if n%2 == 1 {
		return high
	}
	return (slices.Max(xs[:n/2]) + high) / 2
}

// selectInPlace returns what would stand at k if xs were sorted, and leaves the
// smaller ones before it. xs must not hold NaN. (Hoare's quickselect with the
// median of three.)
func selectInPlace(xs []float64, k int) float64 {
	low, high := 0, len(xs)-1
	for high-low > 12 {
		middle := low + (high-low)/2
		pivot := max(min(xs[low], xs[middle]), min(max(xs[low], xs[middle]), xs[high]))
		i, j := low, high
		for i <= j {
			for xs[i] < pivot {
				i++
			}
			for xs[j] > pivot {
				j--
			}
			if i <= j {
				xs[i], xs[j] = xs[j], xs[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			high = j
		case k >= i:
			low = i
		default:
			return xs[k]
		}
	}
	slices.Sort(xs[low : high+1])
	return xs[k]
}
