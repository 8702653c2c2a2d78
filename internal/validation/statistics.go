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
		captured[node.Name] = s
	}
	return captured
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
	for _, node := range m.plan.Environment.Postgres.All() {
		if before[node.Name] == nil || after[node.Name] == nil {
			continue
		}
		delta := dbbench.Delta(before[node.Name], after[node.Name])
		deltas[node.Name] = delta
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
