package loadgen

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

// simulated returns the parts of intervals that follow the number of the second:
// each of n requests with a log-normal latency about 2 ms, all in bins of their
// own as far as they can be.
func simulated(n, variants int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	b := &backends{}
	var list [][]byte
	for range variants {
		w := newWindow(0, 0)
		for range n {
			sent := int64(math.Exp(rng.NormFloat64()*.5 + 10))      // about 22 µs late
			service := int64(math.Exp(rng.NormFloat64()*.6 + 14.5)) // about 2 ms
			w.add(&sample{sent: sent, end: sent + service, backend: b.indexOf("10.0.0.1:80"), status: 200, bytesIn: 300, bytesOut: 100}, true)
		}
		encoded := w.appendInterval(nil, int64(n), b)
		_, size := binary.Varint(encoded)
		list = append(list, encoded[size:])
	}
	return list
}

// A coordinator's own work for a million requests a second of a thousand workers
// over five minutes: 300,000 intervals, each of 1,000 requests. B/op is what it
// allocates in all, peak-MB what the process has from the system; s/op is what
// cpu-s/op, its CPU time, is on a machine that does nothing else.
func BenchmarkAssembleAThousandWorkers(b *testing.B) {
	const workers, seconds, rate = 1000, 300, 1000
	tails := simulated(rate, 64)
	end := newWindow(0, 0)
	end.index = drained
	last := end.appendInterval(nil, 0, &backends{})
	cfg := Config{Targets: []string{"GET http://127.0.0.1/"}, Rate: unit.Rate(workers * rate), Duration: unit.Duration(seconds * time.Second)}
	b.ReportAllocs()
	before := processCPU()
	for b.Loop() {
		a, err := NewAssembly(cfg, Options{}, workers, time.Now())
		if err != nil {
			b.Fatal(err)
		}
		var buf []byte
		for s := range int64(seconds + 1) {
			for w := range workers {
				if s == seconds {
					buf = append(buf[:0], last...)
				} else {
					buf = append(binary.AppendVarint(buf[:0], s), tails[(int(s)*7+w)%len(tails)]...)
				}
				if err := a.Add(w, buf); err != nil {
					b.Fatal(err)
				}
			}
		}
		for w := range workers {
			a.End(w, &Result{Validity: Valid})
		}
		if r := a.Result(); r.Requests != workers*seconds*rate || r.Validity == Invalid {
			b.Fatalf("%d requests, %s", r.Requests, r.ValidityReason)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/1e6, "peak-MB")
	b.ReportMetric(float64(len(tails[0])), "B/interval")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/op")
	b.ReportMetric((processCPU()-before).Seconds()/float64(b.N), "cpu-s/op")
}
