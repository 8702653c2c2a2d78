package scaling

import (
	"context"
	"errors"
	"fmt"

	"scaleproof/internal/invalid"
)

// Pause holds until a person approves of going on; a refusal fails the step, and
// so undoes the action. Its default timeout is an hour.
type Pause struct {
	Question string `yaml:"question" json:"question"`
}

// An Approver asks a person a step's question, and returns who said yes. A no is
// an error.
type Approver func(ctx context.Context, step, question string) (by string, err error)

func (p Pause) validate() error {
	if p.Question == "" {
		return invalid.Field("question", "is missing: what is to be approved")
	}
	return nil
}

func (p Pause) change(env Environment) change { return &pauseChange{Pause: p, env: env} }

type pauseChange struct {
	stateless
	Pause
	env Environment
}

func (c *pauseChange) describe() string { return "wait for a person's approval: " + c.Question }

func (c *pauseChange) apply(ctx context.Context) (string, error) {
	if c.env.Approve == nil {
		return "", errors.New("nobody can be asked for an approval here")
	}
	by, err := c.env.Approve(ctx, c.env.step, c.Question)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("approved by %s", by), nil
}
