package capacity

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var vpaStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// minutely makes a sample a minute.
func minutely(days float64, cpu, memory func(minute int) float64) []UsageSample {
	samples := make([]UsageSample, int(days*24*60)+1)
	for i := range samples {
		samples[i] = UsageSample{Time: vpaStart.Add(time.Duration(i) * time.Minute), CPU: cpu(i), Memory: memory(i)}
	}
	return samples
}

func always(v float64) func(int) float64 { return func(int) float64 { return v } }

func recommend(t *testing.T, samples []UsageSample, o VPAOptions) *VPARecommendation {
	t.Helper()
	r, err := RecommendVPA(samples, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVPAKnownAnswers(t *testing.T) {
	r := recommend(t, minutely(8, always(.5), always(1e9)), VPAOptions{})
	if got := math.Floor(r.Target.CPU * 1000); got != 587 {
		t.Errorf("half a core gives %vm, want 587m", got)
	}
	// The bucket of 1e9 bytes ends at 1e7 (1.05^b - 1)/.05 with the smallest b above it.
	end := 0.0
	for b := 0; end <= 1e9; b++ {
		end = 1e7 * (math.Pow(1.05, float64(b)) - 1) / .05
	}
	if got := r.Target.Memory; math.Abs(got-end*1.15) > 1 {
		t.Errorf("1e9 bytes give %v, want %v", got, end*1.15)
	}
	if r.Confidence != 8 || r.Days != 8 {
		t.Errorf("confidence %v of %v days", r.Confidence, r.Days)
	}
	// All quantiles of a constant are in one bucket: the bounds differ by the
	// confidence alone.
	if got := r.UpperBound.CPU / r.Target.CPU; math.Abs(got-(1+1./8)) > 1e-9 {
		t.Errorf("upper bound over target %v", got)
	}
	if got := r.LowerBound.CPU / r.Target.CPU; math.Abs(got-math.Pow(1+.001/8, -2)) > 1e-9 {
		t.Errorf("lower bound over target %v", got)
	}
}

// What keeps the bounds wide is told: too few samples, or too short a time.
func TestVPASaysWhyItsBoundsAreWide(t *testing.T) {
	day := minutely(1, always(.5), always(1e9))
	var sparse []UsageSample
	for i := 0; i < len(day); i += 5 {
		sparse = append(sparse, day[i])
	}
	for want, samples := range map[string][]UsageSample{
		"289 samples count for 0.2 of a day":   sparse,
		"there is 0.25 of a day of history: t": day[:361],
	} {
		if got := strings.Join(recommend(t, samples, VPAOptions{}).Warnings, "\n"); !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestVPALeastAmounts(t *testing.T) {
	r := recommend(t, minutely(2, always(.001), always(1e6)), VPAOptions{Containers: 2})
	if r.Target.CPU != .0125 || r.Target.Memory != 125<<20 {
		t.Errorf("%+v", r.Target)
	}
}

// The quantiles follow from the samples, whose weight halves each day: in
// buckets 5 % wide.
func TestVPAQuantilesAgainstBruteForce(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	samples := minutely(6, func(int) float64 { return .2 + random.ExpFloat64() }, always(1e9))
	r := recommend(t, samples, VPAOptions{})
	last := samples[len(samples)-1].Time
	total := 0.0
	below := map[float64]float64{}
	for _, s := range samples {
		w := math.Exp2(-last.Sub(s.Time).Hours() / 24)
		total += w
		for _, bound := range []float64{r.Target.CPU / 1.15, r.LowerBound.CPU / 1.15 / math.Pow(1+.001/r.Confidence, -2), r.UpperBound.CPU / 1.15 / (1 + 1/r.Confidence)} {
			if s.CPU <= bound {
				below[bound] += w
			}
		}
	}
	shares := []float64{}
	for _, w := range below {
		shares = append(shares, w/total)
	}
	for _, want := range []float64{.5, .9, .95} {
		ok := false
		for _, got := range shares {
			ok = ok || got >= want-1e-9 && got < want+.04
		}
		if !ok {
			t.Errorf("no bound is the %v quantile: shares %v", want, shares)
		}
	}
}

func TestVPAMemoryIsByItsPeaks(t *testing.T) {
	spike := func(minute int) float64 {
		if minute%1440 == 700 {
			return 4e9 // once a day
		}
		return 1e9
	}
	if r := recommend(t, minutely(8, always(.5), spike), VPAOptions{}); r.Target.Memory < 4e9 {
		t.Errorf("a daily peak of 4e9 bytes gives %v", r.Target.Memory)
	}
	samples := minutely(8, always(.5), always(1e9))
	samples[len(samples)-10].OOM = true
	if r := recommend(t, samples, VPAOptions{}); r.Target.Memory < 1.2e9 {
		t.Errorf("a kill at 1e9 bytes gives %v", r.Target.Memory)
	}
}

func TestVPAForgets(t *testing.T) {
	falling := func(minute int) float64 {
		if minute < 4*1440 {
			return 8
		}
		return .5
	}
	if r := recommend(t, minutely(12, falling, always(1e9)), VPAOptions{}); r.Target.CPU > .6 {
		t.Errorf("eight days after it fell to half a core the target is %v", r.Target.CPU)
	}
}

func TestVPARefuses(t *testing.T) {
	nothing := []UsageSample{{Time: vpaStart, CPU: math.NaN(), Memory: math.NaN()}}
	for _, samples := range [][]UsageSample{nil, nothing} {
		if _, err := RecommendVPA(samples, VPAOptions{}); err == nil {
			t.Errorf("%v were taken", samples)
		}
	}
	r := recommend(t, []UsageSample{{Time: vpaStart, CPU: 1, Memory: math.NaN()}}, VPAOptions{})
	if len(r.Warnings) != 2 || r.Target.CPU < 1 || r.UpperBound != nil || math.IsNaN(r.LowerBound.CPU) {
		t.Errorf("one sample: %+v", r)
	}
}

func TestReadUsageCSV(t *testing.T) {
	samples, err := ReadUsageCSV(strings.NewReader("time,cpu,memory,oom\n2026-03-01,0.5,1e9,0\n2026-03-02,,2e9,1\n"))
	if err != nil || len(samples) != 2 || samples[0].CPU != .5 || !math.IsNaN(samples[1].CPU) || !samples[1].OOM {
		t.Errorf("%+v, %v", samples, err)
	}
	for _, text := range []string{"", "cpu\n1\n", "time,cpu\nlater,1\n", "time,cpu\n2026-03-01,-1\n", "time,oom\n2026-03-01,maybe\n", "time,disk\n2026-03-01,1\n"} {
		if _, err := ReadUsageCSV(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func FuzzReadUsageCSV(f *testing.F) {
	f.Add("time,cpu,memory,oom\n2026-03-01,0.5,1e9,0\n")
	f.Fuzz(func(_ *testing.T, text string) {
		if samples, err := ReadUsageCSV(strings.NewReader(text)); err == nil {
			_, _ = RecommendVPA(samples, VPAOptions{}) // must not panic
		}
	})
}
