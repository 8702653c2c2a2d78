package scaling

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"scaleproof/internal/invalid"
)

// converged is what a wait for a workload waits for.
const converged = "converged"

func (w Wait) validate() error {
	conditions := 0
	for _, set := range []bool{w.HTTP != nil, w.SQL != nil, len(w.Exec) > 0, w.For != ""} {
		if set {
			conditions++
		}
	}
	switch {
	case conditions != 1:
		return invalid.Field("", "needs exactly one of http, sql, exec and for, and has %d", conditions)
	case w.SQL != nil && w.SQL.Query == "":
		return invalid.Field("sql.query", "is missing")
	case w.For != "" && w.For != converged:
		return invalid.Field("for", "must be %s, and is %q", converged, w.For)
	case w.For != "":
		return validTarget(w.Target)
	case w.Target != "":
		return invalid.Field("target", "goes with for: %s", converged)
	case w.HTTP != nil:
		return validURL("http.url", w.HTTP.URL)
	}
	return nil
}

func (w Wait) change(env Environment) change { return &waitChange{Wait: w, env: env} }

type waitChange struct {
	stateless
	Wait
	env Environment
}

func (c *waitChange) describe() string {
	switch {
	case c.HTTP != nil:
		return "wait until " + c.HTTP.URL + " answers"
	case c.SQL != nil:
		return fmt.Sprintf("wait until %s gives %s", c.SQL.Query, c.SQL.Expect)
	case c.For != "":
		return "wait until " + c.Target + " has converged"
	}
	return "wait until " + strings.Join(c.Exec, " ") + " works"
}

// apply tries until the condition holds. When ctx ends first, the error says why
// the last attempt failed.
func (c *waitChange) apply(ctx context.Context) (string, error) {
	interval := c.Interval.Std()
	if interval == 0 {
		interval = 250 * time.Millisecond
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var last error
	for {
		err := c.attempt(ctx)
		if err == nil || hopeless(err) {
			return "", err
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return "", errors.Join(context.Cause(ctx), fmt.Errorf("the last attempt: %w", last))
		case <-ticker.C:
		}
	}
}

func (c *waitChange) attempt(ctx context.Context) error {
	switch {
	case c.HTTP != nil:
		return c.attemptHTTP(ctx)
	case c.SQL != nil:
		query := &sqlChange{SQL{Node: c.SQL.Node, Read: c.SQL.Query}, c.env}
		state, _, err := query.read(ctx)
		if err != nil {
			return err
		}
		if state != c.SQL.Expect {
			return fmt.Errorf("the query gives %q and not %q", state, c.SQL.Expect)
		}
		return nil
	case c.For != "":
		if c.env.Kubernetes == nil {
			return errNoKubernetes
		}
		return checkConverged(ctx, c.env.Kubernetes, c.Target)
	}
	_, err := (&execChange{Exec{}, c.env}).run(ctx, c.Exec)
	return err
}

// attemptTimeout bounds one request of a wait: one that hangs may not take all of it.
const attemptTimeout = 30 * time.Second

func (c *waitChange) attemptHTTP(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.HTTP.URL, nil)
	if err != nil {
		return err
	}
	answer, err := c.env.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	switch want := c.HTTP.Status; {
	case err != nil:
		return err
	case want != 0 && answer.StatusCode != want, want == 0 && answer.StatusCode/100 != 2:
		return fmt.Errorf("%s answers %s%s", c.HTTP.URL, answer.Status, lastLine(string(body)))
	case !strings.Contains(string(body), c.HTTP.Body):
		return fmt.Errorf("%s answers without %q", c.HTTP.URL, c.HTTP.Body)
	}
	return nil
}
