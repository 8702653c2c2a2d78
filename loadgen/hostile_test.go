package loadgen

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

// A hostileServer answers each connection with its handler. It ends, with all
// its connections, when the test does.
func hostileServer(t *testing.T, handle func(conn net.Conn, r *bufio.Reader)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var conns []net.Conn
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			serving.Go(func() {
				defer conn.Close()
				handle(conn, bufio.NewReader(conn))
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return "http://" + listener.Addr().String() + "/"
}

// A server over TLS whose patience with idle connections is short fails no request, and
// one with patience has all of them on one connection.
func TestAnIdleConnectionIsUsedWhileItLasts(t *testing.T) {
	t.Parallel()
	for _, idle := range []time.Duration{5 * time.Millisecond, time.Minute} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		s.Config.IdleTimeout = idle
		closed := make(chan struct{}, 8)
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				closed <- struct{}{}
			}
		}
		s.StartTLS()
		defer s.Close()
		res := loadOf(t, 8, Config{Targets: []string{"POST " + s.URL}, Rate: 10, Connections: 1, TLS: TLS{Insecure: true}}, Options{OnHit: func(*Hit) {
			if idle < time.Second {
				<-closed // what comes while it closes may fail
			}
		}})
		if res.Successes != 8 || (res.Connections == 1) != (idle == time.Minute) {
			t.Errorf("idle for %v: %d of 8 succeeded on %d connections, errors %v", idle, res.Successes, res.Connections, res.Errors)
		}
	}
}

// refusingURL is of a port that nothing listens on.
func refusingURL(t *testing.T) string {
	t.Helper()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	return "http://" + closed.Addr().String() + "/"
}

// readRequest reads the head of one request.
func readRequest(r *bufio.Reader) bool {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == "\r\n" {
			return true
		}
	}
}

// answering answers each request with text, until it fails to.
func answering(text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		for readRequest(r) {
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
	}
}

// endless writes text again and again after a request.
func endless(head, text string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		readRequest(r)
		_, err := io.WriteString(conn, head)
		for err == nil {
			_, err = io.WriteString(conn, text)
		}
	}
}

func hang(conn net.Conn, _ *bufio.Reader) { _, _ = io.Copy(io.Discard, conn) }

func reset(conn net.Conn, r *bufio.Reader) {
	readRequest(r)
	_ = conn.(*net.TCPConn).SetLinger(0)
}

func drip(conn net.Conn, r *bufio.Reader) {
	readRequest(r)
	for _, b := range []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") {
		if _, err := conn.Write([]byte{b}); err != nil {
			return
		}
		time.Sleep(50 * time.Millisecond) // the target's slowness, not a wait for anything
	}
}

func TestHostileTargetsAreCountedByKind(t *testing.T) {
	refusing := refusingURL(t)
	for _, c := range []struct {
		name, kind string
		handle     func(net.Conn, *bufio.Reader)
	}{
		{"refused", "refused", nil},
		{"reset", "reset", reset},
		{"closed without an answer", "closed", func(_ net.Conn, r *bufio.Reader) { readRequest(r) }},
		{"half closed", "closed", func(conn net.Conn, r *bufio.Reader) {
			readRequest(r)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, r)
		}},
		{"never answers", "timeout", hang},
		{"a byte at a time", "timeout", drip},
		{"garbage", "malformed", answering("\x00\x01\x02 nothing like HTTP\n")},
		{"TLS on a plaintext port", "malformed", answering("\x15\x03\x01\x00\x02\x02\x28\n")},
		{"a length too long", "timeout", answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")},
		{"a length that is none", "malformed", answering("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello")},
		{"endless headers", "head-limit", endless("HTTP/1.1 200 OK\r\n", strings.Repeat("X-Filler: filler\r\n", 100))},
		{"an endless header", "head-limit", endless("HTTP/1.1 200 OK\r\nX: ", strings.Repeat("x", 4096))},
		{"a body of gigabytes", "timeout", endless("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n", strings.Repeat("x", 1<<16))},
		{"a body without an end", "timeout", endless("HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 1<<16))},
		{"bad chunks", "malformed", answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n")},
	} {
		for _, engine := range engines() {
			t.Run(c.name+" "+engine, func(t *testing.T) {
				before, goroutines := openFiles(t), runtime.NumGoroutine()
				t.Cleanup(func() { // runs after the server's end
					settles(t, "file descriptors", func() bool { return openFiles(t) <= before })
					settles(t, "goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
				})
				url := refusing
				if c.handle != nil {
					url = hostileServer(t, c.handle)
				}
				checkHostile(t, url, engine, c.kind)
			})
		}
	}
}

// checkHostile loads a target that never succeeds, in the open model.
func checkHostile(t *testing.T, url, engine, kind string) {
	t.Helper()
	timeout := 10 * time.Second // so that what has another end comes to it, however slow
	if kind == "timeout" {
		timeout = 200 * time.Millisecond
	}
	started := time.Now()
	res := loadOf(t, 10, Config{Targets: []string{url}, Rate: 200, Connections: 20, Timeout: unit.Duration(timeout)}, Options{Engine: engine})
	if took := time.Since(started); took > 200*time.Millisecond+timeout+10*time.Second {
		t.Errorf("the run took %v", took)
	}
	if res.Errors[kind] != res.Requests {
		t.Errorf("errors %v, want 10 of kind %q", res.Errors, kind)
	}
	if res.Validity != Inconclusive || res.ResponseTime.Max != 0 || res.Histograms.Failures.Count() != res.Requests {
		t.Errorf("%s (%s); response times of failures are among those of successes: %+v", res.Validity, res.ValidityReason, res.ResponseTime)
	}
}

// openFiles counts the descriptors of this process; 0 where it can't.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// settles waits until what servers of the test still hold is gone.
func settles(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("%s are leaked", what)
			return
		}
	}
}

func TestNothingIsLeaked(t *testing.T) {
	for _, engine := range engines() {
		url := hostileServer(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"))
		before, goroutines := openFiles(t), runtime.NumGoroutine()
		res := load(t, Config{Targets: []string{url}, Connections: 20, Duration: unit.Duration(300 * time.Millisecond)}, Options{Engine: engine})
		if res.Connections <= 20 || len(res.Errors) > 0 {
			t.Errorf("%s: %d connections, errors %v", engine, res.Connections, res.Errors)
		}
		settles(t, "file descriptors", func() bool { return openFiles(t) <= before })
		settles(t, "goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
	}
}

func TestAnUnknownHostIsCountedAsDNS(t *testing.T) {
	t.Parallel()
	for _, engine := range engines() {
		res := loadOf(t, 5, Config{Targets: []string{"http://name.invalid/"}, Rate: 50}, Options{Engine: engine})
		if res.Errors["dns"] != 5 {
			t.Errorf("%s: errors %v", engine, res.Errors)
		}
	}
}

func TestAFailedHandshakeIsCountedAsTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	s.StartTLS()
	defer s.Close()
	for name, url := range map[string]string{"unknown authority": s.URL, "no TLS": strings.Replace(hostileServer(t, func(conn net.Conn, _ *bufio.Reader) { fmt.Fprint(conn, "HTTP/1.1 400 Bad\r\n\r\n") }), "http:", "https:", 1)} {
		res := loadOf(t, 5, Config{Targets: []string{url}, Rate: 50}, Options{})
		if res.Errors["tls"] != 5 {
			t.Errorf("%s: errors %v", name, res.Errors)
		}
	}
}

// A server of TLS 1.3 refuses a client's certificate, or the lack of one, only after
// the client has done its part of the handshake.
func TestARefusedClientIsCountedAsTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.StartTLS()
	defer s.Close()
	cfg := &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert}
	url := strings.Replace(hostileServer(t, func(conn net.Conn, _ *bufio.Reader) {
		_ = tls.Server(conn, cfg).Handshake()
		_, _ = io.Copy(io.Discard, conn) // else a reset would overtake the alert
	}), "http:", "https:", 1)
	res := loadOf(t, 5, Config{Targets: []string{url}, Rate: 50, TLS: TLS{Insecure: true}}, Options{})
	if res.Errors["tls"] != 5 {
		t.Errorf("errors %v", res.Errors)
	}
}

func TestAStaleConnectionIsNotAFailure(t *testing.T) {
	t.Parallel()
	for _, engine := range engines() {
		url := hostileServer(t, func(conn net.Conn, r *bufio.Reader) {
			if readRequest(r) {
				fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
			}
			readRequest(r) // and then closes without an answer
		})
		res := load(t, Config{Targets: []string{url}, Connections: 2, Duration: unit.Duration(400 * time.Millisecond)}, Options{Engine: engine})
		if len(res.Errors) > 0 || res.Successes == 0 {
			t.Errorf("%s: %d successes, errors %v", engine, res.Successes, res.Errors)
		}
		res = load(t, Config{Targets: []string{url}, Method: "POST", Connections: 2, Duration: unit.Duration(400 * time.Millisecond)}, Options{Engine: engine})
		if res.Errors["closed"] == 0 {
			t.Errorf("%s: a POST was made twice", engine)
		}
	}
}

func TestTheContextCutsAHangingTarget(t *testing.T) {
	t.Parallel()
	for _, engine := range engines() {
		ctx, cancel := context.WithCancel(t.Context())
		var hanging atomic.Int64
		url := hostileServer(t, func(conn net.Conn, r *bufio.Reader) {
			if readRequest(r) && hanging.Add(1) == 5 {
				cancel()
			}
			hang(conn, r)
		})
		started := time.Now()
		res, err := Run(ctx, Config{Targets: []string{url}, Connections: 5}, Options{Engine: engine})
		if err != nil || res.Unfinished != 5 || res.Requests != 0 || time.Since(started) > defaultTimeout/2 {
			t.Errorf("%s: %+v, %v after %v", engine, res, err, time.Since(started))
		}
	}
}

// A connection's deadline may be that of an earlier request: one that comes too early
// ends nothing, and each request has its own in the end.
func TestEachRequestHasItsWholeTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second
	// The second begins with more than half of the timeout left, and takes longer than
	// that; the last has no answer.
	delays := []time.Duration{800 * time.Millisecond, 1600 * time.Millisecond, 0, -1}
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			url := hostileServer(t, func(conn net.Conn, r *bufio.Reader) {
				for _, delay := range delays {
					if _, err := http.ReadRequest(r); err != nil {
						return
					}
					if delay < 0 {
						_, _ = io.Copy(io.Discard, r)
						return
					}
					time.Sleep(delay) // the service's
					if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
						return
					}
				}
			})
			var mu sync.Mutex
			var hits []Hit
			opts := Options{Engine: engine, OnHit: func(h *Hit) {
				mu.Lock()
				defer mu.Unlock()
				hits = append(hits, *h)
			}}
			loadOf(t, int64(len(delays)), Config{Targets: []string{url}, Rate: 20, Connections: 1, Timeout: unit.Duration(timeout)}, opts)
			if len(hits) != len(delays) {
				t.Fatalf("%d requests", len(hits))
			}
			for i, h := range hits {
				switch took := h.End - h.Sent; {
				case delays[i] >= 0 && h.Kind != "":
					t.Errorf("request %d: %s after %s", i, h.Kind, took)
				case delays[i] < 0 && (h.Kind != "timeout" || took < timeout || took > 2*timeout):
					t.Errorf("request %d has no answer: %q after %s", i, h.Kind, took)
				}
			}
		})
	}
}
