package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/internal/history"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/loadgen"
	"scaleproof/reports"
)

// historyVariable names the history where the command line does not.
const historyVariable = "SCALEPROOF_HISTORY"

func historyFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("history", "", "folder of the history (scaleproof-history, or what "+historyVariable+" says: a folder, or the connection URL of a Postgres database)")
}

func (a *app) historyPlace(flag string) string {
	if flag != "" {
		return flag
	}
	if place, _ := a.lookup(historyVariable); place != "" {
		return place
	}
	return "scaleproof-history"
}

func (a *app) historyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "history", Short: "What was measured over time, and the baselines among it"}
	cmd.AddCommand(a.historyListCommand(), a.historyShowCommand(), a.historyTrendCommand(), a.historyAddCommand(), a.historyPromoteCommand())
	return cmd
}

// withHistory opens the history, calls use, and closes it. A reference that names
// nothing, or too much, is a fault of the command line.
func (a *app) withHistory(ctx context.Context, place string, use func(history.Store) error) error {
	store, err := history.Open(ctx, a.historyPlace(place))
	if err != nil {
		return &validation.EnvironmentError{Err: err}
	}
	defer store.Close()
	err = use(store)
	if errors.Is(err, history.ErrUnknown) || errors.As(err, new(*history.ReferenceError)) {
		return &usageError{err}
	}
	return err
}

// planScopeFlag is the flag that says whose snapshots a reference means.
func planScopeFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("plan", "", "the name of the plan whose snapshots are meant, where the history has several")
}

func (a *app) historyListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "What is there, the oldest first", Args: cobra.NoArgs}
	place, output := historyFlag(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withHistory(cmd.Context(), *place, func(store history.Store) error {
			entries, err := store.List(cmd.Context())
			if err != nil {
				return &validation.EnvironmentError{Err: err}
			}
			baselines, err := store.Baselines(cmd.Context())
			if err != nil {
				return &validation.EnvironmentError{Err: err}
			}
			type listed struct {
				history.Entry
				Baselines []string `json:"baselines,omitempty"`
			}
			var list []listed
			for _, e := range entries {
				l := listed{Entry: e}
				for name, id := range baselines {
					if id == e.ID {
						l.Baselines = append(l.Baselines, name)
					}
				}
				slices.Sort(l.Baselines)
				list = append(list, l)
			}
			return a.writeData(*output, list, func(w io.Writer, _ reports.TerminalStyle) error {
				fmt.Fprintf(w, "%-34s  %-16s  %-20s %-8s %-12s %s\n", "id", "started", "plan", "phase", "verdict", "baseline")
				for _, l := range list {
					fmt.Fprintf(w, "%-34s  %-16s  %-20s %-8s %-12s %s\n", reports.Plain(l.ID), l.StartedAt.Format("2006-01-02 15:04"), reports.Plain(l.Plan), reports.Plain(l.Phase), reports.Plain(l.Verdict), strings.Join(l.Baselines, ", "))
				}
				return nil
			})
		})
	}
	return cmd
}

func (a *app) historyShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show REF", Short: "A snapshot as JSON, for scaleproof compare", Args: cobra.ExactArgs(1)}
	place, planName := historyFlag(cmd), planScopeFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withHistory(cmd.Context(), *place, func(store history.Store) error {
			entry, err := history.Resolve(cmd.Context(), store, args[0], history.Scope{Plan: *planName})
			if err != nil {
				return err
			}
			s, err := store.Read(cmd.Context(), entry.ID)
			if err != nil {
				return err
			}
			return snapshot.Write(a.out, s)
		})
	}
	return cmd
}

func (a *app) historyAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "add FILE...", Short: "Add snapshots that were measured elsewhere", Args: cobra.MinimumNArgs(1),
		Example: `  scaleproof history add scaleproof-runs/*/after.json`,
	}
	place := historyFlag(cmd)
	commit := cmd.Flags().String("commit", "", "commit of what was measured")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withHistory(cmd.Context(), *place, func(store history.Store) error {
			for _, path := range args {
				s, err := snapshot.ReadFile(path)
				if err != nil {
					return &usageError{err}
				}
				if err := store.Add(cmd.Context(), s, history.Labels{Commit: *commit}); err != nil {
					return &validation.EnvironmentError{Err: err}
				}
				fmt.Fprintf(a.err, "Added %s: %d metrics.\n", s.ID, len(s.Metrics))
			}
			return nil
		})
	}
	return cmd
}

func (a *app) historyPromoteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "promote NAME REF", Short: "Make a snapshot the baseline of a name", Args: cobra.ExactArgs(2),
		Long: `promote makes what REF names the baseline NAME: an ID, another baseline, a commit, or
latest. What was collected at night is neither a commit's nor the latest. The history has
one baseline of a name: where several plans share it, give each a name of its own.`,
	}
	place, planName := historyFlag(cmd), planScopeFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withHistory(cmd.Context(), *place, func(store history.Store) error {
			entry, err := history.Resolve(cmd.Context(), store, args[1], history.Scope{Plan: *planName, Without: string(validation.Collecting)})
			if err != nil {
				return err
			}
			if err := store.Promote(cmd.Context(), args[0], entry.ID); err != nil {
				return err
			}
			fmt.Fprintf(a.err, "The baseline %s is %s, measured %s.\n", args[0], entry.ID, entry.StartedAt.Format(time.DateTime))
			return nil
		})
	}
	return cmd
}

func (a *app) historyTrendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trend METRIC...",
		Short: "Metrics over time, and where they changed",
		Long: `trend shows the median of metrics over the history, and where it changed: E-divisive
change points with the changes of Hunter, in windows of 50 points, by Student's t-test at
p .001. The result depends on the points alone, and new ones leave changes alone that lie
50 points back. --min-change leaves out what is smaller.`,
		Example: `  scaleproof history trend load.api.response.p99 db.org_incidents.blocks`,
		Args:    cobra.MinimumNArgs(1),
	}
	place, output := historyFlag(cmd), outputFlag(cmd)
	html := cmd.Flags().String("html", "", "write the charts as a page into this file")
	planName := planScopeFlag(cmd)
	var minChange unit.Fraction
	cmd.Flags().Var(&minChange, "min-change", "the smallest change of the mean that counts (any)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withHistory(cmd.Context(), *place, func(store history.Store) error {
			entries, err := store.List(cmd.Context())
			if err != nil {
				return &validation.EnvironmentError{Err: err}
			}
			var trends []history.Trend
			for _, metric := range args {
				trend := history.TrendOf(entries, loadgen.LongName(metric), *planName, minChange)
				if len(trend.Points) == 0 {
					return usagef("the history has no value of %s", metric)
				}
				trends = append(trends, trend)
			}
			if *html != "" {
				return a.writeTrendPage(*html, trends)
			}
			return a.writeData(*output, trends, func(w io.Writer, style reports.TerminalStyle) error {
				return writeTrends(w, trends, style)
			})
		})
	}
	return cmd
}
