package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"scaleproof/loadgen/internal/http1"
)

// http2Engine makes requests through net/http: HTTP/2 over TLS, or with prior
// knowledge over plaintext (h2c). Config.Connections bounds the requests in
// flight; they share connections as net/http has it.
type http2Engine struct{}

func (http2Engine) name() string { return "http/2 on net/http" }

func (http2Engine) run(r *run, recorders []*recorder) error {
	ctx, cut := context.WithCancel(context.Background())
	transport := &http.Transport{Protocols: &http.Protocols{}, DisableCompression: true}
	transport.Protocols.SetHTTP2(true)
	transport.Protocols.SetUnencryptedHTTP2(true)
	d := &http2Dialer{run: r, dialer: newDialer(r), cut: ctx, slots: make(chan struct{}, r.limit)}
	d.dialer.protocol = "h2"
	transport.DialContext, transport.DialTLSContext = d.dial, d.dial
	defer func() {
		cut()
		d.dialing.Wait()
		transport.CloseIdleConnections()
	}()
	runWorkers(r, recorders, func() exchanger {
		return &http2Worker{run: r, ctx: ctx, transport: transport, copied: r.kept(), in: make([]byte, 16<<10)}
	}, cut)
	return nil
}

// An http2Dialer opens connections for a transport, which dials apart from the
// requests that wait for it: a dial with its handshake takes no longer than a
// request may, no more go on than the run may have connections, and none outlives
// the run.
type http2Dialer struct {
	run     *run
	dialer  *dialer
	cut     context.Context
	slots   chan struct{}
	dialing sync.WaitGroup
}

func (d *http2Dialer) dial(ctx context.Context, _, address string) (net.Conn, error) {
	d.dialing.Add(1)
	defer d.dialing.Done()
	ctx, cancel := context.WithTimeout(ctx, d.run.cfg.RequestTimeout())
	defer cancel()
	defer context.AfterFunc(d.cut, cancel)()
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("connecting to %s: %w", address, ctx.Err())
	}
	conn, err := d.dialer.dial(ctx, d.run.endpointAt(address))
	if err == nil {
		d.run.opened.Add(1)
	}
	return conn, err
}

// endpointAt returns the endpoint whose requests go to address, host:port as
// the URL has it.
func (r *run) endpointAt(address string) *endpoint {
	for i, t := range r.targets {
		if addressOf(t.URL) == address {
			return r.endpoints[r.endpointOf[i]]
		}
	}
	return &endpoint{network: "tcp", address: address}
}

// An http2Worker makes requests through a transport that all workers share.
type http2Worker struct {
	run       *run
	ctx       context.Context // ends when all that is in flight is cut
	transport *http.Transport
	copied    *http1.Kept
	in        []byte
}

func (w *http2Worker) kept() *http1.Kept { return w.copied }
func (w *http2Worker) close()            {}

func (w *http2Worker) exchange(s *sample, request *Request) error {
	deadline := w.run.clock.base.Add(time.Duration(s.sent) + w.run.cfg.RequestTimeout())
	ctx, cancel := context.WithDeadline(w.ctx, deadline)
	defer cancel()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request.Wire)))
	if err != nil {
		s.kind = kindRequest
		return fmt.Errorf("reading the request: %w", err)
	}
	// The transport's reader may tell of it when the request has been given up.
	var firstByte atomic.Int64
	defer func() { s.firstByte = firstByte.Load() }()
	u := w.run.targets[request.Target].URL
	req.RequestURI, req.URL.Scheme, req.URL.Host = "", u.Scheme, u.Host
	req = req.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(c httptrace.GotConnInfo) {
			s.backend = w.run.backends.indexOf(c.Conn.RemoteAddr().String())
			if !c.Reused {
				w.run.backends.connected(s.backend, w.run.clock.now())
			}
			s.bytesOut += int64(len(request.Wire)) // before compression of the head
		},
		GotFirstResponseByte: func() { firstByte.Store(w.run.clock.now()) },
	}))
	answer, err := w.transport.RoundTrip(req)
	if err != nil {
		return http2Fault(err)
	}
	defer answer.Body.Close()
	s.status = int16(answer.StatusCode)
	if err := w.read(s, answer); err != nil {
		return err
	}
	var head, body []byte
	if w.copied != nil {
		head, body = w.copied.Head, w.copied.Body
	}
	s.kind = w.run.judgeAnswer(answer.StatusCode, head, body)
	return nil
}

// read reads an answer's body, and keeps what is asked for.
func (w *http2Worker) read(s *sample, answer *http.Response) error {
	if w.copied != nil {
		var head bytes.Buffer
		fmt.Fprintf(&head, "HTTP/2.0 %s\r\n", answer.Status)
		_ = answer.Header.Write(&head) // into memory: it can't fail
		w.copied.Head, w.copied.Body = append(w.copied.Head[:0], head.Bytes()...), w.copied.Body[:0]
	}
	for {
		n, err := answer.Body.Read(w.in)
		s.bytesIn += int64(n)
		if w.copied != nil {
			room := max(w.copied.Limit-len(w.copied.Body), 0)
			w.copied.Body = append(w.copied.Body, w.in[:min(n, room)]...)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return http2Fault(err)
		}
	}
}

// A streamError is net/http's own of an RST_STREAM, which it hands over to a type
// of the same fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("stream %d: error %d", e.StreamID, e.Code) }

// http2Fault returns an error of HTTP/2 as one of the kinds that HTTP/1.1 has:
// RST_STREAM is a reset, GOAWAY a close, and what is no HTTP/2 is malformed.
// net/http tells the latter two by their words alone.
func http2Fault(err error) error {
	text := err.Error()
	has := func(words string) bool { return strings.Contains(text, words) }
	var stream streamError
	switch {
	case errors.As(err, &stream) && has("received from peer"):
		return fmt.Errorf("%w: %w", syscall.ECONNRESET, err)
	case errors.As(err, &stream):
		return fmt.Errorf("%w: %w", http1.ErrMalformed, err)
	case has("GOAWAY"), has("client conn is closed"), has("client connection lost"), has("client connection force closed"), has("client conn could not be established"):
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	case has("connection error: "), has("frame too large"), has("malformed"), has("invalid header"), has("http2: frame"):
		return fmt.Errorf("%w: %w", http1.ErrMalformed, err)
	}
	return err
}
