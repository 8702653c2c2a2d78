package loadgen

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
)

// requests is the Source of a Config: its requests by turns or by weight, each
// either bytes made once or a template.
type requests struct {
	targets []Target
	made    []prepared
	turns   []int // which request is next, round and round
	seed    uint64
	feeder  *feeder
	draws   sync.Pool // of *draw: a template's request costs no allocation
}

// prepared is one request: template is nil where nothing in it varies.
type prepared struct {
	wire     []byte
	template *template
	head     bool
}

// NewSource makes the requests that cfg asks for; it reads the files that cfg
// names.
func NewSource(cfg Config) (Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking the load's configuration: %w", err)
	}
	r, err := newRequests(&cfg)
	if err != nil {
		return nil, fmt.Errorf("making the requests: %w", err)
	}
	return r, nil
}

// newRequests makes the requests that cfg asks for.
func newRequests(cfg *Config) (*requests, error) {
	specs, err := requestSpecs(cfg)
	if err != nil {
		return nil, err
	}
	f, err := readFeeder(cfg)
	if err != nil {
		return nil, err
	}
	r := &requests{seed: cfg.Seed, feeder: f}
	r.draws.New = func() any { return newDraw() }
	for i, spec := range specs {
		target, p, err := prepare(spec, f.columns)
		if err != nil {
			return nil, fmt.Errorf("target %d: %w", i, err)
		}
		r.targets = append(r.targets, target)
		r.made = append(r.made, p)
	}
	if err := checkConnectTo(cfg, r.targets); err != nil {
		return nil, err
	}
	if len(cfg.Weights) > 0 && len(cfg.Weights) != len(specs) {
		return nil, fmt.Errorf("there are %d weights for %d targets", len(cfg.Weights), len(specs))
	}
	r.turns = turns(cfg.Weights, len(specs))
	return r, nil
}

// prepare puts one request together.
func prepare(spec requestSpec, columns []string) (Target, prepared, error) {
	p := templateParser{columns: columns}
	marked, err := p.markAll(spec)
	if err != nil {
		return Target{}, prepared{}, err
	}
	u, err := parseURL(marked.address)
	if err != nil {
		return Target{}, prepared{}, err
	}
	if strings.Contains(u.Scheme+u.Host, mark) || strings.Contains(u.User.String(), mark) {
		return Target{}, prepared{}, errors.New("a host can't be a placeholder, nor can a user")
	}
	if len(p.values) == 0 {
		wire := AppendRequest(nil, spec.method, u, spec.headers, []byte(spec.body))
		return Target{spec.method + " " + u.Redacted(), u}, prepared{wire: wire, head: spec.method == "HEAD"}, nil
	}
	if strings.Contains(marked.body, mark) {
		marked.headers = append(marked.headers, "Content-Length: "+markLength)
	}
	wire := AppendRequest(nil, spec.method, u, marked.headers, []byte(marked.body))
	t := p.compile(string(wire), len(marked.body))
	// The path below is the template's; only the address is connected to.
	name := spec.method + " " + redactAddress(spec.address, u)
	return Target{name, u}, prepared{template: t, head: spec.method == "HEAD"}, nil
}

// redactAddress is a template's address without a password.
func redactAddress(address string, u *url.URL) string {
	if u.User == nil {
		return address
	}
	_, rest, _ := strings.Cut(address, "@")
	return u.Scheme + "://" + u.User.Username() + ":xxxxx@" + rest
}

// markAll marks the placeholders of a request's texts.
func (p *templateParser) markAll(spec requestSpec) (marked requestSpec, err error) {
	marked.method = spec.method
	if marked.address, err = p.mark(spec.address); err != nil {
		return marked, err
	}
	if marked.body, err = p.mark(spec.body); err != nil {
		return marked, err
	}
	for _, h := range spec.headers {
		if h, err = p.mark(h); err != nil {
			return marked, err
		}
		marked.headers = append(marked.headers, h)
	}
	return marked, nil
}

// turns spreads targets by their weights as evenly as can be: after each step
// every target has its weight's share, less than one request off (smooth
// weighted round-robin, as nginx has it). Without weights all are equal.
func turns(weights []int, n int) []int {
	total := 0
	for _, w := range weights {
		total += w
	}
	if total == 0 {
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		return order
	}
	credit := make([]int, n)
	order := make([]int, 0, total)
	for range total {
		best := 0
		for i, w := range weights {
			credit[i] += w
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		order = append(order, best)
	}
	return order
}

// Targets implements Source.
func (r *requests) Targets() []Target { return r.targets }

// Request implements Source.
func (r *requests) Request(k int64, buf []byte) (Request, error) {
	i := r.turns[k%int64(len(r.turns))]
	p := &r.made[i]
	if p.template == nil {
		return Request{Target: i, Wire: p.wire, Head: p.head}, nil
	}
	d := r.draws.Get().(*draw)
	defer r.draws.Put(d)
	d.begin(r.seed, k, r.feeder.row(k))
	wire, err := p.template.append(buf, d)
	if err != nil {
		return Request{}, fmt.Errorf("making request %d of %s: %w", k, r.targets[i].Name, err)
	}
	return Request{Target: i, Wire: wire, Head: p.head}, nil
}

func newDraw() *draw {
	source := &rand.PCG{}
	return &draw{source: source, rand: rand.New(source)}
}

// begin makes d the draw of request k.
func (d *draw) begin(seed uint64, k int64, row []string) {
	d.k, d.row = k, row
	d.source.Seed(seed, uint64(k))
}

// Workload implements Source.
func (r *requests) Workload() string {
	var b strings.Builder
	for i, p := range r.made {
		fmt.Fprintf(&b, "%s://%s\n%s\n", r.targets[i].URL.Scheme, r.targets[i].URL.Host, p.wire)
		if p.template != nil {
			for _, s := range p.template.segments {
				b.WriteString(s.literal + "\x00")
			}
			b.WriteString(r.targets[i].Name + "\n")
		}
	}
	fmt.Fprintf(&b, "%v %d %q", r.turns, r.seed, r.feeder.rows)
	return b.String()
}
