package shard

import (
	"cmp"
	"slices"
)

// A Size is what an organisation takes up.
type Size struct {
	Organization string `json:"organization"`
	Rows         int64  `json:"rows"`
	Bytes        int64  `json:"bytes"` // of the rows, without indexes
	// Load is its part of the database's work, 0 to 1: of the measured traffic
	// where the plan has it, else of the rows that each table reads and writes.
	Load float64 `json:"load"`
}

// A Share is what one shard would take.
type Share struct {
	Organizations Organizations `json:"organizations"`
	Count         int           `json:"count"` // of organisations
	Bytes         int64         `json:"bytes"`
	// Weight is its part of all, 0 to 1: the mean of its parts of bytes and load.
	Weight float64 `json:"weight"`
}

// A Proposal cuts all organisations into shards.
type Proposal struct {
	Ranges []Share `json:"ranges"` // neighbours by key
	Lists  []Share `json:"lists"`  // any, better balanced
	// Breaks names the largest organisation where it alone is more than a shard's
	// fair part, so that no cut can balance.
	Breaks string `json:"breaks,omitempty"`
}

// propose cuts organisations, which must be in the order of their keys, into n
// shards.
func propose(sizes []Size, n int) Proposal {
	weights := weightsOf(sizes)
	p := Proposal{}
	for _, part := range cutRanges(weights, n) {
		s := Share{Organizations: Organizations{From: sizes[part[0]].Organization, To: sizes[part[1]-1].Organization}}
		for i := part[0]; i < part[1]; i++ {
			s.add(sizes[i], weights[i])
		}
		p.Ranges = append(p.Ranges, s)
	}
	for _, members := range packLists(weights, n) {
		var s Share
		for _, i := range members {
			s.Organizations.List = append(s.Organizations.List, sizes[i].Organization)
			s.add(sizes[i], weights[i])
		}
		p.Lists = append(p.Lists, s)
	}
	if len(weights) > 0 {
		if largest := slices.Max(weights); n > 1 && largest > 1/float64(n) {
			p.Breaks = sizes[slices.Index(weights, largest)].Organization
		}
	}
	return p
}

func (s *Share) add(size Size, weight float64) {
	s.Count++
	s.Bytes += size.Bytes
	s.Weight += weight
}

func weightsOf(sizes []Size) []float64 {
	var bytes, load float64
	for _, s := range sizes {
		bytes, load = bytes+float64(s.Bytes), load+s.Load
	}
	weights := make([]float64, len(sizes))
	for i, s := range sizes {
		parts := 0.0
		if bytes > 0 {
			weights[i], parts = float64(s.Bytes)/bytes, 1
		}
		if load > 0 {
			weights[i], parts = weights[i]+s.Load/load, parts+1
		}
		weights[i] /= max(parts, 1)
	}
	return weights
}

// cutRanges cuts weights into at most n runs of neighbours so that the heaviest
// is as light as can be: by bisection of that weight, each run filled from the
// left (the linear partition problem). Each run is [from, to).
func cutRanges(weights []float64, n int) [][2]int {
	if len(weights) == 0 {
		return nil
	}
	low, high := slices.Max(weights), 0.0
	for _, w := range weights {
		high += w
	}
	for range 100 { // halves the interval beyond the precision of a float64
		if middle := (low + high) / 2; len(fill(weights, middle)) <= n {
			high = middle
		} else {
			low = middle
		}
	}
	return fill(weights, high)
}

// fill makes runs of at most limit, but for single weights above it.
func fill(weights []float64, limit float64) [][2]int {
	var runs [][2]int
	start, sum := 0, 0.0
	for i, w := range weights {
		if i > start && sum+w > limit {
			runs, start, sum = append(runs, [2]int{start, i}), i, 0
		}
		sum += w
	}
	return append(runs, [2]int{start, len(weights)})
}

// packLists puts the heaviest first, each into the lightest list (Graham's LPT:
// at most 4/3 - 1/(3n) of the best).
func packLists(weights []float64, n int) [][]int {
	order := make([]int, len(weights))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(weights[b], weights[a]) })
	lists, sums := make([][]int, min(n, len(weights))), make([]float64, min(n, len(weights)))
	for _, i := range order {
		lightest := slices.Index(sums, slices.Min(sums))
		lists[lightest] = append(lists[lightest], i)
		sums[lightest] += weights[i]
	}
	for _, list := range lists {
		slices.Sort(list)
	}
	return lists
}
