package validation

import (
	"context"
	"errors"
	"fmt"

	"scaleproof/dbbench"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
)

// MeasurePair measures the plan's suite on its primary and on another database, in
// turns, so that a drift of the machine meets both alike, and marks the two snapshots as
// of one interleaving: they are compared trial by trial. Nothing else of the plan
// is measured, and nothing is changed.
func MeasurePair(ctx context.Context, p *plan.Plan, other dbbench.Node, opts Options) (first, second *snapshot.Snapshot, err error) {
	r := newRunner(p, opts)
	if err := r.preflight(ctx); err != nil {
		return nil, nil, err
	}
	primary := p.Environment.Postgres.All()[0]
	var benches [2]*dbbench.Bench
	defer func() {
		for _, b := range benches {
			if b != nil {
				err = errors.Join(err, b.Close())
			}
		}
	}()
	for i, node := range []dbbench.Node{primary, other} {
		if benches[i], err = dbbench.Open(ctx, node, *p.Measure.Database); err != nil {
			return nil, nil, &EnvironmentError{fmt.Errorf("opening the database benchmark: %w", err)}
		}
	}
	var sides [2]*pairSide
	for i, node := range []dbbench.Node{primary, other} {
		sides[i] = &pairSide{snapshot: &snapshot.Snapshot{
			SchemaVersion: snapshot.SchemaVersion, ID: r.id + "-" + node.Name, Plan: p.Name, Phase: node.Name,
			Interleaving: r.id, StartedAt: r.now(), WorkloadHash: workloadHash(p.Measure), Environment: environment(opts.Tool),
		}}
	}
	trials := r.trials()
	for trial := range trials {
		r.event(Before, "trial %d of %d, on both in turns", trial+1, trials)
		onFirst, onSecond, err := dbbench.TrialABBA(ctx, benches[0], benches[1])
		if err != nil {
			return nil, nil, &EnvironmentError{fmt.Errorf("trial %d of %d: %w", trial+1, trials, err)}
		}
		if err := errors.Join(sides[0].add(onFirst), sides[1].add(onSecond)); err != nil {
			return nil, nil, err
		}
	}
	for _, s := range sides {
		if err := s.finish(); err != nil {
			return nil, nil, err
		}
		s.snapshot.FinishedAt = r.now()
	}
	return sides[0].snapshot, sides[1].snapshot, nil
}

// A pairSide gathers the snapshot of one of the two databases.
type pairSide struct {
	snapshot *snapshot.Snapshot
	builder  snapshot.Builder
	suites   []*dbbench.Result // one per trial
}

func (s *pairSide) add(r *dbbench.Result) error {
	s.suites = append(s.suites, r)
	return s.builder.AddTrial(r.Samples())
}

func (s *pairSide) finish() error {
	s.snapshot.Trials, s.snapshot.Metrics = s.builder.Build()
	suite := dbbench.MergeTrials(s.suites)
	s.snapshot.Warnings = suite.Warnings
	s.snapshot.Environment.Facts["postgres.version"] = suite.Version
	return s.snapshot.PutSection("db", suite)
}
