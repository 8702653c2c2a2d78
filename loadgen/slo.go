package loadgen

import (
	"fmt"

	"scaleproof/internal/expr"
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

// Fault says why r does not hold the service level; "" is that it does. What
// was never sent or never answered counts as failed, and a run that fell behind
// its schedule held nothing.
func (o SLO) Fault(r *Result) string {
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
	if r.queueGrows() {
		return fmt.Sprintf("only %s of %s were answered: a queue grows", unit.Format(r.Rate, unit.RequestsPerSecond), unit.Format(r.OfferedRate, unit.RequestsPerSecond))
	}
	return ""
}

// fallsBehind is the share of the offered rate that may be missing at the end
// of a run whose arrivals are random.
const fallsBehind = 0.02

// queueGrows reports whether fewer requests ended than began, as in no steady state:
// a longer run would show that in the response times. What the end of a run without
// a warm-up has in flight was missing at its beginning alone: a queue that grows does
// so in the second half, too.
func (r *Result) queueGrows() bool {
	allowed := max(fallsBehind*r.OfferedRate, 3/r.DurationSeconds) // per second
	missing, length := 0.0, 0.0
	for _, s := range r.Seconds[len(r.Seconds)/2:] {
		missing += float64(s.Scheduled - s.Requests)
		length += s.Length
	}
	return r.OfferedRate-r.Rate > allowed && missing > allowed*length
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

// ParseSLO reads a service level as flags take it: p99<50ms,errors<0.1%.
func ParseSLO(text string) (SLO, error) {
	conditions, err := expr.ParseList(text)
	if err != nil {
		return SLO{}, err
	}
	var o SLO
	limits := map[string]*unit.Duration{"p50": &o.P50, "p90": &o.P90, "p95": &o.P95, "p99": &o.P99, "p999": &o.P999}
	for _, c := range conditions {
		limit, isQuantile := limits[c.Metric]
		base := unit.Seconds
		if !isQuantile {
			base = unit.Ratio
		}
		switch {
		case !isQuantile && c.Metric != "errors":
			return SLO{}, fmt.Errorf("%q: a service level bounds p50, p90, p95, p99, p999 or errors", c.Text)
		case !c.Op.Upper() || c.Relative:
			return SLO{}, fmt.Errorf("%q: a service level is an upper bound, such as %s<…", c.Text, c.Metric)
		case c.Fits(base) != nil:
			return SLO{}, c.Fits(base)
		case c.Value <= 0: // which would be no bound
			return SLO{}, fmt.Errorf("%q: a bound must be above 0: errors<0.0001%% is none of a million", c.Text)
		case isQuantile:
			*limit = unit.Duration(c.Value * 1e9)
		default:
			o.Errors = unit.Fraction(c.Value)
		}
	}
	return o, nil
}
