package scaling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"scaleproof/internal/invalid"
)

// When is a condition on the outcome of an earlier step.
type When struct {
	Step string `yaml:"step" json:"step"`
	Is   Became `yaml:"is" json:"is"`
}

// Became is what an earlier step came to.
type Became string

// The outcomes that a condition can ask for. A step is Changed or Unchanged where
// it worked and has a state to compare.
const (
	BecameApplied   Became = "applied"
	BecameFailed    Became = "failed" // a step that may fail did
	BecameSkipped   Became = "skipped"
	BecameChanged   Became = "changed"
	BecameUnchanged Became = "unchanged"
)

var outcomes = []Became{BecameApplied, BecameFailed, BecameSkipped, BecameChanged, BecameUnchanged}

// holds reports whether an outcome is the one that is asked for; changed says whether
// the step's states differ.
func (b Became) holds(s StepOutcome, changed bool) bool {
	switch b {
	case BecameApplied:
		return s.Status == Applied
	case BecameFailed:
		return s.Status == RolledBack || s.Status == Failed
	case BecameSkipped:
		return s.Status == Skipped
	case BecameChanged:
		return s.Status == Applied && changed
	case BecameUnchanged:
		return s.Status == Applied && !changed
	}
	return false
}

// ValidateSteps returns the faults of steps, alone and together, as joined
// *invalid.FieldErrors whose fields begin with the step's index, [0].
func ValidateSteps(steps []Step) error {
	var faults []error
	for i, s := range steps {
		at := fmt.Sprintf("[%d]", i)
		faults = append(faults, invalid.In(at, s.Validate()))
		if named := func(earlier Step) bool { return s.Name != "" && earlier.Name == s.Name }; slices.ContainsFunc(steps[:i], named) {
			faults = append(faults, invalid.Field(at+".name", "%q stands twice: conditions and approvals name a step", s.Name))
		}
		if s.When != nil {
			faults = append(faults, invalid.In(at+".when", s.When.validate(steps[:i], s.Parallel)))
		}
		if s.Parallel == "" {
			continue
		}
		begin, end := groupOf(steps, i)
		if end-begin == 1 {
			faults = append(faults, invalid.Field(at+".parallel", "no neighbouring step is of the group %q", s.Parallel))
		}
		for j := begin; j < i; j++ {
			for _, target := range s.writes() {
				if slices.Contains(steps[j].writes(), target) {
					faults = append(faults, invalid.Field(at+".parallel", "it writes %s at the same time as step %s", target, steps[j].Title()))
				}
			}
		}
	}
	return errors.Join(faults...)
}

func (w When) validate(earlier []Step, group string) error {
	var faults []error
	found := slices.IndexFunc(earlier, func(s Step) bool { return s.Name == w.Step })
	switch {
	case w.Step == "" || found < 0:
		faults = append(faults, invalid.Field("step", "no earlier step is named %q", w.Step))
	case group != "" && earlier[found].Parallel == group:
		faults = append(faults, invalid.Field("step", "step %s runs at the same time", w.Step))
	case w.Is == BecameFailed && !earlier[found].MayFail:
		faults = append(faults, invalid.Field("is", "where step %s fails, the action ends: give it may_fail: true", w.Step))
	}
	if !slices.Contains(outcomes, w.Is) {
		faults = append(faults, invalid.Field("is", "must be applied, failed, skipped, changed or unchanged, and is %q", string(w.Is)))
	}
	return errors.Join(faults...)
}

// writes names the objects that a step writes, as far as the plan tells.
func (s Step) writes() []string {
	switch {
	case s.Scale != nil && s.Scale.Owner == Adjust:
		return []string{s.Scale.Target, "the autoscaler of " + s.Scale.Target}
	case s.Scale != nil:
		return []string{s.Scale.Target}
	case s.Resources != nil:
		return []string{s.Resources.Target}
	case s.Patch != nil:
		return []string{s.Patch.Target}
	case s.ConfigMap != nil:
		return []string{"configmap/" + s.ConfigMap.Name}
	case s.Restart != nil:
		return []string{s.Restart.Target}
	case s.Apply != nil:
		objects, _ := readManifest(s.Apply.File) // validate tells a fault
		var targets []string
		for _, o := range objects {
			targets = append(targets, o.Target())
			if o.Kind() == horizontalKind {
				targets = append(targets, scaledBy(o), "the autoscaler of "+scaledBy(o))
			}
		}
		return targets
	}
	return nil
}

// groupOf returns the range of the steps that run together with step i.
func groupOf(steps []Step, i int) (begin, end int) {
	begin, end = i, i+1
	if steps[i].Parallel == "" {
		return begin, end
	}
	for begin > 0 && steps[begin-1].Parallel == steps[i].Parallel {
		begin--
	}
	for end < len(steps) && steps[end].Parallel == steps[i].Parallel {
		end++
	}
	return begin, end
}

// errBeside is the cause of a context that the failure of a step of the same group
// has ended.
var errBeside = errors.New("a step that ran at the same time failed")

// runGroup runs the steps of a group that have not worked yet. The first that fails
// stops the others; its error is returned.
func (x *Executor) runGroup(ctx context.Context, o *Outcome, begin, end int) error {
	if end-begin == 1 {
		return x.maybe(ctx, o, begin)
	}
	group, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wait  sync.WaitGroup
		once  sync.Once
		first error
	)
	for i := begin; i < end; i++ {
		wait.Go(func() {
			if err := x.maybe(group, o, i); err != nil {
				once.Do(func() { first = err; cancel(errBeside) })
			}
		})
	}
	wait.Wait()
	return first
}

// maybe runs a step that has not worked yet, if its condition holds, and undoes it
// where it may fail and has.
func (x *Executor) maybe(ctx context.Context, o *Outcome, index int) error {
	step, s := x.steps[index], &o.Steps[index]
	gaveUp := s.Status == RolledBack && s.Error != "" // and did not go back with all others
	if s.Status == Applied || gaveUp && step.MayFail {
		return nil // an earlier process has done it
	}
	if err := ctx.Err(); err != nil {
		s.Status = Skipped
		return fmt.Errorf("step %s: %w", s.Name, err)
	}
	if reason := x.unmet(o, step.When); reason != "" {
		return x.skip(index, s, reason)
	}
	s.Error = ""
	err := x.step(ctx, index, s)
	if err == nil || !step.MayFail || ctx.Err() != nil {
		return err
	}
	if s.Status == Failed {
		if undone := x.undoStep(ctx, index, s); undone.Status != RolledBack {
			return errors.Join(err, fmt.Errorf("undoing it: %s", undone.Error))
		}
	}
	s.Status = RolledBack
	return nil
}

// unmet says why a condition does not hold, or returns nothing.
func (x *Executor) unmet(o *Outcome, w *When) string {
	if w == nil {
		return ""
	}
	for i, step := range x.steps {
		if step.Name != w.Step {
			continue // it may be at work in the same group
		}
		// Those of the outcome are masked: two secrets look alike there.
		changed := x.states[i].before != x.states[i].after
		if w.Is.holds(o.Steps[i], changed) {
			return ""
		}
	}
	return fmt.Sprintf("step %s did not become %s", w.Step, w.Is)
}

// skip leaves a step out.
func (x *Executor) skip(index int, s *StepOutcome, reason string) error {
	s.Status, s.Output = Skipped, "skipped: "+reason
	s.StartedAt = x.env.Now()
	s.FinishedAt = s.StartedAt
	x.tell(s.Name, Skipped, reason)
	return x.journal.write(Record{At: s.FinishedAt, Event: string(Skipped), Step: index, Name: s.Name})
}

// text writes the condition as a person reads it.
func (w *When) text() string {
	if w == nil {
		return ""
	}
	return strings.Join([]string{"if step", w.Step, "is", string(w.Is)}, " ")
}
