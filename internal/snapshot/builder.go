package snapshot

import (
	"fmt"
	"math"
)

// A Builder lines up the samples of successive trials into metrics. The zero
// value is ready to use. It is not safe for concurrent use.
type Builder struct {
	trials  int
	index   map[string]int
	metrics []Metric
}

// AddTrial adds the samples of the next trial. A metric that the trial lacks
// has NaN there; one that is new has NaN in the trials before. The same name
// twice in a trial, or with another unit or direction than before, is an error
// and adds nothing.
func (b *Builder) AddTrial(samples []Sample) error {
	if err := b.check(samples); err != nil {
		return err
	}
	if b.index == nil {
		b.index = map[string]int{}
	}
	for _, s := range samples {
		at, ok := b.index[s.Name]
		if !ok {
			at = len(b.metrics)
			b.index[s.Name] = at
			b.metrics = append(b.metrics, Metric{Name: s.Name, Unit: s.Unit, Better: s.Better})
		}
		m := &b.metrics[at]
		m.pad(b.trials)
		m.Values = append(m.Values, s.Value)
		if s.Of > 0 && len(m.Of) == 0 {
			m.Events, m.Of = make([]int64, b.trials), make([]int64, b.trials)
		}
		if m.Of != nil {
			m.Events, m.Of = append(m.Events, s.Events), append(m.Of, s.Of)
		}
	}
	b.trials++
	return nil
}

func (b *Builder) check(samples []Sample) error {
	seen := map[string]bool{}
	for _, s := range samples {
		if seen[s.Name] {
			return fmt.Errorf("metric %s is measured twice in one trial", s.Name)
		}
		seen[s.Name] = true
		at, known := b.index[s.Name]
		if !known {
			continue
		}
		if m := b.metrics[at]; m.Unit != s.Unit || m.Better != s.Better {
			return fmt.Errorf("metric %s changed from %s (%s is better) to %s (%s is better) between trials", s.Name, m.Unit, m.Better, s.Unit, s.Better)
		}
	}
	return nil
}

// pad marks the trials that gave no value. Counts are padded with 0 of 0.
func (m *Metric) pad(trials int) {
	for len(m.Values) < trials {
		m.Values = append(m.Values, math.NaN())
	}
	if len(m.Of) > 0 {
		for len(m.Of) < trials {
			m.Events, m.Of = append(m.Events, 0), append(m.Of, 0)
		}
	}
}

// Build returns the number of trials and their metrics, in the order in which
// they first appeared.
func (b *Builder) Build() (trials int, metrics []Metric) {
	for i := range b.metrics {
		b.metrics[i].pad(b.trials)
	}
	return b.trials, b.metrics
}
