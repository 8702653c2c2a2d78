package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/examples"
	"scaleproof/internal/demo"
	"scaleproof/internal/plan"
	"scaleproof/internal/validation"
)

func (a *app) demoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Validate a scaling action on a PostgreSQL server and a sample service of its own",
		Long: `demo starts a PostgreSQL server in a temporary folder and a sample service on it,
and runs a whole validation: snapshot, action under load, snapshot, verdict,
report. Nothing of it stays behind but the report.`,
		Args: cobra.NoArgs,
	}
	out := cmd.Flags().String("out", "scaleproof-demo", "folder for the report")
	breaks := cmd.Flags().Bool("break", false, "run an action that makes things worse, and is undone")
	seed := cmd.Flags().Uint64("seed", 1, "seed of the data")
	incidents := cmd.Flags().Int("incidents", 500_000, "incidents in the database, at least 10,000")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *incidents < 10_000 {
			return &usageError{fmt.Errorf("--incidents %d: it takes at least 10,000 for a query to take any time", *incidents)}
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: undoing what was done and removing the demo's server. Press Ctrl-C again to leave at once.")
		defer interrupts.stop()
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("finding this program: %w", err)
		}
		opts := demo.Options{Program: program, Seed: *seed, Incidents: *incidents, Now: time.Now(), OnStep: a.progress()}
		path := "demo.yaml"
		if *breaks {
			path, opts.Replicas = "demo-break.yaml", 4
		}
		stage, err := demo.Start(interrupts.first, opts)
		if err != nil {
			if interrupts.first.Err() != nil {
				return context.Canceled
			}
			return &validation.EnvironmentError{Err: err}
		}
		defer func() {
			if err := stage.Close(); err != nil {
				fmt.Fprintln(a.err, "scaleproof:", err)
			}
		}()
		variables := stage.Variables()
		text, err := examples.Files.ReadFile(path)
		if err != nil {
			return fmt.Errorf("reading the demo's plan: %w", err)
		}
		p, err := plan.Read(path, text, func(name string) (string, bool) { value, ok := variables[name]; return value, ok })
		if err != nil {
			return err
		}
		return a.validate(interrupts, p, runOptions{out: *out})
	}
	return cmd
}
