package loadgen

import (
	"sync"
	"sync/atomic"
	"time"
)

// A clock gives times as nanoseconds from the start of a run.
type clock struct{ base time.Time }

func (c clock) now() int64 { return int64(time.Since(c.base)) }

// A span is the measured window of a run, in nanoseconds from its start.
type span struct {
	from int64
	// end moves forward when the context ends the run, perhaps before from.
	end atomic.Int64
	// halt is when requests in flight are given up.
	halt atomic.Int64
	// phases are the ends of the phases that have figures of their own.
	phases []int64
}

// phase returns 1 + the number of the group of the phase in which t lies, where
// those of phases follow so many others; 0 where there are none.
func (s *span) phase(t int64, others int) int32 {
	for i, end := range s.phases {
		if t < end {
			return int32(others + i + 1)
		}
	}
	return int32(min(len(s.phases), 1)) * int32(others+len(s.phases)) // due at the very end
}

// index returns the second of the measured window in which t lies, negative in
// the warm-up, and drained after the end.
func (s *span) index(t int64) int64 {
	if t >= s.end.Load() {
		return drained
	}
	t -= s.from
	if t < 0 {
		return (t+1)/1e9 - 1
	}
	return t / 1e9
}

// A recorder takes the samples of one worker, and hands a window to the
// collector once a second. It belongs to one goroutine.
type recorder struct {
	worker  int
	targets int // that have groups; those of phases follow
	span    *span
	out     chan<- *window
	free    <-chan *window
	current *window
	until   int64 // when current ends
}

// record counts a sample, and reports whether it is one: what fails once
// requests are given up was cut by the run, and says nothing about the target.
// Samples come in the order of their ends.
func (r *recorder) record(s *sample) bool {
	r.advance(s.end)
	if s.kind != kindNone && s.end >= r.span.halt.Load() {
		r.unfinished(s.intended)
		return false
	}
	s.named = int(s.target) < r.targets
	s.phase = r.span.phase(s.intended, r.targets)
	r.current.add(s, s.intended >= r.span.from)
	return true
}

// unfinished counts a request that was sent and given up.
func (r *recorder) unfinished(intended int64) {
	if intended >= r.span.from {
		r.current.unfinished++
	}
}

// advance tells the recorder the time, so that a second without requests is
// handed over too.
func (r *recorder) advance(now int64) {
	if now < r.until && now < r.span.end.Load() || r.current.index == drained {
		return
	}
	r.out <- r.current
	r.open(now)
}

func (r *recorder) open(now int64) {
	select {
	case r.current = <-r.free:
	default:
		r.current = newWindow(r.worker, r.targets+len(r.span.phases))
	}
	r.current.worker = r.worker
	r.current.index = r.span.index(now)
	r.until = r.span.from + (r.current.index+1)*1e9
}

// close hands over what is left.
func (r *recorder) close() { r.out <- r.current }

// backends numbers the remote addresses of a run.
type backends struct {
	mu     sync.Mutex
	number map[string]int32
	names  []string
	since  map[int32]int64 // when the first connection was opened
}

// connected says that a connection to a backend was opened.
func (b *backends) connected(backend int32, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since == nil {
		b.since = map[int32]int64{}
	}
	if _, ok := b.since[backend]; !ok {
		b.since[backend] = now
	}
}

// firstSeen returns when the first connection to each address was opened, in
// seconds.
func (b *backends) firstSeen() map[string]float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := map[string]float64{}
	for backend, now := range b.since {
		seen[b.names[backend]] = float64(now) / 1e9
	}
	return seen
}

// indexOf returns the number of an address.
func (b *backends) indexOf(address string) int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n, ok := b.number[address]; ok {
		return n
	}
	if b.number == nil {
		b.number = map[string]int32{}
	}
	n := int32(len(b.names))
	b.number[address] = n
	b.names = append(b.names, address)
	return n
}

// name returns the address of a number.
func (b *backends) name(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.names[n]
}
