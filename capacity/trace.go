package capacity

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// ReadTraceCSV reads a load trace with the columns time and value (see
// ReadSeriesCSV for the forms of a time): demand in requests per second, or CPU
// cores in all, at least two points of it. A trace is simulated as it stands, so
// that times that do not ascend, and values that are missing or negative, are
// errors.
func ReadTraceCSV(r io.Reader) (Series, error) {
	s, err := ReadSeriesCSV(r)
	if err != nil {
		return Series{}, err
	}
	return s, checkTrace(s)
}

func checkTrace(s Series) error {
	if len(s.Times) != len(s.Values) || len(s.Times) < 2 {
		return errors.New("a load trace has at least two points")
	}
	for i, v := range s.Values {
		if !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("the load trace has the value %v at %s", v, s.Times[i].Format(time.RFC3339))
		}
		if i > 0 && !s.Times[i].After(s.Times[i-1]) {
			return fmt.Errorf("the load trace goes from %s back to %s", s.Times[i-1].Format(time.RFC3339), s.Times[i].Format(time.RFC3339))
		}
	}
	return nil
}

// Scaled returns the series with its values multiplied: a measured day at the
// level of a forecast peak.
func (s Series) Scaled(factor float64) Series {
	s.Values = slices.Clone(s.Values)
	for i := range s.Values {
		s.Values[i] *= factor
	}
	return s
}

// A traceReader gives the value of a trace at ascending times, on the straight
// line between its points.
type traceReader struct {
	trace Series
	next  int
}

func (r *traceReader) at(t time.Time) float64 {
	times, values := r.trace.Times, r.trace.Values
	for r.next < len(times) && !times[r.next].After(t) {
		r.next++
	}
	switch r.next {
	case 0:
		return values[0]
	case len(times):
		return values[len(values)-1]
	}
	i := r.next
	part := t.Sub(times[i-1]).Seconds() / times[i].Sub(times[i-1]).Seconds()
	return values[i-1] + part*(values[i]-values[i-1])
}
