package loadgen

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
)

// A dialer opens connections to the targets of a run.
type dialer struct {
	targets []Target
	dialTCP func(ctx context.Context, network, address string) (net.Conn, error)
	tls     *tls.Config
	// endpoints are what targets share connections to: scheme and address.
	endpoints  []string
	endpointOf []int // by target
}

func newDialer(r *run) *dialer {
	d := &dialer{targets: r.targets, dialTCP: r.opts.Dial, tls: r.opts.TLS}
	if d.dialTCP == nil {
		d.dialTCP = (&net.Dialer{}).DialContext
	}
	if d.tls == nil {
		d.tls = &tls.Config{}
	}
	known := map[string]int{}
	for _, t := range r.targets {
		name := t.URL.Scheme + "://" + addressOf(t.URL)
		at, ok := known[name]
		if !ok {
			at = len(d.endpoints)
			known[name] = at
			d.endpoints = append(d.endpoints, name)
		}
		d.endpointOf = append(d.endpointOf, at)
	}
	return d
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

func (d *dialer) dial(ctx context.Context, target int) (net.Conn, error) {
	u := d.targets[target].URL
	address := addressOf(u)
	conn, err := d.dialTCP(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	if u.Scheme != "https" {
		return conn, nil
	}
	cfg := d.tls.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = u.Hostname()
	}
	cfg.NextProtos = []string{"http/1.1"}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &handshakeError{address, err}
	}
	return secure, nil
}

// A handshakeError is a failed TLS handshake.
type handshakeError struct {
	address string
	err     error
}

func (e *handshakeError) Error() string {
	return "TLS handshake with " + e.address + ": " + e.err.Error()
}
func (e *handshakeError) Unwrap() error { return e.err }
