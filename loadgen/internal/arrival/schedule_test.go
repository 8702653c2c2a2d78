package arrival

import (
	"math"
	"testing"
	"time"
)

func all(s *Schedule) (due []time.Duration) {
	for {
		at, number, ok := s.Peek()
		if !ok {
			return due
		}
		if number != int64(len(due)) {
			panic("numbers skip")
		}
		due = append(due, at)
		s.Pop()
	}
}

func TestConstantArrivalsAreEvenlySpaced(t *testing.T) {
	due := all(New([]Stage{{500, 500, 2 * time.Second}}, false, 0))
	if len(due) != 1000 {
		t.Fatalf("%d arrivals in 2 s at 500/s", len(due))
	}
	for k, at := range due {
		if want := time.Duration(k) * 2 * time.Millisecond; (at - want).Abs() > 2 {
			t.Fatalf("arrival %d is due at %v, want %v", k, at, want)
		}
	}
}

func TestARampHasTheAreaUnderItsRate(t *testing.T) {
	stages := []Stage{{0, 100, 10 * time.Second}, {100, 100, 5 * time.Second}, {100, 20, 4 * time.Second}}
	due := all(New(stages, false, 0))
	if len(due) != 500+500+240 {
		t.Fatalf("%d arrivals, want 1240", len(due))
	}
	// Halfway through the first ramp a quarter of its arrivals are past.
	count := 0
	for i, at := range due {
		if i > 0 && at < due[i-1] {
			t.Fatalf("arrival %d is before the one before it", i)
		}
		if at < 5*time.Second {
			count++
		}
	}
	if count != 125 {
		t.Errorf("%d arrivals in the first 5 s, want 125", count)
	}
}

func TestPoissonArrivalsHaveExponentialGaps(t *testing.T) {
	due := all(New([]Stage{{1000, 1000, 100 * time.Second}}, true, 7))
	n := float64(len(due))
	if math.Abs(n-100_000) > 4*math.Sqrt(100_000) {
		t.Errorf("%v arrivals, want 100,000 within 4 standard deviations", n)
	}
	var sum, squares, long float64
	for i := 1; i < len(due); i++ {
		gap := (due[i] - due[i-1]).Seconds() * 1000
		sum, squares = sum+gap, squares+gap*gap
		if gap > 3 {
			long++
		}
	}
	mean := sum / (n - 1)
	deviation := math.Sqrt(squares/(n-1) - mean*mean)
	if math.Abs(mean-1) > .02 || math.Abs(deviation-1) > .02 || math.Abs(long/n-math.Exp(-3)) > .004 {
		t.Errorf("gaps: mean %v, deviation %v, beyond three means %v; want 1, 1 and %v", mean, deviation, long/n, math.Exp(-3))
	}
}

func TestASeedRepeatsItsArrivals(t *testing.T) {
	stages := []Stage{{200, 400, time.Second}}
	first, again, other := all(New(stages, true, 1)), all(New(stages, true, 1)), all(New(stages, true, 2))
	if len(first) == 0 || first[len(first)-1] != again[len(again)-1] || first[0] == other[0] {
		t.Errorf("seed 1: %v and %v; seed 2: %v", first[0], again[0], other[0])
	}
}

func TestNoArrivalsWithoutARate(t *testing.T) {
	if due := all(New([]Stage{{0, 0, time.Second}}, false, 0)); len(due) != 0 {
		t.Errorf("%d arrivals at rate 0", len(due))
	}
	due := all(New([]Stage{{0, 0, time.Second}, {10, 10, time.Second}}, false, 0))
	if len(due) != 10 || due[0] != time.Second {
		t.Errorf("after an idle second: %v", due)
	}
}

func BenchmarkPoisson(b *testing.B) {
	s := New([]Stage{{1e5, 1e5, Forever}}, true, 1)
	for b.Loop() {
		s.Pop()
	}
}

// shapes are schedules that shares and leaps must not change.
func shapes() map[string]func(first, of int) *Schedule {
	steps := []Stage{{0, 300, 2 * time.Second}, {300, 300, time.Second}, {300, 50, 3 * time.Second}, {7, 7, 5 * time.Second}}
	return map[string]func(first, of int) *Schedule{
		"constant": func(first, of int) *Schedule { return NewShare(steps, false, 0, first, of) },
		"poisson":  func(first, of int) *Schedule { return NewShare(steps, true, 3, first, of) },
		"third": func(first, of int) *Schedule {
			return NewShare([]Stage{{1.0 / 3, 1.0 / 3, time.Hour}}, false, 0, first, of)
		},
	}
}

func TestSharesAreTogetherTheWhole(t *testing.T) {
	for name, share := range shapes() {
		whole := all(share(0, 1))
		for _, of := range []int{1, 2, 3, 7, 2000} {
			got := map[int64]time.Duration{}
			for i := range of {
				for s := share(i, of); ; s.Pop() {
					at, number, ok := s.Peek()
					if !ok {
						break
					}
					if number%int64(of) != int64(i) {
						t.Fatalf("%s: share %d of %d has arrival %d", name, i, of, number)
					}
					got[number] = at
				}
			}
			if len(got) != len(whole) {
				t.Errorf("%s: %d shares have %d arrivals, the whole has %d", name, of, len(got), len(whole))
			}
			for k, at := range whole {
				if got[int64(k)] != at {
					t.Fatalf("%s: arrival %d of %d shares is due at %v, of the whole at %v", name, k, of, got[int64(k)], at)
				}
			}
		}
	}
}

func TestPopBeforeIsPopOneByOne(t *testing.T) {
	for name, share := range shapes() {
		for _, of := range []int{1, 3} {
			leaping, walking := share(of-1, of), share(of-1, of)
			for at := time.Duration(0); at < 13*time.Second; at += 37 * time.Millisecond {
				want := int64(0)
				for {
					due, _, ok := walking.Peek()
					if !ok || due >= at {
						break
					}
					want++
					walking.Pop()
				}
				if got := leaping.PopBefore(at); got != want {
					t.Fatalf("%s, 1 of %d: %d arrivals before %v, one by one %d", name, of, got, at, want)
				}
			}
		}
	}
}

func TestAScheduleWithoutEndLeaps(t *testing.T) {
	s := New([]Stage{{1e6, 1e6, Forever}}, false, 0)
	if n := s.PopBefore(24 * time.Hour); n != 24*3600*1e6 {
		t.Errorf("%d arrivals in a day at a million a second", n)
	}
}
