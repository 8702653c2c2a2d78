package scaling

import (
	"context"
	"errors"
	"strconv"
	"strings"
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
	// expects is the state that apply is to make, where the configuration says it.
	expects() string
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

// nothingToUndo is how a change is undone that leaves nothing behind.
const nothingToUndo = "nothing to undo"

// stateless is the part of a change that has no state, and nothing to undo.
type stateless struct{}

func (stateless) undoes() string { return nothingToUndo }

func (stateless) expects() string { return "" }

func (stateless) read(context.Context) (string, bool, error) { return "", false, nil }

func (stateless) verify(string) error { return nil }

func (stateless) undo(context.Context, string) (string, error) { return "", nil }

// A repeated change has nothing to go back to, and is made again where what it has made
// known goes back.
type repeated interface {
	change
	again(ctx context.Context) error
}

// A fielded change has a state of several fields, of which others may change some
// while the action lasts. capture comes first, or on a later change of the same
// configuration, recall to undo it, or resume to make it again.
type fielded interface {
	change
	// capture returns the state now, and the one that apply will make of it. It
	// changes nothing.
	capture(ctx context.Context) (before, intended string, err error)
	// recall tells what was captured, so that read reads the same fields.
	recall(before string) error
	// resume takes up what another process had begun: what it captured, and what
	// it meant to make of it. It returns both, with what it captures in addition.
	resume(ctx context.Context, before, intended string) (allBefore, allIntended string, err error)
	// merge returns the state to go back to: before, but for the fields that
	// are now neither as before nor as after, which it names.
	merge(before, after, now string) (want string, conflicts []string, err error)
}

// The timeouts of a step that names none: people take longer than machines.
const (
	defaultTimeout = 5 * time.Minute
	pauseTimeout   = time.Hour
)

func (s Step) timeout() time.Duration {
	switch {
	case s.Timeout != 0:
		return s.Timeout.Std()
	case s.Pause != nil:
		return pauseTimeout
	}
	return defaultTimeout
}

// A configuration is one kind of a step, as it stands in a plan.
type configuration interface {
	// validate returns its faults as joined *invalid.FieldErrors.
	validate() error
	// change returns what it does in an environment; it must be valid.
	change(env Environment) change
}

// kinds returns the kinds that are set, by the name of their field.
func (s Step) kinds() (names []string, set []configuration) {
	for _, k := range []struct {
		name string
		set  bool
		configuration
	}{
		{"exec", s.Exec != nil, s.Exec},
		{"sql", s.SQL != nil, s.SQL},
		{"http", s.HTTP != nil, s.HTTP},
		{"wait", s.Wait != nil, s.Wait},
		{"notify", s.Notify != nil, s.Notify},
		{"pause", s.Pause != nil, s.Pause},
		{"shard", s.Shard != nil, s.Shard},
		{"scale", s.Scale != nil, s.Scale},
		{"resources", s.Resources != nil, s.Resources},
		{"apply", s.Apply != nil, s.Apply},
		{"patch", s.Patch != nil, s.Patch},
		{"configmap", s.ConfigMap != nil, s.ConfigMap},
		{"restart", s.Restart != nil, s.Restart},
	} {
		if k.set {
			names, set = append(names, k.name), append(set, k.configuration)
		}
	}
	return names, set
}

// kind returns the name of the kind of a valid step.
func (s Step) kind() string {
	names, _ := s.kinds()
	return names[0]
}

// change returns the step's change in an environment. The step must be valid.
func (s Step) change(env Environment) change {
	_, set := s.kinds()
	env.step = s.Title()
	return set[0].change(env)
}

// OnKubernetes reports whether the step needs environment.kubernetes.
func (s Step) OnKubernetes() bool {
	return s.Scale != nil || s.Resources != nil || s.Apply != nil || s.Patch != nil || s.ConfigMap != nil || s.Restart != nil ||
		s.Wait != nil && s.Wait.For != ""
}

// WritesNode reports whether the step writes a Postgres node.
func (s Step) WritesNode(name string) bool {
	return s.SQL != nil && len(s.SQL.Up) > 0 && orDefault(s.SQL.Node, primary) == name
}

// AwaitsReplicas reports whether the step waits for replicas that stream from a node,
// and for how many: 0 where that is no plain number.
func (s Step) AwaitsReplicas(node string) (replicas int, ok bool) {
	if s.Wait == nil || s.Wait.SQL == nil || orDefault(s.Wait.SQL.Node, primary) != node ||
		!strings.Contains(strings.ToLower(s.Wait.SQL.Query), "pg_stat_replication") {
		return 0, false
	}
	replicas, err := strconv.Atoi(strings.TrimSpace(s.Wait.SQL.Expect))
	if err != nil {
		return 0, true
	}
	return replicas, true
}

// Unread reports whether the step has an undo of which nothing can be read that
// would verify it.
func (s Step) Unread() bool {
	read := true
	switch {
	case s.Exec != nil:
		read = len(s.Exec.Read) > 0
	case s.SQL != nil:
		query, _ := s.SQL.state()
		read = query != ""
	case s.HTTP != nil:
		read = s.HTTP.Read != ""
	}
	how := s.change(Environment{}).undoes()
	return !read && how != "" && how != nothingToUndo
}

// atStart reports whether the step changes what pods read when they start, and not
// the pods themselves.
func (s Step) atStart() bool {
	switch {
	case s.ConfigMap != nil, s.Apply != nil, s.Exec != nil, s.SQL != nil && len(s.SQL.Up) > 0, s.HTTP != nil:
		return true
	}
	return false
}

// Title is the step's name or, without one, its kind.
func (s Step) Title() string {
	if s.Name != "" {
		return s.Name
	}
	return s.kind()
}

// Validate returns the faults of the step as joined *invalid.FieldErrors.
func (s Step) Validate() error {
	names, set := s.kinds()
	if len(names) != 1 {
		return invalid.Field("", "does %d things (%s): a step does one of exec, sql, http, wait, notify, pause, shard, scale, resources, apply, patch, configmap and restart",
			len(names), strings.Join(names, ", "))
	}
	var faults []error
	if s.Retry < 0 {
		faults = append(faults, invalid.Field("retry", "is negative"))
	}
	faults = append(faults, invalid.In(names[0], set[0].validate()))
	err := errors.Join(faults...)
	if err == nil && s.change(Environment{}).undoes() == "" && !s.Irreversible {
		return invalid.Field(names[0], "can't be undone: say how, or consent with irreversible: true")
	}
	return err
}
