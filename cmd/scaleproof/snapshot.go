package main

import (
	"fmt"
	"path/filepath"

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
		toFile := *out != "" && *out != "-"
		if toFile {
			if err := snapshot.CheckWritable(*out); err != nil {
				return &validation.EnvironmentError{Err: err}
			}
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping the measurement. Nothing was changed.")
		defer interrupts.stop()
		opts := a.options(interrupts.second)
		opts.Consent = *yes
		s, err := validation.Measure(interrupts.first, p, opts)
		if err != nil {
			return err
		}
		if !toFile {
			return a.writeSnapshot(s)
		}
		if err := snapshot.WriteFileOrKeep(*out, s); err != nil {
			return &validation.EnvironmentError{Err: err}
		}
		fmt.Fprintf(a.err, "Wrote %s: %d metrics over %d trials.\n", *out, len(s.Metrics), s.Trials)
		return nil
	}
	return cmd
}

// writeSnapshot writes a snapshot to stdout; where that fails, it is kept.
func (a *app) writeSnapshot(s *snapshot.Snapshot) error {
	err := snapshot.Write(a.out, s)
	if err == nil {
		return nil
	}
	return &validation.EnvironmentError{Err: snapshot.Elsewhere(err, func(dir string) error {
		return snapshot.WriteFile(filepath.Join(dir, s.ID+".json"), s)
	})}
}
