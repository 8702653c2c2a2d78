package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/internal/expr"
	"scaleproof/internal/history"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

func (a *app) capacityReportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "The nightly report: which limit comes first, and when",
		Long: `report projects everything in the history that has a limit, and what grows. A
--fail-if that is true makes the exit code 1: disk.p90 < 30d is true where even the
late date of a file system is within thirty days; p10 is the early date.`,
		Example: `  scaleproof capacity report --fail-if 'disk.p50 < 30d' --fail-if 'transaction_ids.p10 < 14d'`,
		Args:    cobra.NoArgs,
	}
	place := historyFlag(cmd)
	format := cmd.Flags().String("format", "text", "text, md or json")
	cmd.Flags().StringVar(format, "output", "text", "the same as --format")
	planName := cmd.Flags().String("plan", "", "only what this plan has collected")
	failIf := cmd.Flags().StringArray("fail-if", nil, "condition that must not be true; may be repeated")
	horizon := unit.Duration(90 * 24 * time.Hour)
	cmd.Flags().Var(&horizon, "horizon", "how far ahead to look")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var conditions []expr.Condition
		for _, text := range *failIf {
			c, err := expr.Parse(text)
			if err == nil && c.Base != unit.Seconds {
				err = fmt.Errorf("%q compares with no time: write it as disk.p90 < 30d", text)
			}
			if err != nil {
				return usagef("--fail-if: %w", err)
			}
			conditions = append(conditions, c)
		}
		var outlook *reports.Outlook
		err := a.withHistory(cmd.Context(), *place, func(store history.Store) error {
			entries, err := store.List(cmd.Context())
			if err != nil {
				return &validation.EnvironmentError{Err: err}
			}
			outlook, err = validation.Outlook(cmd.Context(), entries, validation.OutlookOptions{
				Plan: *planName, Horizon: horizon.Std(), Now: time.Now(), FailIf: conditions,
			})
			return err
		})
		if err != nil {
			return err
		}
		if err := a.writeOutlook(*format, outlook); err != nil {
			return err
		}
		return verdict(outlook.Verdict.Word)
	}
	return cmd
}

func (a *app) writeOutlook(format string, o *reports.Outlook) error {
	if format == "md" {
		return reports.WriteOutlookMarkdown(a.out, o)
	}
	return a.writeData(format, o, func(w io.Writer, style reports.TerminalStyle) error {
		return reports.WriteOutlook(w, o, style)
	})
}
