package loadgen

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// A queue is a model of a target: so many requests at a time, each for work,
// which varies by jitter; the others wait in order. Its capacity is slots/work.
type queue struct {
	slots        int
	work, jitter float64
	random       *rand.Rand
}

func (q *queue) capacity() float64 { return float64(q.slots) / q.work }

// run is what Run would measure of it on a machine that is never late.
func (q *queue) run(_ context.Context, cfg Config, _ Options) (*Result, error) {
	warmup, length := cfg.Warmup.Std().Seconds(), cfg.Duration.Std().Seconds()
	response := stats.NewHistogram()
	r := &Result{DurationSeconds: length, Validity: Valid, Seconds: make([]Second, int(length)), Histograms: &Histograms{
		Response: response, Service: response, Lateness: stats.NewHistogram(), Failures: stats.NewHistogram(),
	}}
	if cfg.Rate == 0 {
		r.Throughput = min(float64(cfg.Connections)/q.work, q.capacity())
		return r, nil
	}
	for i := range r.Seconds {
		r.Seconds[i].Length = 1
	}
	free := make([]float64, q.slots) // when each slot is
	ended := 0.0
	for k := range int(float64(cfg.Rate) * (warmup + length)) {
		due := float64(k) / float64(cfg.Rate)
		first := slices.Index(free, slices.Min(free))
		free[first] = max(free[first], due) + q.work*math.Exp(q.jitter*q.random.NormFloat64()-q.jitter*q.jitter/2)
		if end := free[first]; end >= warmup && end < warmup+length {
			ended++
			r.Seconds[int(end-warmup)].Requests++
		}
		if due >= warmup {
			r.Requests++
			r.Seconds[int(due-warmup)].Scheduled++
			response.RecordNanos(int64((free[first] - due) * 1e9))
		}
	}
	r.Successes, r.ResponseTime = r.Requests, response.Summary()
	r.Rate, r.Throughput, r.OfferedRate = ended/length, ended/length, float64(cfg.Rate)
	return r, nil
}

// A slow target has answers on their way at the end of a run without a warm-up, and
// had none at its beginning: that is no queue that grows.
func TestOnlyAQueueThatGrowsFallsBehind(t *testing.T) {
	for name, c := range map[string]struct {
		queue queue
		grows bool
	}{
		"slow":                {queue{slots: 100, work: .8}, false},
		"slow, and it varies": {queue{slots: 100, work: .8, jitter: .3}, false},
		"too slow":            {queue{slots: 37, work: .8}, true},
		"far too slow":        {queue{slots: 4, work: .8}, true},
	} {
		c.queue.random = rand.New(rand.NewPCG(1, 1))
		cfg := Config{Rate: 50, Duration: unit.Duration(10 * time.Second), SLO: SLO{P99: unit.Duration(time.Hour)}}
		r, _ := c.queue.run(t.Context(), cfg, Options{})
		if fault := cfg.SLO.Fault(r); strings.Contains(fault, "a queue grows") != c.grows {
			t.Errorf("%s: %q", name, fault)
		}
	}
}

// A target that answers nothing while it warms up is not hopeless.
func TestTheWarmUpOfAProbeDecidesNothing(t *testing.T) {
	q := queue{slots: 10, work: .01, random: rand.New(rand.NewPCG(1, 1))}
	s := search{
		cfg:     Config{SLO: SLO{P99: unit.Duration(1e8)}, Duration: unit.Duration(4 * time.Second), Warmup: unit.Duration(3 * time.Second)},
		limited: map[float64]bool{}, results: map[float64][]*Result{},
		run: func(ctx context.Context, cfg Config, opts Options) (*Result, error) {
			for offset := -3.0; offset < 0; offset++ {
				opts.OnSecond(Second{Offset: offset, Length: 1, Scheduled: 100}, stats.NewHistogram())
			}
			if ctx.Err() != nil {
				return &Result{Validity: Inconclusive}, nil
			}
			return q.run(ctx, cfg, opts)
		},
	}
	if o, err := s.measure(t.Context(), 100); o != rateHeld || err != nil {
		t.Errorf("outcome %v, %v: %+v", o, err, s.points)
	}
}

// A probe of another load than was asked for holds nothing, and a worker that is
// the limit time after time ends the search as one generator does.
func TestASearchWithWorkersEndsWhereOneIsTheLimit(t *testing.T) {
	q := queue{slots: 10, work: .01, random: rand.New(rand.NewPCG(1, 1))}
	find := func(spoil func(*Result, float64)) (*Result, error) {
		s := &search{
			cfg:     Config{SLO: SLO{P99: unit.Duration(1e8)}, Workers: Workers{Count: 40}, Duration: unit.Duration(4 * time.Second), Warmup: unit.Duration(time.Second)},
			results: map[float64][]*Result{}, limited: map[float64]bool{},
		}
		s.run = func(ctx context.Context, cfg Config, opts Options) (*Result, error) {
			if cfg.Rate == 0 && cfg.Connections < 40 {
				t.Errorf("40 workers of a pilot share %d connections", cfg.Connections)
			}
			r, err := q.run(ctx, cfg, opts)
			spoil(r, float64(cfg.Rate))
			return r, err
		}
		return s.find(t.Context())
	}
	r, err := find(func(r *Result, rate float64) {
		r.Workers = []Worker{{Validity: Valid}, {Validity: Valid}}
		if rate > 500 {
			r.Validity, r.ValidityReason, r.Workers[1].Validity = Invalid, "worker 1 was the limit", GeneratorLimited
			r.Successes = r.Requests / 2
		}
	})
	if err != nil || r.Capacity.Limit != "generator" || r.Capacity.Rate > 500 || r.Capacity.Rate < 400 || r.Validity != Valid {
		t.Errorf("%v, %+v", err, r)
	}
	if _, err := find(func(r *Result, _ float64) { r.Validity, r.ValidityReason = Invalid, "worker 0: it was lost" }); err == nil || !errors.Is(err, ErrGenerator) || !strings.Contains(err.Error(), "worker 0: it was lost") {
		t.Errorf("a search of nothing but lost workers: %v", err)
	}
}

// A search that begins beyond the generator goes down until something holds, and says
// which of the two was the limit there.
func TestASearchThatBeginsBeyondTheGenerator(t *testing.T) {
	const reach = 500 // requests a second
	for limit, q := range map[string]queue{"generator": {slots: 10, work: .01}, "target": {slots: 1, work: .01}} {
		q.random = rand.New(rand.NewPCG(2, 2))
		s := &search{
			cfg:     Config{SLO: SLO{P99: unit.Duration(1e8)}, Rate: 1e5, Duration: unit.Duration(4 * time.Second), Warmup: unit.Duration(time.Second)},
			results: map[float64][]*Result{}, limited: map[float64]bool{},
		}
		s.run = func(ctx context.Context, cfg Config, opts Options) (*Result, error) {
			r, err := q.run(ctx, cfg, opts)
			if float64(cfg.Rate) > reach {
				r.Validity, r.ValidityReason, r.Successes = GeneratorLimited, "it was late", r.Requests/2
			}
			return r, err
		}
		r, err := s.find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// Of the generator's own reach it is enough to know that the target does so much.
		low, high := 100*.9, 100*1.02
		if limit == "generator" {
			low, high = reach/growth/growth, reach
		}
		if c := r.Capacity; c.Limit != limit || c.Rate < low || c.Rate > high || c.Curve[len(c.Curve)-1].Offered != 1e5 {
			t.Errorf("%s: %+v", limit, c)
		}
	}
}

// Whoever ends a search has what it measured until then.
func TestAnInterruptedSearchHasItsCurve(t *testing.T) {
	q := queue{slots: 10, work: .01, random: rand.New(rand.NewPCG(1, 1))}
	for _, start := range []unit.Rate{100, 1e5} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &search{
			cfg:     Config{SLO: SLO{P99: unit.Duration(1e8)}, Rate: start, Duration: unit.Duration(4 * time.Second), Warmup: unit.Duration(time.Second)},
			results: map[float64][]*Result{}, limited: map[float64]bool{}, hash: "hash",
		}
		s.run = func(ctx context.Context, cfg Config, opts Options) (*Result, error) {
			if len(s.points) == 3 {
				cancel()
			}
			return q.run(ctx, cfg, opts)
		}
		r, err := s.find(ctx)
		if err != nil {
			t.Fatal(err)
		}
		c := r.Capacity
		if len(c.Curve) != 3 || c.Limit != "interrupted" || r.WorkloadHash != "hash" || (start == 100) != (c.Rate == 256) || (start == 100) != (r.Validity == Valid) {
			t.Errorf("from %v/s: %+v, %s", start, c, r.Validity)
		}
		cancel()
	}
}

// Against a target of a known capacity the answer is within 5 % of it, whatever
// the capacity and however its work varies, and the interval holds the answer.
func TestTheSearchComesWithinFivePercentOfAKnownCapacity(t *testing.T) {
	for _, q := range []queue{
		{slots: 1, work: .002},
		{slots: 8, work: .02},
		{slots: 100, work: .05},
		{slots: 4, work: .0005},
		{slots: 500, work: .1},
		{slots: 8, work: .02, jitter: .3},
		{slots: 100, work: .05, jitter: .5},
	} {
		for seed := range uint64(2) {
			q.random = rand.New(rand.NewPCG(seed, 7))
			s := &search{
				cfg:     Config{SLO: SLO{P99: unit.Duration((5*q.work + .05) * 1e9), Errors: .001}, Duration: unit.Duration(4 * time.Second), Warmup: unit.Duration(time.Second)},
				results: map[float64][]*Result{}, limited: map[float64]bool{}, run: q.run,
			}
			r, err := s.find(t.Context())
			if err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
			c := r.Capacity
			if off := math.Abs(c.Rate/q.capacity() - 1); off > .05 || c.Low > c.Rate || c.High < c.Rate || c.Limit != "target" {
				t.Errorf("slots %d, work %v, jitter %v: %.1f/s (%.1f to %.1f, %s), it is %.1f/s", q.slots, q.work, q.jitter, c.Rate, c.Low, c.High, c.Limit, q.capacity())
			}
		}
	}
}
