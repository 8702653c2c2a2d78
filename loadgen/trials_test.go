package loadgen

import (
	"math"
	"testing"

	"scaleproof/internal/stats"
)

func trialResult(requests int64, seconds float64, validity Validity, ns int64) *Result {
	h := func() *stats.Histogram {
		h := stats.NewHistogram()
		for range requests {
			h.RecordNanos(ns)
		}
		return h
	}
	return &Result{
		Requests: requests, Successes: requests, DurationSeconds: seconds, Rate: float64(requests) / seconds,
		Throughput: float64(requests) / seconds, Validity: validity, ValidityReason: string(validity),
		Status: map[string]int64{"200": requests}, Backends: map[string]int64{"a": requests}, Warnings: []string{"w"},
		Histograms: &Histograms{Response: h(), Service: h(), Lateness: h(), Failures: stats.NewHistogram()},
	}
}

func TestMergeTrials(t *testing.T) {
	a, b := trialResult(100, 1, GeneratorLimited, 1e6), trialResult(300, 3, Valid, 3e6)
	m := MergeTrials([]*Result{a, b})
	if m.Requests != 400 || m.Status["200"] != 400 || m.Backends["a"] != 400 || m.DurationSeconds != 4 || m.Rate != 100 {
		t.Errorf("%+v", m)
	}
	if m.Validity != GeneratorLimited || m.ValidityReason != "generator-limited" || len(m.Warnings) != 1 {
		t.Errorf("validity %s (%s), warnings %v", m.Validity, m.ValidityReason, m.Warnings)
	}
	if math.Abs(m.ResponseTime.P50-.003) > 1e-5 || math.Abs(m.ResponseTime.Min-.001) > 1e-5 || m.Histograms.Response.Count() != 400 {
		t.Errorf("response time %+v", m.ResponseTime)
	}
	if a.Requests != 100 || a.Status["200"] != 100 || a.Histograms.Response.Count() != 100 {
		t.Error("a trial was changed")
	}
}
