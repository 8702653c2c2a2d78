package validation

import "time"

// Phase is a part of a run.
type Phase string

// The phases of a run, in order.
const (
	Preflight Phase = "preflight"
	Before    Phase = "before"
	Acting    Phase = "action"
	After     Phase = "after"
	Judging   Phase = "verdict"
	Undoing   Phase = "rollback"
	Gating    Phase = "gate" // measured against a baseline
)

// An Event is one line of what a run is doing, for whoever watches.
type Event struct {
	At    time.Time
	Phase Phase
	Text  string
}
