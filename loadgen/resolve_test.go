package loadgen

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// New connections go to the addresses that a name has got while the run is on,
// and a resolver that fails meanwhile takes none away.
func TestNamesAreLookedUpAgain(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			first := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			defer first.Close()
			_, port, err := net.SplitHostPort(first.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			listener, err := net.Listen("tcp", "127.0.0.2:"+port)
			if err != nil {
				t.Skipf("there is no second address of loopback: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			second := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel() })}
			go func() { _ = second.Serve(listener) }()
			defer second.Close()

			const every = 100 * time.Millisecond
			var lookups atomic.Int64
			addresses := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
			resolve := func(context.Context, string) ([]netip.Addr, error) {
				switch lookups.Add(1) {
				case 1:
					return addresses, nil
				case 2:
					return nil, errors.New("the resolver is away")
				}
				return append(addresses, netip.MustParseAddr("127.0.0.2")), nil
			}
			res, err := Run(ctx, Config{Targets: []string{"http://service.internal:" + port + "/"}, Rate: 20, Recycle: 1}, Options{Engine: engine, Resolve: resolve, ResolveEvery: every})
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Backends) != 2 || len(res.Errors) > 0 {
				t.Errorf("backends %v, errors %v", res.Backends, res.Errors)
			}
			if since := res.BackendsSince["127.0.0.2:"+port]; since <= 0 {
				t.Errorf("the second address served after %v s", since)
			}
		})
	}
}
