package capacity

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func specSDM91() (n, x []float64) {
	return []float64{1, 18, 36, 72, 108, 144, 216}, []float64{64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2}
}

func TestUSLKnownAnswerOfSpecSDM91(t *testing.T) {
	n, x := specSDM91()
	u, err := FitUSL(n, x)
	if err != nil {
		t.Fatal(err)
	}
	const t4 = 2.776445105 // 97.5 % with 4 degrees of freedom
	for _, c := range []struct {
		name        string
		got         Coefficient
		value, se   float64
		valueTo, to float64
	}{
		{"alpha", u.Alpha, .027728476, .009122, 1e-8, 1e-6},
		{"beta", u.Beta, 1.0436548e-4, 1.988e-5, 1e-11, 1e-8},
		{"gamma", u.Gamma, 89.995233, 14.21, 1e-5, 5e-3},
	} {
		if !near(c.got.Value, c.value, c.valueTo) || !near(c.got.Error, c.se, c.to) {
			t.Errorf("%s: %+v, want %v with error %v", c.name, c.got, c.value, c.se)
		}
		if !near(c.got.High-c.got.Value, t4*c.got.Error, 1e-6*c.got.Value) || c.got.Low < 0 {
			t.Errorf("%s: the interval is not that of t with 4 degrees of freedom: %+v", c.name, c.got)
		}
	}
	if !near(u.Peak.Value, 96.51956, 1e-4) || !near(u.PeakThroughput, 1884, 0.5) || !near(u.Limit, 89.995233/.027728476, 0.01) || !near(u.Knee, 36.064, 1e-3) {
		t.Errorf("peak %+v at %v, limit %v, knee %v", u.Peak, u.PeakThroughput, u.Limit, u.Knee)
	}
	for i, want := range []float64{90, 1078, 1541, 1850, 1879, 1822, 1646} {
		if got := u.Predict(n[i]); !near(got.Value, want, 0.5) || got.Low >= got.Value || got.High <= got.Value {
			t.Errorf("X(%v) = %+v, want %v", n[i], got, want)
		}
	}
	if u.Peak.Low >= u.Peak.Value || u.Peak.High <= u.Peak.Value || u.RSquared < 0.98 {
		t.Errorf("peak %+v, R² %v", u.Peak, u.RSquared)
	}
}

func TestUSLKnownAnswerOfExactData(t *testing.T) {
	u, err := FitUSL([]float64{1, 2, 4, 6, 8, 10}, []float64{1, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557})
	if err != nil {
		t.Fatal(err)
	}
	if !near(u.Alpha.Value, .02, 1e-4) || !near(u.Beta.Value, .02, 1e-4) || !near(u.Gamma.Value, 1, 1e-4) || !near(u.Peak.Value, 7, 1e-2) {
		t.Errorf("%+v, peak %+v", u, u.Peak)
	}
	if s := u.ScaleUp(2, 4); !near(s.Gain, 3.0769/1.8868, 1e-3) || !near(s.Efficiency, 3.0769/1.8868/2, 1e-3) {
		t.Errorf("%+v", s)
	}
}

func TestUSLBoundsItsCoefficients(t *testing.T) {
	n := []float64{1, 2, 4, 8, 16, 32}
	for name, c := range map[string]struct {
		x           func(n float64) float64
		alpha, beta bool // at 0
	}{
		"linear":      {func(n float64) float64 { return 100 * n }, true, true},
		"superlinear": {func(n float64) float64 { return 100 * math.Pow(n, 1.1) }, true, true},
		"contention":  {func(n float64) float64 { return 100 * n / (1 + 0.1*(n-1)) }, false, true},
	} {
		x := build(len(n), func(i int) float64 { return c.x(n[i]) })
		u, err := FitUSL(n, x)
		if err != nil {
			t.Fatal(err)
		}
		if (u.Alpha.Value < 1e-9) != c.alpha || (u.Beta.Value < 1e-9) != c.beta {
			t.Errorf("%s: alpha %+v, beta %+v", name, u.Alpha, u.Beta)
		}
		if u.Alpha.High < u.Alpha.Value || u.Beta.High < u.Beta.Value || math.IsNaN(u.Gamma.Low) {
			t.Errorf("%s: alpha %+v, beta %+v, gamma %+v", name, u.Alpha, u.Beta, u.Gamma)
		}
		if _, err := json.Marshal(u); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The intervals of 95 % hold the truth in about 95 % of sweeps.
func TestUSLIntervalsAreHonest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	n := []float64{1, 2, 4, 8, 16, 32, 48, 64}
	truth := [3]float64{0.03, 4e-4, 200}
	const sweeps = 300
	held := [3]int{}
	for range sweeps {
		x := build(len(n), func(i int) float64 { return uslThroughput(truth, n[i]) + 40*random.NormFloat64() })
		u, err := FitUSL(n, x)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range []Coefficient{u.Alpha, u.Beta, u.Gamma} {
			if c.Low <= truth[i] && truth[i] <= c.High {
				held[i]++
			}
		}
	}
	for i, k := range held {
		if part := float64(k) / sweeps; part < 0.92 || part > 0.985 {
			t.Errorf("coefficient %d: the interval of 95 %% holds the truth in %.3f", i, part)
		}
	}
}

func TestUSLRefuses(t *testing.T) {
	for want, c := range map[string][2][]float64{
		"3 concurrencies and 2": {{1, 2, 3}, {1, 2}},
		"at least 4 points":     {{1, 2, 3}, {1, 2, 3}},
		"3 different":           {{1, 1, 2, 2}, {1, 1, 2, 2}},
		"point 2":               {{1, 0, 2, 3}, {1, 1, 2, 2}},
		"point 3":               {{1, 2, 3, 4}, {1, 1, math.NaN(), 2}},
	} {
		if _, err := FitUSL(c[0], c[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", c, err, want)
		}
	}
}

func FuzzReadUSLCSV(f *testing.F) {
	f.Add("n,throughput\n1,64.9\n18,995.9\n36,1652.4\n72,1853.2\n")
	f.Add("throughput,n\n1,1\n1,2\n1e300,3\n1e-300,4\n")
	f.Add("n,throughput\n1,\n")
	f.Fuzz(func(t *testing.T, text string) {
		n, x, err := ReadUSLCSV(strings.NewReader(text))
		if err != nil || len(n) > 20 {
			return
		}
		u, err := FitUSL(n, x)
		if err != nil {
			return
		}
		if _, err := json.Marshal(u); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if u.Alpha.Value < 0 || u.Beta.Value < 0 || !(u.Gamma.Value > 0) {
			t.Errorf("%q: %+v", text, u)
		}
	})
}
