package capacity

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A synthetic series is one whose future is known, because it was made.
type synthetic struct {
	name string
	kind Kind
	make func(n, ahead int, random *rand.Rand) []float64
}

func syntheticSeries() []synthetic {
	week := []float64{3, 2, 1, 2, 0, -4, -4}
	return []synthetic{
		{"trend and noise", Gauge, func(n, ahead int, random *rand.Rand) []float64 {
			return build(n+ahead, func(i int) float64 { return 100 + 0.3*float64(i) + 2*random.NormFloat64() })
		}},
		{"trend, season and noise", Gauge, func(n, ahead int, random *rand.Rand) []float64 {
			return build(n+ahead, func(i int) float64 { return 100 + 0.3*float64(i) + week[i%7] + 1.5*random.NormFloat64() })
		}},
		{"flat", Gauge, func(n, ahead int, random *rand.Rand) []float64 {
			return build(n+ahead, func(int) float64 { return 100 + random.NormFloat64() })
		}},
		{"heavy tails", Gauge, func(n, ahead int, random *rand.Rand) []float64 {
			return build(n+ahead, func(i int) float64 { return 100 + 0.3*float64(i) + 2*heavy(random) })
		}},
		{"wandering load", Gauge, func(n, ahead int, random *rand.Rand) []float64 {
			level := 500.0
			return build(n+ahead, func(int) float64 { level += random.NormFloat64(); return level + random.NormFloat64() })
		}},
		{"load after a failover", Gauge, func(n, ahead int, random *rand.Rand) []float64 {
			jump := n/4 + random.IntN(n/4)
			return build(n+ahead, func(i int) float64 {
				y := 100 + 0.2*float64(i) + 2*random.NormFloat64()
				if i >= jump {
					y += 60
				}
				return y
			})
		}},
		{"growing table", Size, func(n, ahead int, random *rand.Rand) []float64 {
			level := 1000.0
			return build(n+ahead, func(int) float64 { level += 0.5 + random.NormFloat64(); return level })
		}},
		{"table that grows in bursts", Size, func(n, ahead int, random *rand.Rand) []float64 {
			level := 1000.0
			return build(n+ahead, func(int) float64 { level += random.ExpFloat64(); return level })
		}},
		{"table that grows on weekdays", Size, func(n, ahead int, random *rand.Rand) []float64 {
			level := 1000.0
			return build(n+ahead, func(i int) float64 { level += 5 + week[i%7] + random.NormFloat64(); return level })
		}},
		{"table truncated once", Size, func(n, ahead int, random *rand.Rand) []float64 {
			level, drop := 1000.0, n/4+random.IntN(n/4)
			return build(n+ahead, func(i int) float64 {
				level += 1 + random.NormFloat64()
				if i == drop {
					level -= 300
				}
				return level
			})
		}},
	}
}

func build(n int, value func(i int) float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = value(i)
	}
	return values
}

// heavy draws from Student's t with 3 degrees of freedom, scaled to variance 1.
func heavy(random *rand.Rand) float64 {
	squares := 0.0
	for range 3 {
		z := random.NormFloat64()
		squares += z * z
	}
	return random.NormFloat64() / math.Sqrt(squares)
}

// coverage counts how much of what came fell into the intervals.
type coverage struct{ in80, in95, all float64 }

func (c *coverage) count(p *Projection, came []float64) {
	for i, s := range p.Steps {
		c.all++
		if s.Low80 <= came[i] && came[i] <= s.High80 {
			c.in80++
		}
		if s.Low95 <= came[i] && came[i] <= s.High95 {
			c.in95++
		}
	}
}

// measure projects several of the synthetic series of d from n points, and
// counts how much of what came after them fell into the intervals.
func (c *coverage) measure(tb testing.TB, d synthetic, n, series int, opts ProjectOptions) {
	tb.Helper()
	random := rand.New(rand.NewPCG(2024, uint64(n)))
	for i := range series {
		values := d.make(n, 90, random)
		p, err := Project(nightly(fmt.Sprint(i), d.kind, values[:n]), opts)
		if err != nil {
			tb.Fatal(err)
		}
		c.count(p, values[n:])
	}
}

// The intervals hold what they promise: 75 to 85 % of what comes falls into that
// of 80 %, and 92 to 98 % into that of 95 %, over series with trend, season,
// shifts, noise and heavy tails, at every length of history. BenchmarkCoverage
// has the figures by kind of series.
func TestIntervalsAreCalibrated(t *testing.T) {
	for _, n := range []int{7, 12, 20, 40, 90, 300} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			var all coverage
			for _, d := range syntheticSeries() {
				var c coverage
				c.measure(t, d, n, 20, ProjectOptions{Horizon: 45 * 24 * time.Hour, Paths: 400})
				if part := c.in80 / c.all; n >= 90 && (part < 0.65 || part > 0.95) {
					t.Errorf("%s: the interval of 80 %% covers %.3f", d.name, part)
				}
				all.in80, all.in95, all.all = all.in80+c.in80/c.all, all.in95+c.in95/c.all, all.all+1
			}
			in80, in95 := all.in80/all.all, all.in95/all.all
			if in80 < 0.75 || in80 > 0.85 || in95 < 0.92 || in95 > 0.98 {
				t.Errorf("the intervals of 80 and 95 %% cover %.3f and %.3f", in80, in95)
			}
		})
	}
}

// BenchmarkCoverage measures what TestIntervalsAreCalibrated tests, by kind of
// series and length of history, with as many series as one has time for:
// go test -run=NONE -bench=Coverage -benchtime=200x ./capacity
func BenchmarkCoverage(b *testing.B) {
	for _, n := range []int{5, 7, 9, 12, 20, 40, 90, 200, 400} {
		for _, d := range syntheticSeries() {
			b.Run(fmt.Sprintf("%d points/%s", n, d.name), func(b *testing.B) {
				var c coverage
				c.measure(b, d, n, b.N, ProjectOptions{})
				b.ReportMetric(100*c.in80/c.all, "%in80")
				b.ReportMetric(100*c.in95/c.all, "%in95")
			})
		}
	}
}
