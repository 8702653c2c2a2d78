package capacity

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// A Queue is a pool of servers (workers, connections) with requests that wait
// for a free one: the model M/M/c of Erlang. Arrivals are per second, Service is
// the mean time that a server is held, in seconds.
type Queue struct {
	Arrivals float64 `json:"arrivals_per_second"`
	Service  float64 `json:"service_seconds"`
	Servers  int     `json:"servers"`
}

// A QueueForecast is what a Queue does in the long run.
type QueueForecast struct {
	Queue
	Load        float64 `json:"load_erlang"` // how many servers are busy in the mean
	Utilisation float64 `json:"utilisation"` // of each server, 0 to 1; 1 or more is no steady state
	Waiting     float64 `json:"probability_of_waiting"`
	MeanWait    float64 `json:"mean_wait_seconds"` // over all requests
	P95Wait     float64 `json:"p95_wait_seconds"`
	P99Wait     float64 `json:"p99_wait_seconds"`
}

// ErlangB returns the probability that all of c servers are busy at a load of a
// Erlang, where a request that finds none free goes away. (Erlang 1917; the
// recursion of Jagerman 1974, which does not overflow.)
func ErlangB(c int, a float64) float64 {
	if a <= 0 {
		if c <= 0 {
			return 1
		}
		return 0
	}
	inverse := 1.0
	for k := 1; k <= c; k++ {
		inverse = 1 + inverse*float64(k)/a
	}
	return 1 / inverse
}

// ErlangC returns the probability that a request has to wait for one of c
// servers at a load of a Erlang; 1 where the load is not below c.
func ErlangC(c int, a float64) float64 {
	if a >= float64(c) {
		return 1
	}
	b := ErlangB(c, a)
	rho := a / float64(c)
	return b / (1 - rho*(1-b))
}

// Forecast tells how long requests wait. It fails for figures that are negative
// or not finite, and for a pool that cannot keep up with its load: there waits
// grow without end.
func (q Queue) Forecast() (QueueForecast, error) {
	f := QueueForecast{Queue: q, Load: q.Arrivals * q.Service}
	if !(q.Arrivals >= 0) || !(q.Service > 0) || q.Servers < 1 || math.IsInf(f.Load, 0) {
		return f, fmt.Errorf("a queue of %d servers with %v arrivals per second of %v s is none", q.Servers, q.Arrivals, q.Service)
	}
	f.Utilisation = f.Load / float64(q.Servers)
	if f.Utilisation >= 1 {
		f.Waiting = 1
		return f, fmt.Errorf("%d servers cannot keep up with a load of %.4g: waits grow without end", q.Servers, f.Load)
	}
	f.Waiting = ErlangC(q.Servers, f.Load)
	spare := (float64(q.Servers) - f.Load) / q.Service // requests per second
	f.MeanWait = f.Waiting / spare
	f.P95Wait = f.wait(0.95, spare)
	f.P99Wait = f.wait(0.99, spare)
	return f, nil
}

// wait is the quantile of the waiting time, which is 0 with probability
// 1-Waiting and else exponential.
func (f QueueForecast) wait(q, spare float64) float64 {
	if f.Waiting <= 1-q {
		return 0
	}
	return math.Log(f.Waiting/(1-q)) / spare
}

// ServersFor returns the fewest servers with which the quantile q (0.95 or
// 0.99, say) of the waits is at most wait seconds; a wait of 0 asks that a
// fraction q of the requests finds a free server. It fails for figures out of
// range.
func ServersFor(arrivals, service, q, wait float64) (int, error) {
	load := arrivals * service
	if !(arrivals >= 0) || !(service > 0) || !(q > 0 && q < 1) || !(wait >= 0) || !(load < 1e7) {
		return 0, fmt.Errorf("no servers can be found for %v arrivals per second of %v s with the %v quantile of waits at %v s", arrivals, service, q, wait)
	}
	enough := func(c int) bool {
		spare := (float64(c) - load) / service
		return spare > 0 && ErlangC(c, load)*math.Exp(-spare*wait) <= 1-q
	}
	low := int(load) // never enough
	high := low + 1
	for !enough(high) {
		low, high = high, high+(high-int(load))
	}
	for high-low > 1 {
		if middle := (low + high) / 2; enough(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return high, nil
}

// SquareRootStaffing returns about how many servers a load of a Erlang takes so
// that a request waits with the probability given: a + b sqrt(a), with b from
// the function of Halfin and Whitt (1981). It is good from a few servers on, and
// shows why a pool twice as large carries more than twice the load.
func SquareRootStaffing(a, waiting float64) (int, error) {
	if !(a > 0) || math.IsInf(a, 0) || !(waiting > 0 && waiting < 1) {
		return 0, fmt.Errorf("no staffing for a load of %v with waiting probability %v", a, waiting)
	}
	normal := distuv.UnitNormal
	low, high := 0.0, 10.0
	for range 60 {
		beta := (low + high) / 2
		if p := 1 / (1 + beta*normal.CDF(beta)/normal.Prob(beta)); p > waiting {
			low = beta
		} else {
			high = beta
		}
	}
	return int(math.Ceil(a + high*math.Sqrt(a))), nil
}

// A Pool is how many servers a load needs.
type Pool struct {
	// Needed is the fewest servers with which the quantile of waits stays below
	// the time asked for.
	Needed   int     `json:"needed"`
	Quantile float64 `json:"quantile"`
	Wait     float64 `json:"wait_seconds"`
	// SquareRoot is the square-root rule's number for the same chance of waiting as
	// Needed has.
	SquareRoot int `json:"square_root"`
	// Forecasts are of the number asked about, or else of Needed and its neighbours.
	Forecasts []QueueForecast `json:"forecasts"`
}

// SizePool finds the servers that a load needs; see ServersFor. servers is a number
// to forecast, 0 for what is needed. It fails for figures out of range, and for a
// number of servers that cannot keep up.
func SizePool(arrivals, service, quantile, wait float64, servers int) (*Pool, error) {
	needed, err := ServersFor(arrivals, service, quantile, wait)
	if err != nil {
		return nil, err
	}
	p := &Pool{Needed: needed, Quantile: quantile, Wait: wait}
	if p.SquareRoot, err = SquareRootStaffing(arrivals*service, ErlangC(needed, arrivals*service)); err != nil {
		return nil, err
	}
	numbers := []int{servers}
	if servers == 0 {
		numbers = []int{needed - 1, needed, needed + max(1, needed/4)}
	}
	for _, n := range numbers {
		f, err := Queue{Arrivals: arrivals, Service: service, Servers: n}.Forecast()
		if err != nil && servers != 0 {
			return nil, err
		}
		if err == nil {
			p.Forecasts = append(p.Forecasts, f)
		}
	}
	return p, nil
}
