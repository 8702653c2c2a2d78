package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"scaleproof/internal/invalid"
)

// Notify sends a message to a webhook. The URL counts as a secret: of most
// services it is all that is needed to post.
type Notify struct {
	URL string `yaml:"url" json:"-"`
	// Text is sent in the shape that Slack, Mattermost and others take,
	// {"text": ...}, with the plan and the run below it.
	Text string `yaml:"text" json:"text,omitempty"`
	// UndoText is sent in the same shape where the action is undone; empty: nothing
	// is.
	UndoText string `yaml:"undo_text" json:"undo_text,omitempty"`
	// JSON is sent as it is, instead of Text.
	JSON any `yaml:"json" json:"json,omitempty"`
}

func (n Notify) validate() error {
	faults := []error{validURL("url", n.URL)}
	if (n.Text == "") == (n.JSON == nil) {
		faults = append(faults, invalid.Field("", "needs exactly one of text and json"))
	}
	return errors.Join(faults...)
}

func (n Notify) change(env Environment) change { return &notifyChange{Notify: n, env: env} }

// A notifyChange has no state: what was said is said.
type notifyChange struct {
	stateless
	Notify
	env Environment
}

func (c *notifyChange) describe() string {
	what := c.Text
	if what == "" {
		text, _ := json.Marshal(c.JSON) // it came from a plan; apply tells a fault
		what = string(text)
	}
	return "tell " + c.host() + ": " + what
}

// Host is the webhook's address without the part of it that is a secret.
func (n Notify) Host() string {
	u, err := url.Parse(n.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// host is the part of the URL that may be seen.
func (c *notifyChange) host() string {
	_, host, _ := strings.Cut(c.Host(), "://")
	return host
}

func (c *notifyChange) undoes() string {
	if c.UndoText == "" {
		return nothingToUndo
	}
	return "tell " + c.host() + ": " + c.UndoText
}

func (c *notifyChange) apply(ctx context.Context) (string, error) {
	if c.JSON != nil {
		return "", c.post(ctx, c.JSON)
	}
	return "", c.say(ctx, c.Text)
}

func (c *notifyChange) undo(ctx context.Context, _ string) (string, error) {
	if c.UndoText == "" {
		return "", nil
	}
	return "", c.say(ctx, c.UndoText)
}

func (c *notifyChange) say(ctx context.Context, text string) error {
	if c.env.Origin != "" {
		text += "\n" + c.env.Origin
	}
	return c.post(ctx, map[string]string{"text": text})
}

func (c *notifyChange) post(ctx context.Context, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("writing the message: %w", err)
	}
	send := &httpChange{HTTP{Headers: map[string]string{"Content-Type": "application/json"}}, c.env}
	if _, err = send.send(ctx, http.MethodPost, c.URL, string(body), outputLimit); err == nil {
		return nil
	}
	// Only the text is kept. An error of net/http holds the URL in a form of its own.
	var failed *url.Error
	if errors.As(err, &failed) {
		err = fmt.Errorf("%s: %w", c.host(), failed.Err)
	}
	text := strings.NewReplacer(c.URL, c.host(), http.MethodPost+" ", "").Replace(err.Error())
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", text, context.Cause(ctx))
	}
	return errors.New(text)
}
