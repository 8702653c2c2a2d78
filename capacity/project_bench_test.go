package capacity

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

// 10,000 series of 400 points, each with its backtest, are to take less than a
// minute on two cores: 12 ms of CPU a series.
func BenchmarkProjectAll(b *testing.B) {
	const series = 100
	random := rand.New(rand.NewPCG(1, 1))
	jobs := make([]ProjectJob, series)
	limit := 1e4
	for i := range jobs {
		d := syntheticSeries()[i%len(syntheticSeries())]
		jobs[i] = ProjectJob{
			Series:  nightly(fmt.Sprint("series ", i), d.kind, d.make(400, 0, random)),
			Options: ProjectOptions{Limit: &limit},
		}
	}
	b.ResetTimer()
	before := cpuSeconds(b)
	for b.Loop() {
		if _, err := ProjectAll(b.Context(), jobs); err != nil {
			b.Fatal(err)
		}
	}
	// What a busy machine takes from it is in the one figure and not in the other.
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N*series)*10_000, "s/10k-series")
	b.ReportMetric((cpuSeconds(b)-before)/float64(b.N*series)*1000, "CPU-ms/series")
}

// cpuSeconds is what this process has used so far.
func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	self, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		b.Fatal(err)
	}
	times, err := self.Times()
	if err != nil {
		b.Fatal(err)
	}
	return times.User + times.System
}

// nightly makes a series of one value a night, from the first of 2024 on.
func nightly(name string, kind Kind, values []float64) Series {
	s := Series{Name: name, Kind: kind, Values: values, Times: make([]time.Time, len(values))}
	for i := range s.Times {
		s.Times[i] = time.Date(2024, 1, 1+i, 2, 0, 0, 0, time.UTC)
	}
	return s
}
