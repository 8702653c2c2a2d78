package validation

import (
	"context"
	"fmt"
	"math"

	"scaleproof/dbbench"
	"scaleproof/internal/snapshot"
)

// captureStatistics reads the statistics views of every node. A node that does
// not answer is a warning: what is lacking is unknown, not zero.
func (m *measurement) captureStatistics(ctx context.Context) map[string]*dbbench.Statistics {
	config := m.plan.Measure.Database
	if config == nil || config.Statistics != "all" {
		return nil
	}
	captured := map[string]*dbbench.Statistics{}
	for _, node := range m.plan.Environment.Postgres.All() {
		s, err := dbbench.CaptureStatistics(ctx, node)
		if err != nil {
			m.warn("statistics of %s: %v", node.Name, err)
			continue
		}
		for _, note := range s.Notes {
			m.warn("statistics of %s: %s", node.Name, note)
		}
		captured[node.Name] = s
	}
	return captured
}

// startActivity samples what the sessions of every node do through the trials.
func (m *measurement) startActivity(ctx context.Context, captured map[string]*dbbench.Statistics) {
	if captured != nil {
		m.activity = dbbench.StartActivity(ctx, m.plan.Environment.Postgres.All(), 0)
	}
}

// trialActivity returns the metrics of the activity since the last trial.
func (m *measurement) trialActivity() []snapshot.Sample {
	if m.activity == nil {
		return nil
	}
	var samples []snapshot.Sample
	for _, a := range m.activity.Part() {
		samples = append(samples, a.Metrics()...)
	}
	return samples
}

// stopActivity ends the sampling and keeps all of it.
func (m *measurement) stopActivity() error {
	if m.activity == nil {
		return nil
	}
	all := m.activity.Stop()
	for _, a := range all {
		if note := a.Note(); note != "" {
			m.warn("%s", note)
		}
	}
	if err := m.snap.PutSection("pg.activity", all); err != nil {
		return fmt.Errorf("adding the activity of the database: %w", err)
	}
	return nil
}

// addStatistics captures the views again and adds what they counted through
// the measurement: one value for the whole, which the first trial carries, since
// counters can't be told apart by trial.
func (m *measurement) addStatistics(ctx context.Context, before map[string]*dbbench.Statistics) error {
	if before == nil {
		return nil
	}
	after := m.captureStatistics(ctx)
	deltas := map[string]*dbbench.StatisticsDelta{}
	for _, delta := range dbbench.DeltaAll(m.inOrder(before), m.inOrder(after)) {
		deltas[delta.Node] = delta
		for _, doubt := range delta.Doubts() {
			m.warn("statistics of %s: %s", delta.Node, doubt)
		}
		for _, sample := range delta.Samples() {
			m.snap.Metrics = append(m.snap.Metrics, wholePhase(sample, m.snap.Trials))
		}
	}
	if err := m.snap.PutSection("pg", after); err != nil {
		return fmt.Errorf("adding statistics: %w", err)
	}
	if err := m.snap.PutSection("pg.delta", deltas); err != nil {
		return fmt.Errorf("adding statistics: %w", err)
	}
	return nil
}

// inOrder returns the captures in the order of the plan's nodes.
func (m *measurement) inOrder(captured map[string]*dbbench.Statistics) []*dbbench.Statistics {
	var all []*dbbench.Statistics
	for _, node := range m.plan.Environment.Postgres.All() {
		if s := captured[node.Name]; s != nil {
			all = append(all, s)
		}
	}
	return all
}

// wholePhase makes a metric of a value that was measured once.
func wholePhase(s snapshot.Sample, trials int) snapshot.Metric {
	values := make(snapshot.Values, trials)
	for i := range values {
		values[i] = math.NaN()
	}
	if trials > 0 {
		values[0] = s.Value
	}
	return snapshot.Metric{Name: s.Name, Unit: s.Unit, Better: s.Better, Values: values}
}
