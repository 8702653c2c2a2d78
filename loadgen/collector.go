package loadgen

import (
	"math"
	"slices"

	"scaleproof/internal/stats"
	"scaleproof/loadgen/internal/arrival"
)

// maxSeconds bounds the series of a run: a longer one is thinned by halves.
const maxSeconds = 7200

// A collector merges the windows of all workers into the totals of a run and
// its series of seconds. It belongs to one goroutine.
type collector struct {
	span     *span
	onSecond func(Second, *stats.Histogram)
	free     chan<- *window
	schedule *arrival.Schedule // nil in the closed model

	total               *window
	finished, succeeded int64 // within the measured window
	scheduled           int64
	passed              []int64 // per worker: the first second not yet handed over
	pending             map[int64]*pendingSecond
	spare               []*pendingSecond
	next                int64 // the second to be completed next
	series              []Second
	length              int64 // seconds per element of series
}

// A pendingSecond gathers one second from all workers.
type pendingSecond struct {
	finished, succeeded int64
	response            *stats.Histogram
}

func newCollector(s *span, workers, targets int, free chan<- *window) *collector {
	c := &collector{
		span: s, free: free,
		total:   newWindow(0, targets),
		passed:  make([]int64, workers),
		pending: map[int64]*pendingSecond{},
		next:    s.index(0),
		length:  1,
	}
	for i := range c.passed {
		c.passed[i] = c.next
	}
	return c
}

// run takes windows until in is closed.
func (c *collector) run(in <-chan *window) {
	for w := range in {
		c.take(w)
		select {
		case c.free <- w:
		default:
		}
		c.emit(slices.Min(c.passed))
	}
	last := c.span.end.Load() - 1
	c.emit(c.span.index(last) + 1)
}

func (c *collector) take(w *window) {
	c.passed[w.worker] = w.index + 1
	if w.index >= 0 {
		c.total.merge(w)
	}
	if w.index != drained {
		p := c.pendingAt(w.index)
		p.finished += w.finished
		p.succeeded += w.succeeded
		p.response.Merge(w.response)
		if w.index >= 0 {
			c.finished += w.finished
			c.succeeded += w.succeeded
		}
	}
	w.reset()
}

func (c *collector) pendingAt(index int64) *pendingSecond {
	if p, ok := c.pending[index]; ok {
		return p
	}
	p := &pendingSecond{response: stats.NewHistogram()}
	if n := len(c.spare); n > 0 {
		p, c.spare = c.spare[n-1], c.spare[:n-1]
	}
	c.pending[index] = p
	return p
}

// emit completes the seconds before end.
func (c *collector) emit(end int64) {
	// What is drained has no second of its own.
	end = min(end, c.span.index(c.span.end.Load()-1)+1)
	for ; c.next < end; c.next++ {
		p := c.pendingAt(c.next)
		second := c.second(c.next, p)
		delete(c.pending, c.next)
		if c.onSecond != nil {
			c.onSecond(second, p.response)
		}
		p.finished, p.succeeded = 0, 0
		p.response.Reset()
		c.spare = append(c.spare, p)
		if second.Offset >= 0 {
			c.scheduled += second.Scheduled
			c.appendSecond(second)
		}
	}
}

// second makes the figures of one second.
func (c *collector) second(index int64, p *pendingSecond) Second {
	start := c.span.from + index*1e9
	stop := min(start+1e9, c.span.end.Load())
	s := Second{
		Offset:    float64(index),
		Length:    float64(stop-max(start, 0)) / 1e9,
		Requests:  p.finished,
		Errors:    p.finished - p.succeeded,
		Scheduled: c.scheduledBefore(stop),
	}
	if p.response.Count() > 0 {
		s.Mean, s.P50, s.P99, s.Max = p.response.Mean(), p.response.Quantile(.5), p.response.Quantile(.99), p.response.Max()
	}
	return s
}

// scheduledBefore counts the arrivals that are due before t and after those of
// the last call.
func (c *collector) scheduledBefore(t int64) (n int64) {
	if c.schedule == nil {
		return 0
	}
	for {
		due, _, ok := c.schedule.Peek()
		if !ok || int64(due) >= t {
			return n
		}
		n++
		c.schedule.Pop()
	}
}

// appendSecond adds s to the series, whose elements span length seconds.
func (c *collector) appendSecond(s Second) {
	if n := len(c.series); n > 0 && int64(s.Offset)%c.length != 0 {
		c.series[n-1] = joinSeconds(c.series[n-1], s)
		return
	}
	if len(c.series) == maxSeconds {
		for i := range maxSeconds / 2 {
			c.series[i] = joinSeconds(c.series[2*i], c.series[2*i+1])
		}
		c.series = c.series[:maxSeconds/2]
		c.length *= 2
	}
	c.series = append(c.series, s)
}

// joinSeconds makes one element of two neighbours: counts are added, mean and
// median are weighted by the successes, and of p99 and the maximum the worse
// one stands.
func joinSeconds(a, b Second) Second {
	na, nb := float64(a.Requests-a.Errors), float64(b.Requests-b.Errors)
	if na+nb > 0 {
		a.Mean = (a.Mean*na + b.Mean*nb) / (na + nb)
		a.P50 = (a.P50*na + b.P50*nb) / (na + nb)
	}
	a.P99, a.Max = math.Max(a.P99, b.P99), math.Max(a.Max, b.Max)
	a.Length += b.Length
	a.Requests += b.Requests
	a.Errors += b.Errors
	a.Scheduled += b.Scheduled
	return a
}
