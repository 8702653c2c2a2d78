package validation

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
)

// An EnvironmentError is a fault of what the run measures or of the machine it
// runs on, not of the plan.
type EnvironmentError struct {
	Err error
}

func (e *EnvironmentError) Error() string { return e.Err.Error() }
func (e *EnvironmentError) Unwrap() error { return e.Err }

// A ConsentError says what a run would do that it must be asked for twice.
type ConsentError struct{ Text string }

func (e *ConsentError) Error() string { return e.Text }

// reachTimeout bounds each attempt to reach a target before a run.
const reachTimeout = 5 * time.Second

// reach connects once to the host of a URL.
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
