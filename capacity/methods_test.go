package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestHoltKnownAnswer(t *testing.T) {
	ys := []float64{17.5534, 21.8601, 23.8866, 26.9293, 26.8885, 28.8314, 30.0751, 30.9535, 30.1857, 31.5797, 32.577569, 33.477398, 39.021581, 41.386432, 41.596552}
	h := newHolt(0.8, 0.2, 1, ys[0], ys[1])
	for _, y := range ys[1:] {
		h.update(y)
	}
	got := make([]float64, 5)
	h.line().forecast(got)
	for i, want := range []float64{43.76, 45.59, 47.43, 49.27, 51.10} {
		if !near(got[i], want, 0.005) {
			t.Errorf("step %d: %v, want %v", i+1, got[i], want)
		}
	}
}

func TestDampedHoltKeepsLessOfTheSlope(t *testing.T) {
	got := make([]float64, 3)
	line{level: 10, slope: 8, damping: 0.5}.forecast(got)
	if want := []float64{14, 16, 17}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The formula of Hyndman and Billah, computed the long way.
func TestThetaAgainstItsFormula(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	ys := build(30, func(i int) float64 { return 5 + 2*float64(i) + random.NormFloat64() })
	th := newTheta(ys[0])
	for _, y := range ys[1:] {
		th.update(y)
	}
	best := slices.Index(th.squares, slices.Min(th.squares))
	a := th.alphas[best]
	level, ts := ys[0], build(30, func(i int) float64 { return float64(i + 1) })
	for _, y := range ys {
		level += a * (y - level)
	}
	_, slope := stat.LinearRegression(ts, ys, nil, false)
	got := make([]float64, 10)
	th.line().forecast(got)
	for h := 1; h <= 10; h++ {
		want := level + slope/2*(float64(h-1)+(1-math.Pow(1-a, 30))/a)
		if !near(got[h-1], want, 1e-9) {
			t.Errorf("step %d: %v, want %v", h, got[h-1], want)
		}
	}
}

func TestTheilSenLineIsNotBentByOutliers(t *testing.T) {
	for _, n := range []int{7, 24, 25, 100, 400} {
		ys := build(n, func(i int) float64 { return 3 + 0.5*float64(i) })
		ys[n/2], ys[n/3] = 1e6, -1e6
		l := theilSen(ys)
		if !near(l.slope, 0.5, 1e-9) || !near(l.level, 3+0.5*float64(n-1), 1e-9) {
			t.Errorf("n = %d: %+v", n, l)
		}
	}
}

// Without walks the filter is the regression line, with its covariance.
func TestTheFilterWithoutWalksIsTheRegression(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	n := 40
	ts := build(n, func(i int) float64 { return float64(i - n + 1) }) // 0 is now
	ys := build(n, func(i int) float64 { return 5 + 0.2*float64(i) + random.NormFloat64() })
	m := trendModel{noise: 1}
	s := m.start(ys[0], ys[1])
	for _, y := range ys[2:] {
		m.step(&s, y)
	}
	level, slope := stat.LinearRegression(ts, ys, nil, false)
	if !near(s.level, level, 1e-9) || !near(s.slope, slope, 1e-9) {
		t.Errorf("%v + %v t, want %v + %v t", s.level, s.slope, level, slope)
	}
	rss, sxx := 0.0, 0.0
	for i, y := range ys {
		rss += math.Pow(y-level-slope*ts[i], 2)
		sxx += math.Pow(ts[i]-stat.Mean(ts, nil), 2)
	}
	if !near(s.squares, rss, 1e-9) || !near(s.p22, 1/sxx, 1e-12) {
		t.Errorf("squares %v, want %v; variance of the slope %v, want %v", s.squares, rss, s.p22, 1/sxx)
	}
}

// With nothing but a walking level the slope is the mean increment.
func TestTheFilterOfAWalkIsTheDrift(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 3))
	level := 0.0
	ys := build(40, func(int) float64 { level += 1 + random.NormFloat64(); return level })
	m := trendModel{level: 1}
	s := m.start(ys[0], ys[1])
	for _, y := range ys[2:] {
		m.step(&s, y)
	}
	if want := drift(ys); !near(s.level, want.level, 1e-9) || !near(s.slope, want.slope, 1e-9) || !near(s.p22, 1.0/39, 1e-9) {
		t.Errorf("%+v, want %+v", s, want)
	}
}

// The cubic against the sum of variances of a path.
func TestSpreadAgainstAccumulation(t *testing.T) {
	p := newTrendPosterior(Gauge, 0, 1, 0)
	for k := range p.weights {
		p.weights[k] = 0
	}
	const k = 9
	p.weights[k], p.states[k].squares = 1, p.freedom()
	m, s := p.models[k], p.states[k]
	a, b, c := s.p11, s.p12, s.p22
	for h := 1; h <= 50; h++ {
		a, b, c = a+2*b+c+m.level, b+c, c+m.slope
		if got := p.spread().sd(h); !near(got*got, a+m.noise, 1e-9*a) {
			t.Fatalf("step %d: %v, want %v", h, got*got, a+m.noise)
		}
	}
}

func TestTQuantile(t *testing.T) {
	for _, nu := range []float64{5, 10, 30, 400} {
		for _, p := range []float64{0.9, 0.975} {
			want := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: nu}.Quantile(p)
			if got := tQuantile(p, nu); !near(got, want, 2e-3*want) {
				t.Errorf("t(%v, %v) = %v, want %v", p, nu, got, want)
			}
		}
	}
}

func TestSelectionAgainstSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		n := 1 + random.IntN(120)
		xs := build(n, func(int) float64 { return float64(random.IntN(40)) })
		sorted := slices.Sorted(slices.Values(xs))
		k := random.IntN(n)
		if got := selectInPlace(slices.Clone(xs), k); got != sorted[k] {
			t.Fatalf("element %d of %v is %v", k, sorted, got)
		}
		want := (sorted[(n-1)/2] + sorted[n/2]) / 2
		if got := medianInPlace(xs); got != want {
			t.Fatalf("the median of %v is %v", sorted, got)
		}
	}
}

func TestQuantilesAgainstSorting(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 5))
	for _, n := range []int{1, 2, 3, 10, 41, 1000} {
		xs := build(n, func(int) float64 { return random.NormFloat64() })
		sorted := slices.Sorted(slices.Values(xs))
		at := func(q float64) float64 { return sorted[int(math.Round(q*float64(n-1)))] }
		s := quantiles(xs)
		if s.Low95 != at(0.025) || s.Low80 != at(0.1) || s.High80 != at(0.9) || s.High95 != at(0.975) {
			t.Errorf("n = %d: %+v", n, s)
		}
	}
}

func TestChiSquareMean(t *testing.T) {
	random := rand.New(rand.NewPCG(6, 6))
	sum := 0.0
	for range 20_000 {
		sum += chiSquare(9, random)
	}
	if mean := sum / 20_000; !near(mean, 9, 0.1) {
		t.Errorf("the mean of chi-square with 9 degrees is %v", mean)
	}
}
