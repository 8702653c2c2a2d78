package stats

import (
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

func TestStudentQuantileAgainstTheLibrary(t *testing.T) {
	for _, nu := range []int{1, 2, 3, 4, 5, 6, 7, 10, 11, 38, 98, 198, 999} {
		for _, p := range []float64{.51, .6, .8, .9, .975, .999, .99999} {
			want := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(nu)}.Quantile(p)
			if got := studentQuantile(p, nu); !near(got, want, 1e-8*want) {
				t.Errorf("%d degrees of freedom, %v: %.12g, want %.12g", nu, p, got, want)
			}
		}
	}
}
