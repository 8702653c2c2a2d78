// Package scaling runs scaling actions, step by step, and can always go back:
// each step captures the prior state before it changes anything, verifies what
// it did, and is undone in reverse order, verified again by reading the state.
package scaling

import "time"

// Status is where a step, or a whole action, stands.
type Status string

// The statuses.
const (
	Pending    Status = "pending"
	Applied    Status = "applied"
	Failed     Status = "failed"
	Skipped    Status = "skipped"
	RolledBack Status = "rolled-back" // undone, and verified where it has a state to read
	Unverified Status = "unverified"  // not undone, or its state could not be read, or differs
)

// An Outcome is what became of an action.
type Outcome struct {
	ID         string        `json:"id"`
	Status     Status        `json:"status"` // Applied, Failed, RolledBack or Unverified
	StartedAt  time.Time     `json:"started_at"`
	FinishedAt time.Time     `json:"finished_at"`
	Steps      []StepOutcome `json:"steps"`
	Rollback   *Rollback     `json:"rollback,omitempty"`
}

// A StepOutcome is what became of one step.
type StepOutcome struct {
	Name       string    `json:"name"`
	Kind       string    `json:"kind"`    // exec, sql, http, wait, ...
	Summary    string    `json:"summary"` // what it does, in a line
	Status     Status    `json:"status"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
	Attempts   int       `json:"attempts"`
	Before     string    `json:"before,omitempty"` // the state that it captured
	After      string    `json:"after,omitempty"`  // the state once it was applied
	Output     string    `json:"output,omitempty"` // the end of what it printed
	Error      string    `json:"error,omitempty"`
}

// A Rollback is how an action was undone.
type Rollback struct {
	Reason     string        `json:"reason"`
	StartedAt  time.Time     `json:"started_at"`
	FinishedAt time.Time     `json:"finished_at"`
	Verified   bool          `json:"verified"`
	Steps      []StepOutcome `json:"steps"` // in the order of undoing
	// Probe is what the service answered to a little load afterwards; empty where
	// the plan has no load.
	Probe string `json:"probe,omitempty"`
	// Differences are what the state lacks of the prior one, or has beside it.
	Differences []string `json:"differences,omitempty"`
}
