// Package history keeps snapshots over time, in a folder or in a Postgres
// database, and the baselines that someone has promoted among them.
package history

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// A Store keeps snapshots by their IDs. It is safe for use by several processes
// at once.
type Store interface {
	// Add keeps a snapshot. Adding one of the same ID again replaces it, so that
	// a run that is repeated after a crash is there once.
	Add(ctx context.Context, s *snapshot.Snapshot, labels Labels) error
	// List returns what is kept, the oldest first.
	List(ctx context.Context) ([]Entry, error)
	// Read returns a whole snapshot; ErrUnknown where the store has none of
	// that ID.
	Read(ctx context.Context, id string) (*snapshot.Snapshot, error)
	// Promote makes a snapshot the baseline of a name, in place of an earlier
	// one.
	Promote(ctx context.Context, name, id string) error
	// Baselines returns the IDs of the baselines by name.
	Baselines(ctx context.Context) (map[string]string, error)
	Close() error
}

// ErrUnknown is that a store has no such snapshot.
var ErrUnknown = errors.New("the history has no such snapshot")

// A ReferenceError is a reference, or a name, that can't be meant.
type ReferenceError struct{ Message string }

func (e *ReferenceError) Error() string { return e.Message }

// Latest is the reference of the newest snapshot; no baseline is called so.
const Latest = "latest"

// Labels are what a caller knows of a snapshot beside what is in it.
type Labels struct {
	Commit  string `json:"commit,omitempty"`  // of the code that was measured
	Verdict string `json:"verdict,omitempty"` // of the run
}

// An Entry is what a list tells of a snapshot.
type Entry struct {
	ID           string    `json:"id"`
	Plan         string    `json:"plan"`
	Phase        string    `json:"phase"`
	StartedAt    time.Time `json:"started_at"`
	Host         string    `json:"host,omitempty"` // the machine that measured
	Trials       int       `json:"trials"`
	WorkloadHash string    `json:"workload_hash,omitempty"`
	Labels
	// Metrics are the medians over the trials; a metric without a value is not
	// among them.
	Metrics []Figure `json:"metrics"`
}

// A Figure is the median of one metric.
type Figure struct {
	Name   string             `json:"name"`
	Unit   unit.Base          `json:"unit"`
	Better snapshot.Direction `json:"better"`
	Median float64            `json:"median"`
}

// Figure returns the figure of a metric, and whether there is one.
func (e *Entry) Figure(name string) (Figure, bool) {
	for _, f := range e.Metrics {
		if f.Name == name {
			return f, true
		}
	}
	return Figure{}, false
}

// entryOf sums a snapshot up.
func entryOf(s *snapshot.Snapshot, labels Labels) Entry {
	e := Entry{ID: s.ID, Plan: s.Plan, Phase: s.Phase, StartedAt: s.StartedAt, Host: s.Environment.Host, Trials: s.Trials, WorkloadHash: s.WorkloadHash, Labels: labels, Metrics: []Figure{}}
	for _, m := range s.Metrics {
		if observed := m.Values.Observed(); len(observed) > 0 {
			e.Metrics = append(e.Metrics, Figure{m.Name, m.Unit, m.Better, stats.Median(observed)})
		}
	}
	return e
}

// idForm is the form of IDs and of baselines' names, which become file names.
var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

func checkName(what, name string) error {
	if !idForm.MatchString(name) {
		return &ReferenceError{fmt.Sprintf("%q is no %s: letters, digits, '.', '_' and '-', 128 at most", name, what)}
	}
	return nil
}

// checkBaseline holds a baseline's name to the form of IDs, and to mean nothing else.
func checkBaseline(name string) error {
	if name == Latest {
		return &ReferenceError{"a baseline can't be called latest: that is always the newest snapshot"}
	}
	return checkName("name of a baseline", name)
}

// Open opens the history at a location: a Postgres connection URL, or a folder,
// which is made when something is first added.
func Open(ctx context.Context, location string) (Store, error) {
	if location == "" {
		return nil, errors.New("the history has no place: name a folder, or the connection URL of a Postgres database")
	}
	if strings.HasPrefix(location, "postgres://") || strings.HasPrefix(location, "postgresql://") {
		return openPostgres(ctx, location)
	}
	return &folder{dir: location}, nil
}

// A Scope is what a reference may mean.
type Scope struct {
	// Plan is whose snapshots are meant; empty: those of any, as long as they are of
	// one.
	Plan string
	// Without is a phase whose snapshots are neither the latest nor a commit's; empty:
	// all count.
	Without string
}

// Resolve returns the entry that a reference names: an ID, the name of a baseline,
// Latest, or a commit by its whole label or at least seven of its hexadecimal digits
// (of several snapshots the newest). A *ReferenceError says what is wrong with one
// that names a snapshot of another plan, or of several plans; ErrUnknown is that it
// names none.
func Resolve(ctx context.Context, s Store, reference string, scope Scope) (Entry, error) {
	entries, err := s.List(ctx)
	if err != nil {
		return Entry{}, err
	}
	baselines, err := s.Baselines(ctx)
	if err != nil {
		return Entry{}, err
	}
	id, isBaseline := baselines[reference]
	if !isBaseline {
		id = reference
	}
	for _, e := range entries {
		if e.ID == id && scope.Plan != "" && e.Plan != scope.Plan {
			return Entry{}, &ReferenceError{fmt.Sprintf("%s is %s, which the plan %s has measured, and not %s", reference, e.ID, e.Plan, scope.Plan)}
		}
		if e.ID == id {
			return e, nil
		}
	}
	var found []Entry
	for _, e := range slices.Backward(entries) {
		if !isBaseline && (reference == Latest || isCommit(reference, e.Commit)) && (scope.Without == "" || e.Phase != scope.Without) && (scope.Plan == "" || e.Plan == scope.Plan) {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		return Entry{}, fmt.Errorf("%q is no ID, baseline or commit of the history: %w", reference, ErrUnknown)
	}
	for _, e := range found {
		if e.Plan != found[0].Plan {
			return Entry{}, &ReferenceError{fmt.Sprintf("%s is there of the plan %s and of %s: say by --plan which is meant, or name an ID", reference, found[0].Plan, e.Plan)}
		}
	}
	return found[0], nil
}

// commitDigits are those that name a commit.
var commitDigits = regexp.MustCompile(`^[0-9a-f]{7,}$`)

func isCommit(reference, commit string) bool {
	return commit != "" && (commit == reference || commitDigits.MatchString(reference) && strings.HasPrefix(commit, reference))
}

func sortEntries(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int {
		if c := a.StartedAt.Compare(b.StartedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}
