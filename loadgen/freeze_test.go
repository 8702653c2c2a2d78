package loadgen

import (
	"bufio"
	"io"
	"math"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

// TestAFrozenServerShowsInResponseTime freezes a server for a tenth of a run.
// Of the arrivals in the freeze, which wait for what is left of it, a tenth is
// beyond the 99th percentile: the truth is nine tenths of the freeze. On few
// connections the naive figure, service time, sees almost none of it.
func TestAFrozenServerShowsInResponseTime(t *testing.T) {
	const (
		length = 5 * time.Second
		freeze = 500 * time.Millisecond
		at     = 2 * time.Second
		rate   = 1000
	)
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var once sync.Once
			var start time.Time
			url := hostileServer(t, func(conn net.Conn, r *bufio.Reader) {
				once.Do(func() { start = time.Now() })
				for readRequest(r) {
					if frozen := time.Since(start) - at; frozen > 0 && frozen < freeze {
						time.Sleep(freeze - frozen)
					}
					if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
						return
					}
				}
			})
			res := load(t, Config{Targets: []string{url}, Rate: rate, Connections: 4, Duration: unit.Duration(length)}, Options{Engine: engine})
			truth := frozenQuantile(length, freeze, rate, .99)
			if got := res.ResponseTime.P99; math.Abs(got-truth) > .05*truth {
				t.Errorf("p99 of response time %v, the truth is %v", got, truth)
			}
			if naive := res.ServiceTime.P99; naive > truth/10 {
				t.Errorf("p99 of service time %v should have missed the freeze", naive)
			}
			if res.Validity != TargetLimited || res.Unsent > 5 {
				t.Errorf("%s: %s; %d unsent", res.Validity, res.ValidityReason, res.Unsent)
			}
		})
	}
}

// frozenQuantile is the quantile of the response times at a constant rate of a
// server that answers at once, but for a freeze.
func frozenQuantile(length, freeze time.Duration, rate, q float64) float64 {
	n := int(length.Seconds() * rate)
	times := make([]float64, n)
	for i := range int(freeze.Seconds() * rate) {
		times[i] = freeze.Seconds() - float64(i)/rate
	}
	slices.Sort(times)
	return times[int(math.Ceil(q*float64(n)))-1]
}
