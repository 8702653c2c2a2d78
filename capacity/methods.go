package capacity

import (
	"math"
	"slices"

	"scaleproof/internal/stats"
)

// A line is what the methods forecast from: level now, and slope per step, of
// which each step keeps the part damping.
type line struct{ level, slope, damping float64 }

// forecast writes the forecasts 1..len(out) steps ahead to out.
func (l line) forecast(out []float64) {
	value, slope := l.level, l.slope
	for h := range out {
		slope *= l.damping
		value += slope
		out[h] = value
	}
}

// A holt is damped double exponential smoothing with fixed parameters. (Gardner
// and McKenzie 1985; without damping, Holt 1957.)
type holt struct {
	alpha, beta, phi float64
	level, slope     float64
	squares          float64 // sum of the squared one-step errors
}

func newHolt(alpha, beta, phi, y1, y2 float64) holt {
	h := holt{alpha: alpha, beta: beta, phi: phi, level: y1, slope: y2 - y1}
	h.update(y1)
	h.squares = 0
	return h
}

func (h *holt) update(y float64) {
	expected := h.level + h.phi*h.slope
	error := y - expected
	before := h.level
	h.level = expected + h.alpha*error
	h.slope = h.beta*(h.level-before) + (1-h.beta)*h.phi*h.slope
	h.squares += error * error
}

func (h *holt) line() line { return line{h.level, h.slope, h.phi} }

// dampedHolt fits the parameters as it goes along: each combination is kept up
// to date, and the one with the smallest squared errors so far forecasts.
type dampedHolt struct{ grid []holt }

func newDampedHolt(y1, y2 float64) *dampedHolt {
	d := &dampedHolt{}
	for _, alpha := range []float64{0.05, 0.15, 0.3, 0.5, 0.75, 0.98} {
		for _, beta := range []float64{0.02, 0.1, 0.3} {
			for _, phi := range []float64{0.9, 0.98} {
				h := newHolt(alpha, beta, phi, y1, y2)
				h.update(y2)
				h.squares = 0
				d.grid = append(d.grid, h)
			}
		}
	}
	return d
}

func (d *dampedHolt) update(y float64) {
	for i := range d.grid {
		d.grid[i].update(y)
	}
}

func (d *dampedHolt) line() line {
	best := &d.grid[0]
	for i := range d.grid {
		if d.grid[i].squares < best.squares {
			best = &d.grid[i]
		}
	}
	return best.line()
}

// theta is the Theta method as exponential smoothing with half the slope of the
// regression line as drift. (Assimakopoulos and Nikolopoulos 2000; the form is
// that of Hyndman and Billah 2003.)
type theta struct {
	alphas, levels, squares     []float64
	n, sumT, sumTT, sumY, sumTY float64
}

func newTheta(y1 float64) *theta {
	t := &theta{alphas: []float64{0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1}}
	t.levels = slices.Repeat([]float64{y1}, len(t.alphas))
	t.squares = make([]float64, len(t.alphas))
	t.update(y1)
	return t
}

func (t *theta) update(y float64) {
	for i, a := range t.alphas {
		error := y - t.levels[i]
		t.levels[i] += a * error
		t.squares[i] += error * error
	}
	t.n++
	t.sumT += t.n
	t.sumTT += t.n * t.n
	t.sumY += y
	t.sumTY += t.n * y
}

func (t *theta) line() line {
	best := 0
	for i := range t.squares {
		if t.squares[i] < t.squares[best] {
			best = i
		}
	}
	slope := 0.0
	if det := t.n*t.sumTT - t.sumT*t.sumT; det > 0 {
		slope = (t.n*t.sumTY - t.sumT*t.sumY) / det
	}
	a := t.alphas[best]
	// The drift of step h is slope/2 (h - 1 + (1 - (1-a)^n)/a).
	start := (1-math.Pow(1-a, t.n))/a - 1
	return line{t.levels[best] + slope/2*start, slope / 2, 1}
}

// drift is the line through the first and the last value.
func drift(values []float64) line {
	n := len(values)
	return line{values[n-1], (values[n-1] - values[0]) / float64(n-1), 1}
}

// senBlocks bounds the work of a Theil-Sen line: of more values than this,
// medians of equal blocks stand for them.
const senBlocks = 24

// theilSen is the line with the median of all slopes, at the level of the newest
// values.
func theilSen(values []float64) line {
	n := len(values)
	size := (n + senBlocks - 1) / senBlocks
	ts, ys := make([]float64, 0, senBlocks), make([]float64, 0, senBlocks)
	block := make([]float64, size)
	for end := n; end >= size; end -= size {
		copy(block, values[end-size:end])
		ts = append(ts, float64(end)-float64(size+1)/2)
		ys = append(ys, medianInPlace(block))
	}
	slopes := make([]float64, 0, senBlocks*(senBlocks-1)/2)
	for i := range ts {
		for j := range i {
			slopes = append(slopes, (ys[j]-ys[i])/(ts[j]-ts[i]))
		}
	}
	slope := medianInPlace(slopes)
	newest := values[max(0, n-senAnchor):]
	rest := make([]float64, len(newest))
	for i, v := range newest {
		rest[i] = v + slope*float64(len(newest)-1-i)
	}
	return line{stats.Median(rest), slope, 1}
}

// senAnchor is how many of the newest values place the Theil-Sen line: a median
// over all would miss where a walking level is now.
const senAnchor = 7
