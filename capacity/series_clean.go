package capacity

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// A point is one measurement.
type point struct {
	time  time.Time
	value float64
}

// clean brings a series as it came onto a regular grid. What it left out, moved
// or filled in is in the warnings. valleys tells that low values are the ones
// that matter, where several fall into one step. It fails only if the series is
// not one at all.
func clean(s Series, step time.Duration, valleys bool) (*history, error) {
	if len(s.Times) != len(s.Values) {
		return nil, fmt.Errorf("series %s has %d times and %d values", s.Name, len(s.Times), len(s.Values))
	}
	switch s.Kind {
	case "", Gauge, Size, Counter:
	default:
		return nil, fmt.Errorf("series %s is of the unknown kind %q: the kinds are gauge, size and counter", s.Name, s.Kind)
	}
	h := &history{step: step}
	points := h.sorted(h.usable(s))
	if len(points) == 0 {
		return h, nil
	}
	if s.Kind == Counter {
		h.unwrap(points)
	}
	h.regular(points, s.Kind, valleys)
	h.oneUnit(s.Unit)
	if s.Kind != Counter {
		h.removeShifts(s.Kind)
	}
	return h, nil
}

func (h *history) warnf(format string, args ...any) {
	h.warnings = append(h.warnings, fmt.Sprintf(format, args...))
}

// usable leaves out what is no measurement.
func (h *history) usable(s Series) []point {
	points := make([]point, 0, len(s.Times))
	notNumbers, negative, undated := 0, 0, 0
	for i, v := range s.Values {
		switch {
		case math.IsNaN(v) || math.Abs(v) > 1e150:
			notNumbers++
		case s.Times[i].IsZero() || s.Times[i].Year() < 1 || s.Times[i].Year() > 9000:
			undated++
		case v < 0 && (s.Kind == Size || s.Kind == Counter):
			negative++
		default:
			points = append(points, point{s.Times[i], v})
		}
	}
	if notNumbers > 0 {
		h.warnf("%s not a finite number of a sane size: left out", count(notNumbers, "point is", "points are"))
	}
	if undated > 0 {
		h.warnf("%s no time in the calendar: left out", count(undated, "point has", "points have"))
	}
	if negative > 0 {
		h.warnf("%s negative, which a %s cannot be: left out", count(negative, "point is", "points are"), s.Kind)
	}
	return points
}

// count prints a number with the noun that goes with it.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// sorted puts the points in the order of time. Of several at the same time the
// one that came last stays.
func (h *history) sorted(points []point) []point {
	back := 0
	for i := 1; i < len(points); i++ {
		if points[i].time.Before(points[i-1].time) {
			back++
		}
	}
	if back > 0 {
		h.warnf("the clock goes back %s: sorted by time", count(back, "time", "times"))
		slices.SortStableFunc(points, func(a, b point) int { return a.time.Compare(b.time) })
	}
	kept := points[:0]
	for i, p := range points {
		if i+1 < len(points) && points[i+1].time.Equal(p.time) {
			continue
		}
		kept = append(kept, p)
	}
	if n := len(points) - len(kept); n > 0 {
		h.warnf("%s: the later one of each time counts", count(n, "duplicate", "duplicates"))
	}
	return kept
}

// unwrap continues a counter over its resets, so that it ends at its present
// value: after a reset it has counted from 0.
func (h *history) unwrap(points []point) {
	last := points[len(points)-1].value
	total, before := 0.0, 0.0
	for i := range points {
		v := points[i].value
		switch {
		case i > 0 && v < before:
			h.shifts = append(h.shifts, Shift{Time: points[i].time, Size: -before, Reset: true})
			total += v
		default:
			total += v - before
		}
		points[i].value, before = total, v
	}
	for i := range points {
		points[i].value += last - total
	}
	if n := len(h.shifts); n > 0 {
		h.warnf("the counter was reset %s: its increments are counted on", count(n, "time", "times"))
	}
}

// longestStep bounds how far apart points may be to be one series.
const longestStep = 366 * 24 * time.Hour

// regular fills the grid, which ends at the last point. Its step is the one
// asked for, or a multiple where the points are further apart than that.
func (h *history) regular(points []point, kind Kind, valleys bool) {
	h.last = points[len(points)-1].time
	spacing := medianSpacing(points)
	if multiple := math.Round(float64(min(spacing, longestStep)) / float64(h.step)); multiple >= 2 {
		h.step = time.Duration(multiple) * h.step
	}
	// Points that are about a step apart jitter around their step; of points
	// much closer than that, each step holds those since the step before.
	place := math.Round
	if spacing <= h.step/2 {
		place = math.Floor
	}
	steps := make([]point, 0, len(points)) // value, and the step as its offset from the last
	ages := make([]int, 0, len(points))
	merged := 0
	for _, p := range slices.Backward(points) {
		age := place(float64(h.last.Sub(p.time)) / float64(h.step))
		if n := len(ages); n > 0 && ages[n-1] == int(age) {
			merged++
			if kind != Size && kind != Counter && (p.value > steps[n-1].value) != valleys {
				steps[n-1].value = p.value
			}
			continue
		}
		steps, ages = append(steps, p), append(ages, int(age))
	}
	if merged > 0 {
		h.warnf("several points in %s: %s", plural(merged, "one step", "some steps"), whatOfSeveral(kind, valleys))
	}
	h.fill(steps, ages)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func whatOfSeveral(kind Kind, valleys bool) string {
	switch {
	case kind == Size || kind == Counter:
		return "the last of each counts"
	case valleys:
		return "the lowest of each counts"
	}
	return "the peak of each counts"
}

// fill takes the newest steps of which at least half have a point, and puts a
// straight line where one has none. ages ascend from the newest.
func (h *history) fill(steps []point, ages []int) {
	usable := 0
	for i, age := range ages {
		if age < longestHistory && 2*(i+1) >= age+1 {
			usable = i + 1
		}
	}
	switch left := len(ages) - usable; {
	case left > 0 && ages[usable] >= longestHistory:
		h.warnf("only the newest %d steps are looked at: %s left out", longestHistory, count(left, "older point is", "older points are"))
	case left > 0:
		h.warnf("%s apart by gaps longer than the history after them: left out", count(left, "older point is set", "older points are set"))
	}
	n := ages[usable-1] + 1
	h.values, h.filled, h.observed = make([]float64, n), make([]bool, n), usable
	for i := range usable {
		at := n - 1 - ages[i]
		h.values[at] = steps[i].value
		if i == 0 {
			continue
		}
		newer := n - 1 - ages[i-1]
		for j := at + 1; j < newer; j++ {
			part := float64(j-at) / float64(newer-at)
			h.values[j], h.filled[j] = steps[i].value*(1-part)+steps[i-1].value*part, true
		}
	}
	if gaps := n - usable; gaps > 0 {
		h.warnf("%s no point: filled by a straight line", count(gaps, "step has", "steps have"))
	}
	h.nonNegative = slices.Min(h.values) >= 0
	if n > 1 {
		h.lastJump = h.values[n-1] - h.values[n-2]
	}
}

// medianSpacing is the middle of the times between points, 0 for a single one.
func medianSpacing(points []point) time.Duration {
	if len(points) < 2 {
		return 0
	}
	spacings := make([]time.Duration, len(points)-1)
	for i := range spacings {
		spacings[i] = points[i+1].time.Sub(points[i].time)
	}
	slices.SortFunc(spacings, cmp.Compare[time.Duration])
	return spacings[len(spacings)/2]
}
