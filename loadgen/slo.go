package loadgen

import (
	"fmt"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// bounds lists the quantiles that a service level bounds.
func (o SLO) bounds() []bound {
	var list []bound
	for _, b := range []bound{
		{"p50", .5, o.P50}, {"p90", .9, o.P90}, {"p95", .95, o.P95}, {"p99", .99, o.P99}, {"p999", .999, o.P999},
	} {
		if b.limit > 0 {
			list = append(list, b)
		}
	}
	return list
}

type bound struct {
	name     string
	quantile float64
	limit    unit.Duration
}

// fault says why a run did not hold the service level; "" is that it did. What
// was never sent or never answered counts as failed, and a run that fell
// behind its schedule held nothing.
func (o SLO) fault(r *Result) string {
	if r.Successes == 0 {
		return "no request succeeded"
	}
	of := float64(r.Requests + r.Unsent + r.Unfinished)
	if failed := (of - float64(r.Successes)) / of; failed > max(float64(o.Errors), tolerableShare) || o.Errors > 0 && failed > float64(o.Errors) {
		return fmt.Sprintf("%s of the requests failed or were never sent", unit.Format(failed, unit.Ratio))
	}
	for _, b := range o.bounds() {
		if got := r.Histograms.Response.Quantile(b.quantile); got > b.limit.Seconds() {
			return fmt.Sprintf("%s of the response time is %s", b.name, unit.Format(got, unit.Seconds))
		}
	}
	if r.Validity == TargetLimited {
		return r.ValidityReason
	}
	return ""
}

// hopeless reports whether one second is so far from the service level that
// waiting for more of them is of no use.
func (o SLO) hopeless(s Second, response *stats.Histogram) bool {
	if s.Requests == 0 {
		return s.Scheduled > 0
	}
	if o.Errors > 0 && float64(s.Errors)/float64(s.Requests) > max(10*float64(o.Errors), .1) {
		return true
	}
	for _, b := range o.bounds() {
		if response.Count() > 0 && response.Quantile(b.quantile) > 3*b.limit.Seconds() {
			return true
		}
	}
	return false
}
