package loadgen

import (
	"math"
	"slices"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/loadgen/internal/arrival"
)

// maxSeconds bounds the series of a run: a longer one is thinned by halves.
const maxSeconds = 7200

// A collector merges the windows of all workers into the totals of a run and
// its series of seconds. It belongs to one goroutine.
type collector struct {
	span       *span
	started    time.Time // the run's start
	groups     int
	backends   *backends
	schedule   *arrival.Schedule // nil in the closed model
	onSecond   func(Second, *stats.Histogram)
	onInterval func([]byte)
	free       chan<- *window

	total               *window
	finished, succeeded int64   // within the measured window
	scheduled           int64   // in the measured window
	early               int64   // scheduled in the warm-up
	passed              []int64 // per worker: the first second not yet handed over
	pending             map[int64]*window
	spare               []*window
	next                int64 // the second to be completed next
	series              []Second
	length              int64 // seconds per element of series
	encoded             []byte
}

func newCollector(s *span, started time.Time, workers, groups int, b *backends) *collector {
	c := &collector{
		span: s, started: started, groups: groups, backends: b,
		total:   newWindow(0, groups),
		passed:  make([]int64, workers),
		pending: map[int64]*window{},
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
	c.finish()
}

func (c *collector) take(w *window) {
	c.passed[w.worker] = w.index + 1
	c.pendingAt(w.index).merge(w)
	w.reset()
}

// pendingAt returns the window that gathers a second from all workers.
func (c *collector) pendingAt(index int64) *window {
	w, ok := c.pending[index]
	if ok {
		return w
	}
	if n := len(c.spare); n > 0 {
		w, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		w = newWindow(0, c.groups)
	}
	w.index = index
	c.pending[index] = w
	return w
}

// seconds is the second behind the last of the measured window.
func (c *collector) seconds() int64 { return c.span.index(c.span.end.Load()-1) + 1 }

// emit completes the seconds before end.
func (c *collector) emit(end int64) {
	// What is drained has no second of its own.
	for end = min(end, c.seconds()); c.next < end; c.next++ {
		w := c.pendingAt(c.next)
		second := c.second(w)
		c.export(w, second.Scheduled)
		if c.onSecond != nil {
			c.onSecond(second, w.response)
		}
		if second.Offset >= 0 {
			c.finished += w.finished
			c.succeeded += w.succeeded
			c.scheduled += second.Scheduled
			c.total.merge(w)
			c.appendSecond(second)
		} else {
			c.early += second.Scheduled
			c.total.mergeGroups(w) // the phase of the warm-up
		}
		delete(c.pending, c.next)
		w.reset()
		c.spare = append(c.spare, w)
	}
}

// finish completes all seconds, and takes what ended after the last.
func (c *collector) finish() {
	c.emit(c.seconds())
	rest := c.pendingAt(drained)
	for index, w := range c.pending {
		if index != drained {
			rest.merge(w) // of a second that the end of the context has cut off
		}
	}
	c.export(rest, 0)
	c.total.merge(rest)
	clear(c.pending)
}

// export hands a window on to whoever assembles several processes.
func (c *collector) export(w *window, scheduled int64) {
	if c.onInterval != nil {
		c.encoded = w.appendInterval(c.encoded[:0], scheduled, c.backends)
		c.onInterval(c.encoded)
	}
}

// second makes the figures of one second.
func (c *collector) second(w *window) Second {
	start := c.span.from + w.index*1e9
	stop := min(start+1e9, c.span.end.Load())
	s := Second{
		At:       c.started.Add(time.Duration(max(start, 0))),
		Offset:   float64(w.index),
		Length:   float64(stop-max(start, 0)) / 1e9,
		Requests: w.finished,
		Errors:   w.finished - w.succeeded,
		Starved:  w.starved,
	}
	if c.schedule != nil {
		s.Scheduled = c.schedule.PopBefore(time.Duration(stop))
	}
	if w.lateness.Count() > 0 {
		s.LatenessP99 = w.lateness.Quantile(.99)
	}
	if w.failures.Count() > 0 {
		s.FailuresP99 = w.failures.Quantile(.99)
	}
	if w.service.Count() > 0 {
		s.ServiceP99 = w.service.Quantile(.99)
	}
	if w.response.Count() > 0 {
		s.Mean, s.P50, s.P99, s.Max = w.response.Mean(), w.response.Quantile(.5), w.response.Quantile(.99), w.response.Max()
	}
	return s
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
	a.ServiceP99, a.LatenessP99, a.FailuresP99 = max(a.ServiceP99, b.ServiceP99), max(a.LatenessP99, b.LatenessP99), max(a.FailuresP99, b.FailuresP99)
	a.Length += b.Length
	a.Requests += b.Requests
	a.Errors += b.Errors
	a.Scheduled += b.Scheduled
	a.Starved += b.Starved
	return a
}
