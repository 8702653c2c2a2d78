package loadgen

import "net/url"

// A Source makes the requests of a run. Request k is a pure function of k:
// whatever varies (random values, sequences, rows of a file) is drawn from k
// and the run's seed, so that a run can be repeated whatever the number of
// workers. Its methods are called by several goroutines at once.
type Source interface {
	// Targets are where requests go and how their answers are judged. There
	// is at least one, and the slice never changes.
	Targets() []Target
	// Request returns request k, from 0. It may write the bytes of the
	// request into buf (length 0, to be grown as needed), or return bytes of
	// its own, which must then never change. An error fails that one request,
	// under the kind "request".
	Request(k int64, buf []byte) (Request, error)
	// Workload names all that the requests are made from, for the hash that
	// tells whether two runs asked the same.
	Workload() string
}

// A Target is where requests go.
type Target struct {
	// Name is the target's in results: "GET http://host/path".
	Name string
	// URL is the scheme and the address to connect to.
	URL *url.URL
}

// A Request is one request, ready for the wire.
type Request struct {
	Target int    // index of Targets
	Wire   []byte // the HTTP/1.1 request: head and body
	// Head says that the method is HEAD, whose answers have no body.
	Head bool
}
