package loadgen

import (
	"maps"
	"slices"

	"scaleproof/internal/stats"
)

// MergeTrials returns the result of all trials of one load together: counts are
// added up, distributions merged, also those of targets, phases and workers, rates
// averaged over their time, and the series of seconds is that of the last trial. The
// validity is the worst of all, and so is what ended a search for the capacity, which
// is the last trial's. There must be at least one trial; none is changed.
func MergeTrials(trials []*Result) *Result {
	merged := *trials[len(trials)-1]
	merged.Status, merged.Errors, merged.Backends = map[string]int64{}, map[string]int64{}, map[string]int64{}
	merged.Requests, merged.Successes, merged.Unsent, merged.Unfinished = 0, 0, 0, 0
	merged.BytesIn, merged.BytesOut, merged.Connections = 0, 0, 0
	merged.Warnings = nil
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
	merged.mergeParts(trials)
	merged.ResponseTime = merged.Histograms.Response.Summary()
	merged.ServiceTime = merged.Histograms.Service.Summary()
	merged.Lateness = merged.Histograms.Lateness.Summary()
	return &merged
}

// mergeParts merges what the trials have of targets, phases and workers.
func (r *Result) mergeParts(trials []*Result) {
	var targets, phases [][]TargetResult
	for _, t := range trials {
		targets = append(targets, t.Targets)
		var list []TargetResult
		for _, p := range t.Phases {
			list = append(list, p.TargetResult)
		}
		phases = append(phases, list)
	}
	r.Targets = mergeParts(targets)
	last := trials[len(trials)-1]
	r.Phases = nil
	for i, part := range mergeParts(phases) {
		p := PhaseResult{From: last.Phases[i].From, TargetResult: part}
		for _, t := range trials {
			p.Length += t.Phases[i].Length
		}
		r.Phases = append(r.Phases, p)
	}
	r.Workers = mergeWorkers(trials)
	if last.Capacity == nil {
		return
	}
	capacity := *last.Capacity
	for _, t := range trials {
		if t.Capacity != nil && t.Capacity.Limit != "target" {
			capacity.Limit = t.Capacity.Limit
		}
	}
	r.Capacity = &capacity
}

// mergeWorkers adds up what each worker did in the trials; of its lateness and its
// validity the worst stands.
func mergeWorkers(trials []*Result) []Worker {
	merged := slices.Clone(trials[len(trials)-1].Workers)
	for _, t := range trials[:len(trials)-1] {
		for _, w := range t.Workers {
			i := slices.IndexFunc(merged, func(m Worker) bool { return m.Index == w.Index })
			if i < 0 {
				merged = append(merged, w)
				continue
			}
			m := &merged[i]
			m.Requests += w.Requests
			m.LatenessP99 = max(m.LatenessP99, w.LatenessP99)
			m.Generator.CPUSeconds += w.Generator.CPUSeconds
			m.Generator.GCPauseSeconds += w.Generator.GCPauseSeconds
			if worse(w.Validity, m.Validity) {
				m.Validity = w.Validity
			}
		}
	}
	return merged
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
