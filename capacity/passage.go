package capacity

import (
	"fmt"
	"math"
	"time"

	"scaleproof/internal/unit"
)

// A PassageStatus says whether a limit is going to be reached.
type PassageStatus string

// What becomes of a limit.
const (
	Exceeded   PassageStatus = "exceeded"    // it is already
	Expected   PassageStatus = "expected"    // in at least half of the futures within the horizon
	Possible   PassageStatus = "possible"    // in at least a tenth of them
	NotReached PassageStatus = "not_reached" // in fewer, or there is no growth towards it
)

// A Passage tells when a limit is first reached. The dates are quantiles over
// all futures: by P10 a tenth of them have reached it, which makes P10 the
// early and P90 the late date; nil if it lies beyond the horizon.
type Passage struct {
	Limit  float64       `json:"limit"`
	Below  bool          `json:"below,omitempty"` // the limit is a floor
	Status PassageStatus `json:"status"`
	P10    *time.Time    `json:"p10"`
	P50    *time.Time    `json:"p50"`
	P90    *time.Time    `json:"p90"`
	// Needed is what nine of ten futures stay below all the way to the horizon, or
	// above where the limit is a floor.
	Needed float64 `json:"needed"`
	// Probability is that of reaching the limit within the horizon, from 0 to 1.
	Probability float64   `json:"probability"`
	Horizon     time.Time `json:"horizon"`
	Reason      string    `json:"reason,omitempty"`
}

// String says it in words.
func (p *Passage) String() string {
	switch p.Status {
	case Exceeded:
		return "already reached"
	case NotReached:
		return fmt.Sprintf("not reached by %s", day(p.Horizon))
	case Possible:
		return fmt.Sprintf("possible from %s on (%s by %s)", day(*p.P10), unit.Format(p.Probability, unit.Ratio), day(p.Horizon))
	}
	late := "later than " + day(p.Horizon)
	if p.P90 != nil {
		late = day(*p.P90)
	}
	if late == day(*p.P10) {
		return late
	}
	return fmt.Sprintf("%s (from %s to %s)", day(*p.P50), day(*p.P10), late)
}

// passage dates the first time that paths, by step and path, reach the limit.
// Without ground, which is growth or a scenario, it dates nothing: that chance
// alone may carry a level over the limit is in the probability.
func passage(paths [][]float64, h *history, limit float64, below, ground bool) *Passage {
	p := &Passage{Limit: limit, Below: below, Horizon: h.at(len(h.values) + len(paths) - 1), Needed: extreme(paths, h.current(), below)}
	reached := func(v float64) bool {
		if below {
			return v <= limit
		}
		return v >= limit
	}
	if reached(h.current()) {
		now := h.last
		p.Status, p.Probability, p.P10, p.P50, p.P90 = Exceeded, 1, &now, &now, &now
		return p
	}
	number := len(paths[0])
	done := make([]bool, number)
	count := 0
	p.Status = NotReached
	for i, values := range paths {
		for j, v := range values {
			if !done[j] && reached(v) {
				done[j] = true
				count++
			}
		}
		when := h.at(len(h.values) + i)
		for _, q := range []struct {
			part float64
			date **time.Time
		}{{0.1, &p.P10}, {0.5, &p.P50}, {0.9, &p.P90}} {
			if *q.date == nil && float64(count) >= q.part*float64(number) {
				*q.date = &when
			}
		}
	}
	p.Probability = float64(count) / float64(number)
	switch {
	case !ground || !towards(paths, h.current(), below):
		p.P10, p.P50, p.P90 = nil, nil, nil
		p.Reason = "no growth towards the limit beyond what chance gives"
	case p.P50 != nil:
		p.Status = Expected
	case p.P10 != nil:
		p.Status = Possible
	}
	return p
}

// extreme returns what nine of ten paths never exceed, or where below never fall
// under, starting from now. A path's own peak counts: each step's quantile alone
// would be exceeded by more of them, one here and one there.
func extreme(paths [][]float64, now float64, below bool) float64 {
	furthest := make([]float64, len(paths[0]))
	for j := range furthest {
		furthest[j] = now
	}
	for _, values := range paths {
		for j, v := range values {
			if (v > furthest[j]) != below {
				furthest[j] = v
			}
		}
	}
	n := len(furthest)
	nine := int(math.Ceil(0.9*float64(n))) - 1
	if below {
		nine = n - 1 - nine
	}
	return selectInPlace(furthest, nine)
}

// towards reports whether most paths end nearer to the limit than they began.
func towards(paths [][]float64, now float64, below bool) bool {
	nearer := 0
	ends := paths[len(paths)-1]
	for _, v := range ends {
		if (v < now) == below && v != now {
			nearer++
		}
	}
	return 2*nearer > len(ends)
}
