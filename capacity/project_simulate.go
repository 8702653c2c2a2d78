package capacity

import (
	"math"
	"math/rand/v2"
)

// A simulation holds what paths are drawn from.
type simulation struct {
	centre      []float64 // by step ahead
	calibration []float64 // by step ahead
	posterior   *trendPosterior
	shocks      []float64 // standardised one-step errors, nil for normal ones
	drops       []float64 // sizes of level shifts to expect more of
	dropRate    float64   // per step
}

// shockBlock is for how many steps shocks are taken in a row, so that what
// correlation they have stays.
const shockBlock = 7

// paths draws an even number of paths: by step, then by path. Each comes with
// its mirror image around the centre, which keeps the median where the centre
// is.
func (s *simulation) paths(number int, random *rand.Rand) [][]float64 {
	pairs := (number + 1) / 2
	steps := make([][]float64, len(s.centre))
	all := make([]float64, len(s.centre)*2*pairs)
	for h := range steps {
		steps[h] = all[h*2*pairs : (h+1)*2*pairs]
	}
	for p := range pairs {
		s.pair(steps, p, random)
	}
	for p := range 2 * pairs {
		s.drop(steps, p, random)
	}
	return steps
}

// pair draws the paths 2p and 2p+1.
func (s *simulation) pair(steps [][]float64, p int, random *rand.Rand) {
	k := s.pick(random)
	m, state := s.posterior.models[k], s.posterior.states[k]
	sigma := math.Sqrt(state.squares / chiSquare(s.posterior.freedom(), random))
	// The state is drawn from its covariance, by Cholesky.
	a := math.Sqrt(max(0, state.p11))
	b := 0.0
	if a > 0 {
		b = state.p12 / a
	}
	z := random.NormFloat64()
	level := sigma * a * z
	slope := sigma * (b*z + math.Sqrt(max(0, state.p22-b*b))*random.NormFloat64())
	noiseSD, levelSD, slopeSD := sigma*math.Sqrt(m.noise), sigma*math.Sqrt(m.level), sigma*math.Sqrt(m.slope)
	noise, walk := s.shockSource(random), s.shockSource(random)
	for h := range steps {
		level += slope
		if levelSD > 0 {
			level += levelSD * walk.next()
		}
		off := level
		if noiseSD > 0 {
			off += noiseSD * noise.next()
		}
		off *= s.calibration[h]
		steps[h][2*p], steps[h][2*p+1] = s.centre[h]+off, s.centre[h]-off
		if slopeSD > 0 {
			slope += slopeSD * random.NormFloat64()
		}
	}
}

func (s *simulation) pick(random *rand.Rand) int {
	u := random.Float64()
	for k, w := range s.posterior.weights {
		if u -= w; u < 0 {
			return k
		}
	}
	return len(s.posterior.weights) - 1
}

// chiSquare draws from the chi-square distribution. (Wilson and Hilferty 1931.)
func chiSquare(nu float64, random *rand.Rand) float64 {
	c := 2 / (9 * nu)
	v := max(0.02, 1-c+math.Sqrt(c)*random.NormFloat64())
	return nu * v * v * v
}

// drop lets path p fall as the series used to.
func (s *simulation) drop(steps [][]float64, p int, random *rand.Rand) {
	if len(s.drops) == 0 {
		return
	}
	fallen := 0.0
	for h := range steps {
		if random.Float64() < s.dropRate {
			fallen += s.drops[random.IntN(len(s.drops))]
		}
		steps[h][p] += fallen
	}
}

// shocks is a source of standardised errors in blocks.
type shocks struct {
	of     []float64
	at     int
	left   int
	random *rand.Rand
}

func (s *simulation) shockSource(random *rand.Rand) shocks {
	return shocks{of: s.shocks, random: random}
}

func (s *shocks) next() float64 {
	if len(s.of) == 0 {
		return s.random.NormFloat64()
	}
	if s.left == 0 {
		s.left, s.at = shockBlock, s.random.IntN(len(s.of))
	}
	s.left--
	s.at++
	if s.at >= len(s.of) {
		s.at = 0
	}
	return s.of[s.at]
}
