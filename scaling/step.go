package scaling

import (
	"context"
	"errors"
	"time"

	"scaleproof/internal/invalid"
)

// A change is what an executor asks of a step's kind. Its methods are called in
// the order capture, apply, verify; and later, on a change of the same
// configuration, read and undo.
type change interface {
	// describe says what apply does, in a line.
	describe() string
	// undoes says how the change is undone, or nothing where it can't be.
	undoes() string
	// read returns the state that the change changes; ok is false for a kind or
	// a configuration that has none.
	read(ctx context.Context) (state string, ok bool, err error)
	// apply does it, and returns what it printed.
	apply(ctx context.Context) (output string, err error)
	// verify says why state, read after apply, is not what was wanted.
	verify(state string) error
	// undo goes back to the prior state.
	undo(ctx context.Context, prior string) (output string, err error)
}

// defaultTimeout bounds a step that names no timeout.
const defaultTimeout = 5 * time.Minute

func (s Step) timeout() time.Duration {
	if s.Timeout == 0 {
		return defaultTimeout
	}
	return s.Timeout.Std()
}

// kind returns the name of the kind that is set, and the number of kinds that
// are.
func (s Step) kind() (name string, kinds int) {
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"exec", s.Exec != nil},
		{"sql", s.SQL != nil},
		{"http", s.HTTP != nil},
		{"wait", s.Wait != nil},
	} {
		if k.set {
			name = k.name
			kinds++
		}
	}
	return name, kinds
}

// change returns the step's change in an environment. The step must be valid.
func (s Step) change(env Environment) change {
	switch {
	case s.Exec != nil:
		return &execChange{*s.Exec, env}
	case s.SQL != nil:
		return &sqlChange{*s.SQL, env}
	case s.HTTP != nil:
		return &httpChange{*s.HTTP, env}
	}
	return &waitChange{*s.Wait, env}
}

// title is the step's name or, without one, its kind.
func (s Step) title() string {
	if s.Name != "" {
		return s.Name
	}
	kind, _ := s.kind()
	return kind
}

// Validate returns the faults of the step as joined *invalid.FieldErrors.
func (s Step) Validate() error {
	var faults []error
	kind, kinds := s.kind()
	switch {
	case kinds == 0:
		return invalid.Field("", "has none of exec, sql, http and wait: a step does one of them")
	case kinds > 1:
		return invalid.Field("", "has %d of exec, sql, http and wait: a step does one of them", kinds)
	}
	if s.Retry < 0 {
		faults = append(faults, invalid.Field("retry", "is negative"))
	}
	switch {
	case s.Exec != nil:
		faults = append(faults, invalid.In("exec", s.Exec.validate()))
	case s.SQL != nil:
		faults = append(faults, invalid.In("sql", s.SQL.validate()))
	case s.HTTP != nil:
		faults = append(faults, invalid.In("http", s.HTTP.validate()))
	default:
		faults = append(faults, invalid.In("wait", s.Wait.validate()))
	}
	err := errors.Join(faults...)
	if err == nil && s.change(Environment{}).undoes() == "" && !s.Irreversible {
		return invalid.Field(kind, "can't be undone: say how, or consent with irreversible: true")
	}
	return err
}
