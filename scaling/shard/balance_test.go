package shard

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// heaviest is the weight of the heaviest run.
func heaviest(weights []float64, runs [][2]int) float64 {
	worst := 0.0
	for _, r := range runs {
		sum := 0.0
		for _, w := range weights[r[0]:r[1]] {
			sum += w
		}
		worst = max(worst, sum)
	}
	return worst
}

// best tries all cuts.
func best(weights []float64, n int) float64 {
	if n == 1 || len(weights) == 1 {
		return heaviest(weights, [][2]int{{0, len(weights)}})
	}
	least := math.Inf(1)
	sum := 0.0
	for i := 1; i <= len(weights); i++ {
		sum += weights[i-1]
		rest := 0.0
		if i < len(weights) {
			rest = best(weights[i:], n-1)
		}
		least = min(least, max(sum, rest))
	}
	return least
}

func TestRangesAreCutAsWellAsCanBe(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		weights := make([]float64, 1+rng.IntN(9))
		for i := range weights {
			weights[i] = math.Pow(rng.Float64(), 4)
		}
		n := 1 + rng.IntN(4)
		runs := cutRanges(weights, n)
		if got, want := heaviest(weights, runs), best(weights, n); got > want*(1+1e-9) {
			t.Fatalf("%v into %d: %v has %v, best %v", weights, n, runs, got, want)
		}
		next := 0
		for _, r := range runs {
			if r[0] != next || r[1] <= r[0] {
				t.Fatalf("%v are no neighbours", runs)
			}
			next = r[1]
		}
		if next != len(weights) || len(runs) > n {
			t.Fatalf("%v of %d weights into %d", runs, len(weights), n)
		}
	}
}

func TestListsKeepToGrahamsBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		weights := make([]float64, 1+rng.IntN(40))
		total, largest := 0.0, 0.0
		for i := range weights {
			weights[i] = rng.Float64()
			total, largest = total+weights[i], max(largest, weights[i])
		}
		n := 1 + rng.IntN(6)
		worst, count := 0.0, 0
		for _, list := range packLists(weights, n) {
			sum := 0.0
			for _, i := range list {
				sum += weights[i]
				count++
			}
			worst = max(worst, sum)
		}
		if count != len(weights) {
			t.Fatalf("%d of %d were packed", count, len(weights))
		}
		// Any list scheduling stays below the mean and the largest together.
		if bound := total/float64(n) + largest*(1-1/float64(n)); worst > bound*(1+1e-9) {
			t.Fatalf("%v, bound %v", worst, bound)
		}
	}
}

func TestTheLargestIsNamedWhereItBreaksTheBalance(t *testing.T) {
	sizes := []Size{{Organization: "small", Bytes: 10}, {Organization: "giant", Bytes: 80}, {Organization: "other", Bytes: 10}}
	if p := propose(sizes, 2); p.Breaks != "giant" || len(p.Ranges) != 2 || p.Ranges[0].Count+p.Ranges[1].Count != 3 {
		t.Errorf("%+v", p)
	}
	var even []Size
	for i := range 10 {
		even = append(even, Size{Organization: fmt.Sprint(i), Bytes: 5})
	}
	if p := propose(even, 5); p.Breaks != "" || p.Ranges[0].Organizations.String() != "0-1" {
		t.Errorf("%+v", p)
	}
	// Load counts as much as bytes.
	if p := propose([]Size{{Organization: "a", Bytes: 1, Load: 0.9}, {Organization: "b", Bytes: 1, Load: 0.1}}, 2); math.Abs(p.Ranges[0].Weight-0.7) > 1e-9 {
		t.Errorf("%+v", p)
	}
	if p := propose(nil, 3); len(p.Ranges) != 0 || p.Breaks != "" {
		t.Errorf("%+v", p)
	}
}
