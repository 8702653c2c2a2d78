package capacity

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestErlangCKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		servers    int
		load, want float64
	}{
		{1, .5, .5},
		{2, 1, 1.0 / 3},
		{2, 1.5, .6428571},
		{3, 2, 4.0 / 9},
		{4, 2.5, .3198567},
		{12, 10, .4493882},
		{55, 50, .3845473},
		{14, 10, .1741319},
		{10, 10, 1},
		{3, 0, 0},
	} {
		if got := ErlangC(c.servers, c.load); !near(got, c.want, 1e-7) {
			t.Errorf("C(%d, %v) = %v, want %v", c.servers, c.load, got, c.want)
		}
	}
}

// B by its definition: a^c/c! over the sum of a^k/k!.
func TestErlangBAgainstItsDefinition(t *testing.T) {
	for _, a := range []float64{.1, 1, 5, 12} {
		for c := range 20 {
			term, sum := 1.0, 1.0
			for k := 1; k <= c; k++ {
				term *= a / float64(k)
				sum += term
			}
			if got := ErlangB(c, a); !near(got, term/sum, 1e-12) {
				t.Errorf("B(%d, %v) = %v, want %v", c, a, got, term/sum)
			}
		}
	}
	if got := ErlangB(5000, 5000); !(got > 0 && got < 0.02) {
		t.Errorf("B(5000, 5000) = %v", got)
	}
	if ErlangB(0, 0) != 1 || ErlangB(3, 0) != 0 {
		t.Error("the edges of B")
	}
}

// A pool that is simulated request by request waits as the formulas say.
func TestForecastAgainstSimulation(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	q := Queue{Arrivals: 50, Service: .08, Servers: 5}
	want, err := q.Forecast()
	if err != nil {
		t.Fatal(err)
	}
	free := make([]float64, q.Servers)
	now, waits := 0.0, []float64{}
	for i := range 300_000 {
		now += random.ExpFloat64() / q.Arrivals
		slices.Sort(free)
		start := max(now, free[0])
		free[0] = start + random.ExpFloat64()*q.Service
		if i > 10_000 {
			waits = append(waits, start-now)
		}
	}
	mean, waited := 0.0, 0.0
	for _, w := range waits {
		mean += w / float64(len(waits))
		if w > 0 {
			waited += 1 / float64(len(waits))
		}
	}
	slices.Sort(waits)
	p95, p99 := waits[len(waits)*95/100], waits[len(waits)*99/100]
	for _, c := range [][2]float64{{want.Waiting, waited}, {want.MeanWait, mean}, {want.P95Wait, p95}, {want.P99Wait, p99}} {
		if math.Abs(c[0]/c[1]-1) > .06 {
			t.Errorf("forecast %v, simulated %v (%+v)", c[0], c[1], want)
		}
	}
}

func TestServersFor(t *testing.T) {
	// 10 Erlang, 180 s each: with 14 servers a request waits with .1741319.
	for _, c := range []struct {
		q, wait float64
		want    int
	}{{1 - .1741320, 0, 14}, {1 - .1741318, 0, 15}, {.8, 20, 14}} {
		if got, err := ServersFor(10.0/180, 180, c.q, c.wait); err != nil || got != c.want {
			t.Errorf("%+v: %d, %v", c, got, err)
		}
	}
	// Against counting up.
	for _, load := range []float64{.5, 3, 40, 700} {
		got, err := ServersFor(load/.1, .1, .99, .05)
		if err != nil {
			t.Fatal(err)
		}
		for c := int(load) + 1; c <= got; c++ {
			f, err := Queue{load / .1, .1, c}.Forecast()
			if ok := err == nil && f.P99Wait <= .05; ok != (c == got) {
				t.Errorf("load %v: %d servers wait %v, and %d were found", load, c, f.P99Wait, got)
			}
		}
	}
	if _, err := ServersFor(-1, 1, .9, 1); err == nil {
		t.Error("negative arrivals")
	}
}

func TestSquareRootStaffing(t *testing.T) {
	for _, load := range []float64{10, 100, 1000} {
		for _, waiting := range []float64{.5, .2, .05} {
			got, err := SquareRootStaffing(load, waiting)
			if err != nil {
				t.Fatal(err)
			}
			exact, _ := ServersFor(load, 1, 1-waiting, 0)
			if got < exact-1 || got > exact+1 {
				t.Errorf("load %v, waiting %v: %d servers, exactly %d", load, waiting, got, exact)
			}
		}
	}
	if _, err := SquareRootStaffing(0, .5); err == nil {
		t.Error("no load")
	}
}

func TestAPoolThatCannotKeepUp(t *testing.T) {
	if f, err := (Queue{100, .1, 10}).Forecast(); err == nil || f.Waiting != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	if _, err := (Queue{math.NaN(), .1, 10}).Forecast(); err == nil {
		t.Error("NaN arrivals")
	}
}
