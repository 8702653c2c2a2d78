package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/internal/history"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
)

// collectFlags say what to add to the history.
type collectFlags struct {
	id     string
	length unit.Duration
	since  unit.Duration
	add    []string
}

func (a *app) capacityCollectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "collect -f PLAN",
		Short: "Add to the history how much of its limits everything uses",
		Long: `collect reads this machine's CPU, memory, file systems and control group; of the plan's
Postgres nodes sizes, rows, writes, connections, transaction ids, log positions,
slots and sequences; of its Kubernetes namespace what pods use, with requests and
limits; and of its Prometheus what the queries under capacity gave in the last 24
hours. It adds them to the history as one snapshot. Run it once a night. What can't
be read is a warning, and the rest is added.

With --since it takes the past from Prometheus instead, one snapshot a day. With
--add it adds snapshots of runs, so that what was measured of a load (throughput,
latency, capacity) stands in the history as well.`,
		Example: `  scaleproof capacity collect -f nightly.yaml
  scaleproof capacity collect -f nightly.yaml --since 365d
  scaleproof capacity collect --add report/after.json`,
		Args: cobra.NoArgs,
	}
	path, place := planFlag(cmd), historyFlag(cmd)
	c := collectFlags{length: unit.Duration(5 * time.Second)}
	f := cmd.Flags()
	f.Var(&c.length, "length", "how long CPU and traffic are sampled")
	f.StringVar(&c.id, "run", "", "name of this run: the same name again replaces it (the time)")
	f.Var(&c.since, "since", "take the days of so long a past from Prometheus, such as 365d")
	f.StringArrayVar(&c.add, "add", nil, "snapshot file of a run to add; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.check(cmd.Flags().Changed); err != nil {
			return err
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping. What was added before is kept.")
		defer interrupts.stop()
		ctx := interrupts.first
		collected, err := a.collected(interrupts, *path, c)
		if err != nil {
			return err
		}
		return a.withHistory(ctx, *place, func(store history.Store) error { return a.addAll(ctx, store, collected) })
	}
	return cmd
}

// check refuses flags of which one would be passed over: each of a night, --since
// and --add is a collection of its own.
func (c collectFlags) check(given func(flag string) bool) error {
	for _, pair := range [][2]string{{"add", "file"}, {"add", "run"}, {"add", "since"}, {"add", "length"}, {"since", "run"}, {"since", "length"}} {
		if given(pair[0]) && given(pair[1]) {
			return usagef("--%s and --%s do not go together: collect once with the one and once with the other", pair[0], pair[1])
		}
	}
	return nil
}

// collected returns the snapshots to add.
func (a *app) collected(i interrupts, path string, c collectFlags) ([]*snapshot.Snapshot, error) {
	if len(c.add) > 0 {
		var all []*snapshot.Snapshot
		for _, file := range c.add {
			s, err := snapshot.ReadFile(file)
			if err != nil {
				return nil, &usageError{err}
			}
			all = append(all, s)
		}
		return all, nil
	}
	p, err := a.readPlan(path)
	if err != nil {
		return nil, err
	}
	opts := a.options(i.second)
	if c.since > 0 {
		return a.backfilled(i.first, p, c.since, opts)
	}
	opts.ID = c.id
	if opts.ID == "" {
		opts.ID = p.Name + "-" + validation.NewID(time.Now())
	}
	s, err := validation.Collect(i.first, p, c.length.Std(), opts)
	if err != nil {
		return nil, err
	}
	for _, warning := range s.Warnings {
		fmt.Fprintln(a.err, "warning:", warning)
	}
	return []*snapshot.Snapshot{s}, nil
}

func (a *app) backfilled(ctx context.Context, p *plan.Plan, since unit.Duration, opts validation.Options) ([]*snapshot.Snapshot, error) {
	if len(p.Capacity.Prometheus) == 0 {
		return nil, usagef("--since takes the past from Prometheus: name queries in the plan under capacity.prometheus")
	}
	days := int(since.Std() / (24 * time.Hour))
	if days < 1 || days > 3660 {
		return nil, usagef("--since is from 1d to 3660d")
	}
	all, notes, err := validation.Backfill(ctx, p, days, opts)
	for _, note := range notes {
		fmt.Fprintln(a.err, "warning:", note)
	}
	if err == nil && len(all) == 0 {
		err = &validation.EnvironmentError{Err: fmt.Errorf("asking Prometheus: it has nothing of the last %d days: look at the queries and at how long it keeps its data", days)}
	}
	return all, err
}

func (a *app) addAll(ctx context.Context, store history.Store, collected []*snapshot.Snapshot) error {
	metrics := 0
	for _, s := range collected {
		if err := store.Add(ctx, s, history.Labels{}); err != nil {
			return &validation.EnvironmentError{Err: err}
		}
		metrics = max(metrics, len(s.Metrics))
	}
	switch len(collected) {
	case 0:
	case 1:
		fmt.Fprintf(a.err, "Added %s: %d metrics.\n", collected[0].ID, metrics)
	default:
		fmt.Fprintf(a.err, "Added %d snapshots, %s to %s: %d metrics.\n", len(collected), collected[0].ID, collected[len(collected)-1].ID, metrics)
	}
	return nil
}
