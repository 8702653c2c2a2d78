package capacity_test

import (
	"fmt"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/unit"
)

// A disk that fills by about 2 GB a day, measured for eight weeks: when will it
// hold 200 GB?
func ExampleProject() {
	series := capacity.Series{Name: "disk", Unit: unit.Bytes, Kind: capacity.Size}
	start := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	used := 40e9
	for day := range 56 {
		used += 2e9 + 1e8*float64(day%5-2) // some days bring more than others
		series.Times = append(series.Times, start.AddDate(0, 0, day))
		series.Values = append(series.Values, used)
	}
	limit := 200e9
	projection, err := capacity.Project(series, capacity.ProjectOptions{Limit: &limit, Horizon: 56 * 24 * time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(projection.Status, "with", projection.Points, "points,", projection.Confidence, "confidence")
	fmt.Println("full:", projection.Limit)
	// Output:
	// projected with 56 points, high confidence
	// full: 2026-03-22
}

// The throughput of a load sweep, and where more clients stop to bring more.
func ExampleFitUSL() {
	clients := []float64{1, 18, 36, 72, 108, 144, 216}
	throughput := []float64{64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2}
	law, err := capacity.FitUSL(clients, throughput)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("contention %.4f, coherence %.6f\n", law.Alpha.Value, law.Beta.Value)
	fmt.Printf("the peak: %.0f/s with %.0f clients\n", law.PeakThroughput, law.Peak.Value)
	// Output:
	// contention 0.0277, coherence 0.000104
	// the peak: 1884/s with 97 clients
}

// A pool of 12 connections with 10 busy on average: how often does a request
// wait for one?
func ExampleErlangC() {
	fmt.Printf("%.4f\n", capacity.ErlangC(12, 10))
	// Output: 0.4494
}
