package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// reachTimeout bounds each attempt of Reach.
const reachTimeout = 5 * time.Second

// Reach connects once to whatever cfg's requests go to, and returns what can't
// be reached. It reads the files that cfg names.
func Reach(ctx context.Context, cfg Config) error {
	source, err := NewSource(cfg)
	if err != nil {
		return err
	}
	endpoints, _ := newEndpoints(&cfg, source.Targets())
	var faults []error
	for _, e := range endpoints {
		if err := e.reach(ctx); err != nil {
			faults = append(faults, fmt.Errorf("target %s://%s can't be reached: %w: start it, or mend the URL", e.scheme, e.address, err))
		}
	}
	return errors.Join(faults...)
}

func (e *endpoint) reach(ctx context.Context) error {
	conn, err := (&net.Dialer{Timeout: reachTimeout}).DialContext(ctx, e.network, e.address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// GuardedRate is the rate, in requests per second, above which load on another
// machine must be asked for twice.
const GuardedRate = 1000

// Guard returns an error where cfg may send more than GuardedRate to a host
// that is neither this machine nor in hosts: a slip of the keyboard must not
// bring down what others use. Names are compared as they are written; nothing
// is looked up.
func Guard(cfg Config, source Source, hosts []string) error {
	if cfg.open() && !cfg.FindCapacity && cfg.PeakRate() <= GuardedRate {
		return nil
	}
	endpoints, _ := newEndpoints(&cfg, source.Targets())
	for _, e := range endpoints {
		host, _, err := net.SplitHostPort(e.address)
		if e.network == "unix" || err == nil && (isLoopback(host) || slices.Contains(hosts, host)) {
			continue
		}
		return fmt.Errorf("%s is not this machine, and the load may go beyond %d requests a second", e.address, GuardedRate)
	}
	return nil
}

func isLoopback(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().IsLoopback()
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
