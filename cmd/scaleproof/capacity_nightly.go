package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/internal/expr"
	"scaleproof/internal/history"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

// reportFlags say what to report, and where to.
type reportFlags struct {
	plan, planName, format, out string
	failIf                      []string
	horizon                     unit.Duration
}

func (a *app) capacityReportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report",
		Short: "The nightly report: which limit comes first, and when",
		Long: `report projects everything in the history that has a limit, and what grows. With -f
the limits, scenarios and kinds under capacity in the plan count as well. With --out
the page, the Markdown, the JSON and the recommended plans are written to a folder.

A --fail-if that is true makes the exit code 1: disk.p90 < 30d is true where even the
late date of a file system is within thirty days; p10 is the early date.`,
		Example: `  scaleproof capacity report --fail-if 'disk.p50 < 30d' --fail-if 'transaction_ids.p10 < 14d'
  scaleproof capacity report -f nightly.yaml --out capacity`,
		Args: cobra.NoArgs,
	}
	place := historyFlag(cmd)
	r := reportFlags{horizon: unit.Duration(90 * 24 * time.Hour)}
	f := cmd.Flags()
	f.StringVarP(&r.plan, "file", "f", "", "plan with limits and scenarios under capacity")
	f.StringVar(&r.format, "format", "text", "text, md, html or json")
	f.StringVar(&r.format, "output", "text", "the same as --format")
	f.StringVar(&r.out, "out", "", "folder for capacity.html, capacity.md, capacity.json and the recommended plans")
	f.StringVar(&r.planName, "plan", "", "only what the plan of this name has collected")
	f.StringArrayVar(&r.failIf, "fail-if", nil, "condition that must not be true; may be repeated")
	f.Var(&r.horizon, "horizon", "how far ahead to look")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts, err := a.outlookOptions(r)
		if err != nil {
			return err
		}
		var outlook *reports.Outlook
		err = a.withHistory(cmd.Context(), *place, func(store history.Store) error {
			outlook, err = a.outlook(cmd.Context(), store, opts)
			return err
		})
		if err != nil {
			return err
		}
		if r.out != "" {
			if err := reports.WriteOutlookFiles(r.out, outlook); err != nil {
				return &validation.EnvironmentError{Err: err}
			}
		}
		if err := a.writeOutlook(r.format, outlook); err != nil {
			return err
		}
		return verdict(outlook.Verdict.Word)
	}
	return cmd
}

// outlook makes the report of a history, and keeps with it what is announced.
func (a *app) outlook(ctx context.Context, store history.Store, opts validation.OutlookOptions) (*reports.Outlook, error) {
	entries, err := store.List(ctx)
	if err != nil {
		return nil, &validation.EnvironmentError{Err: err}
	}
	if opts.Warnings, err = newestWarnings(ctx, store, entries, opts.PlanName); err != nil {
		return nil, &validation.EnvironmentError{Err: err}
	}
	if opts.Announced, err = validation.Announced(ctx, store, entries, opts.PlanName); err != nil {
		return nil, &validation.EnvironmentError{Err: err}
	}
	outlook, err := validation.Outlook(ctx, entries, opts)
	if err != nil {
		return nil, err
	}
	if err := validation.Announce(ctx, store, entries, opts.PlanName, outlook); err != nil {
		fmt.Fprintf(a.err, "warning: %v: in a month the projections of today will be made anew, to score them\n", err)
	}
	return outlook, nil
}

func (a *app) outlookOptions(r reportFlags) (o validation.OutlookOptions, err error) {
	o = validation.OutlookOptions{PlanName: r.planName, Horizon: r.horizon.Std(), Now: time.Now()}
	for _, text := range r.failIf {
		c, err := expr.Parse(text)
		if err == nil && c.Base != unit.Seconds {
			err = fmt.Errorf("%q compares with no time: write it as disk.p90 < 30d", text)
		}
		if err != nil {
			return o, usagef("--fail-if: %w", err)
		}
		o.FailIf = append(o.FailIf, c)
	}
	if r.plan != "" {
		o.Plan, err = a.readPlan(r.plan)
	}
	return o, err
}

// newestWarnings are what the newest collections could not read: those of each plan
// and machine, or of the named plan alone, in the newest night.
func newestWarnings(ctx context.Context, store history.Store, entries []history.Entry, planName string) ([]string, error) {
	type place struct{ plan, host string }
	seen := map[place]bool{}
	var warnings []string
	var newest time.Time
	for _, e := range slices.Backward(entries) {
		at := place{e.Plan, e.Host}
		if e.Phase != string(validation.Collecting) || planName != "" && e.Plan != planName || seen[at] {
			continue
		}
		if newest.IsZero() {
			newest = e.StartedAt
		}
		if newest.Sub(e.StartedAt) > 24*time.Hour {
			break
		}
		seen[at] = true
		s, err := store.Read(ctx, e.ID)
		if err != nil {
			return nil, err
		}
		for _, w := range s.Warnings {
			if !slices.Contains(warnings, w) {
				warnings = append(warnings, w)
			}
		}
	}
	return warnings, nil
}

func (a *app) writeOutlook(format string, o *reports.Outlook) error {
	switch format {
	case "md":
		return reports.WriteOutlookMarkdown(a.out, o)
	case "html":
		return reports.WriteOutlookHTML(a.out, o)
	}
	return a.writeData(format, o, func(w io.Writer, style reports.TerminalStyle) error {
		return reports.WriteOutlook(w, o, style)
	})
}
