package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"scaleproof/dbbench"
	"scaleproof/internal/plan"
	"scaleproof/internal/redact"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

func (a *app) dbBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Run a suite of queries: plans, times, blocks, estimates",
		Long: `bench runs each query of a suite under EXPLAIN (ANALYZE, BUFFERS) and plainly, in
transactions that are read only and rolled back. With --out the result is a
snapshot that scaleproof compare takes, that of a load by --clients too.

With --against-from it runs the suite on two databases in turns, A B B A, and
judges the second against the first, trial by trial: each query by its result, its
plan, blocks, rows, spills, estimates, and last its time. Without --trials there are
as many as find one query that got slower among all of the suite, 6 at least.`,
		Example: `  scaleproof db bench --suite runbook --trials 6 --out before.json
  scaleproof db bench --suite runbook --clients 32 --rate 500/s --duration 1m
  scaleproof db bench --suite queries.sql --against-from CANDIDATE_URL`,
		Args: cobra.NoArgs,
	}
	from, output := dsnFlag(cmd), outputFlag(cmd)
	config := dbbench.Config{}
	trials := cmd.Flags().Int("trials", 1, "how often the whole is measured; 4 or more can be compared (with --against-from: 6)")
	against := cmd.Flags().String("against-from", "", "environment variable of a second database, to be judged against the first")
	out := cmd.Flags().String("out", "", "snapshot file for scaleproof compare")
	againstOut := cmd.Flags().String("against-out", "", "snapshot file of the second database: compare pairs its trials with those of --out")
	cmd.Flags().StringVar(&config.Suite, "suite", "runbook", "file of queries, YAML or .sql with named comments, or the name of a built-in suite")
	cmd.Flags().IntVar(&config.Repetitions, "repetitions", 0, "of each case in a trial (5)")
	cmd.Flags().StringVar(&config.Plans, "plans", "", "custom, generic or both (the default)")
	cmd.Flags().Var(&config.StatementTimeout, "timeout", "of a statement (60s)")
	cmd.Flags().Var(&config.Budget, "budget", "of the whole suite in a trial")
	cmd.Flags().BoolVar(&config.AllowWrites, "allow-writes", false, "run statements that change data; they are rolled back")
	cmd.Flags().Uint64Var(&config.Seed, "seed", 0, "of random arguments and of the order")
	var load dbbench.LoadConfig
	cmd.Flags().IntVar(&load.Clients, "clients", 0, "load the database with so many clients instead, a random mix of the suite")
	cmd.Flags().Var(&load.Rate, "rate", "of that load, transactions per second (as fast as the clients allow)")
	cmd.Flags().Var(&load.Duration, "duration", "of that load (10s)")
	cmd.Flags().Var(&load.Warmup, "warmup", "before it, not measured")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		clients := cmd.Flags().Changed("clients")
		if clients {
			config.Load = &load
		}
		if err := checkBench(cmd, config, *trials, *output); err != nil {
			return err
		}
		node, err := a.node(*from)
		if err != nil {
			return err
		}
		if *against != "" {
			if !cmd.Flags().Changed("trials") {
				*trials = 0
			}
			return a.benchAgainst(cmd.Context(), node, *against, config, *trials, pairFiles{*out, *againstOut}, *output)
		}
		s, err := a.bench(cmd.Context(), node, config, *trials)
		if err != nil {
			return err
		}
		if err := writeSnapshot(*out, s); err != nil {
			return err
		}
		if clients {
			return a.writeDatabaseLoad(s, *output)
		}
		return a.writeDatabaseSuite(s, *output)
	}
	return cmd
}

// checkBench refuses what can't be measured, and flags that would be ignored.
func checkBench(cmd *cobra.Command, config dbbench.Config, trials int, output string) error {
	switch {
	case trials < 1:
		return usagef("--trials %d: measure at least once", trials)
	case config.Load != nil && config.Load.Clients < 1:
		return usagef("--clients %d: a load needs one at least", config.Load.Clients)
	}
	faults := []error{checkOutput(output)}
	if config.Load == nil {
		faults = append(faults, refuse(cmd, "without --clients", "rate", "duration", "warmup"))
	} else {
		faults = append(faults, refuse(cmd, "with --clients", "repetitions", "budget"))
	}
	if cmd.Flags().Changed("against-from") {
		faults = append(faults, refuse(cmd, "with --against-from, which compares two runs of the suite", "clients"))
	} else {
		faults = append(faults, refuse(cmd, "without --against-from", "against-out"))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if err := config.Validate(); err != nil {
		return &usageError{err}
	}
	queries, err := config.AllQueries()
	if err != nil {
		return &usageError{err}
	}
	return checkPlacements(queries, cmd.Flags().Changed("against-from"))
}

// checkPlacements refuses queries of other nodes than the one that is measured, and
// all that name one where two are.
func checkPlacements(queries []dbbench.Query, two bool) error {
	for _, q := range queries {
		switch q.Node {
		case dbbench.Placement{}:
		case dbbench.On("primary"):
			if two {
				return usagef("the query %s names a node, and --against-from runs each on both databases: take the node out", q.Name)
			}
		default:
			return usagef("the query %s is on %s, and db bench measures one database, called primary: take the node out, or measure by a plan, which names the others", q.Name, q.Node)
		}
	}
	return nil
}

// benchPlan is a plan that measures a suite alone.
func benchPlan(node dbbench.Node, config dbbench.Config, trials int) *plan.Plan {
	p := &plan.Plan{Version: plan.Version, Name: "db-bench", Secrets: &redact.Secrets{}}
	p.Secrets.AddDSN(node.DSN)
	p.Environment.Postgres.Primary.DSN = node.DSN
	p.Measure.Trials, p.Measure.Database = trials, &config
	return p
}

// bench measures a suite as a plan's measure.database does, or where a load is asked
// for, that alone.
func (a *app) bench(ctx context.Context, node dbbench.Node, config dbbench.Config, trials int) (*snapshot.Snapshot, error) {
	p := benchPlan(node, config, trials)
	interrupts := a.interrupts(ctx, "Interrupted: stopping the measurement. Nothing was changed.")
	defer interrupts.stop()
	if config.Load != nil {
		return validation.MeasureDatabaseLoad(interrupts.first, p, a.options(interrupts.second))
	}
	return validation.Measure(interrupts.first, p, a.options(interrupts.second))
}

// writeSnapshot writes a snapshot to path, if there is one.
func writeSnapshot(path string, s *snapshot.Snapshot) error {
	if path == "" {
		return nil
	}
	if err := snapshot.WriteFileOrKeep(path, s); err != nil {
		return &validation.EnvironmentError{Err: err}
	}
	return nil
}

// writeDatabaseSuite writes what a suite measured.
func (a *app) writeDatabaseSuite(s *snapshot.Snapshot, output string) error {
	var result dbbench.Result
	if _, err := s.Section("db", &result); err != nil {
		return err
	}
	return a.writeData(output, s, func(w io.Writer, style reports.TerminalStyle) error {
		return reports.WriteBench(w, &result, style)
	})
}

// writeDatabaseLoad writes what many clients measured, of several trials the last.
func (a *app) writeDatabaseLoad(s *snapshot.Snapshot, output string) error {
	var result dbbench.LoadResult
	if _, err := s.Section("db.load", &result); err != nil {
		return err
	}
	if err := a.writeData(output, &result, func(w io.Writer, style reports.TerminalStyle) error {
		return reports.WriteDatabaseLoad(w, &result, style)
	}); err != nil {
		return err
	}
	if result.Transactions == 0 {
		return verdict(reports.Broken)
	}
	return nil
}
