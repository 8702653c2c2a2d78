package main

import (
	"context"
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
snapshot that scaleproof compare takes.

With --against-from it runs the suite on two databases in turns, A B B A, and
judges the second against the first: each query by its result, its plan, blocks,
rows, spills, estimates, and last its time.`,
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
		if *trials < 1 {
			return usagef("--trials %d: measure at least once", *trials)
		}
		if err := config.Validate(); err != nil {
			return &usageError{err}
		}
		if _, err := dbbench.LoadSuite(config.Suite); err != nil {
			return &usageError{err}
		}
		node, err := a.node(*from)
		if err != nil {
			return err
		}
		if *against != "" {
			if load.Clients > 0 || *out != "" {
				return usagef("--against-from compares two runs of the suite: --clients and --out do not go with it")
			}
			if !cmd.Flags().Changed("trials") {
				*trials = 0
			}
			return a.benchAgainst(cmd.Context(), node, *against, config, *trials, *output)
		}
		if load.Clients > 0 {
			return a.loadDatabase(cmd.Context(), *output, node, config, load)
		}
		s, err := a.bench(cmd.Context(), node, config, *trials)
		if err != nil {
			return err
		}
		if *out != "" {
			if err := snapshot.WriteFileOrKeep(*out, s); err != nil {
				return &validation.EnvironmentError{Err: err}
			}
		}
		var result dbbench.Result
		if _, err := s.Section("db", &result); err != nil {
			return err
		}
		return a.writeData(*output, s, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteBench(w, &result, style)
		})
	}
	return cmd
}

// benchPlan is a plan that measures a suite alone.
func benchPlan(node dbbench.Node, config dbbench.Config, trials int) *plan.Plan {
	p := &plan.Plan{Version: plan.Version, Name: "db-bench", Secrets: &redact.Secrets{}}
	p.Secrets.AddDSN(node.DSN)
	p.Environment.Postgres.Primary.DSN = node.DSN
	p.Measure.Trials, p.Measure.Database = trials, &config
	return p
}

// benchAgainst measures a suite on two databases in turns, and judges each query of
// the second against the first.
func (a *app) benchAgainst(ctx context.Context, node dbbench.Node, variable string, config dbbench.Config, trials int, output string) error {
	if output != "text" && output != "json" {
		return usagef("--output is text or json, not %q", output)
	}
	dsn, _ := a.lookup(variable)
	if dsn == "" {
		return usagef("no second database: set %s to its connection string", variable)
	}
	p := benchPlan(node, config, trials)
	p.Secrets.AddDSN(dsn)
	interrupts := a.interrupts(ctx, "Interrupted: stopping the measurement. Nothing was changed.")
	defer interrupts.stop()
	before, after, err := validation.MeasurePair(interrupts.first, p, dbbench.Node{Name: "against", DSN: dsn}, a.options(interrupts.second))
	if err != nil {
		return err
	}
	criteria := reports.Criteria{AllowDifferences: true}
	var result dbbench.Result
	if _, err := before.Section("db", &result); err != nil {
		return err
	}
	for _, c := range result.Cases {
		criteria.Gates = append(criteria.Gates, reports.GateSpec{Metric: "db." + c.Name})
	}
	report := validation.Compare(before, after, criteria, a.options(interrupts.second))
	if err := a.write(report, output); err != nil {
		return err
	}
	return verdict(report.Verdict.Word)
}

// bench measures a suite as a plan's measure.database does.
func (a *app) bench(ctx context.Context, node dbbench.Node, config dbbench.Config, trials int) (*snapshot.Snapshot, error) {
	p := benchPlan(node, config, trials)
	interrupts := a.interrupts(ctx, "Interrupted: stopping the measurement. Nothing was changed.")
	defer interrupts.stop()
	return validation.Measure(interrupts.first, p, a.options(interrupts.second))
}

// loadDatabase loads a database with many clients.
func (a *app) loadDatabase(ctx context.Context, output string, node dbbench.Node, config dbbench.Config, load dbbench.LoadConfig) error {
	if err := load.Validate(); err != nil {
		return &usageError{err}
	}
	interrupts := a.interrupts(ctx, "Interrupted: ending the load. Nothing was changed.")
	defer interrupts.stop()
	result, err := dbbench.RunLoad(interrupts.first, node, config, load)
	if err != nil {
		return environmentFault(err, node)
	}
	if err := a.writeData(output, result, func(w io.Writer, style reports.TerminalStyle) error {
		return reports.WriteDatabaseLoad(w, result, style)
	}); err != nil {
		return err
	}
	if result.Transactions == 0 {
		return verdict(reports.Broken)
	}
	return nil
}
