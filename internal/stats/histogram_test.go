package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestHistogramQuantilesAgainstSortedSamples(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	h := NewHistogram()
	samples := make([]int64, 50_000)
	for i := range samples {
		samples[i] = int64(math.Exp(rng.NormFloat64()*2+14)) + 1 // about 1 ms, over five decades
		h.RecordNanos(samples[i])
	}
	slices.Sort(samples)
	for _, q := range []float64{0, .001, .01, .5, .9, .99, .999, 1} {
		rank := max(int(math.Ceil(q*float64(len(samples))))-1, 0)
		exact := float64(samples[rank]) / 1e9
		if got := h.Quantile(q); math.Abs(got-exact) > max(exact*0.001, 64e-9) {
			t.Errorf("quantile %v = %v, exact %v", q, got, exact)
		}
	}
	if h.Min() > float64(samples[0])/1e9 {
		t.Errorf("min %v is above the smallest sample %v", h.Min(), samples[0])
	}
}

func TestHistogramMergeIsTheHistogramOfAll(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	all, parts := NewHistogram(), []*Histogram{NewHistogram(), NewHistogram(), NewHistogram()}
	for range 10_000 {
		ns := rng.Int64N(1e9)
		all.RecordNanos(ns)
		parts[rng.IntN(3)].RecordNanos(ns)
	}
	merged := NewHistogram()
	merged.Merge(parts...)
	if merged.Summary() != all.Summary() || !slices.Equal(merged.Bins(), all.Bins()) {
		t.Errorf("merged %+v, all %+v", merged.Summary(), all.Summary())
	}
}

func TestHistogramOfFewSamplesStaysWithinThem(t *testing.T) {
	h := NewHistogram()
	h.RecordNanos(2_000_000)
	h.RecordNanos(3_000_000)
	for _, q := range []float64{0, .1, .25, .5} {
		if got := h.Quantile(q); math.Abs(got-0.002) > 2e-6 {
			t.Errorf("quantile %v = %v, want 2 ms", q, got)
		}
	}
}

func TestAnEmptyHistogramKnowsNothing(t *testing.T) {
	h := NewHistogram()
	if !math.IsNaN(h.Quantile(.5)) || !math.IsNaN(h.Max()) || !math.IsNaN(h.Mean()) {
		t.Errorf("an empty histogram has quantiles: %v", h.Quantile(.5))
	}
	if h.Summary() != (Summary{}) {
		t.Errorf("an empty summary is %+v", h.Summary())
	}
}

func TestHistogramClampsAndSaysSo(t *testing.T) {
	h := NewHistogram()
	h.RecordNanos(-5)
	h.RecordNanos(2 * 3600e9)
	if h.Count() != 2 || h.Clamped() != 2 || math.Abs(h.Max()-3600) > 4 {
		t.Errorf("count %d, clamped %d, max %v", h.Count(), h.Clamped(), h.Max())
	}
}

func TestHistogramRoundTrip(t *testing.T) {
	h := NewHistogram()
	for ns := int64(100); ns < 1e12; ns = ns*5/3 + 1 {
		h.RecordNanos(ns)
	}
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var again Histogram
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	if again.Summary() != h.Summary() || again.Count() != h.Count() {
		t.Errorf("%+v became %+v", h.Summary(), again.Summary())
	}
}

func FuzzHistogramDecode(f *testing.F) {
	data, err := json.Marshal(NewHistogram())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`"HISTFAAAAA"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var h Histogram
		if err := json.Unmarshal(data, &h); err == nil && h.hdr != nil && h.Count() < 0 {
			t.Errorf("decoded a count of %d", h.Count())
		}
	})
}
