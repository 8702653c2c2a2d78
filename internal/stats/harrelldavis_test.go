package stats

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// Against the definition, on values that are far apart.
func TestHarrellDavis(t *testing.T) {
	values := []float64{.010, .020, .030, .045, .070, .100, .200}
	h := NewHistogram()
	for _, v := range values {
		h.RecordNanos(int64(v * 1e9))
	}
	n := float64(len(values))
	for _, q := range []float64{.1, .25, .5, .9} {
		beta := distuv.Beta{Alpha: (n + 1) * q, Beta: (n + 1) * (1 - q)}
		want := 0.0
		for i, v := range values {
			want += v * (beta.CDF(float64(i+1)/n) - beta.CDF(float64(i)/n))
		}
		if got := h.HarrellDavis(q); math.Abs(got-want) > .001*want {
			t.Errorf("the quantile %g is %g, want %g", q, got, want)
		}
	}
	if got := h.HarrellDavis(0); math.Abs(got-.010) > 1e-4 {
		t.Errorf("the least is %g", got)
	}
	if got := NewHistogram().HarrellDavis(.5); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %g", got)
	}
}
