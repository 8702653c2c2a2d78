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
	"scaleproof/internal/nap"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

func (a *app) dbStatsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Capture the statistics views of every node, once or around a time",
		Long: `stats captures the statistics views and writes them as JSON, for db diff. With
--during it captures twice, samples sessions, waits, locks and replication lags
in between, and says what the counters counted. It never resets anything.

Counters are local to each server: name the replicas by --node.`,
		Example: `  scaleproof db stats --out before.json
  scaleproof db stats --during 1m --node replica-0=REPLICA_0_URL --node replica-1=REPLICA_1_URL`,
		Args: cobra.NoArgs,
	}
	from, further, output := dsnFlag(cmd), nodesFlag(cmd), outputFlag(cmd)
	during := cmd.Flags().Duration("during", 0, "time between two captures")
	interval := cmd.Flags().Duration("interval", time.Second, "between the samples of sessions and lags")
	out := cmd.Flags().String("out", "", "file for the capture, for db diff")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *during < 0 || *interval <= 0 {
			return usagef("--during and --interval are lengths of time above 0")
		}
		if err := errors.Join(checkOutput(*output), refuseOfStats(cmd, *during > 0, *output)); err != nil {
			return err
		}
		nodes, err := a.nodes(*from, *further)
		if err != nil {
			return err
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping. Nothing was changed.")
		defer interrupts.stop()
		if *during > 0 {
			return a.statsDuring(interrupts.first, nodes, *during, *interval, *output)
		}
		captures, err := a.captureAll(interrupts.first, nodes)
		if err != nil {
			return err
		}
		return a.writeCaptures(*out, captures)
	}
	return cmd
}

// refuseOfStats refuses the flags that would be ignored.
func refuseOfStats(cmd *cobra.Command, during bool, output string) error {
	switch {
	case during:
		return refuse(cmd, "with --during, which writes no capture", "out")
	case output == "text" && cmd.Flags().Changed("output"):
		return usagef("--output text does not go without --during: a capture is JSON")
	}
	return refuse(cmd, "without --during", "interval")
}

// statsDuring captures twice, and samples the activity in between.
func (a *app) statsDuring(ctx context.Context, nodes []dbbench.Node, during, interval time.Duration, output string) error {
	before, err := a.captureAll(ctx, nodes)
	if err != nil {
		return err
	}
	sampler := dbbench.StartActivity(ctx, nodes, interval)
	if !nap.Pause(ctx, during) {
		err = ctx.Err()
	}
	activity := sampler.Stop()
	if err != nil {
		return err
	}
	after, err := a.captureAll(ctx, nodes)
	if err != nil {
		return err
	}
	data := statsView{dbbench.DeltaAll(before, after), activity}
	return a.writeData(output, data, func(w io.Writer, style reports.TerminalStyle) error {
		for i, d := range data.Deltas {
			if err := reports.WriteStatisticsDelta(w, d, style); err != nil {
				return err
			}
			if err := reports.WriteActivity(w, &data.Activity[i], style); err != nil {
				return err
			}
		}
		return nil
	})
}

// statsView is what the nodes did through a time, as JSON.
type statsView struct {
	Deltas   []*dbbench.StatisticsDelta `json:"deltas"`
	Activity []dbbench.Activity         `json:"activity,omitempty"`
}

// captureAll captures every node, and says on stderr what could not be read.
func (a *app) captureAll(ctx context.Context, nodes []dbbench.Node) ([]*dbbench.Statistics, error) {
	var all []*dbbench.Statistics
	for _, node := range nodes {
		s, err := dbbench.CaptureStatistics(ctx, node)
		if err != nil {
			return nil, environmentFault(err, node)
		}
		for _, note := range s.Notes {
			fmt.Fprintf(a.err, "note: %s: %s\n", node.Name, note)
		}
		all = append(all, s)
	}
	return all, nil
}

// writeCaptures writes captures to a file, or to stdout.
func (a *app) writeCaptures(path string, captures []*dbbench.Statistics) error {
	data, err := json.MarshalIndent(captures, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the capture: %w", err)
	}
	data = append(data, '\n')
	if path == "" {
		_, err = a.out.Write(data)
		return err
	}
	if err := snapshot.WriteDataOrKeep(path, data); err != nil {
		return &validation.EnvironmentError{Err: fmt.Errorf("writing the capture: %w", err)}
	}
	for _, s := range captures {
		fmt.Fprintf(a.err, "Wrote %s: %d views of %s, PostgreSQL %s.\n", path, len(s.Views), s.Node, s.Version)
	}
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
		var captures [2][]*dbbench.Statistics
		for i, path := range args {
			data, err := os.ReadFile(path)
			if err != nil {
				return &usageError{fmt.Errorf("reading a capture: %w", err)}
			}
			if err := json.Unmarshal(data, &captures[i]); err != nil || !areCaptures(captures[i]) {
				return usagef("%s is not a capture of db stats", path)
			}
		}
		data := statsView{Deltas: dbbench.DeltaAll(captures[0], captures[1])}
		return a.writeData(*output, data, func(w io.Writer, style reports.TerminalStyle) error {
			for _, d := range data.Deltas {
				if err := reports.WriteStatisticsDelta(w, d, style); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return cmd
}

func areCaptures(all []*dbbench.Statistics) bool {
	for _, s := range all {
		if s == nil || s.Views == nil {
			return false
		}
	}
	return len(all) > 0
}
