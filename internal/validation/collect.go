package validation

import (
	"context"
	"fmt"
	"time"

	"scaleproof/capacity"
	"scaleproof/dbbench"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
)

// Collecting is the phase of a snapshot that a history of capacity is made of.
const Collecting Phase = "collect"

// Collect reads how much of their limits the plan's servers and this machine use,
// through length, and changes nothing. opts.ID is the snapshot's, so that the same
// run collected twice is one in the history.
func Collect(ctx context.Context, p *plan.Plan, length time.Duration, opts Options) (*snapshot.Snapshot, error) {
	r := newRunner(p, opts)
	s := &snapshot.Snapshot{
		SchemaVersion: snapshot.SchemaVersion, ID: r.id, Plan: p.Name, Phase: string(Collecting), StartedAt: r.now(), Environment: environment(opts.Tool),
	}
	sampler, err := capacity.StartSampler(ctx, capacity.SamplerConfig{})
	if err != nil {
		return nil, &EnvironmentError{fmt.Errorf("sampling resources: %w", err)}
	}
	pause(ctx, length)
	samples := sampler.Stop().Samples()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	occupied, err := capacity.Occupancy(ctx)
	if err != nil {
		return nil, &EnvironmentError{err}
	}
	samples = append(samples, occupied...)
	for _, node := range p.Environment.Postgres.All() {
		r.event(Collecting, "reading postgres node %s", node.Name)
		read, notes, err := dbbench.CaptureOccupancy(ctx, node)
		if err != nil {
			s.Warnings = append(s.Warnings, p.Secrets.String(err.Error()))
			continue // the others are still worth a night
		}
		s.Warnings = append(s.Warnings, notes...)
		samples = append(samples, read...)
	}
	var b snapshot.Builder
	if err := b.AddTrial(samples); err != nil {
		return nil, err
	}
	s.Trials, s.Metrics = b.Build()
	s.FinishedAt = r.now()
	return s, nil
}
