package validation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"scaleproof/capacity"
	"scaleproof/dbbench"
	"scaleproof/internal/nap"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// Collecting is the phase of a snapshot that a history of capacity is made of.
const Collecting Phase = "collect"

// Collect reads how much of their limits the plan's servers, its pods and this
// machine use, through length, and what its Prometheus has of the last 24 hours,
// and changes nothing. opts.ID is the snapshot's, so that the same run collected
// twice is one in the history. A server that can't be reached is a warning: the
// others are still worth a night.
func Collect(ctx context.Context, p *plan.Plan, length time.Duration, opts Options) (*snapshot.Snapshot, error) {
	c := &collection{runner: newRunner(p, opts)}
	c.snap = c.newSnapshot(c.id, c.now())
	c.readLog(ctx)
	for _, collect := range []func(context.Context) error{
		func(ctx context.Context) error { return c.host(ctx, length) }, c.postgres, c.pods, c.prometheus,
	} {
		if err := collect(ctx); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return c.snap, c.build(c.snap, c.samples)
}

// A collection is what one Collect has gathered.
type collection struct {
	*runner
	snap    *snapshot.Snapshot
	samples []snapshot.Sample
	log     map[string]logPosition // of Postgres nodes, at the start
}

// A logPosition is how far a node's log had come.
type logPosition struct {
	at    time.Time
	bytes float64
}

// readLog reads where the logs of the primaries are, so that a second reading gives
// their rate. A node that does not answer is told of when it is read as a whole.
func (c *collection) readLog(ctx context.Context) {
	c.log = map[string]logPosition{}
	for _, node := range c.plan.Environment.Postgres.All() {
		if position, err := dbbench.WALPosition(ctx, node); err == nil {
			c.log[node.Name] = logPosition{time.Now(), position}
		}
	}
}

// logRate is what a node has written to its log since readLog, none where that or
// this reading failed.
func (c *collection) logRate(ctx context.Context, node dbbench.Node) []snapshot.Sample {
	first, known := c.log[node.Name]
	if !known {
		return nil
	}
	now, err := dbbench.WALPosition(ctx, node)
	passed := time.Since(first.at).Seconds()
	if err != nil || now < first.bytes || passed <= 0 {
		return nil
	}
	return []snapshot.Sample{{Name: "pg." + node.Name + ".wal_rate", Unit: unit.BytesPerSecond, Better: snapshot.Neutral, Value: (now - first.bytes) / passed}}
}

func (r *runner) newSnapshot(id string, at time.Time) *snapshot.Snapshot {
	return &snapshot.Snapshot{
		SchemaVersion: snapshot.SchemaVersion, ID: id, Plan: r.plan.Name, Phase: string(Collecting), StartedAt: at, FinishedAt: at, Environment: environment(r.opts.Tool),
	}
}

// build makes the metrics. Of two that became one name, as tables named a-b and
// a_b do, the first stays.
func (c *collection) build(s *snapshot.Snapshot, samples []snapshot.Sample) error {
	var b snapshot.Builder
	seen := map[string]bool{}
	samples = slices.DeleteFunc(samples, func(sample snapshot.Sample) bool {
		twice := seen[sample.Name]
		seen[sample.Name] = true
		if twice {
			s.Warnings = append(s.Warnings, "two things have the name "+sample.Name+": the second is left out")
		}
		return twice
	})
	if err := b.AddTrial(samples); err != nil {
		return err
	}
	s.Trials, s.Metrics = b.Build()
	s.FinishedAt = c.now()
	return nil
}

func (c *collection) warn(text string) {
	c.snap.Warnings = append(c.snap.Warnings, c.plan.Secrets.String(text))
}

// host samples this machine and the programs that the plan names.
func (c *collection) host(ctx context.Context, length time.Duration) error {
	processes, err := capacity.FindProcesses(ctx, c.plan.Capacity.Processes)
	if err != nil {
		return &EnvironmentError{err}
	}
	for _, program := range c.plan.Capacity.Processes {
		if len(processes[program]) == 0 {
			c.warn("no process of the program " + program + " runs here")
		}
	}
	sampler, err := capacity.StartSampler(ctx, capacity.SamplerConfig{Processes: processes})
	if err != nil {
		return &EnvironmentError{fmt.Errorf("sampling resources: %w", err)}
	}
	nap.Pause(ctx, length)
	usage := sampler.Stop()
	for _, warning := range usage.Warnings {
		c.warn(warning)
	}
	c.samples = append(append(c.samples, usage.Samples()...), usage.CoreSamples()...)
	occupied, err := capacity.Occupancy(ctx)
	if err != nil {
		return &EnvironmentError{err}
	}
	c.samples = append(c.samples, occupied...)
	return nil
}

func (c *collection) postgres(ctx context.Context) error {
	for _, node := range c.plan.Environment.Postgres.All() {
		c.event(Collecting, "reading postgres node %s", node.Name)
		c.samples = append(c.samples, c.logRate(ctx, node)...)
		read, notes, err := dbbench.CaptureOccupancy(ctx, node)
		if err != nil {
			notes = append(notes, err.Error())
		}
		for _, note := range notes {
			c.warn(note)
		}
		c.samples = append(c.samples, read...)
	}
	return nil
}

func (c *collection) pods(ctx context.Context) error {
	client := c.kubernetes()
	if client == nil {
		return nil
	}
	client.Patience = 0
	c.event(Collecting, "reading the pods of %s", client.Namespace)
	read, notes := PodUsage(ctx, client)
	for _, note := range notes {
		c.warn(note)
	}
	c.samples = append(c.samples, read...)
	return nil
}

// prometheus sums the 24 hours up that end now.
func (c *collection) prometheus(ctx context.Context) error {
	if len(c.plan.Capacity.Prometheus) == 0 {
		return nil
	}
	c.event(Collecting, "asking Prometheus for %d queries", len(c.plan.Capacity.Prometheus))
	server, err := c.prometheusServer()
	if err != nil {
		return err
	}
	days, notes, err := server.Days(ctx, c.plan.Capacity.Prometheus, c.now(), 1)
	if err != nil {
		c.warn(err.Error())
		return nil
	}
	for _, note := range notes {
		c.warn(note)
	}
	c.samples = append(c.samples, days[0].Samples...)
	return nil
}

func (r *runner) prometheusServer() (*capacity.Prometheus, error) {
	at := r.plan.Environment.Prometheus
	server, err := capacity.NewPrometheus(at.URL, at.Token, nil)
	if err != nil {
		return nil, &EnvironmentError{err}
	}
	return server, nil
}

// Backfill returns a snapshot for each of the last days (in UTC, without today)
// of which the plan's Prometheus knows something, so that a server with a year of
// metrics gives a history of a year. The same day has the same ID each time. notes
// say what it lacked.
func Backfill(ctx context.Context, p *plan.Plan, days int, opts Options) (snapshots []*snapshot.Snapshot, notes []string, err error) {
	c := &collection{runner: newRunner(p, opts)}
	server, err := c.prometheusServer()
	if err != nil {
		return nil, nil, err
	}
	c.event(Collecting, "asking Prometheus for %d days of %d queries", days, len(p.Capacity.Prometheus))
	today := c.now().UTC().Truncate(24 * time.Hour)
	known, notes, err := server.Days(ctx, p.Capacity.Prometheus, today, days)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	if err != nil {
		return nil, nil, &EnvironmentError{errors.New(p.Secrets.String(err.Error()))}
	}
	for i, note := range notes {
		notes[i] = p.Secrets.String(note)
	}
	for _, day := range known {
		if len(day.Samples) == 0 {
			continue
		}
		s := c.newSnapshot(p.Name+"-day-"+day.End.Add(-time.Second).Format(time.DateOnly), day.End)
		if err := c.build(s, day.Samples); err != nil {
			return nil, nil, err
		}
		snapshots = append(snapshots, s)
	}
	return snapshots, notes, nil
}
