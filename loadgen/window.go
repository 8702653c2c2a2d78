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
	times

	// groups are parts of the requests: those of each named target, and behind
	// them those due in each phase, the warm-up's too.
	groups []group
}

// drained is the index of what ends after the measured window.
const drained = math.MaxInt64 / 2

func newWindow(worker, groups int) *window {
	w := &window{worker: worker, times: newTimes(), groups: make([]group, groups)}
	for i := range w.groups {
		w.groups[i] = newGroup(groups <= maxFullGroups)
	}
	return w
}

// reset forgets all but the worker and the memory.
func (w *window) reset() {
	kept := window{worker: w.worker, backends: w.backends, times: w.times, groups: w.groups}
	clear(kept.backends)
	for i := range kept.groups {
		kept.groups[i].requests, kept.groups[i].failed = 0, 0
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
	if s.phase > 0 {
		w.groups[s.phase-1].add(s)
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
	w.times.add(s)
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
	} else {
		w.errors[s.kind]++
	}
	if s.named {
		w.groups[s.target].add(s)
	}
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
	for i, h := range w.times.histograms() {
		h.Merge(o.times.histograms()[i])
	}
	w.mergeGroups(o)
}

// mergeGroups adds the groups of o alone.
func (w *window) mergeGroups(o *window) {
	for i := range o.groups {
		w.groups[i].merge(&o.groups[i])
	}
}

// histograms lists those of w, in an order that does not change.
func (w *window) histograms() []*stats.Histogram {
	list := w.times.histograms()
	for i := range w.groups {
		list = append(list, w.groups[i].histograms()...)
	}
	return list
}
