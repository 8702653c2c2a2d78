package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// autoregressive draws a series in which each value keeps a part of the last.
func autoregressive(rng *rand.Rand, n int, keeps float64) []float64 {
	xs := make([]float64, n)
	state := rng.NormFloat64() / math.Sqrt(1-keeps*keeps)
	for i := range xs {
		xs[i] = 10 + state
		state = keeps*state + rng.NormFloat64()
	}
	return xs
}

// For an AR(1) series the optimal length is known: (2 rho / (1 - rho^2))^(2/3) n^(1/3).
func TestBlockLength(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	const n, series = 1000, 40
	for _, keeps := range []float64{0, .3, .6, .9} {
		mean := 0.0
		for range series {
			mean += BlockLength(autoregressive(rng, n, keeps)) / series
		}
		want := max(math.Pow(2*keeps/(1-keeps*keeps), 2./3)*math.Cbrt(n), 1)
		t.Logf("autocorrelation %g: blocks of %.1f, in theory %.1f", keeps, mean, want)
		if keeps == 0 && mean > 4 || keeps > 0 && (mean < .5*want || mean > 1.7*want) {
			t.Errorf("autocorrelation %g: blocks of %g, want about %g", keeps, mean, want)
		}
	}
	for _, xs := range [][]float64{nil, {1}, {2, 2, 2, 2, 2, 2}} {
		if got := BlockLength(xs); got != 1 {
			t.Errorf("%v has blocks of %g", xs, got)
		}
	}
}

func TestMeanOfSeries(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	const series = 300
	held := 0
	for i := range series {
		if in := MeanOfSeries(autoregressive(rng, 300, .6), .95, uint64(i)); in.Low <= 10 && in.High >= 10 {
			held++
		}
	}
	t.Logf("the interval holds the mean of an autocorrelated series in %.1f %%", 100*float64(held)/series)
	// Resampling single seconds holds it in less than 70 %.
	if held < 255 {
		t.Errorf("only %d of %d intervals of 95 %% hold the mean", held, series)
	}
	if in := MeanOfSeries([]float64{3, 3, 3}, .95, 1); in.Value != 3 || in.Low != 3 || in.High != 3 {
		t.Errorf("%+v", in)
	}
	if in := MeanOfSeries(nil, .95, 1); !math.IsNaN(in.Value) {
		t.Errorf("%+v", in)
	}
}
