package loadgen

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// resolveEvery is how often the names of targets are looked up again, so that
// new connections reach the addresses that a scaling action has added.
const resolveEvery = 5 * time.Second

// probeTimeout bounds the connection that tells which address family serves.
const probeTimeout = time.Second

// An endpoint is what targets share connections to: a scheme and an address.
type endpoint struct {
	scheme string
	host   string // as the URL names it, for TLS
	// network and address are what is connected to: "tcp" and host:port, or
	// "unix" and a path.
	network, address string

	next     atomic.Uint32
	resolved atomic.Pointer[resolution]
}

// A resolution is what an endpoint's name stands for.
type resolution struct {
	addresses []netip.AddrPort
	backends  []int32 // their numbers
	err       error
}

// checkConnectTo finds replaced addresses that are no target's, and those that take
// their place and are none.
func checkConnectTo(cfg *Config, targets []Target) error {
	for _, from := range slices.Sorted(maps.Keys(cfg.ConnectTo)) {
		if !slices.ContainsFunc(targets, func(t Target) bool { return addressOf(t.URL) == from }) {
			return fmt.Errorf("connect_to: %s is no target's address: the first target's is %s", from, addressOf(targets[0].URL))
		}
		if _, _, err := splitAddress(cfg.ConnectTo[from]); err != nil {
			return fmt.Errorf("connect_to: %s: %w", from, err)
		}
	}
	return nil
}

// newEndpoints returns the endpoints of the targets, and for each target which
// one is its own.
func newEndpoints(cfg *Config, targets []Target) (endpoints []*endpoint, of []int) {
	known := map[string]int{}
	for _, t := range targets {
		name := t.URL.Scheme + "://" + addressOf(t.URL)
		at, ok := known[name]
		if !ok {
			at = len(endpoints)
			known[name] = at
			e := &endpoint{scheme: t.URL.Scheme, host: t.URL.Hostname(), network: "tcp", address: addressOf(t.URL)}
			if to, ok := cfg.ConnectTo[e.address]; ok {
				e.address = to
			}
			if cfg.UnixSocket != "" {
				e.network, e.address = "unix", cfg.UnixSocket
			}
			endpoints = append(endpoints, e)
		}
		of = append(of, at)
	}
	return endpoints, of
}

// addressOf returns the host and the port that a URL names.
func addressOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// splitAddress takes host:port apart.
func splitAddress(address string) (host string, port uint16, err error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil || n == 0 {
		return "", 0, fmt.Errorf("%q is not a port", service)
	}
	return host, uint16(n), nil
}

// pick returns the address that the next connection goes to: each in turn, as
// a balancer of connections would have it.
func (e *endpoint) pick() (address netip.AddrPort, backend int32, err error) {
	r := e.resolved.Load()
	if r.err != nil {
		return netip.AddrPort{}, -1, r.err
	}
	i := int(e.next.Add(1)-1) % len(r.addresses)
	return r.addresses[i], r.backends[i], nil
}

// A resolver looks up the addresses of a host.
type resolver func(ctx context.Context, host string) ([]netip.Addr, error)

func systemResolver(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// resolve looks the endpoint's name up. A failure leaves an earlier success in
// place.
func (e *endpoint) resolve(ctx context.Context, look resolver, b *backends) {
	addresses, err := lookUp(ctx, look, e.address)
	if err != nil {
		e.resolved.CompareAndSwap(nil, &resolution{err: err})
		if old := e.resolved.Load(); old.err != nil {
			e.resolved.Store(&resolution{err: err})
		}
		return
	}
	r := &resolution{addresses: addresses}
	for _, a := range addresses {
		r.backends = append(r.backends, b.indexOf(a.String()))
	}
	e.resolved.Store(r)
}

// lookUp returns the addresses of host:port, of one family: where a name has
// both, and only one is served, the other would fail half of the requests.
func lookUp(ctx context.Context, look resolver, address string) ([]netip.AddrPort, error) {
	host, port, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	found, err := look(ctx, host)
	if err != nil {
		return nil, err
	}
	var families [2][]netip.AddrPort // 4, 6
	for _, ip := range found {
		ip = ip.Unmap()
		family := 0
		if ip.Is6() {
			family = 1
		}
		families[family] = append(families[family], netip.AddrPortFrom(ip, port))
	}
	if len(families[0]) == 0 || len(families[1]) > 0 && !answers(ctx, families[0][0]) && answers(ctx, families[1][0]) {
		return families[1], nil
	}
	return families[0], nil
}

func answers(ctx context.Context, address netip.AddrPort) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address.String())
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// resolveAll looks all names up, once before it returns, if begin does not end
// before, and then again and again until stop is called.
func resolveAll(begin context.Context, endpoints []*endpoint, opts *Options, b *backends) (stop func()) {
	look, every := resolver(opts.Resolve), opts.ResolveEvery
	if look == nil {
		look = systemResolver
	}
	if every <= 0 {
		every = resolveEvery
	}
	ctx, cancel := context.WithCancel(context.Background())
	all := func(ctx context.Context) {
		for _, e := range endpoints {
			if e.network == "tcp" {
				e.resolve(ctx, look, b)
			}
		}
	}
	all(begin)
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				all(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); done.Wait() }
}

// target returns where the next connection goes, and the number of that
// backend. A Unix socket has no address.
func (e *endpoint) target(b *backends) (address netip.AddrPort, backend int32, err error) {
	if e.network == "unix" {
		return netip.AddrPort{}, b.indexOf("unix:" + e.address), nil
	}
	return e.pick()
}
