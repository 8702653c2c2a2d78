package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/validation"
)

func (a *app) snapshotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot -f PLAN -o FILE",
		Short: "Measure only",
		Args:  cobra.NoArgs,
	}
	path := planFlag(cmd)
	out := cmd.Flags().StringP("out", "o", "", "the snapshot file; stdout for - or none")
	yes := yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.readPlan(*path)
		if err != nil {
			return err
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping the measurement. Nothing was changed.")
		defer interrupts.stop()
		opts := a.options(interrupts.second)
		opts.Consent = *yes
		s, err := validation.Measure(interrupts.first, p, opts)
		if err != nil {
			return err
		}
		if *out == "" || *out == "-" {
			return snapshot.Write(a.out, s)
		}
		if err := snapshot.WriteFile(*out, s); err != nil {
			return &validation.EnvironmentError{Err: err}
		}
		fmt.Fprintf(a.err, "Wrote %s: %d metrics over %d trials.\n", *out, len(s.Metrics), s.Trials)
		return nil
	}
	return cmd
}
