package stats

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
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
		if err := json.Unmarshal(data, &h); err == nil && h.counts != nil && h.Count() < 0 {
			t.Errorf("decoded a count of %d", h.Count())
		}
	})
}

// latencies draws n latencies over the whole range and its edges.
func latencies(rng *rand.Rand, n int) []int64 {
	edges := []int64{0, 1, 63, 64, linear - 1, linear, linear + 1, histogramHighest}
	list := make([]int64, n)
	for i := range list {
		if list[i] = int64(math.Exp(rng.Float64() * math.Log(float64(histogramHighest)))); i < len(edges) {
			list[i] = edges[i]
		}
	}
	return list
}

// The library is the oracle of the geometry, and of each figure.
func TestHistogramAgainstTheLibrary(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	h, oracle := NewHistogram(), hdrhistogram.New(histogramLowest, histogramHighest, histogramDigits)
	for _, ns := range latencies(rng, 5_000) {
		h.RecordNanos(ns)
		if err := oracle.RecordValue(ns); err != nil {
			t.Fatal(err)
		}
	}
	if !h.HDR().Equals(oracle) {
		t.Fatal("the counts are not the library's")
	}
	for q := 0.001; q <= 1; q += 0.001 {
		if got, want := h.Quantile(q), float64(oracle.ValueAtQuantile(100*q))/1e9; got != want {
			t.Errorf("quantile %v = %v, the library's is %v", q, got, want)
		}
	}
	if got, want := h.Max(), float64(oracle.Max())/1e9; got != want {
		t.Errorf("max %v, the library's is %v", got, want)
	}
	if got, want := h.Mean(), oracle.Mean()/1e9; math.Abs(got-want) > want*1e-12 {
		t.Errorf("mean %v, the library's is %v", got, want)
	}
}

func TestPackedCountsAddUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	merged, packed := NewHistogram(), NewHistogram()
	for range 20 {
		h := NewHistogram()
		for _, ns := range latencies(rng, rng.IntN(400)) {
			for range 1 + rng.IntN(3) {
				h.RecordNanos(ns)
			}
		}
		h.RecordNanos(-1)
		merged.Merge(h)
		if err := packed.AddPacked(h.AppendPacked(nil)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(merged.counts, packed.counts) || merged.Count() != packed.Count() || merged.Clamped() != packed.Clamped() {
		t.Errorf("merged %+v, packed %+v", merged.Summary(), packed.Summary())
	}
}

func FuzzAddPacked(f *testing.F) {
	h := NewHistogram()
	f.Add(h.AppendPacked(nil))
	h.RecordNanos(1e6)
	h.RecordNanos(1e6)
	h.RecordNanos(2e9)
	f.Add(h.AppendPacked(nil))
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, data []byte) {
		h := NewHistogram()
		if err := h.AddPacked(data); err != nil {
			return
		}
		total := int64(0)
		for _, n := range h.counts {
			total += n
		}
		again := NewHistogram()
		if err := again.AddPacked(h.AppendPacked(nil)); err != nil || total != h.Count() || !slices.Equal(again.counts, h.counts) {
			t.Errorf("%v: %d records, %d in bins", err, h.Count(), total)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	h, list := NewHistogram(), latencies(rand.New(rand.NewPCG(9, 10)), 1024)
	for i := 0; b.Loop(); i++ {
		h.RecordNanos(list[i%1024])
	}
}
