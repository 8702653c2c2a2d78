package loadgen

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// The shape of a capacity search.
const (
	pilotLength = 2 * time.Second
	probeLength = 5 * time.Second // where the configuration gives none
	probeWarmup = time.Second
	// closeness is the ratio of two rates that the search does not tell apart.
	closeness = 1.02
	// growth is the step of the bracket.
	growth = 1.6
	// repeats confirm a rate, and most of them must hold.
	repeats = 3
	// maxProbes ends a search that the target's noise would keep going.
	maxProbes = 40
	// generatorAttempts is how often a rate is tried where the generator was the
	// limit.
	generatorAttempts = 3
	// patience is how many hopeless seconds end a probe.
	patience = 2
)

// ErrGenerator is that the generator was the limit before anything was measured.
var ErrGenerator = errors.New("the generator was the limit")

// A search finds the highest rate that holds a service level: a pilot in the
// closed model tells where to begin, steps bracket the rate, bisection narrows
// it, and repeats confirm it.
type search struct {
	cfg     Config
	opts    Options
	hash    string // of the workload
	points  []CurvePoint
	limited map[float64]bool // rates at which the generator was the limit
	over    bool             // the search is to end
	results map[float64][]*Result
	// run makes the load of one probe: Run, or a model of a target in tests.
	run func(context.Context, Config, Options) (*Result, error)
}

func findCapacity(ctx context.Context, cfg Config, opts Options) (*Result, error) {
	s := &search{cfg: cfg, opts: opts, hash: hashOf(cfg, opts.Source), limited: map[float64]bool{}, results: map[float64][]*Result{}, run: Run}
	return s.find(ctx)
}

// find returns the result of the highest rate that holds.
func (s *search) find(ctx context.Context) (*Result, error) {
	s.cfg.FindCapacity = false
	if s.cfg.Duration == 0 {
		s.cfg.Duration = unit.Duration(probeLength)
	}
	if s.cfg.Warmup == 0 {
		s.cfg.Warmup = unit.Duration(probeWarmup)
	}
	start := float64(s.cfg.Rate)
	if start == 0 {
		var err error
		if start, err = s.pilot(ctx); err != nil {
			return nil, err
		}
	}
	rate, err := s.highest(func(rate float64) (bool, error) { return s.probe(ctx, rate) }, start)
	if err != nil && ctx.Err() != nil && len(s.points) > 0 {
		return s.interrupted(), nil
	}
	if err != nil {
		return nil, err
	}
	return s.result(rate)
}

// interrupted is what a search has found until its context ended: the highest rate
// that held so far, and the curve.
func (s *search) interrupted() *Result {
	const limit = "interrupted"
	slices.SortStableFunc(s.points, byRate)
	if none := newTimes(); len(s.results) == 0 {
		return &Result{
			Name: s.cfg.Name, Validity: Inconclusive, ValidityReason: "the search was interrupted before a rate held",
			Capacity: &Capacity{Limit: limit, Curve: s.points}, Histograms: none.result(), WorkloadHash: s.hash,
		}
	}
	rate := slices.Max(slices.Collect(maps.Keys(s.results)))
	r := s.resultAt(rate, limit)
	r.Warnings = append(r.Warnings, "the search was interrupted: the rate is the highest that had held until then, and was not confirmed")
	return r
}

// byRate compares points by their rates.
func byRate(a, b CurvePoint) int { return cmp.Compare(a.Offered, b.Offered) }

// A prober tells whether a rate holds.
type prober func(rate float64) (held bool, err error)

// highest returns the highest rate that holds, 0 where none does.
func (s *search) highest(probe prober, start float64) (float64, error) {
	held, failed, err := s.bracket(probe, start)
	if err == nil && held > 0 {
		held, err = s.narrow(probe, held, failed)
	}
	if err != nil || held == 0 {
		return 0, err
	}
	return s.confirm(probe, held)
}

// pilot returns the rate to begin with: half of what a handful of connections
// reach.
func (s *search) pilot(ctx context.Context) (float64, error) {
	cfg := s.cfg
	cfg.Rate, cfg.Duration = 0, unit.Duration(pilotLength)
	cfg.Connections = max(min(cfg.connections(), 32), cfg.Workers.Count)
	opts := s.opts
	opts.OnHit, opts.OnSecond = nil, nil
	r, err := s.run(ctx, cfg, opts)
	if err != nil {
		return 0, err
	}
	if r.Throughput == 0 {
		return 0, fmt.Errorf("searching the capacity: none of %d requests succeeded (%s): there is nothing to search", r.Requests, countsText(r.Errors))
	}
	return r.Throughput / 2, nil
}

// probe tells whether a rate holds. One hiccup of this machine says nothing: only a
// generator that is the limit time after time is, and ends the search where a lower
// rate has held. Where none has, one may be within its reach.
func (s *search) probe(ctx context.Context, rate float64) (held bool, err error) {
	var o outcome
	for range generatorAttempts {
		if o, err = s.measure(ctx, rate); err != nil || o == rateHeld || o == rateFailed {
			return o == rateHeld, err
		}
	}
	s.limited[roundRate(rate)] = true
	s.over = len(s.results) > 0 || o == spoiled
	return false, nil
}

// An outcome is what came of one probe of a rate.
type outcome int

const (
	rateFailed outcome = iota
	rateHeld
	generatorLate // it failed, and the generator was the limit
	spoiled       // it was not the load of this rate, and a lower one is none either
)

// measure probes a rate once.
func (s *search) measure(ctx context.Context, rate float64) (outcome, error) {
	rate = roundRate(rate)
	cfg := s.cfg
	cfg.Rate, cfg.Seed = unit.Rate(rate), cfg.Seed+uint64(len(s.points))
	probeCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	opts, hopeless := s.opts, 0
	opts.OnSecond = func(sec Second, response *stats.Histogram) {
		if s.opts.OnSecond != nil {
			s.opts.OnSecond(sec, response)
		}
		// A warm-up is what a cold target needs: it decides nothing.
		if hopeless++; sec.Offset < 0 || !cfg.SLO.hopeless(sec, response) {
			hopeless = 0
		}
		if hopeless >= patience {
			cancel()
		}
	}
	r, err := s.run(probeCtx, cfg, opts)
	if err != nil {
		return rateFailed, err
	}
	if ctx.Err() != nil {
		return rateFailed, fmt.Errorf("searching the capacity: %w", ctx.Err())
	}
	p := pointOf(r, rate, cfg.SLO.Fault(r))
	if probeCtx.Err() != nil && p.Held {
		p.Held, p.Reason = false, "it grew hopeless within seconds"
	}
	if r.Validity == Invalid && !r.generatorLimited() {
		p.Held = false // it was not the load of this rate
	}
	o := rateFailed
	switch {
	case p.Held:
		o = rateHeld
		s.results[rate] = append(s.results[rate], r)
	case r.generatorLimited():
		o, p.Reason = generatorLate, r.ValidityReason
	case r.Validity == Invalid:
		o, p.Reason = spoiled, r.ValidityReason
	}
	s.points = append(s.points, p)
	if s.opts.OnProbe != nil {
		s.opts.OnProbe(p)
	}
	return o, nil
}

// generatorLimited reports whether the generator was the limit, or one of its
// workers.
func (r *Result) generatorLimited() bool {
	return r.Validity == GeneratorLimited ||
		slices.ContainsFunc(r.Workers, func(w Worker) bool { return w.Validity == GeneratorLimited })
}

func pointOf(r *Result, rate float64, fault string) CurvePoint {
	p := CurvePoint{Offered: rate, Throughput: r.Throughput, P50: r.ResponseTime.P50, P99: r.ResponseTime.P99, Held: fault == "", Reason: fault}
	if of := r.Requests + r.Unsent + r.Unfinished; of > 0 {
		p.Errors = 1 - float64(r.Successes)/float64(of)
	}
	return p
}

// roundRate keeps three or more digits, so that repeats of a rate are equal.
func roundRate(rate float64) float64 {
	digits := math.Pow(10, math.Floor(math.Log10(rate))-3)
	return math.Round(rate/digits) * digits
}

// exhausted reports whether the search must end: it has cost enough, or the
// generator is the limit.
func (s *search) exhausted() bool { return s.over || len(s.points) >= maxProbes }

// bracket returns a rate that held and a higher one that did not; held is 0
// where none did.
func (s *search) bracket(probe prober, start float64) (held, failed float64, err error) {
	rate := start
	for !s.exhausted() {
		ok, err := probe(rate)
		if err != nil {
			return 0, 0, err
		}
		if ok {
			held = rate
		} else {
			failed = rate
		}
		switch {
		case held > 0 && failed > 0:
			return held, failed, nil
		case ok:
			rate *= growth
		case rate < 1:
			return 0, failed, nil // not even one request a second
		default:
			rate /= growth * growth
		}
	}
	return held, failed, nil
}

// narrow bisects until the two rates can't be told apart.
func (s *search) narrow(probe prober, held, failed float64) (float64, error) {
	for !s.exhausted() && failed > 0 && failed/held > closeness {
		middle := math.Sqrt(held * failed)
		ok, err := probe(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			held = middle
		} else {
			failed = middle
		}
	}
	return held, nil
}

// confirm repeats a rate, and goes down until one holds most of the time; 0
// where none does.
func (s *search) confirm(probe prober, rate float64) (float64, error) {
	for rate >= 1 {
		held := 0
		for range repeats {
			ok, err := probe(rate)
			if err != nil {
				return 0, err
			}
			if ok {
				held++
			}
		}
		if 2*held > repeats {
			return roundRate(rate), nil
		}
		if len(s.points) >= maxProbes {
			break
		}
		rate /= closeness
	}
	return 0, nil
}

// result is that of the rate that was found. Below Low every probe held; above
// High every probe failed.
func (s *search) result(rate float64) (*Result, error) {
	slices.SortStableFunc(s.points, byRate)
	if rate == 0 {
		return nil, s.nothingHeld()
	}
	return s.resultAt(rate, s.limitAbove(rate)), nil
}

// limitAbove says what failed at the lowest rate above one that is the capacity. points
// are sorted by their rate.
func (s *search) limitAbove(rate float64) string {
	i := slices.IndexFunc(s.points, func(p CurvePoint) bool { return p.Offered > rate && !p.Held })
	switch {
	case i < 0:
		return "bound"
	case s.limited[s.points[i].Offered]:
		return "generator"
	}
	return "target"
}

// resultAt is that of a rate that held. points are sorted by their rate.
func (s *search) resultAt(rate float64, limit string) *Result {
	c := &Capacity{Rate: rate, Limit: limit, Curve: s.points}
	c.Low, c.High = interval(s.points, rate)
	merged := MergeTrials(trusted(s.results[rate]))
	merged.Capacity, merged.WorkloadHash = c, s.hash
	return merged
}

// hashOf identifies what a search asks of a target, whichever rates it comes to.
func hashOf(cfg Config, source Source) string {
	h := sha256.New()
	fmt.Fprintf(h, "search %+v from %v/s, %v after %v, %s, seed %d, %d connections\n%s",
		cfg.SLO, float64(cfg.Rate), cfg.Duration, cfg.Warmup, cfg.Arrivals, cfg.Seed, cfg.Connections, source.Workload())
	return hex.EncodeToString(h.Sum(nil))
}

// trusted are the probes of a rate that speak of the target, all where none does:
// one whose requests were late may hold all the same, and its times are too long.
func trusted(results []*Result) []*Result {
	kept := slices.DeleteFunc(slices.Clone(results), func(r *Result) bool { return r.Validity == Invalid || r.generatorLimited() })
	if len(kept) == 0 {
		return results
	}
	return kept
}

// nothingHeld says why no rate was found, by the lowest that failed. points are
// sorted by their rate.
func (s *search) nothingHeld() error {
	i := slices.IndexFunc(s.points, func(p CurvePoint) bool { return !p.Held })
	if i < 0 {
		return fmt.Errorf("searching the capacity: %d probes were too few to confirm a rate", len(s.points))
	}
	lowest := s.points[i]
	if s.limited[lowest.Offered] {
		return fmt.Errorf("searching the capacity: %w at %s: %s", ErrGenerator, unit.Format(lowest.Offered, unit.RequestsPerSecond), lowest.Reason)
	}
	return fmt.Errorf("searching the capacity: no rate was found that holds the service level time after time: at %s %s", unit.Format(lowest.Offered, unit.RequestsPerSecond), lowest.Reason)
}

// interval returns the rate up to which every probe held, and that from which
// every probe failed; where none failed above, rate itself. points are sorted
// by their rate.
func interval(points []CurvePoint, rate float64) (low, high float64) {
	for _, p := range points {
		if !p.Held {
			break
		}
		low = min(p.Offered, rate)
	}
	high = rate
	for _, p := range slices.Backward(points) {
		if p.Held {
			break
		}
		high = p.Offered
	}
	return low, high
}

// countsText lists counts by their names.
func countsText(counts map[string]int64) string {
	text := ""
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d %s", counts[name], name)
	}
	return text
}
