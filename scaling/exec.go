package scaling

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"unicode/utf8"

	"scaleproof/internal/child"
	"scaleproof/internal/invalid"
)

// outputLimit is how much of a child's output is kept: its end.
const outputLimit = 8 << 10

func (e Exec) validate() error {
	var faults []error
	if len(e.Command) == 0 {
		faults = append(faults, invalid.Field("command", "is missing: a program and its arguments"))
	}
	if e.Expect != "" && len(e.Read) == 0 {
		faults = append(faults, invalid.Field("expect", "needs read, the command that prints the state"))
	}
	return errors.Join(faults...)
}

func (e Exec) change(env Environment) change { return &execChange{e, env} }

type execChange struct {
	Exec
	env Environment
}

func (c *execChange) describe() string { return "run " + strings.Join(c.Command, " ") }

func (c *execChange) undoes() string {
	switch {
	case len(c.Undo) == 0:
		return ""
	case slices.Equal(c.Undo, []string{"true"}):
		return nothingToUndo
	}
	return "run " + strings.Join(c.Undo, " ")
}

func (c *execChange) expects() string { return c.Expect }

func (c *execChange) read(ctx context.Context) (string, bool, error) {
	if len(c.Read) == 0 {
		return "", false, nil
	}
	// What it warns of is no part of the state.
	var out head
	var warnings tail
	if err := c.runInto(ctx, c.Read, &out, &warnings); err != nil {
		return "", true, err
	}
	state, err := wholeState(out.String())
	return state, true, err
}

func (c *execChange) apply(ctx context.Context) (string, error) { return c.run(ctx, c.Command) }

func (c *execChange) verify(state string) error { return expect(c.Expect, state) }

func (c *execChange) undo(ctx context.Context, prior string) (string, error) {
	return c.run(ctx, c.Undo, "SCALEPROOF_PRIOR="+prior)
}

// run runs a program to its end and returns the end of its output.
func (c *execChange) run(ctx context.Context, command []string, extra ...string) (string, error) {
	var out tail
	err := c.runInto(ctx, command, &out, &out, extra...)
	return out.String(), err
}

// runInto runs a program to its end. When ctx ends, its whole process group gets
// SIGTERM and, after a grace, SIGKILL.
func (c *execChange) runInto(ctx context.Context, command []string, stdout io.Writer, stderr *tail, extra ...string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append([]string{}, c.env.Environ...)
	for name, value := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, extra...)
	if c.env.mark != "" {
		cmd.Env = append(cmd.Env, child.Mark(c.env.mark))
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := child.Run(ctx, cmd); err != nil {
		return fmt.Errorf("running %s: %w%s", command[0], err, lastLine(stderr.String()))
	}
	return nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	return ": " + text[strings.LastIndexByte(text, '\n')+1:]
}

// A tail is a writer that keeps the end of what it is given.
type tail struct{ buffer bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	t.buffer.Write(p)
	if over := t.buffer.Len() - outputLimit; over > 0 {
		t.buffer.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.ToValidUTF8(t.buffer.String(), "\uFFFD") }

// stateLimit bounds a state that is read: an undo command takes it as a variable, of
// which Linux gives 128 KiB.
const stateLimit = 96 << 10

// wholeState returns a state that was read, without the blanks around it, or why it
// could not be given back as it is.
func wholeState(text string) (string, error) {
	switch {
	case len(text) > stateLimit:
		return "", fmt.Errorf("the state is longer than %d KiB: let read give the part of it that the step changes", stateLimit>>10)
	case !utf8.ValidString(text), strings.ContainsRune(text, 0):
		return "", errors.New("the state is no text, and could not be given back as it is: let read and undo encode it, as base64 does")
	}
	return strings.TrimSpace(text), nil
}

// A head is a writer that keeps what a state may have, and one byte more.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), stateLimit+1-h.Len())])
	return len(p), nil
}

// expect compares a state with what a step expects of it; no expectation is met
// by any state.
func expect(want, state string) error {
	if want != "" && strings.TrimSpace(want) != state {
		return fmt.Errorf("the state is %q and should be %q", state, strings.TrimSpace(want))
	}
	return nil
}
