package loadgen

import (
	"math"

	"scaleproof/internal/stats"
)

// A window is what one worker recorded in one second of a run. It goes from
// the worker to the collector and back, so that neither needs a lock and the
// memory of a run does not depend on its length.
type window struct {
	worker int
	index  int64 // the second, from the start of the measured window

	// All requests that ended in the second, whenever they were due.
	finished, succeeded int64

	// The population: requests that were due in the measured window.
	requests, successes int64
	starved             int64
	unfinished          int64
	bytesIn, bytesOut   int64
	status              [1000]int64
	errors              [kinds]int64
	backends            []int64
	targets             []targetWindow
	response            *stats.Histogram
	service             *stats.Histogram
	lateness            *stats.Histogram
	failures            *stats.Histogram
}

type targetWindow struct {
	requests, failures int64
	response           *stats.Histogram
}

// drained is the index of what ends after the measured window.
const drained = math.MaxInt64 / 2

func newWindow(worker, targets int) *window {
	w := &window{
		worker:   worker,
		targets:  make([]targetWindow, targets),
		response: stats.NewHistogram(),
		service:  stats.NewHistogram(),
		lateness: stats.NewHistogram(),
		failures: stats.NewHistogram(),
	}
	for i := range w.targets {
		w.targets[i].response = stats.NewHistogram()
	}
	return w
}

// reset forgets all but the worker and the memory.
func (w *window) reset() {
	kept := window{
		worker: w.worker, backends: w.backends, targets: w.targets,
		response: w.response, service: w.service, lateness: w.lateness, failures: w.failures,
	}
	clear(kept.backends)
	for i := range kept.targets {
		kept.targets[i].requests, kept.targets[i].failures = 0, 0
	}
	for _, h := range kept.histograms() {
		h.Reset()
	}
	*w = kept
}

// add counts s. measured says that s is of the population.
func (w *window) add(s *sample, measured bool) {
	w.finished++
	if s.kind == kindNone {
		w.succeeded++
	}
	if !measured {
		if w.index < 0 && s.kind == kindNone {
			w.response.RecordNanos(s.end - s.intended) // for OnSecond alone
		}
		return
	}
	w.requests++
	w.bytesIn += s.bytesIn
	w.bytesOut += s.bytesOut
	w.lateness.RecordNanos(s.sent - s.intended)
	if s.starved {
		w.starved++
	}
	if s.status > 0 {
		w.status[s.status]++
	}
	if s.backend >= 0 {
		for int(s.backend) >= len(w.backends) {
			w.backends = append(w.backends, 0)
		}
		w.backends[s.backend]++
	}
	if s.kind == kindNone {
		w.successes++
		w.response.RecordNanos(s.end - s.intended)
		w.service.RecordNanos(s.end - s.sent)
	} else {
		w.errors[s.kind]++
		w.failures.RecordNanos(s.end - s.intended)
	}
	if int(s.target) < len(w.targets) {
		w.targets[s.target].add(s)
	}
}

func (t *targetWindow) add(s *sample) {
	t.requests++
	if s.kind != kindNone {
		t.failures++
		return
	}
	t.response.RecordNanos(s.end - s.intended)
}

// merge adds all that o counted to w.
func (w *window) merge(o *window) {
	w.finished += o.finished
	w.succeeded += o.succeeded
	w.requests += o.requests
	w.successes += o.successes
	w.starved += o.starved
	w.unfinished += o.unfinished
	w.bytesIn += o.bytesIn
	w.bytesOut += o.bytesOut
	for i, n := range o.status {
		w.status[i] += n
	}
	for i, n := range o.errors {
		w.errors[i] += n
	}
	for len(w.backends) < len(o.backends) {
		w.backends = append(w.backends, 0)
	}
	for i, n := range o.backends {
		w.backends[i] += n
	}
	for i := range o.targets {
		w.targets[i].requests += o.targets[i].requests
		w.targets[i].failures += o.targets[i].failures
	}
	others := o.histograms()
	for i, h := range w.histograms() {
		h.Merge(others[i])
	}
}

// histograms lists those of w, in an order that does not change.
func (w *window) histograms() []*stats.Histogram {
	list := []*stats.Histogram{w.response, w.service, w.lateness, w.failures}
	for i := range w.targets {
		list = append(list, w.targets[i].response)
	}
	return list
}
