// Package stats holds the mathematics: histograms, estimates, tests and their
// intervals. It is pure: no clock, no input or output, and randomness comes in
// as a parameter. Each function names the source of its formula.
package stats

import (
	"encoding/json"
	"fmt"
	"math"
	"math/bits"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range and precision of every Histogram: latencies of 100 ns to one hour
// at three significant digits.
const (
	histogramLowest  = 100
	histogramHighest = int64(3600e9)
	histogramDigits  = 3
)

// The geometry that follows (HDR histogram, Gil Tene): values below linear lie
// in bins of 64 ns, and each doubling from there on in half bins more.
const (
	unitBits = 6  // the largest power of two that is not above histogramLowest
	halfBits = 10 // 2^11 bins tell three digits apart
	half     = 1 << halfBits
	linear   = 2 * half << unitBits
	octaves  = 26 // linear << (octaves-1) is the first above histogramHighest
	bins     = (octaves + 1) * half
)

// A Histogram counts latencies in bins of constant relative width (HDR
// histogram, Gil Tene): any quantile is within 0.1 % (and below 131 µs within
// 64 ns) of the exact one. Its memory, about 220 KB, does not grow with what it
// records. The zero value is not usable: make one with NewHistogram. It is not
// safe for concurrent use.
type Histogram struct {
	counts  []int64 // in the order of the library's
	total   int64
	clamped int64
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram { return &Histogram{counts: make([]int64, bins)} }

// binOf returns the bin of a latency within the range.
func binOf(ns int64) int {
	octave := bits.Len64(uint64(ns)|(linear-1)) - (unitBits + halfBits + 1)
	return octave<<halfBits + int(ns>>(octave+unitBits))
}

// boundsOf returns the smallest and the largest latency of a bin.
func boundsOf(bin int) (low, high int64) {
	octave := max(bin>>halfBits-1, 0)
	low = int64(bin-octave<<halfBits) << (octave + unitBits)
	return low, low + 1<<(octave+unitBits) - 1
}

// RecordNanos counts one latency in nanoseconds. A latency below 0 counts as 0
// and one above an hour as an hour; Clamped tells how many there were.
func (h *Histogram) RecordNanos(ns int64) {
	if uint64(ns) > uint64(histogramHighest) {
		h.clamped++
		ns = min(max(ns, 0), histogramHighest)
	}
	h.counts[binOf(ns)]++
	h.total++
}

// Merge adds the counts of others to h.
func (h *Histogram) Merge(others ...*Histogram) {
	for _, o := range others {
		if o.total > 0 {
			for i, n := range o.counts {
				h.counts[i] += n
			}
		}
		h.total += o.total
		h.clamped += o.clamped
	}
}

// Minus returns the records of h without those of o, which must be among them.
func (h *Histogram) Minus(o *Histogram) *Histogram {
	rest := NewHistogram()
	for i, n := range h.counts {
		rest.counts[i] = n - o.counts[i]
	}
	rest.total, rest.clamped = h.total-o.total, h.clamped-o.clamped
	return rest
}

// Reset forgets all counts and keeps the memory.
func (h *Histogram) Reset() {
	if h.total > 0 {
		clear(h.counts)
	}
	h.total, h.clamped = 0, 0
}

// Count returns how many latencies were recorded.
func (h *Histogram) Count() int64 { return h.total }

// Clamped returns how many latencies were outside the range.
func (h *Histogram) Clamped() int64 { return h.clamped }

// Quantile returns the latency in seconds below or at which the fraction q, 0
// to 1, of the records lie; NaN if there are none.
func (h *Histogram) Quantile(q float64) float64 {
	if h.total == 0 {
		return math.NaN()
	}
	if q <= 0 {
		return h.Min()
	}
	rank := h.total
	if r := q*float64(h.total) + .5; r < float64(h.total) {
		rank = max(int64(r), 1)
	}
	_, high := boundsOf(h.binAt(rank))
	return float64(high) / 1e9
}

// binAt returns the bin of the record of that rank, from 1.
func (h *Histogram) binAt(rank int64) int {
	const block = 8 // summed at once: most bins are passed without a branch
	seen := int64(0)
	for i := 0; i < bins; i += block {
		b := h.counts[i : i+block : i+block]
		sum := b[0] + b[1] + b[2] + b[3] + b[4] + b[5] + b[6] + b[7]
		if seen+sum < rank {
			seen += sum
			continue
		}
		for j, n := range b {
			if seen += n; seen >= rank {
				return i + j
			}
		}
	}
	return bins - 1
}

// Min returns the smallest latency in seconds, NaN if there is none.
func (h *Histogram) Min() float64 {
	low, _ := boundsOf(h.binAt(1))
	return h.orNaN(float64(low) / 1e9)
}

// Max returns the largest latency in seconds, NaN if there is none.
func (h *Histogram) Max() float64 {
	_, high := boundsOf(h.binAt(max(h.total, 1)))
	return h.orNaN(float64(high) / 1e9)
}

// Mean returns the mean latency in seconds, NaN if there is none.
func (h *Histogram) Mean() float64 {
	sum := 0.0
	for i, n := range h.counts {
		if n > 0 {
			low, high := boundsOf(i)
			sum += float64(n) * float64(low+(high-low+1)/2)
		}
	}
	return h.orNaN(sum / float64(h.total) / 1e9)
}

func (h *Histogram) orNaN(v float64) float64 {
	if h.total == 0 {
		return math.NaN()
	}
	return v
}

// A Bin is the count of the latencies in (Low, High], in seconds.
type Bin struct {
	Low, High float64
	Count     int64
}

// Bins returns the bins that hold records, in ascending order.
func (h *Histogram) Bins() []Bin {
	var list []Bin
	for i, n := range h.counts {
		if n > 0 {
			low, high := boundsOf(i)
			list = append(list, Bin{float64(low) / 1e9, float64(high) / 1e9, n})
		}
	}
	return list
}

// HDR returns a copy of h as the library has it, in nanoseconds, for exchange
// formats.
func (h *Histogram) HDR() *hdrhistogram.Histogram {
	return hdrhistogram.Import(&hdrhistogram.Snapshot{
		LowestTrackableValue: histogramLowest, HighestTrackableValue: histogramHighest,
		SignificantFigures: histogramDigits, Counts: h.counts,
	})
}

// MarshalJSON encodes h as a string: the HDR V2 compressed form in base64.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	encoded, err := h.HDR().Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encoding a histogram: %w", err)
	}
	return json.Marshal(string(encoded))
}

// UnmarshalJSON decodes what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(data []byte) (err error) {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("decoding a histogram: %w", err)
	}
	// The library panics on some damaged inputs instead of returning an error.
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("decoding a histogram: damaged data: %v", fault)
		}
	}()
	decoded, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return fmt.Errorf("decoding a histogram: %w", err)
	}
	if decoded.LowestTrackableValue() != histogramLowest || decoded.HighestTrackableValue() != histogramHighest || decoded.SignificantFigures() != histogramDigits {
		return fmt.Errorf("decoding a histogram: its range is %d to %d ns at %d digits, not %d to %d at %d", decoded.LowestTrackableValue(), decoded.HighestTrackableValue(), decoded.SignificantFigures(), histogramLowest, histogramHighest, histogramDigits)
	}
	// The library counts no negative count, and its total says so.
	*h = Histogram{counts: decoded.Export().Counts, total: decoded.TotalCount()}
	return nil
}

// A Summary is what a person reads of a histogram: seconds, and NaN-free: all
// zero where nothing was recorded.
type Summary struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// Summary returns the figures of h.
func (h *Histogram) Summary() Summary {
	if h.Count() == 0 {
		return Summary{}
	}
	return Summary{
		Min: h.Min(), Mean: h.Mean(),
		P50: h.Quantile(.5), P90: h.Quantile(.9), P95: h.Quantile(.95),
		P99: h.Quantile(.99), P999: h.Quantile(.999), Max: h.Max(),
	}
}
