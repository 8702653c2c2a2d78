package stats

import (
	"cmp"
	"slices"
)

// BenjaminiHochberg returns the p-values adjusted for the false discovery rate
// (Benjamini and Hochberg 1995), in the order of ps: those at or below q are the
// discoveries of which a fraction of at most q is expected to be false.
func BenjaminiHochberg(ps []float64) []float64 {
	order := make([]int, len(ps))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(ps[b], ps[a]) })
	adjusted := make([]float64, len(ps))
	least := 1.0
	for i, at := range order {
		rank := len(ps) - i
		least = min(least, ps[at]*float64(len(ps))/float64(rank))
		adjusted[at] = least
	}
	return adjusted
}
