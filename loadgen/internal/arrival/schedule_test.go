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
