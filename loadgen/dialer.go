package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
)

// A dialer opens connections as net.Conns.
type dialer struct {
	custom func(ctx context.Context, network, address string) (net.Conn, error)
	plain  net.Dialer
	tls    *tls.Config
	// protocol is what TLS must agree upon: "http/1.1", or nothing, or "h2".
	protocol string
}

func newDialer(r *run) *dialer {
	return &dialer{custom: r.opts.Dial, tls: r.tls, protocol: "http/1.1"}
}

func (d *dialer) dial(ctx context.Context, e *endpoint) (net.Conn, error) {
	conn, err := d.dialPlain(ctx, e)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", e.address, err)
	}
	if e.scheme != "https" {
		return conn, nil
	}
	cfg := d.tls.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName = e.host
	}
	cfg.NextProtos = []string{d.protocol}
	secure := tls.Client(conn, cfg)
	err = secure.HandshakeContext(ctx)
	if err == nil && d.protocol == "h2" && secure.ConnectionState().NegotiatedProtocol != "h2" {
		err = errors.New("the target speaks no HTTP/2")
	}
	if err != nil {
		conn.Close()
		return nil, &handshakeError{e.address, err}
	}
	return secure, nil
}

func (d *dialer) dialPlain(ctx context.Context, e *endpoint) (net.Conn, error) {
	switch {
	case d.custom != nil:
		return d.custom(ctx, e.network, e.address)
	case e.network == "unix":
		return d.plain.DialContext(ctx, e.network, e.address)
	}
	address, _, err := e.pick()
	if err != nil {
		return nil, err
	}
	return d.plain.DialContext(ctx, "tcp", address.String())
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
