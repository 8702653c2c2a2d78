package capacity

import (
	"errors"
	"fmt"
	"regexp"

	"scaleproof/internal/invalid"
	"scaleproof/internal/unit"
)

// Config says what is collected and projected beside what everyone has. It is the
// section capacity of a plan; its zero value adds nothing.
type Config struct {
	// Processes are names of programs whose CPU and memory are sampled, all
	// processes of a program together.
	Processes []string `yaml:"processes"`
	// Prometheus are queries of the server under environment.prometheus.
	Prometheus []PrometheusQuery `yaml:"prometheus"`
	// Limits are those that are not measured beside what they limit.
	Limits []LimitRule `yaml:"limits"`
	// Scenarios are projected beside what is expected without any change.
	Scenarios []ScenarioRule `yaml:"scenarios"`
}

// A LimitRule is a limit of a metric: Value, or the newest value of another
// metric such as load.api.capacity.
type LimitRule struct {
	Metric string         `yaml:"metric"`
	Value  *unit.Quantity `yaml:"value"`
	From   string         `yaml:"from"`
	// Below says that the limit is a floor.
	Below bool `yaml:"below"`
	// Target is the workload (kind/name) whose replicas carry the metric, and
	// whose number of them is recommended.
	Target string `yaml:"target"`
}

// A ScenarioRule applies a scenario to metrics whose names contain one of
// Metrics, dot by dot; without any to all. Amounts added are in the unit of the
// metric.
type ScenarioRule struct {
	Name      string         `yaml:"name"`
	Metrics   []string       `yaml:"metrics"`
	Growth    float64        `yaml:"growth"`
	Load      float64        `yaml:"load"`
	Retention unit.Duration  `yaml:"retention"`
	Add       *unit.Quantity `yaml:"add"`
	AddPerDay *unit.Quantity `yaml:"add_per_day"`
}

// Scenario returns what the rule says of a series.
func (r ScenarioRule) Scenario() Scenario {
	s := Scenario{Name: r.Name, Growth: r.Growth, Load: r.Load, Retention: r.Retention}
	if r.Add != nil {
		s.Add = r.Add.Value
	}
	if r.AddPerDay != nil {
		s.AddPerDay = r.AddPerDay.Value
	}
	return s
}

var namePart = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// Validate returns the faults as joined *invalid.FieldErrors.
func (c Config) Validate() error {
	var faults []error
	for i, name := range c.Processes {
		if name == "" {
			faults = append(faults, invalid.Field(fmt.Sprintf("processes[%d]", i), "is the name of a program"))
		}
	}
	seen := map[string]bool{}
	for i, q := range c.Prometheus {
		at := fmt.Sprintf("prometheus[%d]", i)
		if seen[q.Name] {
			faults = append(faults, invalid.Field(at+".name", "%q stands twice", q.Name))
		}
		seen[q.Name] = true
		faults = append(faults, invalid.In(at, q.Validate()))
	}
	for i, l := range c.Limits {
		faults = append(faults, invalid.In(fmt.Sprintf("limits[%d]", i), l.validate()))
	}
	for i, s := range c.Scenarios {
		faults = append(faults, invalid.In(fmt.Sprintf("scenarios[%d]", i), s.validate()))
	}
	return errors.Join(faults...)
}

func (l LimitRule) validate() error {
	switch {
	case l.Metric == "":
		return invalid.Field("metric", "is missing")
	case (l.Value == nil) == (l.From == ""):
		return invalid.Field("metric", "has either a value or, under from, the metric that is its limit")
	}
	return nil
}

func (r ScenarioRule) validate() error {
	var faults []error
	if r.Name == "" {
		faults = append(faults, invalid.Field("name", "is missing"))
	}
	if err := r.Scenario().validate(); err != nil {
		faults = append(faults, err)
	}
	if s := r.Scenario(); !s.changes() && (s.Growth == 0 || s.Growth == 1) {
		faults = append(faults, invalid.Field("name", "changes nothing: give growth, load, retention, add or add_per_day"))
	}
	return errors.Join(faults...)
}

// Applies reports whether the rule is of a metric of that name, unit and kind.
// What retention removes is what accumulates and, where the rule names no metrics,
// takes space.
func (r ScenarioRule) Applies(metric string, base unit.Base, kind Kind) bool {
	if !r.Scenario().applies(kind) || r.Retention > 0 && len(r.Metrics) == 0 && base != unit.Bytes {
		return false
	}
	for _, q := range []*unit.Quantity{r.Add, r.AddPerDay} {
		if q != nil && !q.Fits(base) {
			return false
		}
	}
	for _, pattern := range r.Metrics {
		if Named(metric, pattern) {
			return true
		}
	}
	return len(r.Metrics) == 0
}
