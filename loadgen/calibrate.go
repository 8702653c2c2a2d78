package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"scaleproof/internal/unit"
)

// calibrationLength is how long Ceiling measures, after a warm-up.
const calibrationLength = 2 * time.Second

// Ceiling returns the rate, in requests per second, that this machine reaches
// with cfg's requests against a server on loopback that answers at once. The
// server takes its CPU from the same machine, so that the generator alone could
// do more: a rate well below the ceiling is within its reach. The cost of TLS
// and of HTTP/2 is not in it.
func Ceiling(ctx context.Context, cfg Config) (float64, error) {
	source, err := NewSource(cfg)
	if err != nil {
		return 0, err
	}
	server, err := startNullServer()
	if err != nil {
		return 0, err
	}
	defer server.close()
	toNull := redirected{Source: source}
	for _, t := range source.Targets() {
		toNull.targets = append(toNull.targets, Target{t.Name, &url.URL{Scheme: "http", Host: server.listener.Addr().String()}})
	}
	r, err := Run(ctx, Config{
		Connections: min(cfg.connections(), 64), Seed: cfg.Seed,
		Duration: unit.Duration(calibrationLength), Warmup: unit.Duration(calibrationLength / 4),
	}, Options{Source: toNull})
	if err != nil {
		return 0, fmt.Errorf("calibrating: %w", err)
	}
	return r.Throughput, nil
}

// redirected sends a source's requests elsewhere.
type redirected struct {
	Source
	targets []Target
}

// Targets implements Source.
func (r redirected) Targets() []Target { return r.targets }

// A nullServer answers every request at once, with nothing.
type nullServer struct {
	listener net.Listener
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	serving  sync.WaitGroup
}

func startNullServer() (*nullServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the null server: %w", err)
	}
	s := &nullServer{listener: listener, conns: map[net.Conn]struct{}{}}
	s.serving.Go(s.accept)
	return s, nil
}

func (s *nullServer) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = struct{}{}
		s.mu.Unlock()
		s.serving.Go(func() {
			defer conn.Close()
			answerAll(conn)
		})
	}
}

func (s *nullServer) close() {
	s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// answerAll answers the requests of a connection until it ends.
func answerAll(conn net.Conn) {
	answer := []byte("HTTP/1.1 204 No Content\r\n\r\n")
	in := bufio.NewReaderSize(conn, 16<<10)
	body := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			if body, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return
			}
		}
		if len(line) > 2 {
			continue
		}
		if _, err := io.CopyN(io.Discard, in, int64(body)); err != nil {
			return
		}
		body = 0
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
