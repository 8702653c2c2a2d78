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
		return fmt.Errorf("%q is no %s: letters, digits, '.', '_' and '-', 128 at most", name, what)
	}
	return nil
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

// Resolve returns the entry that a reference names: an ID, the name of a
// baseline, "latest", or a commit of at least seven digits (of several, the
// newest).
func Resolve(ctx context.Context, s Store, reference string) (Entry, error) {
	entries, err := s.List(ctx)
	if err != nil {
		return Entry{}, err
	}
	baselines, err := s.Baselines(ctx)
	if err != nil {
		return Entry{}, err
	}
	wanted := reference
	if id, ok := baselines[reference]; ok {
		wanted = id
	}
	for _, e := range slices.Backward(entries) {
		isCommit := len(reference) >= 7 && strings.HasPrefix(e.Commit, reference)
		if e.ID == wanted || reference == "latest" || isCommit {
			return e, nil
		}
	}
	return Entry{}, fmt.Errorf("%q is no ID, baseline or commit of the history: %w", reference, ErrUnknown)
}

func sortEntries(entries []Entry) {
	slices.SortFunc(entries, func(a, b Entry) int {
		if c := a.StartedAt.Compare(b.StartedAt); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
}
