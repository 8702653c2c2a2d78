// Package stats holds the mathematics: histograms, estimates, tests and their
// intervals. It is pure: no clock, no input or output, and randomness comes in
// as a parameter. Each function names the source of its formula.
package stats

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range and precision of every Histogram: latencies of 100 ns to one hour
// at three significant digits.
const (
	histogramLowest  = 100
	histogramHighest = int64(3600e9)
	histogramDigits  = 3
)

// A Histogram counts latencies in bins of constant relative width (HDR
// histogram, Gil Tene): any quantile is within 0.1 % (and below 131 µs within
// 64 ns) of the exact one. Its memory, about 210 KB, does not grow with what it
// records. The zero value is not usable: make one with NewHistogram. It is not
// safe for concurrent use.
type Histogram struct {
	hdr     *hdrhistogram.Histogram
	clamped int64
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram {
	return &Histogram{hdr: hdrhistogram.New(histogramLowest, histogramHighest, histogramDigits)}
}

// RecordNanos counts one latency in nanoseconds. A latency below 0 counts as 0
// and one above an hour as an hour; Clamped tells how many there were.
func (h *Histogram) RecordNanos(ns int64) {
	if ns < 0 || ns > histogramHighest {
		h.clamped++
		ns = min(max(ns, 0), histogramHighest)
	}
	// The value is within the range, which is all that can fail.
	_ = h.hdr.RecordValue(ns)
}

// Merge adds the counts of others to h.
func (h *Histogram) Merge(others ...*Histogram) {
	for _, o := range others {
		h.hdr.Merge(o.hdr)
		h.clamped += o.clamped
	}
}

// Reset forgets all counts and keeps the memory.
func (h *Histogram) Reset() {
	h.hdr.Reset()
	h.clamped = 0
}

// Count returns how many latencies were recorded.
func (h *Histogram) Count() int64 { return h.hdr.TotalCount() }

// Clamped returns how many latencies were outside the range.
func (h *Histogram) Clamped() int64 { return h.clamped }

// Quantile returns the latency in seconds below or at which the fraction q, 0
// to 1, of the records lie; NaN if there are none.
func (h *Histogram) Quantile(q float64) float64 {
	if h.Count() == 0 {
		return math.NaN()
	}
	ns := h.hdr.ValueAtQuantile(100 * min(max(q, 0), 1))
	// Of small histograms the library reads low quantiles as 0.
	return float64(min(max(ns, h.hdr.Min()), h.hdr.Max())) / 1e9
}

// Min returns the smallest latency in seconds, NaN if there is none.
func (h *Histogram) Min() float64 { return h.orNaN(float64(h.hdr.Min()) / 1e9) }

// Max returns the largest latency in seconds, NaN if there is none.
func (h *Histogram) Max() float64 { return h.orNaN(float64(h.hdr.Max()) / 1e9) }

// Mean returns the mean latency in seconds, NaN if there is none.
func (h *Histogram) Mean() float64 { return h.orNaN(h.hdr.Mean() / 1e9) }

func (h *Histogram) orNaN(v float64) float64 {
	if h.Count() == 0 {
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
	var bins []Bin
	for _, b := range h.hdr.Distribution() {
		if b.Count > 0 {
			bins = append(bins, Bin{float64(b.From) / 1e9, float64(b.To) / 1e9, b.Count})
		}
	}
	return bins
}

// HDR gives the library's histogram, in nanoseconds, for exchange formats. It
// is owned by h.
func (h *Histogram) HDR() *hdrhistogram.Histogram { return h.hdr }

// MarshalJSON encodes h as a string: the HDR V2 compressed form in base64.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	encoded, err := h.hdr.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
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
	if decoded.LowestTrackableValue() != histogramLowest || decoded.HighestTrackableValue() != histogramHighest {
		return fmt.Errorf("decoding a histogram: its range is %d to %d ns, not %d to %d", decoded.LowestTrackableValue(), decoded.HighestTrackableValue(), histogramLowest, histogramHighest)
	}
	*h = Histogram{hdr: decoded}
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
