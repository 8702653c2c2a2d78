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

// TestAFrozenServerShowsInResponseTime freezes a server for two seconds of a
// run. The arrivals in the freeze wait for what is left of it, and the 99th
// percentile is one of them. On few connections the naive figure, service time,
// sees almost none of it.
func TestAFrozenServerShowsInResponseTime(t *testing.T) {
	const (
		freeze = 2 * time.Second
		at     = time.Second
		rate   = 1000
	)
	for engine, length := range map[string]time.Duration{engineEpoll: 20 * time.Second, engineGoroutines: 5 * time.Second} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			var once sync.Once
			var start time.Time
			var answered answerLog
			url := hostileServer(t, func(conn net.Conn, r *bufio.Reader) {
				once.Do(func() { start = time.Now() })
				for readRequest(r) {
					if frozen := time.Since(start) - at; frozen > 0 && frozen < freeze {
						time.Sleep(freeze - frozen)
					}
					answered.add()
					if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
						return
					}
				}
			})
			res := load(t, Config{Targets: []string{url}, Rate: rate, Connections: 4, Duration: unit.Duration(length)}, Options{Engine: engine})
			truth := answered.quantile(res.StartedAt, rate, .99)
			if ideal := frozenQuantile(length, freeze, rate, .99); truth < .95*ideal {
				t.Errorf("the server says %v, it should have frozen for %v", truth, ideal)
			}
			if got := res.ResponseTime.P99; math.Abs(got-truth) > .05*truth {
				t.Errorf("p99 of response time %v, the truth is %v", got, truth)
			}
			if naive := res.ServiceTime.P99; naive > truth/10 {
				t.Errorf("p99 of service time %v should have missed the freeze", naive)
			}
			if res.Validity != TargetLimited || res.Unsent > res.Requests/100 {
				t.Errorf("%s: %s; %d unsent", res.Validity, res.ValidityReason, res.Unsent)
			}
		})
	}
}

// An answerLog is when a server has answered.
type answerLog struct {
	mu    sync.Mutex
	times []time.Time
}

func (l *answerLog) add() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, time.Now())
}

// quantile is that of the response times that the server has seen: of the n-th
// answer, from when the n-th request of a constant rate was due. Whatever else
// the machine does meanwhile is in it.
func (l *answerLog) quantile(start time.Time, rate, q float64) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	response := make([]float64, len(l.times))
	for i, t := range l.times {
		response[i] = t.Sub(start).Seconds() - float64(i)/rate
	}
	slices.Sort(response)
	return response[int(math.Ceil(q*float64(len(response))))-1]
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
