package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"time"

	"scaleproof/loadgen/internal/http1"
)

// http2Engine makes requests through net/http: HTTP/2 over TLS, or with prior
// knowledge over plaintext (h2c). Config.Connections bounds the requests in
// flight; they share connections as net/http has it.
type http2Engine struct{}

func (http2Engine) name() string { return "http/2 on net/http" }

func (http2Engine) run(r *run, recorders []*recorder) error {
	dial := newDialer(r)
	transport := &http.Transport{Protocols: &http.Protocols{}, TLSClientConfig: r.tls, DisableCompression: true}
	transport.Protocols.SetHTTP2(true)
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
		conn, err := dial.dialPlain(ctx, r.endpointAt(address))
		if err != nil {
			return nil, fmt.Errorf("connecting to %s: %w", address, err)
		}
		r.opened.Add(1)
		return conn, nil
	}
	defer transport.CloseIdleConnections()
	ctx, cut := context.WithCancel(context.Background())
	defer cut()
	runWorkers(r, recorders, func() exchanger {
		return &http2Worker{run: r, ctx: ctx, transport: transport, copied: r.kept(), in: make([]byte, 16<<10)}
	}, cut)
	return nil
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
		GotFirstResponseByte: func() { s.firstByte = w.run.clock.now() },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				s.kind = kindTLS
			}
		},
	}))
	answer, err := w.transport.RoundTrip(req)
	if err != nil {
		if isTimeout(err) {
			s.kind = kindTimeout
		}
		return err
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
			return err
		}
	}
}
