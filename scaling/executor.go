package scaling

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// An Event tells that a step has changed its status.
type Event struct {
	At     time.Time
	Step   string
	Status Status
	Detail string // what it does when it is Pending, why when it Failed
}

// An Executor runs steps and undoes them. It is not safe for concurrent use.
type Executor struct {
	env     Environment
	journal *Journal
	onEvent func(Event)
	telling sync.Mutex // of onEvent, since steps may run at the same time
	id      string     // of the run
	steps   []Step
	states  []states // of the steps, as they were read, secrets included
	known   []bool   // which of the states before come from a journal
	seals   []seals  // of those from a journal that hold a secret nobody knows
	again   []bool   // which are made again by a rollback
}

// states are what a step read before and after it acted.
type states struct{ before, after string }

// NewExecutor returns an executor that writes ahead to journal, where it is not
// nil, and tells onEvent what it does.
func NewExecutor(env Environment, journal *Journal, onEvent func(Event)) *Executor {
	return &Executor{env: env, journal: journal, onEvent: onEvent}
}

// Apply runs the steps in order until one fails or ctx ends. It undoes nothing.
// The outcome is never nil; the error says why it is not Applied.
func (x *Executor) Apply(ctx context.Context, id string, steps []Step) (*Outcome, error) {
	x.take(id, steps)
	o := x.pending(id, steps)
	o.StartedAt = x.env.Now()
	if identity := x.identity(); identity != (Identity{}) {
		if err := x.journal.write(Record{At: o.StartedAt, Event: eventRun, Run: &identity}); err != nil {
			o.Status, o.FinishedAt = Failed, x.env.Now()
			return o, err
		}
	}
	return o, x.run(ctx, o)
}

// Resume goes on with an outcome that Recall gave: steps that have worked are left
// alone, and one that had begun is made again, with the prior state that the
// journal has of it.
func (x *Executor) Resume(ctx context.Context, o *Outcome) error {
	o.Status = Applied
	return x.run(ctx, o)
}

func (x *Executor) take(id string, steps []Step) {
	x.id = id
	x.steps, x.states, x.known = steps, make([]states, len(steps)), make([]bool, len(steps))
	x.seals, x.again = make([]seals, len(steps)), make([]bool, len(steps))
}

// run runs the steps of an outcome that have not worked yet, until one fails.
func (x *Executor) run(ctx context.Context, o *Outcome) (err error) {
	for begin, end := 0, 0; begin < len(o.Steps) && err == nil; begin = end {
		_, end = groupOf(x.steps, begin)
		err = x.runGroup(ctx, o, begin, end)
	}
	if err != nil {
		o.Status = Failed
		for i := range o.Steps {
			if o.Steps[i].Status == Pending {
				o.Steps[i].Status = Skipped
			}
		}
	}
	o.FinishedAt = x.env.Now()
	return err
}

// pending is the outcome of steps of which none has begun.
func (x *Executor) pending(id string, steps []Step) *Outcome {
	o := &Outcome{ID: id, Status: Applied}
	for _, s := range steps {
		o.Steps = append(o.Steps, StepOutcome{
			Name: s.Title(), Kind: s.kind(), Summary: x.clean(s.change(x.env).describe()), Status: Pending,
		})
	}
	return o
}

// step runs one step, with its retries. The prior state is in the journal before
// anything is changed.
func (x *Executor) step(ctx context.Context, index int, o *StepOutcome) error {
	step := x.steps[index]
	c := step.change(x.marked(fmt.Sprint(index)))
	o.StartedAt = x.env.Now()
	x.tell(o.Name, Pending, o.Summary)
	err := x.begin(ctx, index, c, o)
	if err == nil {
		for o.Attempts = 1; ; o.Attempts++ {
			if err = x.attempt(ctx, index, c, o); err == nil || o.Attempts > step.Retry || ctx.Err() != nil {
				break
			}
		}
	}
	o.FinishedAt = x.env.Now()
	o.Status = Applied
	if err != nil {
		o.Status, o.Error = Failed, x.clean(err.Error())
		if o.Attempts == 0 && !x.known[index] {
			o.Status = Skipped // nothing was changed
		}
		err = fmt.Errorf("step %s: %w", o.Name, errors.Join(err, ctx.Err()))
	}
	record := Record{At: o.FinishedAt, Event: string(o.Status), Step: index, Name: o.Name, Error: o.Error}
	if o.Status == Applied {
		after := x.states[index].after
		record.After = x.clean(after)
		record.AfterSeal = sealed(after, record.After)
	}
	err = errors.Join(err, x.journal.write(record))
	x.tell(o.Name, o.Status, o.Error)
	return err
}

// begin captures the prior state and writes it ahead.
func (x *Executor) begin(ctx context.Context, index int, c change, o *StepOutcome) error {
	ctx, cancel := context.WithTimeout(ctx, x.steps[index].timeout())
	defer cancel()
	was, err := x.prior(ctx, index, c)
	if err != nil {
		return fmt.Errorf("reading the state before: %w", err)
	}
	if x.known[index] && was == x.states[index] {
		return nil // the journal has it
	}
	x.states[index] = was
	o.Before = x.clean(was.before)
	r := Record{
		At: o.StartedAt, Event: eventBegin, Step: index, Name: o.Name,
		Before: o.Before, Intended: x.clean(was.after), Undo: x.clean(c.undoes()),
	}
	r.BeforeSeal, r.IntendedSeal = sealed(was.before, r.Before), sealed(was.after, r.Intended)
	return x.journal.write(r)
}

// prior returns the state that the step is undone to, and the one that it is to
// make. Where another process had begun with the step, what is there now may be
// half of what it does: the prior state is the one that the journal has.
func (x *Executor) prior(ctx context.Context, index int, c change) (was states, err error) {
	if !x.known[index] {
		return capture(ctx, c)
	}
	if err := x.errSealed(index); err != nil {
		return was, err
	}
	was = x.states[index]
	if f, ok := c.(fielded); ok {
		was.before, was.after, err = f.resume(ctx, was.before, was.after)
	}
	return was, err
}

// capture returns the state before, and where the change can tell it, the state
// after.
func capture(ctx context.Context, c change) (was states, err error) {
	if f, ok := c.(fielded); ok {
		was.before, was.after, err = f.capture(ctx)
		return was, err
	}
	was.before, _, err = c.read(ctx)
	return was, err
}

// attempt applies the step once and verifies it.
func (x *Executor) attempt(ctx context.Context, index int, c change, o *StepOutcome) error {
	timeout := x.steps[index].timeout()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it took longer than its timeout of %v", timeout))
	defer cancel()
	output, err := c.apply(ctx)
	o.Output = x.clean(output)
	if err != nil {
		return err
	}
	after, _, err := c.read(ctx)
	if err != nil {
		return fmt.Errorf("reading the state after: %w", err)
	}
	o.After = x.clean(after)
	err = c.verify(after)
	if _, ok := c.(fielded); err == nil || !ok {
		// What a fielded change intended says better than a state that it did
		// not want which fields are its own.
		x.states[index].after = after
	}
	return err
}

func (x *Executor) tell(step string, status Status, detail string) {
	x.telling.Lock()
	defer x.telling.Unlock()
	x.onEvent(Event{x.env.Now(), step, status, detail})
}

// clean takes the secrets out of a text.
func (x *Executor) clean(text string) string { return x.env.Secrets.String(text) }

// A PreviewStep is what a step would do.
type PreviewStep struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Summary string `json:"summary"`
	State   string `json:"state"`          // now, or why it can't be read
	Will    string `json:"will,omitempty"` // the state that it would make, where that can be told
	// Diff is what would change, a line for each field.
	Diff []string `json:"diff,omitempty"`
	Undo string   `json:"undo"`
	// Irreversible marks a step that can't be undone.
	Irreversible bool `json:"irreversible,omitempty"`
	// Unread marks a step whose undo can't be verified.
	Unread   bool   `json:"unread,omitempty"`
	Parallel string `json:"parallel,omitempty"` // the group that it runs with
	When     string `json:"when,omitempty"`     // its condition
	MayFail  bool   `json:"may_fail,omitempty"`
	// Notes are what a person should know before.
	Notes []string `json:"notes,omitempty"`
	// Err is why the state can't be read.
	Err error `json:"-"`
}

// AlreadyThere reports whether the state is the one that the step would make.
func (p PreviewStep) AlreadyThere() bool { return p.Will != "" && p.State == p.Will }

// alreadyThere is the note of a step whose state is there already: a statement that
// makes an index which is there fails, and other steps may show no change.
const alreadyThere = "its state is what the step would make already: it may fail, or change nothing"

// What stands as the State of a step that has none, and of one that would change
// nothing.
const (
	NoState     = "the step has no state to read"
	AsItWouldBe = "as the step would make it"
)

// nothingChanges is the captured state of a step that finds no field to change.
const nothingChanges = "{}"

// Current reads what there is now of the state that a step of a recalled outcome had
// captured; ok is false where it captured nothing that the preview does not read too.
func (x *Executor) Current(ctx context.Context, index int) (state string, ok bool, err error) {
	f, isFielded := x.steps[index].change(x.env).(fielded)
	if before := x.states[index].before; !isFielded || before == "" || before == nothingChanges {
		return "", false, nil
	}
	if err := f.recall(x.states[index].before); err != nil {
		return "", true, err
	}
	state, _, err = f.read(ctx)
	return x.clean(state), true, err
}

// A noter is a change that has something to say before it is made.
type noter interface {
	notes(ctx context.Context) []string
}

// Preview reads the state that each step would change, and changes nothing.
func (x *Executor) Preview(ctx context.Context, steps []Step) []PreviewStep {
	var previews []PreviewStep
	for _, s := range steps {
		c := s.change(x.env)
		p := PreviewStep{
			Name: s.Title(), Kind: s.kind(), Summary: x.clean(c.describe()), Undo: x.clean(orDefault(c.undoes(), "can't be undone")),
			Irreversible: s.Irreversible, Unread: s.Unread(), Parallel: s.Parallel, When: s.When.text(), MayFail: s.MayFail,
		}
		was, err := capture(ctx, c)
		switch {
		case err != nil:
			p.Err = err
			p.State = "can't be read: " + x.clean(err.Error())
		case was.before == nothingChanges:
			p.State = AsItWouldBe
		case was.before != "":
			p.State, p.Will = x.clean(was.before), x.clean(orDefault(was.after, c.expects()))
			p.Diff = diff(p.State, p.Will)
			if p.AlreadyThere() {
				p.Notes = append(p.Notes, alreadyThere)
			}
		default:
			p.State = NoState
		}
		if n, ok := c.(noter); ok && p.Err == nil {
			for _, note := range n.notes(ctx) {
				p.Notes = append(p.Notes, x.clean(note))
			}
		}
		previews = append(previews, p)
	}
	return previews
}
