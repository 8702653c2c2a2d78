package loadgen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

// capped serves limit requests at a time, each for work: its capacity is
// limit/work.
func capped(t *testing.T, limit int, work time.Duration) string {
	t.Helper()
	slots := make(chan struct{}, limit)
	return serve(t, func(http.ResponseWriter, *http.Request) {
		slots <- struct{}{}
		time.Sleep(work) // the work of the service
		<-slots
	})
}

// A busy machine makes any server slower than its cap, and none faster: how
// close the search comes is measured by scripts/benchload, not here.
func TestTheCapacityOfACappedServerIsFound(t *testing.T) {
	t.Parallel()
	const limit, work = 8, 50 * time.Millisecond
	url := capped(t, limit, work)
	most := limit / work.Seconds()
	probes := 0
	cfg := Config{
		Targets: []string{url}, FindCapacity: true, SLO: SLO{P99: unit.Duration(2 * time.Second), Errors: .01},
		Rate: 30, Duration: unit.Duration(250 * time.Millisecond), Warmup: unit.Duration(50 * time.Millisecond),
	}
	res := load(t, cfg, Options{OnProbe: func(CurvePoint) { probes++ }})
	c := res.Capacity
	if c == nil {
		t.Fatal("no capacity")
	}
	if c.Rate <= 0 || c.Rate > 1.15*most || c.Low > c.Rate || c.High < c.Rate {
		t.Errorf("capacity %.1f (%.1f to %.1f, %s), the server's is %.1f", c.Rate, c.Low, c.High, c.Limit, most)
	}
	if want := hashOf(cfg, source(t, cfg)); res.WorkloadHash != want {
		t.Error("the hash of the workload depends on the rate that was found")
	}
	if probes != len(c.Curve) || probes < 4 || math.Abs(res.OfferedRate-c.Rate) > .05*c.Rate+4 {
		t.Errorf("%d probes, a curve of %d points, the result's rate is %v of %v", probes, len(c.Curve), res.OfferedRate, c.Rate)
	}
}

func TestASearchWithoutAnAnswerSaysSo(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	cfg := Config{Targets: []string{url}, FindCapacity: true, SLO: SLO{Errors: .01}, Duration: unit.Duration(100 * time.Millisecond)}
	if _, err := Run(t.Context(), cfg, Options{}); err == nil {
		t.Error("a target that always fails has a capacity")
	}
}

// The search is run against an oracle in place of a target: a probe holds with
// a probability that falls from 1 to 0 around the true capacity.
func TestTheSearchEndsWithinReachOfTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, spread := range []float64{0, .005, .02} {
		for range 500 {
			truth := math.Exp(random.Float64()*12) + 2
			start := truth * math.Exp(random.NormFloat64())
			s := &search{}
			probe := func(rate float64) (bool, error) {
				rate = roundRate(rate)
				held := rate < truth*(1+spread*random.NormFloat64())
				s.points = append(s.points, CurvePoint{Offered: rate, Held: held})
				return held, nil
			}
			rate, err := s.highest(probe, start)
			if err != nil {
				t.Fatal(err)
			}
			if off := math.Abs(rate/truth - 1); off > .025+3*spread {
				t.Errorf("found %v for %v at a spread of %v", rate, truth, spread)
			}
			if len(s.points) > maxProbes+repeats {
				t.Errorf("%d probes", len(s.points))
			}
		}
	}
}

func TestTheIntervalOfACapacity(t *testing.T) {
	point := func(rate float64, held bool) CurvePoint { return CurvePoint{Offered: rate, Held: held} }
	for _, c := range []struct {
		points          []CurvePoint
		rate, low, high float64
	}{
		{[]CurvePoint{point(1, true), point(2, true), point(3, false)}, 2, 2, 3},
		{[]CurvePoint{point(1, true), point(2, false), point(2, true), point(3, true), point(4, false), point(5, false)}, 3, 1, 4},
		{[]CurvePoint{point(1, true), point(2, true)}, 2, 2, 2},
		{[]CurvePoint{point(1, false), point(2, true), point(3, false)}, 2, 0, 3},
	} {
		low, high := interval(c.points, c.rate)
		if low != c.low || high != c.high {
			t.Errorf("%v: %v to %v, want %v to %v", fmt.Sprint(c.points), low, high, c.low, c.high)
		}
	}
}
