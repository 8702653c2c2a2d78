package sample

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A Backend is one running replica.
type Backend struct {
	URL *url.URL
	// Stop ends the replica and returns when it is gone.
	Stop func()
}

// A Proxy hands requests to its replicas in turn, and starts and stops replicas
// as it is told. Its zero value is not usable: make one with NewProxy.
type Proxy struct {
	start   func(context.Context) (*Backend, error)
	forward *httputil.ReverseProxy
	turn    atomic.Uint64
	scaling sync.Mutex // held while replicas start or stop

	mu       sync.RWMutex
	desired  int
	backends []*backend
	fault    error // of the last start that failed
}

// A backend is a replica in rotation.
type backend struct {
	*Backend
	serving sync.WaitGroup // requests that it has not answered yet
}

// NewProxy returns a proxy without replicas. start starts one and returns when
// it serves.
func NewProxy(start func(context.Context) (*Backend, error)) *Proxy {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 1024
	p := &Proxy{start: start}
	p.forward = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(backendOf(r.In.Context()).URL) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "the replica failed: "+err.Error(), http.StatusBadGateway)
		},
	}
	return p
}

type backendKey struct{}

func backendOf(ctx context.Context) *backend { return ctx.Value(backendKey{}).(*backend) }

// ServeHTTP hands the request to the next replica, or answers 503 where there
// is none.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := p.next()
	if b == nil {
		http.Error(w, "no replica is ready", http.StatusServiceUnavailable)
		return
	}
	defer b.serving.Done()
	p.forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), backendKey{}, b)))
}

// next returns a replica that counts the request as its own.
func (p *Proxy) next() *backend {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if len(p.backends) == 0 {
		return nil
	}
	b := p.backends[p.turn.Add(1)%uint64(len(p.backends))]
	b.serving.Add(1)
	return b
}

// Scale starts or stops replicas until there are n, or as many as a later call
// has asked for. A replica that stops leaves the rotation first and answers what
// it has.
func (p *Proxy) Scale(ctx context.Context, n int) error {
	p.mu.Lock()
	p.desired = n
	p.mu.Unlock()
	return p.converge(ctx)
}

func (p *Proxy) converge(ctx context.Context) error {
	p.scaling.Lock()
	defer p.scaling.Unlock()
	for {
		p.mu.RLock()
		missing := p.desired - len(p.backends)
		p.mu.RUnlock()
		switch {
		case missing == 0:
			return nil
		case missing < 0:
			p.stopLast()
		default:
			if err := p.startOne(ctx); err != nil {
				return err
			}
		}
	}
}

func (p *Proxy) startOne(ctx context.Context) error {
	started, err := p.start(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = err
	if err != nil {
		return fmt.Errorf("starting replica %d: %w", len(p.backends)+1, err)
	}
	p.backends = append(p.backends, &backend{Backend: started})
	return nil
}

func (p *Proxy) stopLast() {
	p.mu.Lock()
	last := p.backends[len(p.backends)-1]
	p.backends = p.backends[:len(p.backends)-1]
	p.mu.Unlock()
	last.serving.Wait()
	last.Stop()
}

// Admin is the proxy's control plane:
//
//	GET /replicas          the number that is wanted
//	PUT /replicas          a new number as the body; answers 202 at once
//	GET /ready?replicas=N  200 when exactly N replicas serve, else 503
func (p *Proxy) Admin(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /replicas", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.RLock()
		defer p.mu.RUnlock()
		fmt.Fprintln(w, p.desired)
	})
	mux.HandleFunc("PUT /replicas", func(w http.ResponseWriter, r *http.Request) {
		n, err := readCount(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.mu.Lock()
		p.desired = n
		p.mu.Unlock()
		// Its error is kept for GET /ready: a control plane answers at once.
		go func() { _ = p.converge(ctx) }()
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintln(w, n)
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, r *http.Request) {
		want, err := strconv.Atoi(r.URL.Query().Get("replicas"))
		p.mu.RLock()
		ready, fault := len(p.backends), p.fault
		p.mu.RUnlock()
		switch {
		case err != nil:
			http.Error(w, "replicas must be a number", http.StatusBadRequest)
		case fault != nil:
			http.Error(w, fault.Error(), http.StatusServiceUnavailable)
		case ready != want:
			http.Error(w, fmt.Sprintf("%d of %d replicas serve", ready, want), http.StatusServiceUnavailable)
		default:
			fmt.Fprintln(w, ready)
		}
	})
	return mux
}

// maxReplicas bounds what one machine is asked to start.
const maxReplicas = 64

func readCount(body io.Reader) (int, error) {
	text, err := io.ReadAll(io.LimitReader(body, 16))
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || n < 0 || n > maxReplicas {
		return 0, fmt.Errorf("the number of replicas must be 0 to %d", maxReplicas)
	}
	return n, nil
}
