package unit

import (
	"math"
	"testing"
)

func TestParseKubernetes(t *testing.T) {
	for text, want := range map[string]float64{
		"0": 0, "2": 2, "500m": 0.5, "156340n": 156340e-9, "15k": 15e3, "1e3": 1000, "1.5Gi": 1.5 * (1 << 30), "128974848": 128974848, "7E": 0,
		"": math.NaN(), "fast": math.NaN(), "-1": math.NaN(), "1GB": math.NaN(), "NaN": math.NaN(), "Inf": math.NaN(), "0x10": math.NaN(),
	} {
		got, err := ParseKubernetes(text)
		switch {
		case text == "7E": // more than anything has
			if err == nil {
				t.Errorf("%s is %g", text, got)
			}
		case math.IsNaN(want) != (err != nil), err == nil && math.Abs(got-want) > 1e-9*want:
			t.Errorf("%q is %g (%v), want %g", text, got, err, want)
		}
	}
}

func FuzzParseKubernetes(f *testing.F) {
	for _, seed := range []string{"500m", "2Gi", "1e3", "1e400", "0x1p4", "-0", "1e-400Ei"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := ParseKubernetes(text); err == nil && (math.IsNaN(v) || v < 0 || v > maxQuantity) {
			t.Errorf("%q is %g", text, v)
		}
	})
}
