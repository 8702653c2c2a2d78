package capacity

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/api"
	promapi "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"scaleproof/internal/invalid"
	"scaleproof/internal/unit"
)

// A Daily says what stands for a day of samples.
type Daily string

// What stands for a day.
const (
	DailyPeak Daily = "peak" // the default
	DailyLow  Daily = "low"
	DailyMean Daily = "mean"
	DailyLast Daily = "last"
	DailyP50  Daily = "p50"
	DailyP95  Daily = "p95"
	DailyP99  Daily = "p99"
)

// A PrometheusQuery is an expression that is evaluated every Step and summed up
// by day, as the metric prom.<name>; where it gives several series, the values of
// their labels follow the name.
type PrometheusQuery struct {
	Name  string `yaml:"name"`
	Query string `yaml:"query"`
	// Unit is that of the values; zero: count.
	Unit  unit.Base `yaml:"unit"`
	Daily Daily     `yaml:"daily"`
	// Kind says how the days go on, as a gauge where it is zero: what accumulates,
	// such as bytes of a volume, is a size.
	Kind Kind `yaml:"kind"`
	// Step is from 10 s to 12 h; zero: 5 min.
	Step unit.Duration `yaml:"step"`
	// Limit is a query of what the values must not reach; its newest value of a
	// day counts.
	Limit string `yaml:"limit"`
}

// Validate returns the faults as joined *invalid.FieldErrors.
func (q PrometheusQuery) Validate() error {
	var faults []error
	if !namePart.MatchString(q.Name) {
		faults = append(faults, invalid.Field("name", "must be letters, digits, - and _, and is %q", q.Name))
	}
	if q.Query == "" {
		faults = append(faults, invalid.Field("query", "is missing"))
	}
	if q.Unit != "" && !q.Unit.Known() {
		faults = append(faults, invalid.Field("unit", "%q is not known", q.Unit))
	}
	switch q.Daily {
	case "", DailyPeak, DailyLow, DailyMean, DailyLast, DailyP50, DailyP95, DailyP99:
	default:
		faults = append(faults, invalid.Field("daily", "must be peak, low, mean, last, p50, p95 or p99, and is %q", q.Daily))
	}
	switch q.Kind {
	case "", Gauge, Size, Counter:
	default:
		faults = append(faults, invalid.Field("kind", "must be gauge, size or counter, and is %q", q.Kind))
	}
	if s := q.Step.Std(); s != 0 && (s < 10*time.Second || s > 12*time.Hour) {
		faults = append(faults, invalid.Field("step", "must be from 10s to 12h, and is %s", q.Step))
	}
	return errors.Join(faults...)
}

func (q PrometheusQuery) withDefaults() PrometheusQuery {
	if q.Unit == "" {
		q.Unit = unit.Count
	}
	if q.Daily == "" {
		q.Daily = DailyPeak
	}
	if q.Step == 0 {
		q.Step = unit.Duration(5 * time.Minute)
	}
	return q
}

// A Prometheus is a server of metrics, asked over its HTTP API.
type Prometheus struct {
	api promapi.API
	// patience bounds one request.
	patience time.Duration
}

// NewPrometheus returns the server at an address, which may carry a user and a
// password. A token is sent as a bearer's where it is not empty. transport is nil
// for the default one.
func NewPrometheus(address, token string, transport http.RoundTripper) (*Prometheus, error) {
	if transport == nil {
		transport = api.DefaultRoundTripper
	}
	if token != "" {
		transport = bearer{token, transport}
	}
	client, err := api.NewClient(api.Config{Address: address, RoundTripper: transport})
	if err != nil {
		return nil, fmt.Errorf("reaching Prometheus: %w", err)
	}
	return &Prometheus{api: promapi.NewAPI(client), patience: time.Minute}, nil
}

// A bearer sends a token with every request.
type bearer struct {
	token string
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// The bounds of what is asked for.
const (
	// mostPointsPerQuery is below the 11,000 that Prometheus gives at most of one
	// series.
	mostPointsPerQuery = 10_000
	longestQuery       = 7 * 24 * time.Hour
	mostPromSeries     = 2000
)

// pieces are the parts of a span of time, in order, none longer than length.
func pieces(from, to time.Time, length time.Duration) iter.Seq2[time.Time, time.Time] {
	return func(yield func(time.Time, time.Time) bool) {
		for ; from.Before(to); from = from.Add(length) {
			end := to
			if next := from.Add(length); next.Before(to) {
				end = next
			}
			if !yield(from, end) {
				return
			}
		}
	}
}

// matrix evaluates an expression every step from after from until to, and tries
// a second time where the server did not answer.
func (p *Prometheus) matrix(ctx context.Context, query string, from, to time.Time, step time.Duration) (model.Matrix, []string, error) {
	var value model.Value
	var warnings promapi.Warnings
	var err error
	for range 2 {
		attempt, cancel := context.WithTimeout(ctx, p.patience)
		value, warnings, _, err = p.api.QueryRange(attempt, query, promapi.Range{Start: from.Add(step), End: to, Step: step}, promapi.WithTimeout(p.patience))
		cancel()
		var fault *promapi.Error
		if err == nil || ctx.Err() != nil || errors.As(err, &fault) && fault.Type == promapi.ErrBadData {
			break
		}
	}
	if err != nil {
		return nil, nil, promFault(err)
	}
	m, ok := value.(model.Matrix)
	if !ok {
		return nil, nil, fmt.Errorf("it answered with a %s, not with series", value.Type())
	}
	if len(m) > mostPromSeries {
		return nil, nil, fmt.Errorf("it gives %d series, of which %d are taken at most: aggregate it, by sum or max", len(m), mostPromSeries)
	}
	return m, warnings, nil
}

// promFault says what Prometheus said, without what its client wraps it in.
func promFault(err error) error {
	var fault *promapi.Error
	if errors.As(err, &fault) {
		detail := fault.Detail
		if detail != "" {
			detail = ": " + detail[:min(len(detail), 200)]
		}
		return fmt.Errorf("Prometheus answered %s: %s%s", fault.Type, fault.Msg, detail)
	}
	return err
}
