// Package snapshot is the file that the measuring packages fill and the reports
// read: what was measured, once before and once after a scaling action. One
// snapshot is one JSON file, complete in itself, that two machines can exchange.
//
// A measuring package hands over Samples, one value per metric and trial, which
// a Builder lines up into Metrics; whatever else it knows (its rich result) goes
// beside them as a section under a name of its own.
package snapshot

import (
	"encoding/json"
	"fmt"
	"time"

	"scaleproof/internal/unit"
)

// SchemaVersion is the version of the format that this package writes, and the
// only one that it reads.
const SchemaVersion = 1

// Direction says which way a metric gets better.
type Direction string

// The directions. A Neutral metric informs: it can change but neither improve
// nor regress.
const (
	Lower   Direction = "lower"
	Higher  Direction = "higher"
	Neutral Direction = "neutral"
)

// A Snapshot is everything that was measured in one phase of a run.
type Snapshot struct {
	SchemaVersion int       `json:"schema_version"`
	ID            string    `json:"id"`
	Plan          string    `json:"plan,omitempty"`  // the plan's name
	Phase         string    `json:"phase,omitempty"` // before, after, ...
	StartedAt     time.Time `json:"started_at"`
	FinishedAt    time.Time `json:"finished_at"`
	// WorkloadHash identifies what was asked of the target: load, queries,
	// parameters, seeds. Snapshots of different workloads don't compare.
	WorkloadHash string      `json:"workload_hash,omitempty"`
	Environment  Environment `json:"environment"`
	// Interleaving names the measurement in which the trials of this snapshot and of
	// another took turns: trial i of one was measured side by side with trial i of the
	// other that has the same name here, and of the same number of trials. They are
	// compared as pairs. Empty: the trials stand for themselves.
	Interleaving string `json:"interleaving,omitempty"`
	// Trials is how often the whole measurement was repeated: the length of
	// the Values of every metric.
	Trials   int      `json:"trials"`
	Metrics  []Metric `json:"metrics"`
	Warnings []string `json:"warnings,omitempty"`
	// Sections holds the rich results of the measuring packages by name, such
	// as "load.health" or "db". See PutSection and Section.
	Sections map[string]json.RawMessage `json:"sections,omitempty"`
}

// Environment says where and with what a snapshot was taken. Facts, such as
// "postgres.primary.version", must be equal for two snapshots to be compared
// without a warning.
type Environment struct {
	Tool  string            `json:"tool"` // scaleproof and its version
	Host  string            `json:"host"`
	OS    string            `json:"os"`
	CPUs  int               `json:"cpus"`
	Facts map[string]string `json:"facts,omitempty"`
}

// A Metric is one quantity over the trials of a snapshot.
type Metric struct {
	Name   string    `json:"name"` // a path, such as load.health.response.p99
	Unit   unit.Base `json:"unit"`
	Better Direction `json:"better"`
	// Values has one value per trial, in Unit; NaN (null in the file) where the
	// trial gave none.
	Values Values `json:"values"`
	// Events and Of are set for metrics that are a proportion of counts, such
	// as errors of requests: per trial, Events of Of.
	Events []int64 `json:"events,omitempty"`
	Of     []int64 `json:"of,omitempty"`
}

// A Sample is the value of one metric in one trial.
type Sample struct {
	Name   string
	Unit   unit.Base
	Better Direction
	Value  float64
	// Events and Of are set where Value is Events of Of: an exact test of
	// counts then takes the place of the test of values.
	Events, Of int64
}

// Metric returns the metric of that name, or nil.
func (s *Snapshot) Metric(name string) *Metric {
	for i := range s.Metrics {
		if s.Metrics[i].Name == name {
			return &s.Metrics[i]
		}
	}
	return nil
}

// PutSection stores a measuring package's rich result under name.
func (s *Snapshot) PutSection(name string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding section %s of the snapshot: %w", name, err)
	}
	if s.Sections == nil {
		s.Sections = map[string]json.RawMessage{}
	}
	s.Sections[name] = data
	return nil
}

// Section decodes the section of that name into value, and reports whether the
// snapshot has one.
func (s *Snapshot) Section(name string, value any) (bool, error) {
	data, ok := s.Sections[name]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(data, value); err != nil {
		return true, fmt.Errorf("decoding section %s of the snapshot: %w", name, err)
	}
	return true, nil
}
