package loadgen

import (
	"bufio"
	"fmt"
	"io"
	"sync"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"scaleproof/internal/stats"
)

// A ResultStream writes each measured request as vegeta's attack does, for
// `vegeta report` and `vegeta plot`. A result's timestamp is when the request
// was due, and its latency is the response time.
type ResultStream struct {
	mu     sync.Mutex
	out    *bufio.Writer
	encode vegeta.Encoder
	name   string
	source Source
	err    error
}

// NewResultStream returns a stream to w in one of vegeta's encodings: "gob",
// "json" or "csv". Targets of results are those of source.
func NewResultStream(w io.Writer, encoding, name string, source Source) (*ResultStream, error) {
	s := &ResultStream{out: bufio.NewWriterSize(w, 1<<16), name: name, source: source}
	switch encoding {
	case "gob":
		s.encode = vegeta.NewEncoder(s.out)
	case "json":
		s.encode = vegeta.NewJSONEncoder(s.out)
	case "csv":
		s.encode = vegeta.NewCSVEncoder(s.out)
	default:
		return nil, fmt.Errorf("%q is none of the encodings gob, json and csv", encoding)
	}
	return s, nil
}

// Add writes a hit; it is an Options.OnHit. Hits of the warm-up are left out.
func (s *ResultStream) Add(h *Hit) {
	if h.Warmup {
		return
	}
	target := s.source.Targets()[h.Target]
	r := vegeta.Result{
		Attack: s.name, Seq: uint64(h.Seq), Code: uint16(h.Status), Error: h.Kind,
		Timestamp: h.Started.Add(h.Intended), Latency: h.End - h.Intended,
		BytesIn: uint64(h.BytesIn), BytesOut: uint64(h.BytesOut),
		Method: methodOf(h.Request), URL: target.URL.Redacted(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = s.encode.Encode(&r)
	}
}

// methodOf returns the method of a request on the wire.
func methodOf(wire []byte) string {
	for i, b := range wire {
		if b == ' ' {
			return string(wire[:i])
		}
	}
	return ""
}

// Close writes what is buffered, and returns the first error of the stream.
func (s *ResultStream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = s.out.Flush()
	}
	if s.err != nil {
		return fmt.Errorf("writing the results: %w", s.err)
	}
	return nil
}

// An HdrLog writes the response times of each measured second as an interval
// of an HdrHistogram log (.hlog), values in nanoseconds.
type HdrLog struct {
	out    *hdr.HistogramLogWriter
	logged *stats.Histogram
	last   time.Time // the end of the last interval
	err    error
}

// NewHdrLog begins a log on w, from whose start, started, the times of its intervals
// count.
func NewHdrLog(w io.Writer, started time.Time) (*HdrLog, error) {
	started = started.Truncate(time.Second) // more the log's head can't say
	l := &HdrLog{out: hdr.NewHistogramLogWriter(w), logged: stats.NewHistogram(), last: started}
	l.out.SetBaseTime(started.UnixMilli())
	for _, write := range []func() error{
		func() error { return l.out.OutputComment("[Logged by scaleproof: response times, in nanoseconds]") },
		l.out.OutputLogFormatVersion,
		func() error { return l.out.OutputStartTime(started.UnixMilli()) },
		l.out.OutputLegend,
	} {
		if err := write(); err != nil {
			return nil, fmt.Errorf("beginning the histogram log: %w", err)
		}
	}
	return l, nil
}

// Add writes one second; it is an Options.OnSecond.
func (l *HdrLog) Add(s Second, response *stats.Histogram) {
	if s.Offset < 0 || l.err != nil {
		return
	}
	l.write(s.At, s.At.Add(time.Duration(s.Length*1e9)), response)
}

func (l *HdrLog) write(from, to time.Time, response *stats.Histogram) {
	l.logged.Merge(response)
	l.last = to
	h := response.HDR()
	h.SetStartTimeMs(from.UnixMilli())
	h.SetEndTimeMs(to.UnixMilli())
	l.err = l.out.OutputIntervalHistogram(h)
}

// Finish writes an interval of what was answered after the last second of a run,
// of which all is the whole.
func (l *HdrLog) Finish(all *stats.Histogram) {
	if rest := all.Minus(l.logged); rest.Count() > 0 && l.err == nil {
		l.write(l.last, time.Now(), rest)
	}
}

// Err is the first error of the log.
func (l *HdrLog) Err() error {
	if l.err != nil {
		return fmt.Errorf("writing the histogram log: %w", l.err)
	}
	return nil
}
