package loadgen

import (
	"scaleproof/internal/unit"
)

// Config says what load to make. Its YAML form stands in plans under
// measure.load; the flags of `scaleproof load` fill the same fields.
type Config struct {
	// Name is the load's part of metric names: load.<name>.response.p99.
	Name string `yaml:"name" json:"name,omitempty"`
	// Targets are requests as vegeta's http format writes them, "GET
	// http://host/path"; more than one are taken in turn.
	Targets []string `yaml:"targets" json:"targets,omitempty"`
	// TargetsFile is a file of requests in vegeta's http or json format.
	TargetsFile string `yaml:"targets_file" json:"targets_file,omitempty"`
	// Weights are the shares of the targets, in their order, those of
	// TargetsFile behind those of Targets. None: all are taken in turn.
	Weights []int `yaml:"weights" json:"weights,omitempty"`
	// Feeder is a CSV file whose rows {{row.NAME}} placeholders take.
	Feeder string `yaml:"feeder" json:"feeder,omitempty"`
	// Rate is the arrival rate of the open model. Zero is the closed model:
	// each connection sends as soon as it has its answer.
	Rate unit.Rate `yaml:"rate" json:"rate,omitempty"`
	// Connections is the number of connections of the closed model, and the
	// most that the open model opens. Zero: 10 in the closed model, 10,000 in
	// the open one.
	Connections int `yaml:"connections" json:"connections,omitempty"`
	// Duration is the length of the measured window. Zero: until the context
	// ends.
	Duration unit.Duration `yaml:"duration" json:"duration,omitempty"`
	// Warmup is load before the window that is not measured.
	Warmup unit.Duration `yaml:"warmup" json:"warmup,omitempty"`
	// Arrivals is "constant" (the default) or "poisson".
	Arrivals string `yaml:"arrivals" json:"arrivals,omitempty"`
	// Method, Headers ("Name: value") and Body apply to all Targets; BodyFile
	// is a file that holds the body. Addresses below the host, headers and
	// bodies may hold placeholders: {{seq}}, {{random 1 500}}, {{pick a b}},
	// {{uuid}} and {{row.NAME}}.
	Method   string   `yaml:"method" json:"method,omitempty"`
	Headers  []string `yaml:"headers" json:"headers,omitempty"`
	Body     string   `yaml:"body" json:"body,omitempty"`
	BodyFile string   `yaml:"body_file" json:"body_file,omitempty"`
	// Checks say what an answer must be, such as "status 200", "body contains
	// ok" or "json $.status == \"ok\"". Without one on the status, 400 and
	// above are failures.
	Checks []string `yaml:"checks" json:"checks,omitempty"`
	// Timeout bounds a request from its sending to its end. Zero: 30 s.
	Timeout unit.Duration `yaml:"timeout" json:"timeout,omitempty"`
	// SLO is the service level of FindCapacity.
	SLO SLO `yaml:"slo" json:"slo,omitzero"`
	// FindCapacity searches for the highest rate that holds SLO.
	FindCapacity bool `yaml:"find_capacity" json:"find_capacity,omitempty"`
	// Stages, where there are any, take the place of Rate and Duration: the
	// open model's rate over time, on the same connections throughout.
	Stages []Stage `yaml:"stages" json:"stages,omitempty"`
	// Recycle closes a connection after so many requests, RecycleAfter after
	// so long, so that load reaches new replicas behind a balancer. Zero:
	// never.
	Recycle      int           `yaml:"recycle" json:"recycle,omitempty"`
	RecycleAfter unit.Duration `yaml:"recycle_after" json:"recycle_after,omitempty"`
	// ConnectTo replaces addresses, "host:port" by "host:port", leaving
	// requests and certificates as they are.
	ConnectTo map[string]string `yaml:"connect_to" json:"connect_to,omitempty"`
	// UnixSocket is the path of a socket that all connections go to.
	UnixSocket string `yaml:"unix_socket" json:"unix_socket,omitempty"`
	// HTTP2 makes requests by HTTP/2: negotiated by TLS, or with prior
	// knowledge where the target is plaintext. Connections then bounds the
	// requests in flight.
	HTTP2 bool `yaml:"http2" json:"http2,omitempty"`
	TLS   TLS  `yaml:"tls" json:"tls,omitzero"`
	// Seed makes arrivals and templates reproducible.
	Seed uint64 `yaml:"seed" json:"seed,omitempty"`
	// Workers share the load, where there are any. They are for the caller of Run,
	// which makes them a Fleet.
	Workers Workers `yaml:"workers" json:"workers,omitzero"`

	files map[string][]byte // of a Bundle, in place of the disk's
}

// A Stage is a part of a run: the rate goes linearly from the stage's before
// (the first: from its own) to Rate over Ramp, and stays there for Duration.
type Stage struct {
	Rate     unit.Rate     `yaml:"rate" json:"rate"`
	Ramp     unit.Duration `yaml:"ramp" json:"ramp,omitempty"`
	Duration unit.Duration `yaml:"duration" json:"duration"`
}

// SLO is a service level: bounds on the response time's quantiles and on the
// fraction of requests that fail. A zero bound is none.
type SLO struct {
	P50    unit.Duration `yaml:"p50" json:"p50,omitempty"`
	P90    unit.Duration `yaml:"p90" json:"p90,omitempty"`
	P95    unit.Duration `yaml:"p95" json:"p95,omitempty"`
	P99    unit.Duration `yaml:"p99" json:"p99,omitempty"`
	P999   unit.Duration `yaml:"p999" json:"p999,omitempty"`
	Errors unit.Fraction `yaml:"errors" json:"errors,omitempty"`
}
