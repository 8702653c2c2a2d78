package dbbench

import (
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// A LoadResult is what a load measured in its window. Times are seconds.
type LoadResult struct {
	Node      string    `json:"node"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"` // of the window
	Clients   int       `json:"clients"`
	// OfferedRate is of transactions per second; 0 is as fast as it goes.
	OfferedRate float64 `json:"offered_rate,omitempty"`
	// DurationSeconds is from the window's begin to the end of the last
	// transaction that began in it.
	DurationSeconds float64 `json:"duration_seconds"`
	Transactions    int64   `json:"transactions"` // that worked
	TPS             float64 `json:"tps"`          // of those, per second
	// Unsent counts the arrivals that were due in the window, and for which no
	// client was free before it ended.
	Unsent int64 `json:"unsent,omitempty"`
	// Errors counts what failed, by SQLSTATE and its meaning, or by
	// "connection". FirstError is one of them in the server's words.
	Errors     map[string]int64 `json:"errors,omitempty"`
	FirstError string           `json:"first_error,omitempty"`
	Reconnects int64            `json:"reconnects,omitempty"`
	// ServiceTime is from sending a statement to its last row; ResponseTime
	// from when its arrival was due, and so holds the wait for a free client,
	// which Lateness is alone. In the closed model nothing waits.
	ServiceTime  stats.Summary    `json:"service_time"`
	ResponseTime stats.Summary    `json:"response_time"`
	Lateness     stats.Summary    `json:"lateness"`
	Histogram    *stats.Histogram `json:"histogram"` // of ResponseTime
	Cases        []LoadCase       `json:"cases"`
}

// A LoadCase is the part of one case in a load.
type LoadCase struct {
	Name         string  `json:"name"`
	Share        float64 `json:"share"` // of the mix, by its weight: above 0, at most 1
	Transactions int64   `json:"transactions"`
	Errors       int64   `json:"errors,omitempty"`
	// Fault is why it could not run at all: its statement was not prepared, or its
	// arguments not drawn. It then failed as often as it was its turn.
	Fault       string        `json:"fault,omitempty"`
	ServiceTime stats.Summary `json:"service_time"`
}

// maxShards bounds the recorders, each of which takes 210 KB and more for each
// case. A few for each CPU are enough for clients never to wait for one another.
var maxShards = 4 * runtime.GOMAXPROCS(0)

// A recorder counts for several clients.
type recorder struct {
	mu                 sync.Mutex
	response, lateness *stats.Histogram
	cases              []recordedCase
	errors             map[string]int64
	firstError         string
	reconnects         int64
	last               time.Time // the end of the last transaction
}

type recordedCase struct {
	service *stats.Histogram // nil until it is needed
	errors  int64
}

func newRecorders(n, cases int) []*recorder {
	all := make([]*recorder, n)
	for i := range all {
		all[i] = &recorder{
			response: stats.NewHistogram(), lateness: stats.NewHistogram(),
			cases: make([]recordedCase, cases), errors: map[string]int64{},
		}
	}
	return all
}

func (r *recorder) record(i int, due, sent, done time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if done.After(r.last) {
		r.last = done
	}
	c := &r.cases[i]
	if err != nil {
		c.errors++
		r.errors[errorKind(err)]++
		if r.firstError == "" {
			r.firstError = err.Error()
		}
		return
	}
	if c.service == nil {
		c.service = stats.NewHistogram()
	}
	c.service.RecordNanos(done.Sub(sent).Nanoseconds())
	if due == sent {
		return // the closed model: response and service are one, and nothing is late
	}
	r.response.RecordNanos(done.Sub(due).Nanoseconds())
	r.lateness.RecordNanos(sent.Sub(due).Nanoseconds())
}

func (r *recorder) reconnected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reconnects++
}

// errorKind names an error by its SQLSTATE.
func errorKind(err error) string {
	var fault *pgconn.PgError
	switch {
	case errors.Is(err, errArguments):
		return "no arguments"
	case !errors.As(err, &fault):
		return "connection"
	}
	if name := map[string]string{
		"40001": "serialization failure", "40P01": "deadlock", "57014": "cancelled, or statement timeout",
		"55P03": "lock timeout", "25006": "read-only transaction", "57P01": "server shutdown", "53300": "too many connections",
	}[fault.Code]; name != "" {
		return fault.Code + " " + name
	}
	return fault.Code
}

// result joins what the recorders have. In the closed model each response is a
// service, so that only the cases were recorded.
func (r *loadRun) result() *LoadResult {
	result := &LoadResult{
		Node: r.node.Name, StartedAt: r.from, Clients: len(r.clients), OfferedRate: float64(r.load.Rate),
		Errors: map[string]int64{}, Histogram: stats.NewHistogram(),
	}
	service, lateness, last := stats.NewHistogram(), stats.NewHistogram(), r.from
	for _, shard := range r.shards {
		result.Histogram.Merge(shard.response)
		lateness.Merge(shard.lateness)
		result.Reconnects += shard.reconnects
		if shard.last.After(last) {
			last = shard.last
		}
		for kind, n := range shard.errors {
			result.Errors[kind] += n
		}
		if result.FirstError == "" {
			result.FirstError = shard.firstError
		}
	}
	for i := range r.cases {
		result.Cases = append(result.Cases, r.caseResult(i, service))
	}
	if r.load.Rate == 0 {
		result.Histogram = service
	}
	result.Transactions = service.Count()
	result.DurationSeconds = max(last.Sub(r.from), r.end.Sub(r.from)).Seconds()
	if result.DurationSeconds > 0 {
		result.TPS = float64(result.Transactions) / result.DurationSeconds
	}
	result.ServiceTime, result.ResponseTime, result.Lateness = service.Summary(), result.Histogram.Summary(), lateness.Summary()
	if r.load.Rate > 0 {
		result.Unsent = max(int64(r.end.Sub(r.started).Seconds()*float64(r.load.Rate))-r.arrivals, 0)
	}
	return result
}

// caseResult joins one case, and adds it to the service times of all.
func (r *loadRun) caseResult(i int, all *stats.Histogram) LoadCase {
	of := LoadCase{Name: r.cases[i].name, Share: r.clients[0].limits[i]}
	if i > 0 {
		of.Share -= r.clients[0].limits[i-1]
	}
	for _, client := range r.clients {
		if fault := client.cases[i].fault; fault != nil && of.Fault == "" {
			of.Fault = fault.Error()
		}
	}
	service := stats.NewHistogram()
	for _, shard := range r.shards {
		of.Errors += shard.cases[i].errors
		if shard.cases[i].service != nil {
			service.Merge(shard.cases[i].service)
		}
	}
	of.Transactions, of.ServiceTime = service.Count(), service.Summary()
	all.Merge(service)
	return of
}

// Samples returns the load's metrics, db.load.*. The response time has no value
// where nothing worked, and neither it nor the throughput has one where a case could
// not run: what is left of the mix is other work.
func (l *LoadResult) Samples() []snapshot.Sample {
	whole := func(value float64) float64 {
		if slices.ContainsFunc(l.Cases, func(c LoadCase) bool { return c.Fault != "" }) {
			return math.NaN()
		}
		return value
	}
	failed := int64(0)
	for _, n := range l.Errors {
		failed += n
	}
	samples := []snapshot.Sample{{Name: "db.load.throughput", Unit: unit.PerSecond, Better: snapshot.Higher, Value: whole(l.TPS)}}
	if all := failed + l.Transactions; all > 0 {
		samples = append(samples, snapshot.Sample{Name: "db.load.errors", Unit: unit.Ratio, Better: snapshot.Lower, Value: float64(failed) / float64(all), Events: failed, Of: all})
	}
	for _, q := range []struct {
		name string
		at   float64
	}{{"p50", .5}, {"p90", .9}, {"p99", .99}} {
		samples = append(samples, snapshot.Sample{Name: "db.load.response." + q.name, Unit: unit.Seconds, Better: snapshot.Lower, Value: whole(l.Histogram.Quantile(q.at))})
	}
	return samples
}
