// Package arrival says when the requests of an open model are due. A schedule
// is a pure function of its stages and its seed: each worker walks its own
// copy, and all see the same arrivals.
package arrival

import (
	"math"
	"math/rand/v2"
	"time"
)

// A Stage is a length of time over which the rate goes linearly from From to
// To, in arrivals per second.
type Stage struct {
	From, To float64
	Length   time.Duration
}

// Forever is the length of a last stage that has no end.
const Forever = time.Duration(math.MaxInt64)

// A Schedule walks the arrivals in order. Arrival k of the constant process is
// due when the integral of the rate reaches k; of the Poisson process, when it
// reaches a sum of k+1 exponential variates of mean 1 (the time-change of an
// inhomogeneous process, Cinlar 1975). It is not safe for concurrent use.
type Schedule struct {
	stages []Stage
	rng    *rand.PCG // nil: constant

	stage   int
	elapsed float64 // seconds before the stage
	passed  float64 // the rate's integral before the stage
	target  float64 // the integral at which the next arrival is due
	next    time.Duration
	number  int64
	stride  int64 // from one arrival to the next of this share
	ended   bool
}

// New returns the schedule of the stages, from their first arrival. Constant
// where poisson is false, and then without use for the seed.
func New(stages []Stage, poisson bool, seed uint64) *Schedule {
	return NewShare(stages, poisson, seed, 0, 1)
}

// NewShare returns the arrivals first, first+of, first+2 of ... of the schedule
// that New returns, at their times and under their numbers: the shares from 0 to
// of-1 are together the whole.
func NewShare(stages []Stage, poisson bool, seed uint64, first, of int) *Schedule {
	s := &Schedule{stages: stages, stride: int64(of)}
	if poisson {
		s.rng = rand.NewPCG(seed, 0x9e3779b97f4a7c15)
		s.target = s.exponential()
	}
	s.advance(int64(first))
	return s
}

// Peek returns when the next arrival is due, from the schedule's start, and
// its number, from 0. ok is false when there is none left.
func (s *Schedule) Peek() (due time.Duration, number int64, ok bool) {
	return s.next, s.number, !s.ended
}

// Pop goes on to the arrival after the next.
func (s *Schedule) Pop() { s.advance(s.stride) }

func (s *Schedule) advance(n int64) {
	s.number += n
	if s.rng == nil {
		s.target = float64(s.number)
	} else {
		for range n {
			s.target += s.exponential()
		}
	}
	s.settle()
}

// PopBefore goes on to the first arrival that is due at or after t, and returns
// how many were due before it. It walks Poisson arrivals one by one, and leaps
// over constant ones.
func (s *Schedule) PopBefore(t time.Duration) (n int64) {
	for !s.ended && s.next < t {
		leap := int64(1)
		if st := s.stages[s.stage]; s.rng == nil {
			// At the stage's lowest rate so many more are due by then; one is
			// kept back, for what rounding does.
			until := min(t.Seconds(), s.elapsed+st.Length.Seconds())
			more := (until - s.next.Seconds()) * min(st.From, st.To)
			leap = max(int64(more)/s.stride-1, 1)
		}
		n += leap
		s.advance(leap * s.stride)
	}
	return n
}

// exponential draws from the exponential distribution of mean 1, by inversion.
func (s *Schedule) exponential() float64 {
	uniform := float64(s.rng.Uint64()>>11+1) / (1 << 53) // (0, 1]
	return -math.Log(uniform)
}

// settle finds the time at which the rate's integral reaches the target.
func (s *Schedule) settle() {
	for ; s.stage < len(s.stages); s.stage++ {
		st := s.stages[s.stage]
		length := st.Length.Seconds()
		area := (st.From + st.To) / 2 * length
		need := s.target - s.passed
		// An arrival due at the very end of a stage belongs to the next.
		if need < area {
			s.next = time.Duration((s.elapsed + timeToReach(st, length, need)) * 1e9)
			return
		}
		s.elapsed += length
		s.passed += area
	}
	s.ended = true
}

// timeToReach solves From t + (To-From)/(2 length) t^2 = need for t.
func timeToReach(st Stage, length, need float64) float64 {
	switch {
	case need <= 0:
		return 0
	case st.From == st.To:
		return need / st.From
	}
	slope := (st.To - st.From) / length
	// This form of the root stays exact when the slope is small.
	return 2 * need / (st.From + math.Sqrt(max(st.From*st.From+2*slope*need, 0)))
}
