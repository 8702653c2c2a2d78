package capacity

import (
	"math"
	"time"
)

// seasonLength is the number of steps in a season: 7 days, 24 hours, and of
// other steps none.
func seasonLength(step time.Duration) int {
	switch step {
	case 24 * time.Hour:
		return 7
	case time.Hour:
		return 24
	}
	return 0
}

// seasonTest reports whether values have a season of m steps: the
// autocorrelation at lag m is beyond what chance gives at 90 %, with n > 2m.
// (Makridakis et al. 2020, of the M4 competition.) It looks at differences, so
// that growth does not pass for a season; a negative autocorrelation is none.
func seasonTest(values []float64, m int) bool {
	if m < 2 || len(values) <= 2*m+1 {
		return false
	}
	n := len(values) - 1
	diffs := make([]float64, n)
	mean := (values[n] - values[0]) / float64(n)
	variance := 0.0
	for i := range diffs {
		diffs[i] = values[i+1] - values[i] - mean
		variance += diffs[i] * diffs[i]
	}
	if variance == 0 {
		return false
	}
	squares, r := 0.0, 0.0
	for lag := 1; lag <= m; lag++ {
		r = 0
		for i := lag; i < n; i++ {
			r += diffs[i] * diffs[i-lag]
		}
		r /= variance
		if lag < m {
			squares += r * r
		}
	}
	return r > 1.645*math.Sqrt((1+2*squares)/float64(n))
}

// A season holds what each phase of the season adds to the level. The phase of
// the value at index t is t modulo the length.
type season struct {
	indices []float64
	seen    []float64
	mean    float64
}

// seasonMemory is over how many seasons an index is averaged.
const seasonMemory = 12

func newSeason(m int) *season {
	return &season{indices: make([]float64, m), seen: make([]float64, m)}
}

// learn takes values[t] in: it completes the moving average around the value
// half a season earlier, and the distance from it is one more observation of
// that phase's index.
func (s *season) learn(values []float64, t int) {
	m := len(s.indices)
	if t < m || m < 2 {
		return
	}
	half := m / 2
	sum := 0.0
	for i := t - 2*half; i <= t; i++ {
		sum += values[i]
	}
	if m%2 == 0 {
		sum -= (values[t-m] + values[t]) / 2
	}
	centre := t - half
	phase := centre % m
	s.seen[phase] = min(s.seen[phase]+1, seasonMemory)
	change := (values[centre] - sum/float64(m) - s.indices[phase]) / s.seen[phase]
	s.indices[phase] += change
	s.mean += change / float64(m)
}

// at returns what the season adds at index t.
func (s *season) at(t int) float64 {
	if len(s.indices) == 0 {
		return 0
	}
	return s.indices[t%len(s.indices)] - s.mean
}
