package loadgen

import (
	"maps"
	"slices"

	"scaleproof/internal/stats"
)

// MergeTrials returns the result of all trials of one load together: counts are
// added up, distributions merged, rates averaged over their time, and the series
// of seconds is that of the last trial. The validity is the worst of all. There
// must be at least one trial; none is changed.
func MergeTrials(trials []*Result) *Result {
	merged := *trials[len(trials)-1]
	merged.Status, merged.Errors, merged.Backends = map[string]int64{}, map[string]int64{}, map[string]int64{}
	merged.Requests, merged.Successes, merged.Unsent, merged.Unfinished = 0, 0, 0, 0
	merged.BytesIn, merged.BytesOut, merged.Connections = 0, 0, 0
	merged.Warnings, merged.Targets = nil, nil
	merged.Generator = Generator{CPUs: merged.Generator.CPUs}
	if merged.Checks != nil {
		merged.Checks = map[string]int64{}
	}
	merged.Histograms = &Histograms{
		Response: stats.NewHistogram(), Service: stats.NewHistogram(), Lateness: stats.NewHistogram(), Failures: stats.NewHistogram(),
	}
	var length, finished, succeeded, offered float64
	for _, t := range trials {
		merged.add(t)
		length += t.DurationSeconds
		finished += t.Rate * t.DurationSeconds
		succeeded += t.Throughput * t.DurationSeconds
		offered += t.OfferedRate * t.DurationSeconds
	}
	merged.DurationSeconds = length
	if length > 0 {
		merged.Rate, merged.Throughput, merged.OfferedRate = finished/length, succeeded/length, offered/length
	}
	merged.ResponseTime = merged.Histograms.Response.Summary()
	merged.ServiceTime = merged.Histograms.Service.Summary()
	merged.Lateness = merged.Histograms.Lateness.Summary()
	return &merged
}

// add adds the counts, distributions and warnings of one trial.
func (r *Result) add(t *Result) {
	r.Requests += t.Requests
	r.Successes += t.Successes
	r.Unsent += t.Unsent
	r.Unfinished += t.Unfinished
	r.BytesIn += t.BytesIn
	r.BytesOut += t.BytesOut
	r.Connections += t.Connections
	r.Generator.CPUSeconds += t.Generator.CPUSeconds
	r.Generator.GCPauseSeconds += t.Generator.GCPauseSeconds
	addCounts(r.Status, t.Status)
	addCounts(r.Errors, t.Errors)
	addCounts(r.Backends, t.Backends)
	addCounts(r.Checks, t.Checks)
	for _, w := range t.Warnings {
		if !slices.Contains(r.Warnings, w) {
			r.Warnings = append(r.Warnings, w)
		}
	}
	if worse(t.Validity, r.Validity) {
		r.Validity, r.ValidityReason = t.Validity, t.ValidityReason
	}
	if t.Histograms != nil {
		r.Histograms.Response.Merge(t.Histograms.Response)
		r.Histograms.Service.Merge(t.Histograms.Service)
		r.Histograms.Lateness.Merge(t.Histograms.Lateness)
		r.Histograms.Failures.Merge(t.Histograms.Failures)
	}
}

func addCounts(to, from map[string]int64) {
	for k := range maps.Keys(from) {
		to[k] += from[k]
	}
}

// worse reports whether a says less about the target than b.
func worse(a, b Validity) bool {
	order := []Validity{Valid, TargetLimited, Inconclusive, GeneratorLimited, Invalid}
	return slices.Index(order, a) > slices.Index(order, b)
}
