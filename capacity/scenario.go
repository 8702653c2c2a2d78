package capacity

import (
	"errors"
	"math"

	"scaleproof/internal/unit"
)

// A Scenario says what will be different from now on. The zero value changes
// nothing. The order is: growth, retention, load, and what is added.
type Scenario struct {
	Name string `yaml:"name" json:"name,omitempty"`
	// Growth multiplies the growth from here; zero: 1. Twice as many users write
	// twice as many rows.
	Growth float64 `yaml:"growth" json:"growth,omitempty"`
	// Retention removes what is older, from a series that accumulates: what is
	// left is what the time of the retention has brought. Zero: no change.
	Retention unit.Duration `yaml:"retention" json:"retention,omitempty"`
	// Load multiplies the level at once; zero: 1. Twice as many users make twice
	// as many requests.
	Load float64 `yaml:"load" json:"load,omitempty"`
	// Add raises the level at once, and AddPerDay day by day, in the series'
	// unit: a new organisation of a given size.
	Add       float64 `yaml:"add" json:"add,omitempty"`
	AddPerDay float64 `yaml:"add_per_day" json:"add_per_day,omitempty"`
}

func (s Scenario) validate() error {
	for _, v := range []float64{s.Growth, s.Load, s.Add, s.AddPerDay} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("a figure of the scenario is not finite")
		}
	}
	if s.Growth < 0 || s.Load < 0 {
		return errors.New("growth and load of a scenario are factors, which are not negative")
	}
	return nil
}

func (s Scenario) retains() bool { return s.Retention > 0 }

// applies reports whether the scenario can be of a series of a kind.
func (s Scenario) applies(kind Kind) bool { return !s.retains() || kind == Size }

// changes reports whether the scenario moves the level by itself.
func (s Scenario) changes() bool {
	return s.retains() || (s.Load != 0 && s.Load != 1) || s.Add != 0 || s.AddPerDay != 0
}

// apply changes paths, by step and path, that follow the history.
func (s Scenario) apply(paths [][]float64, h *history) {
	now := h.current()
	growth, load := s.Growth, s.Load
	if growth == 0 {
		growth = 1
	}
	if load == 0 {
		load = 1
	}
	for _, step := range paths {
		for p := range step {
			step[p] = now + growth*(step[p]-now)
		}
	}
	if s.retains() {
		keep(paths, h.values, max(1, int(s.Retention.Std()/h.step)))
	}
	perStep := s.AddPerDay * h.step.Hours() / 24
	for i, step := range paths {
		for p := range step {
			step[p] = step[p]*load + s.Add + perStep*float64(i+1)
		}
	}
}

// keep takes from each value what there was steps before it, starting from the
// end, where what is subtracted is still whole.
func keep(paths [][]float64, history []float64, steps int) {
	for i := len(paths) - 1; i >= 0; i-- {
		for p := range paths[i] {
			if i >= steps {
				paths[i][p] -= paths[i-steps][p]
			} else {
				paths[i][p] -= history[len(history)+i-steps]
			}
		}
	}
}
