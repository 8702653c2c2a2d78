package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/dbbench"
	"scaleproof/internal/plan"
	"scaleproof/internal/redact"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

func (a *app) dbCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Benchmark a Postgres database ad hoc, and read plans",
		Long: `db measures the database of DATABASE_URL: connection strings are taken from the
environment only.`,
	}
	cmd.AddCommand(a.dbBenchCommand(), a.dbStatsCommand(), a.dbDiffCommand(), a.dbPlanCommand())
	return cmd
}

// dsnFlag names the environment variable of a connection string.
func dsnFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("dsn-from", "DATABASE_URL", "environment variable that holds the connection string")
}

// node returns the server that an environment variable names.
func (a *app) node(variable string) (dbbench.Node, error) {
	dsn, _ := a.lookup(variable)
	if dsn == "" {
		return dbbench.Node{}, usagef("no database: set %s to its connection string, or name another variable by --dsn-from", variable)
	}
	return dbbench.Node{Name: "primary", DSN: dsn}, nil
}

func outputFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("output", "text", "text or json")
}

// writeData writes data as JSON, or as text says.
func (a *app) writeData(output string, data any, text func(io.Writer, reports.TerminalStyle) error) error {
	switch output {
	case "text":
		return text(a.out, a.style())
	case "json":
		encoder := json.NewEncoder(a.out)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(data); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		return nil
	}
	return usagef("--output is text or json, not %q", output)
}

func (a *app) dbBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Run a suite of queries: plans, times, blocks, estimates",
		Long: `bench runs each query of a suite under EXPLAIN (ANALYZE, BUFFERS) and plainly, in
transactions that are read only and rolled back. With --out the result is a
snapshot that scaleproof compare takes.`,
		Example: `  scaleproof db bench --suite runbook --trials 6 --out before.json
  scaleproof db bench --suite runbook --clients 32 --rate 500/s --duration 1m
  scaleproof db bench --suite queries.sql`,
		Args: cobra.NoArgs,
	}
	from, output := dsnFlag(cmd), outputFlag(cmd)
	config := dbbench.Config{}
	trials := cmd.Flags().Int("trials", 1, "how often the whole is measured; 4 or more can be compared")
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
		if load.Clients > 0 {
			return a.loadDatabase(cmd.Context(), *output, node, config, load)
		}
		s, err := a.bench(cmd.Context(), node, config, *trials)
		if err != nil {
			return err
		}
		if *out != "" {
			if err := snapshot.WriteFile(*out, s); err != nil {
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

// bench measures a suite as a plan's measure.database does.
func (a *app) bench(ctx context.Context, node dbbench.Node, config dbbench.Config, trials int) (*snapshot.Snapshot, error) {
	p := &plan.Plan{Version: plan.Version, Name: "db-bench", Secrets: &redact.Secrets{}}
	p.Secrets.AddDSN(node.DSN)
	p.Environment.Postgres.Primary.DSN = node.DSN
	p.Measure.Trials, p.Measure.Database = trials, &config
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
	if errors.Is(err, context.Canceled) {
		return err
	}
	if err != nil {
		secrets := &redact.Secrets{}
		secrets.AddDSN(node.DSN)
		return &validation.EnvironmentError{Err: errors.New(secrets.String(err.Error()))}
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

func (a *app) dbStatsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Capture the statistics views, once or around a time",
		Long: `stats captures the statistics views and writes them as JSON, for db diff. With
--during it captures twice, and says what the counters counted in between. It
never resets anything.`,
		Args: cobra.NoArgs,
	}
	from, output := dsnFlag(cmd), outputFlag(cmd)
	during := cmd.Flags().Duration("during", 0, "time between two captures")
	out := cmd.Flags().String("out", "", "file for the capture, for db diff")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		node, err := a.node(*from)
		if err != nil {
			return err
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping. Nothing was changed.")
		defer interrupts.stop()
		first, err := a.capture(interrupts.first, node)
		if err != nil {
			return err
		}
		if *during > 0 {
			if err := sleep(interrupts.first, *during); err != nil {
				return err
			}
			second, err := a.capture(interrupts.first, node)
			if err != nil {
				return err
			}
			return a.writeDelta(*output, dbbench.Delta(first, second))
		}
		return a.writeCapture(*out, first)
	}
	return cmd
}

func (a *app) capture(ctx context.Context, node dbbench.Node) (*dbbench.Statistics, error) {
	s, err := dbbench.CaptureStatistics(ctx, node)
	if err != nil {
		secrets := &redact.Secrets{}
		secrets.AddDSN(node.DSN)
		return nil, &validation.EnvironmentError{Err: errors.New(secrets.String(err.Error()))}
	}
	for _, note := range s.Notes {
		fmt.Fprintln(a.err, "note:", note)
	}
	return s, nil
}

// writeCapture writes a capture to a file, or to stdout.
func (a *app) writeCapture(path string, s *dbbench.Statistics) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the capture: %w", err)
	}
	data = append(data, '\n')
	if path == "" {
		_, err = a.out.Write(data)
		return err
	}
	if err := snapshot.WriteFileAtomically(path, data); err != nil {
		return &validation.EnvironmentError{Err: fmt.Errorf("writing the capture: %w", err)}
	}
	fmt.Fprintf(a.err, "Wrote %s: %d views of PostgreSQL %s.\n", path, len(s.Views), s.Version)
	return nil
}

func (a *app) dbDiffCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "What the counters counted between two captures of db stats",
		Long: `diff subtracts two captures. What can't be known is said to be unknown: a server
that was restarted, counters that were reset, entries that were thrown away.`,
		Args: cobra.ExactArgs(2),
	}
	output := outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var captures [2]*dbbench.Statistics
		for i, path := range args {
			data, err := os.ReadFile(path)
			if err != nil {
				return &usageError{fmt.Errorf("reading a capture: %w", err)}
			}
			if err := json.Unmarshal(data, &captures[i]); err != nil || captures[i].Views == nil {
				return usagef("%s is not a capture of db stats", path)
			}
		}
		return a.writeDelta(*output, dbbench.Delta(captures[0], captures[1]))
	}
	return cmd
}

func (a *app) writeDelta(output string, d *dbbench.StatisticsDelta) error {
	return a.writeData(output, d, func(w io.Writer, style reports.TerminalStyle) error {
		return reports.WriteStatisticsDelta(w, d, style)
	})
}

// sleep waits, and ends early with ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
