package scaling

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"scaleproof/internal/invalid"
)

func (h HTTP) validate() error {
	var faults []error
	for _, f := range []struct{ field, url string }{{"url", h.URL}, {"read", h.Read}, {"undo_url", h.UndoURL}} {
		if f.url == "" && f.field != "url" {
			continue
		}
		faults = append(faults, validURL(f.field, f.url))
	}
	if h.Expect != "" && h.Read == "" {
		faults = append(faults, invalid.Field("expect", "needs read, the URL that answers with the state"))
	}
	return errors.Join(faults...)
}

// validURL returns the fault of a field that must be the URL of a request.
func validURL(field, text string) error {
	if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return invalid.Field(field, "must be an http or https URL")
	}
	return nil
}

func (h HTTP) change(env Environment) change { return &httpChange{h, env} }

type httpChange struct {
	HTTP
	env Environment
}

func (c *httpChange) method() string { return orDefault(c.Method, http.MethodPost) }

func (c *httpChange) describe() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", c.method(), c.URL, c.Body))
}

func (c *httpChange) undoes() string {
	if c.Read == "" && c.UndoBody == "" && c.UndoMethod == "" && c.UndoURL == "" {
		return ""
	}
	body := orDefault(c.UndoBody, "the state before")
	return fmt.Sprintf("%s %s with %s", orDefault(c.UndoMethod, c.method()), orDefault(c.UndoURL, c.URL), body)
}

func (c *httpChange) expects() string { return c.Expect }

func (c *httpChange) read(ctx context.Context) (string, bool, error) {
	if c.Read == "" {
		return "", false, nil
	}
	text, err := c.send(ctx, http.MethodGet, c.Read, "", stateLimit+1)
	if err != nil {
		return "", true, err
	}
	state, err := wholeState(text)
	return state, true, err
}

func (c *httpChange) apply(ctx context.Context) (string, error) {
	return c.send(ctx, c.method(), c.URL, c.Body, outputLimit)
}

func (c *httpChange) verify(state string) error { return expect(c.Expect, state) }

func (c *httpChange) undo(ctx context.Context, prior string) (string, error) {
	return c.send(ctx, orDefault(c.UndoMethod, c.method()), orDefault(c.UndoURL, c.URL), orDefault(c.UndoBody, prior), outputLimit)
}

// send makes one request and returns the answer's body, up to limit. An answer that is
// not 2xx is an error.
func (c *httpChange) send(ctx context.Context, method, url, body string, limit int64) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", method, url, err)
	}
	for name, value := range c.Headers {
		request.Header.Set(name, value)
	}
	client := *c.env.HTTP
	client.CheckRedirect = sameMethod
	answer, err := client.Do(request)
	if err != nil {
		return "", err // it names the method and the URL
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, limit))
	if err != nil {
		return "", fmt.Errorf("%s %s: reading the answer: %w", method, url, err)
	}
	if answer.StatusCode/100 != 2 {
		return string(text), fmt.Errorf("%s %s: answered %s%s", method, url, answer.Status, lastLine(string(text)))
	}
	return string(text), nil
}

// maxRedirects is as many as net/http follows.
const maxRedirects = 10

// sameMethod refuses a redirection that net/http would follow by a GET without a body:
// that changes nothing, and most servers answer it all the same. See Other says that the
// request was done, and where its result is.
func sameMethod(next *http.Request, via []*http.Request) error {
	switch was := via[0].Method; {
	case next.Method != was && next.Response.StatusCode != http.StatusSeeOther:
		return fmt.Errorf("it redirects by %s, which makes a GET of a %s: name the URL that it leads to", next.Response.Status, was)
	case len(via) >= maxRedirects:
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	}
	return nil
}

func orDefault(value, byDefault string) string {
	if value == "" {
		return byDefault
	}
	return value
}
