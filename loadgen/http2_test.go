package loadgen

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
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
