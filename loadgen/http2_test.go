package loadgen

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

func readWire(t *testing.T, data []byte) (*http.Request, string) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	return r, string(body)
}

// serveHTTP2 serves HTTP/1.1 and, with prior knowledge, HTTP/2.
func serveHTTP2(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	versions := make(chan int, 1000)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		versions <- r.ProtoMajor
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, "hello")
	})
	secure := httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	for name, cfg := range map[string]Config{
		"h2":  {Targets: []string{secure.URL}, TLS: TLS{CA: certificate(t, secure)}},
		"h2c": {Targets: []string{serveHTTP2(t, handler)}},
	} {
		cfg.HTTP2, cfg.Rate, cfg.Connections = true, 200, 20
		res := loadOf(t, 100, cfg, Options{})
		if res.Successes != 100 || res.Engine != "http/2 on net/http" || res.BytesIn != 500 || len(res.Backends) != 1 || res.Connections < 1 || res.Connections > 20 {
			t.Errorf("%s: %+v", name, res)
		}
		for range 100 {
			if v := <-versions; v != 2 {
				t.Fatalf("%s: HTTP/%d", name, v)
			}
		}
	}
	res := loadOf(t, 5, Config{Targets: []string{secure.URL + "/slow"}, TLS: TLS{Insecure: true}, HTTP2: true, Rate: 50, Timeout: unit.Duration(100 * time.Millisecond)}, Options{})
	if res.Errors["timeout"] != 5 {
		t.Errorf("errors %v", res.Errors)
	}
}

// afterHeaders speaks HTTP/2 as far as the head of a request, and answers each with
// frames, in which the first stream stands for the request's. last ends the
// connection then.
func afterHeaders(frames string, last bool) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		if _, err := io.CopyN(io.Discard, r, 24); err != nil { // the preface
			return
		}
		_, _ = io.WriteString(conn, "\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		for {
			head := make([]byte, 9)
			if _, err := io.ReadFull(r, head); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, r, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
				return
			}
			if head[3] == 1 {
				_, _ = io.WriteString(conn, strings.Replace(frames, firstStream, string(head[5:9]), 1))
				if last {
					return
				}
			}
		}
	}
}

const firstStream = "\x00\x00\x00\x01"

func TestFailuresOfHTTP2AreCountedByKind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   string
		handle func(net.Conn, *bufio.Reader)
	}{
		"RST_STREAM":      {"reset", afterHeaders("\x00\x00\x04\x03\x00"+firstStream+"\x00\x00\x00\x02", false)},
		"GOAWAY":          {"closed", afterHeaders("\x00\x00\x08\x07\x00\x00\x00\x00\x00"+firstStream+"\x00\x00\x00\x0b", true)},
		"garbage":         {"malformed", afterHeaders("HTTP/1.1 400 Bad Request\r\n\r\n", false)},
		"a bad header":    {"malformed", afterHeaders("\x00\x00\x01\x01\x05"+firstStream+"\x80", false)},
		"an end":          {"closed", func(_ net.Conn, r *bufio.Reader) { _, _ = io.CopyN(io.Discard, r, 30) }},
		"refused":         {"refused", nil},
		"never an answer": {"timeout", hang},
	} {
		url := refusingURL(t)
		if c.handle != nil {
			url = hostileServer(t, c.handle)
		}
		res := loadOf(t, 3, Config{Targets: []string{url}, HTTP2: true, Rate: 20, Method: "POST", Timeout: unit.Duration(2 * time.Second)}, Options{})
		if res.Errors[c.kind] != 3 {
			t.Errorf("%s: errors %v, want 3 of kind %s", name, res.Errors, c.kind)
		}
	}
}

// A handshake that is never answered costs no more connections than the run may
// have, and leaves none behind.
func TestHTTP2PilesUpNoConnections(t *testing.T) {
	t.Parallel()
	const connections, n = 4, 60
	var open, most atomic.Int64
	url := hostileServer(t, func(conn net.Conn, r *bufio.Reader) {
		if now := open.Add(1); now > most.Load() {
			most.Store(now)
		}
		hang(conn, r)
		open.Add(-1)
	})
	res := loadOf(t, n, Config{
		Targets: []string{strings.Replace(url, "http:", "https:", 1)}, HTTP2: true, Rate: 1000, Connections: connections, Timeout: unit.Duration(100 * time.Millisecond),
	}, Options{})
	if res.Errors["timeout"] != n || most.Load() > 3*connections {
		t.Errorf("errors %v, %d connections at once", res.Errors, most.Load())
	}
	settles(t, "connections", func() bool { return open.Load() == 0 })
	plain := httptest.NewUnstartedServer(http.NotFoundHandler())
	plain.Config.ErrorLog = log.New(io.Discard, "", 0)
	plain.StartTLS()
	defer plain.Close()
	res = loadOf(t, 3, Config{Targets: []string{plain.URL}, HTTP2: true, TLS: TLS{Insecure: true}, Rate: 20}, Options{})
	if res.Errors["tls"] != 3 {
		t.Errorf("a target without HTTP/2: errors %v", res.Errors)
	}
	if err := (&Config{Targets: []string{url}, HTTP2: true, Recycle: 5}).Validate(); err == nil {
		t.Error("recycling is ignored without a word")
	}
}

// certificate writes a server's own certificate authority to a file.
func certificate(t *testing.T, s *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLSWithAClientsCertificate(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) != 1 {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	defer s.Close()
	ca := certificate(t, s)
	cfg := Config{Targets: []string{s.URL}, Rate: 50, TLS: TLS{CA: ca}}
	if res := loadOf(t, 5, cfg, Options{}); res.Status["403"] != 5 || res.Engine != "http/1.1 on goroutines" {
		t.Errorf("without a certificate: %v", res.Status)
	}
	pair := s.TLS.Certificates[0]
	cfg.TLS.Cert, cfg.TLS.Key = keyPair(t, pair)
	if res := loadOf(t, 5, cfg, Options{}); res.Status["200"] != 5 {
		t.Errorf("with a certificate: %v, errors %v", res.Status, res.Errors)
	}
	for _, broken := range []TLS{{CA: "/nonexistent"}, {CA: cfg.TLS.Key}, {Cert: cfg.TLS.Cert}, {Cert: ca, Key: ca}} {
		cfg.TLS = broken
		if _, err := Run(t.Context(), cfg, Options{}); err == nil {
			t.Errorf("%+v was taken", broken)
		}
	}
}

func TestUnixSocketsAndConnectTo(t *testing.T) {
	t.Parallel()
	for _, engine := range engines() {
		var host atomic.Value
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { host.Store(r.Host) }))
		defer s.Close()
		cfg := Config{Targets: []string{"http://service.internal:8000/"}, Connections: 1, Rate: 50}
		cfg.ConnectTo = map[string]string{"service.internal:8000": s.Listener.Addr().String()}
		res := loadOf(t, 5, cfg, Options{Engine: engine})
		if res.Successes != 5 || host.Load() != "service.internal:8000" || res.Backends[s.Listener.Addr().String()] != 5 {
			t.Errorf("%s: %d successes at %q, backends %v, errors %v", engine, res.Successes, host.Load(), res.Backends, res.Errors)
		}
		path := filepath.Join(t.TempDir(), "s")
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = http.Serve(listener, s.Config.Handler) }()
		defer listener.Close()
		cfg.ConnectTo, cfg.UnixSocket = nil, path
		if res := loadOf(t, 5, cfg, Options{Engine: engine}); res.Successes != 5 || len(res.Backends) != 1 {
			t.Errorf("%s: %d successes over a Unix socket, backends %v, errors %v", engine, res.Successes, res.Backends, res.Errors)
		}
	}
}

// keyPair writes a certificate and its key to files.
func keyPair(t *testing.T, pair tls.Certificate) (certPath, keyPath string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certPath, keyPath = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{
		certPath: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, keyPath: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certPath, keyPath
}
