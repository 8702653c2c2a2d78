package capacity

import (
	"math"
	"time"

	"scaleproof/internal/unit"
)

// A Kind says how a series moves, which decides what a drop means.
type Kind string

// The kinds of series.
const (
	// Gauge goes up and down: CPU, connections, requests per second.
	Gauge Kind = "gauge"
	// Size accumulates: bytes, rows. A drop (TRUNCATE, VACUUM FULL, a partition
	// dropped) is a level shift, not negative growth.
	Size Kind = "size"
	// Counter only grows: transaction ids, log positions. A drop is a reset to 0.
	Counter Kind = "counter"
)

// A Series is what was measured over time: Values[i], in base unit Unit, at
// Times[i]. It may be as it came, with gaps, duplicates and NaN: Project says
// what it made of them.
type Series struct {
	Name   string      `json:"name"`
	Unit   unit.Base   `json:"unit,omitempty"`
	Kind   Kind        `json:"kind,omitempty"` // zero: Gauge
	Times  []time.Time `json:"times"`
	Values []float64   `json:"values"`
}

// A Shift is a change of level that is not growth: the value jumped and stayed.
type Shift struct {
	Time time.Time `json:"time"` // of the first point after it
	Size float64   `json:"size"` // in the series' unit, negative for a drop
	// Reset marks a counter that began again at 0.
	Reset bool `json:"reset,omitempty"`
}

// longestHistory is how many steps are looked at: what came earlier says little
// about the next weeks, and is left out.
const longestHistory = 400

// history is a series as the methods take it: one value per step, the last one
// at time last, with level shifts taken out by moving the past to the present
// level.
type history struct {
	values   []float64 // without shifts
	last     time.Time
	step     time.Duration
	observed int     // how many of the values were measured rather than filled in
	filled   []bool  // which were filled in
	lastJump float64 // the change at the last point, as measured
	// nonNegative tells that no value was negative, so that none will be.
	nonNegative bool
	shifts      []Shift
	warnings    []string
}

// at returns the time of the i-th value.
func (h *history) at(i int) time.Time {
	return h.last.Add(time.Duration(i-len(h.values)+1) * h.step)
}

// current is the newest value, NaN if there is none.
func (h *history) current() float64 {
	if len(h.values) == 0 {
		return math.NaN()
	}
	return h.values[len(h.values)-1]
}

// constant reports whether the value never changed.
func (h *history) constant() bool {
	for _, v := range h.values {
		if v != h.values[0] {
			return false
		}
	}
	return true
}
