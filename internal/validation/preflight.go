package validation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/plan"
)

// An EnvironmentError is a fault of what the run measures or of the machine it
// runs on, not of the plan.
type EnvironmentError struct {
	Err error
}

func (e *EnvironmentError) Error() string { return e.Err.Error() }
func (e *EnvironmentError) Unwrap() error { return e.Err }

// reachTimeout bounds each attempt to reach a target before a run.
const reachTimeout = 5 * time.Second

// preflight reaches everything that the plan measures, before anything is
// started. Its error is an *EnvironmentError that names all that can't be
// reached.
func preflight(ctx context.Context, p *plan.Plan, targets []string) error {
	var faults []error
	for _, target := range targets {
		faults = append(faults, reach(ctx, target))
	}
	for _, node := range p.Environment.Postgres.All() {
		faults = append(faults, reachPostgres(ctx, node.Name, node.DSN))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := errors.Join(faults...); err != nil {
		return &EnvironmentError{errors.New(p.Secrets.String(err.Error()))}
	}
	return nil
}

func reach(ctx context.Context, target string) error {
	u, err := url.Parse(target)
	if err != nil {
		return fmt.Errorf("target %s: %w", target, err)
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	dialer := net.Dialer{Timeout: reachTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("target %s can't be reached: %w: start it, or mend the URL in the plan", target, err)
	}
	return conn.Close()
}

func reachPostgres(ctx context.Context, name, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("postgres node %s can't be reached: %w", name, err)
	}
	return conn.Close(ctx)
}

// urlsOf returns the distinct scheme and host of each target line.
func urlsOf(lines []string) []string {
	seen := map[string]bool{}
	var urls []string
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		u, err := url.Parse(fields[len(fields)-1])
		if err != nil || u.Host == "" || seen[u.Scheme+u.Host] {
			continue
		}
		seen[u.Scheme+u.Host] = true
		urls = append(urls, u.Scheme+"://"+u.Host)
	}
	return urls
}
