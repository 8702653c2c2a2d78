package capacity

import (
	"math"
	"slices"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

const (
	// An increment this many robust standard deviations off is no growth.
	shiftThreshold = 6
	// Levels before and after a jump are medians of this many points.
	shiftWindow = 5
	// As many drops as this are a habit: they will come again.
	habit = 3
)

// oneUnit leaves out what was measured before the unit changed: a lasting jump
// by a factor that units differ by.
func (h *history) oneUnit(base unit.Base) {
	factors := []float64{1e3, 1 << 10, 1e6, 1 << 20, 1e9, 1 << 30}
	if base == unit.Ratio {
		factors = []float64{100}
	}
	for t := len(h.values) - 1; t > 0; t-- {
		factor := nearFactor(h.values[t-1], h.values[t], factors)
		if factor == 0 || nearFactor(h.level(t-shiftWindow, t), h.level(t, t+shiftWindow), []float64{factor}) == 0 {
			continue
		}
		h.warnf("from %s on values differ by a factor of about %g, as if the unit had changed: what is older is left out", day(h.at(t)), factor)
		for _, filled := range h.filled[:t] {
			if !filled {
				h.observed--
			}
		}
		h.values, h.filled = h.values[t:], h.filled[t:]
		return
	}
}

// nearFactor returns which of the factors, or of their inverses, leads from a to
// b within a tenth; 0 if none does.
func nearFactor(a, b float64, factors []float64) float64 {
	if a <= 0 || b <= 0 {
		return 0
	}
	ratio := b / a
	for _, f := range factors {
		if math.Abs(math.Log(ratio/f)) < 0.1 {
			return f
		}
		if math.Abs(math.Log(ratio*f)) < 0.1 {
			return 1 / f
		}
	}
	return 0
}

// level is the median of the values [from, to), as far as there are any.
func (h *history) level(from, to int) float64 {
	return stats.Median(h.values[max(0, from):min(len(h.values), to)])
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// removeShifts finds the increments that are no growth, and moves what is older
// to the level of today. A jump that goes back at once is a spike and is bridged.
func (h *history) removeShifts(kind Kind) {
	n := len(h.values)
	if n < 5 {
		return
	}
	typical, spread := h.increments()
	var jumps []int
	for t := 1; t < n; t++ {
		if d := h.values[t] - h.values[t-1] - typical[t]; math.Abs(d) > shiftThreshold*spread && math.Abs(d) > 1e-9*math.Abs(h.values[t]) {
			jumps = append(jumps, t)
		}
	}
	if len(jumps) > max(4, n/10) {
		return // that is how the series moves
	}
	var lasting []int
	for _, t := range jumps {
		if h.lasts(t, kind) {
			lasting = append(lasting, t)
		}
	}
	h.bridgeSpikes(jumps, lasting, typical)
	h.shiftPast(lasting, typical)
}

// increments returns the increment that is typical for each step (by weekday,
// where there are weeks enough, so that a weekly batch is no shift), and the
// robust standard deviation around it.
func (h *history) increments() (typical []float64, spread float64) {
	n := len(h.values)
	m := seasonLength(h.step)
	if m == 0 || n <= 3*m {
		m = 1
	}
	typical = make([]float64, n)
	var offs []float64
	for phase := range m {
		var ds []float64
		for t := 1 + phase; t < n; t += m {
			ds = append(ds, h.values[t]-h.values[t-1])
		}
		middle := stats.Median(ds)
		for t := 1 + phase; t < n; t += m {
			typical[t] = middle
		}
		for _, d := range ds {
			offs = append(offs, math.Abs(d-middle))
		}
	}
	return typical, 1.4826 * stats.Median(offs)
}

// lasts reports whether the level stays after a jump at t. Of the last two
// points nothing can be said: a size that drops is then taken as a shift, since
// it does not come back by itself, and a jump of a gauge is not.
func (h *history) lasts(t int, kind Kind) bool {
	jump := h.values[t] - h.values[t-1]
	if len(h.values)-t < 3 {
		if kind == Size && jump < 0 {
			return true
		}
		h.warnf("the value jumps at %s: too early to tell whether it stays", day(h.at(t)))
		return false
	}
	change := h.level(t, t+shiftWindow) - h.level(t-shiftWindow, t)
	return change/jump >= 0.5
}

// bridgeSpikes replaces a point that lies far off both of its neighbours.
func (h *history) bridgeSpikes(jumps, lasting []int, typical []float64) {
	spikes := 0
	for i, t := range jumps {
		if i+1 >= len(jumps) || jumps[i+1] != t+1 || slices.Contains(lasting, t) || slices.Contains(lasting, t+1) {
			continue
		}
		there, back := h.values[t]-h.values[t-1], h.values[t+1]-h.values[t]
		if there*back < 0 {
			h.values[t] = h.values[t-1] + typical[t]
			spikes++
		}
	}
	if spikes > 0 {
		h.warnf("%s: bridged", count(spikes, "single point lies far off its neighbours", "single points lie far off their neighbours"))
	}
}

// shiftPast moves what is older than each shift by its size. Jumps upwards that
// keep coming are growth, and stay.
func (h *history) shiftPast(lasting []int, typical []float64) {
	ups := 0
	for _, t := range lasting {
		if h.values[t] > h.values[t-1] {
			ups++
		}
	}
	for _, t := range lasting {
		size := h.values[t] - h.values[t-1] - typical[t]
		if size > 0 && ups >= habit {
			continue
		}
		h.shifts = append(h.shifts, Shift{Time: h.at(t), Size: size})
	}
	moved := 0.0
	next := len(h.shifts) - 1
	for t := len(h.values) - 1; t >= 0; t-- {
		h.values[t] += moved
		if next >= 0 && h.at(t).Equal(h.shifts[next].Time) {
			moved += h.shifts[next].Size
			next--
		}
	}
	if n := len(h.shifts); n > 0 {
		h.warnf("%s: taken as such, not as growth", count(n, "level shift", "level shifts"))
	}
}

// drops are the sizes of the shifts downwards, if there are enough of them to
// expect more.
func (h *history) drops() []float64 {
	var sizes []float64
	for _, s := range h.shifts {
		if s.Size < 0 && !s.Reset {
			sizes = append(sizes, s.Size)
		}
	}
	if len(sizes) < habit {
		return nil
	}
	return sizes
}
