// Package loadgen is an HTTP load generator for validation runs: open and
// closed models, three clocks (intended, sent, end), and a verdict on whether
// its own numbers can be trusted.
package loadgen

import (
	"time"

	"scaleproof/internal/stats"
)

// Validity says whether a result speaks about the target.
type Validity string

// The validities. Only a Valid result measures the target's latency;
// TargetLimited measures its throughput.
const (
	Valid            Validity = "valid"
	TargetLimited    Validity = "target-limited"
	GeneratorLimited Validity = "generator-limited"
	Inconclusive     Validity = "inconclusive"
	// Invalid is a run that several processes shared and did not complete: its
	// figures are of another load than the one that was asked for.
	Invalid Validity = "invalid"
)

// A Result is what one load run measured, its warm-up left out. Times are
// seconds.
type Result struct {
	Name      string `json:"name,omitempty"`
	Engine    string `json:"engine"`
	Requests  int64  `json:"requests"` // finished, successes and failures
	Successes int64  `json:"successes"`
	// Unsent requests were scheduled, and none had been sent when the run
	// ended; Unfinished ones were sent, and given up when the context ended.
	// Neither is in Requests.
	Unsent          int64   `json:"unsent,omitempty"`
	Unfinished      int64   `json:"unfinished,omitempty"`
	Rate            float64 `json:"rate"`         // finished within the window, per second
	Throughput      float64 `json:"throughput"`   // successes within the window, per second
	OfferedRate     float64 `json:"offered_rate"` // scheduled per second; 0 in the closed model
	DurationSeconds float64 `json:"duration_seconds"`
	// Status counts answers by status code; Errors counts failures by kind
	// (refused, reset, timeout, status, ...).
	Status map[string]int64 `json:"status"`
	Errors map[string]int64 `json:"errors"`
	// Checks counts the answers that each check was the first to refuse, the
	// warm-up's too.
	Checks   map[string]int64 `json:"checks,omitempty"`
	BytesIn  int64            `json:"bytes_in"`
	BytesOut int64            `json:"bytes_out"`
	// ResponseTime is from the intended start, ServiceTime from the sending,
	// to the end, of successes. Lateness is from the intended start to the
	// sending, of all.
	ResponseTime stats.Summary `json:"response_time"`
	ServiceTime  stats.Summary `json:"service_time"`
	Lateness     stats.Summary `json:"lateness"`

	Validity       Validity         `json:"validity"`
	ValidityReason string           `json:"validity_reason"`
	Warnings       []string         `json:"warnings,omitempty"`
	Backends       map[string]int64 `json:"backends"` // requests per remote address
	// BackendsSince is when the first connection to each address was opened, in
	// seconds from the run's start.
	BackendsSince map[string]float64 `json:"backends_since,omitempty"`
	// Connections is how many were opened, warm-up included.
	Connections  int64          `json:"connections"`
	Targets      []TargetResult `json:"targets,omitempty"` // where there are several
	Phases       []PhaseResult  `json:"phases,omitempty"`  // where there are stages
	Capacity     *Capacity      `json:"capacity,omitempty"`
	WorkloadHash string         `json:"workload_hash"`
	Generator    Generator      `json:"generator"`
	// Workers are the processes that shared the run, where there were several.
	Workers []Worker `json:"workers,omitempty"`

	StartedAt time.Time `json:"started_at"`
	Seconds   []Second  `json:"seconds,omitempty"`
	// Transition is set where the load went on through an action.
	Transition *Transition `json:"transition,omitempty"`
	Histograms *Histograms `json:"histograms,omitempty"`
}

// Generator is what the generator itself used, its warm-up included.
type Generator struct {
	CPUs           int     `json:"cpus"` // event loops or recorders
	CPUSeconds     float64 `json:"cpu_seconds"`
	GCPauseSeconds float64 `json:"gc_pause_seconds"`
}

func (g *Generator) add(o Generator) {
	g.CPUs += o.CPUs
	g.CPUSeconds += o.CPUSeconds
	g.GCPauseSeconds += o.GCPauseSeconds
}

// A Worker is one of the processes that shared a run.
type Worker struct {
	Index int    `json:"index"`
	Host  string `json:"host,omitempty"`
	// Requests are those that it finished, LatenessP99 how late it sent, in
	// seconds.
	Requests    int64     `json:"requests"`
	LatenessP99 float64   `json:"lateness_p99"`
	Validity    Validity  `json:"validity"`
	Generator   Generator `json:"generator"`
	// ClockOffset is how far its clock is ahead of the coordinator's, in seconds,
	// as it was measured before the start, within ClockError. The start allows
	// for it.
	ClockOffset float64 `json:"clock_offset"`
	ClockError  float64 `json:"clock_error"`
}

// Histograms are the distributions of a run.
type Histograms struct {
	Response *stats.Histogram `json:"response"`
	Service  *stats.Histogram `json:"service"`
	Lateness *stats.Histogram `json:"lateness"`
	Failures *stats.Histogram `json:"failures"` // response times of failures
}

// A Second is one second of a run.
type Second struct {
	At        time.Time `json:"-"`      // when it began
	Offset    float64   `json:"offset"` // seconds from the start of the measured window; negative in the warm-up
	Length    float64   `json:"length"` // seconds; more than 1 where a long run's series was thinned
	Requests  int64     `json:"requests"`
	Errors    int64     `json:"errors"`
	Mean      float64   `json:"mean"` // response times of successes, seconds; 0 without any
	P50       float64   `json:"p50"`
	P99       float64   `json:"p99"`
	Max       float64   `json:"max"`
	Scheduled int64     `json:"scheduled"`
	// Starved requests found no free connection when they were due.
	Starved int64 `json:"starved,omitempty"`
	// The 99th percentiles of the successes' service time, of all requests'
	// lateness and of the failures' response time; 0 without any, and in the
	// warm-up.
	ServiceP99  float64 `json:"service_p99,omitempty"`
	LatenessP99 float64 `json:"lateness_p99,omitempty"`
	FailuresP99 float64 `json:"failures_p99,omitempty"`
}

// A TargetResult is the part of a run that one target had.
type TargetResult struct {
	Name         string        `json:"name"`
	Requests     int64         `json:"requests"`
	Failures     int64         `json:"failures"`
	ResponseTime stats.Summary `json:"response_time"`
	// ServiceTime, Lateness and FailureTime, the response time of failures, are
	// nil where there are more than 16 targets and phases.
	ServiceTime *stats.Summary `json:"service_time,omitempty"`
	Lateness    *stats.Summary `json:"lateness,omitempty"`
	FailureTime *stats.Summary `json:"failure_time,omitempty"`

	group *group // what the figures are of; nil where they were read from a file
}

// A PhaseResult is the part of a run that was due in one phase of its stages, or
// in the warm-up before them. Times are seconds.
type PhaseResult struct {
	From   float64 `json:"from"`   // from the start of the measured window; negative in the warm-up
	Length float64 `json:"length"` // of all trials together
	TargetResult
}

// Capacity is the highest rate that held a service level.
type Capacity struct {
	Rate float64 `json:"rate"` // requests per second
	Low  float64 `json:"low"`  // bounds of its interval
	High float64 `json:"high"`
	// Limit says what ended the search: "target", "generator", "bound" where no rate
	// was tried that failed, or "interrupted". But for "target" the capacity may be
	// higher.
	Limit string       `json:"limit"`
	Curve []CurvePoint `json:"curve"`
}

// A CurvePoint is one probe of a capacity search.
type CurvePoint struct {
	Offered    float64 `json:"offered"`
	Throughput float64 `json:"throughput"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	Errors     float64 `json:"errors"` // fraction of requests
	Held       bool    `json:"held"`
	Reason     string  `json:"reason,omitempty"`
}
