package loadgen

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// result makes the result of a run of what its collector holds.
func (r *run) result(c *collector, engine string, used Generator) *Result {
	t := c.total
	length := float64(max(r.span.end.Load()-r.span.from, 0)) / 1e9
	res := &Result{
		Name: r.cfg.Name, Engine: engine,
		Requests: t.requests, Successes: t.successes, Unfinished: t.unfinished,
		DurationSeconds: length,
		Status:          map[string]int64{}, Errors: map[string]int64{}, Backends: map[string]int64{},
		BytesIn: t.bytesIn, BytesOut: t.bytesOut,
		ResponseTime: t.response.Summary(), ServiceTime: t.service.Summary(), Lateness: t.lateness.Summary(),
		Connections: r.opened.Load(), BackendsSince: r.backends.firstSeen(),
		WorkloadHash: r.workloadHash(),
		Generator:    used,
		StartedAt:    r.started, Seconds: c.series,
		Histograms: t.times.result(),
	}
	if length > 0 {
		res.Rate, res.Throughput = float64(c.finished)/length, float64(c.succeeded)/length
		res.OfferedRate = float64(c.scheduled) / length
	}
	if len(r.stages) > 0 {
		res.Unsent = max(c.scheduled-t.requests-t.unfinished, 0)
	}
	for status, n := range t.status {
		if n > 0 {
			res.Status[strconv.Itoa(status)] = n
		}
	}
	for k, n := range t.errors {
		if n > 0 {
			res.Errors[kind(k).String()] = n
		}
	}
	for i := range r.checks {
		if res.Checks == nil {
			res.Checks = map[string]int64{}
		}
		res.Checks[r.checks[i].text] = r.checkFailures[i].Load()
	}
	for i, n := range t.backends {
		if n > 0 {
			res.Backends[r.backends.name(i)] = n
		}
	}
	named := r.named()
	for i := range named {
		res.Targets = append(res.Targets, t.groups[i].result(r.targets[i].Name))
	}
	res.Phases = r.phaseResults(t.groups[named:])
	res.Validity, res.ValidityReason = r.judge(res, t, used)
	res.Warnings = append(res.Warnings, r.unnamed()...)
	if warning := unsteady(c.series); warning != "" && len(r.cfg.Stages) == 0 {
		res.Warnings = append(res.Warnings, warning)
	}
	return res
}

// workloadHash identifies what was asked of the target: two runs of equal
// hashes sent the same requests at the same times.
func (r *run) workloadHash() string {
	schedule, err := json.Marshal(struct {
		Stages      any
		Arrivals    string
		Seed        uint64
		Connections int
		Warmup      unit.Duration
	}{r.stages, r.cfg.Arrivals, r.cfg.Seed, r.cfg.connections(), r.cfg.Warmup})
	if err != nil {
		panic(err) // numbers and strings always encode
	}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s", schedule, r.source.Workload())
	return hex.EncodeToString(h.Sum(nil))
}

// LongName returns the whole name of a metric of which the name is a short form: of
// load.<name>.p99 load.<name>.response.p99. Others it returns as they are.
func LongName(metric string) string {
	parts := strings.Split(metric, ".")
	if len(parts) == 3 && parts[0] == "load" && slices.Contains([]string{"p50", "p90", "p95", "p99", "p999", "mean", "max"}, parts[2]) {
		return parts[0] + "." + parts[1] + ".response." + parts[2]
	}
	return metric
}

// Samples returns the metrics of r as one trial of a snapshot, under
// load.<name>.
func (r *Result) Samples() []snapshot.Sample {
	prefix := "load."
	if r.Name != "" && r.Name != "load" {
		prefix += r.Name + "."
	} else {
		prefix += "load."
	}
	seconds := func(name string, v float64) snapshot.Sample {
		if r.Successes == 0 {
			v = math.NaN() // no success has no latency, not a latency of 0
		}
		return snapshot.Sample{Name: prefix + name, Unit: unit.Seconds, Better: snapshot.Lower, Value: v}
	}
	failed, of := r.Requests-r.Successes+r.Unsent, r.Requests+r.Unsent
	errors := math.NaN()
	if of > 0 {
		errors = float64(failed) / float64(of)
	}
	samples := []snapshot.Sample{
		seconds("response.p50", r.ResponseTime.P50),
		seconds("response.p90", r.ResponseTime.P90),
		seconds("response.p95", r.ResponseTime.P95),
		seconds("response.p99", r.ResponseTime.P99),
		seconds("response.p999", r.ResponseTime.P999),
		seconds("response.mean", r.ResponseTime.Mean),
		seconds("service.p50", r.ServiceTime.P50),
		seconds("service.p99", r.ServiceTime.P99),
		{Name: prefix + "throughput", Unit: unit.RequestsPerSecond, Better: snapshot.Higher, Value: r.Throughput},
		{Name: prefix + "errors", Unit: unit.Ratio, Better: snapshot.Lower, Value: errors, Events: failed, Of: of},
	}
	if r.Capacity != nil {
		samples = append(samples, snapshot.Sample{Name: prefix + "capacity", Unit: unit.RequestsPerSecond, Better: snapshot.Higher, Value: r.Capacity.Rate})
	}
	return samples
}
