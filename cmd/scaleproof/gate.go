package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"scaleproof/internal/history"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

func (a *app) gateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gate -f PLAN --baseline REF",
		Short: "For CI: measure, and compare with a pinned baseline",
		Long: `gate measures what the plan measures, changes nothing, and judges it by the plan's
gates and objectives against a baseline: a snapshot file, or of the history an ID,
the name of a baseline, a commit, or latest. What was measured is added to the
history; making it a baseline is a decision of its own: scaleproof history promote.

With --self-test what each gate and objective looks at is made worse, each alone, in
a copy of the baseline with the spread that was measured. Where one does not see it,
what would have passed is inconclusive: what can't fail proves nothing by passing.`,
		Example: `  scaleproof gate -f scaleproof.yaml --baseline release --commit "$GITHUB_SHA" --out report`,
		Args:    cobra.NoArgs,
	}
	path, yes, place := planFlag(cmd), yesFlag(cmd), historyFlag(cmd)
	baseline := cmd.Flags().String("baseline", "", "what to compare with (required)")
	commit := cmd.Flags().String("commit", "", "commit of what is measured, kept with it")
	out := cmd.Flags().String("out", "", "folder for the report; none is written without it")
	force := allowDifferencesFlag(cmd)
	selfTest := cmd.Flags().Bool("self-test", false, "inject regressions, which every gate and objective must see")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.readPlan(*path)
		if err != nil {
			return err
		}
		if *baseline == "" {
			return usagef("no baseline: name a snapshot file, or an ID, baseline or commit of the history, by --baseline")
		}
		if len(p.Gates)+len(p.Objectives) == 0 {
			return usagef("the plan has neither gates nor objectives: there is nothing to judge by")
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping the measurement. Nothing was changed.")
		defer interrupts.stop()
		return a.gate(interrupts, p, gateOptions{*baseline, *commit, *out, a.historyPlace(*place), *selfTest, *yes, *force})
	}
	return cmd
}

type gateOptions struct {
	baseline, commit, out, history string
	selfTest, consent              bool
	allowDifferences               bool
}

func (a *app) gate(i interrupts, p *plan.Plan, o gateOptions) error {
	store, err := history.Open(i.first, o.history)
	if err != nil {
		return &validation.EnvironmentError{Err: err}
	}
	defer store.Close()
	baseline, err := readBaseline(i.first, store, o.baseline, p.Name)
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := os.MkdirAll(o.out, 0o755); err != nil {
			return &validation.EnvironmentError{Err: fmt.Errorf("making the folder for the report: %w", err)}
		}
	}
	opts := a.options(i.second)
	opts.Consent = o.consent
	report, err := validation.Gate(i.first, p, baseline, o.allowDifferences, opts)
	if err != nil {
		return err
	}
	labels := history.Labels{Commit: o.commit, Verdict: string(report.Verdict.Word)}
	faults := []error{addOrKeep(i.first, store, report.After, labels)}
	if o.out != "" {
		faults = append(faults, reports.WriteAll(o.out, report))
	}
	fmt.Fprintln(a.err)
	// A summary that nobody can read must not hide where the measurements are.
	faults = append(faults, reports.WriteTerminal(a.out, report, a.style()), a.announce(report, p.Path))
	if err := errors.Join(faults...); err != nil {
		return &validation.EnvironmentError{Err: err}
	}
	if o.out != "" {
		fmt.Fprintf(a.out, "Report: %s\n", filepath.Join(o.out, "report.html"))
	}
	fmt.Fprintf(a.out, "Measured as %s. To make it a baseline: scaleproof history promote NAME %s\n", report.After.ID, report.After.ID)
	if o.selfTest && report.Comparison.Refused == "" {
		blind := validation.SelfTest(p, report)
		a.saySelfTest(p, blind)
		if len(blind) > 0 && report.Verdict.Word == reports.Pass {
			return verdict(reports.Unsure)
		}
	}
	return verdict(report.Verdict.Word)
}

// addOrKeep adds a snapshot to the history; where that fails, it is kept.
func addOrKeep(ctx context.Context, store history.Store, s *snapshot.Snapshot, labels history.Labels) error {
	err := store.Add(ctx, s, labels)
	if err == nil {
		return nil
	}
	return snapshot.Elsewhere(err, func(dir string) error { return snapshot.WriteFile(filepath.Join(dir, s.ID+".json"), s) })
}

// saySelfTest tells what does not see a regression.
func (a *app) saySelfTest(p *plan.Plan, blind []string) {
	for _, what := range blind {
		fmt.Fprintln(a.out, "Self-test: blind to an injected regression:", reports.Plain(what))
	}
	if len(blind) == 0 {
		fmt.Fprintf(a.out, "Self-test: each of %d gates and %d objectives saw the regression that was injected into it alone.\n", len(p.Gates), len(p.Objectives))
	}
}

// readBaseline reads the snapshot that a reference names: a file where it is a path or
// has an extension, else of the history and then a file.
func readBaseline(ctx context.Context, store history.Store, reference, planName string) (*snapshot.Snapshot, error) {
	info, err := os.Stat(reference)
	isFile := err == nil && info.Mode().IsRegular()
	if isFile && (filepath.Base(reference) != reference || filepath.Ext(reference) != "") {
		return readMeasurement(reference)
	}
	entry, err := history.Resolve(ctx, store, reference, history.Scope{Plan: planName, Without: string(validation.Collecting)})
	switch {
	case errors.Is(err, history.ErrUnknown) && isFile:
		return readMeasurement(reference)
	case errors.Is(err, history.ErrUnknown):
		return nil, usagef("--baseline: %w, and there is no such file", err)
	case errors.As(err, new(*history.ReferenceError)):
		return nil, usagef("--baseline: %w", err)
	case err != nil:
		return nil, &validation.EnvironmentError{Err: err}
	}
	s, err := store.Read(ctx, entry.ID)
	if err != nil {
		return nil, &validation.EnvironmentError{Err: err}
	}
	return s, nil
}

func (a *app) calibrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "calibrate -f PLAN",
		Short: "A against A: the noise, and the smallest change that can be seen",
		Long: `calibrate measures the same thing twice and changes nothing. What differs is noise:
for each metric it tells the smallest change that the verdict on the plan's trials
finds four times of five, and how many trials find one of twice min_change. It writes a file that a plan names under
calibration, so that a run warns of gates that can't see what they look for.`,
		Args: cobra.NoArgs,
	}
	path, yes, output := planFlag(cmd), yesFlag(cmd), outputFlag(cmd)
	out := cmd.Flags().String("out", "", "the calibration file (the plan's name with .calibration.json)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.readPlan(*path)
		if err != nil {
			return err
		}
		p.Calibration = "" // what is about to be made anew
		if *out == "" {
			*out = (*path)[:len(*path)-len(filepath.Ext(*path))] + ".calibration.json"
		}
		if err := snapshot.CheckWritable(*out); err != nil {
			return &validation.EnvironmentError{Err: err}
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping the measurement. Nothing was changed.")
		defer interrupts.stop()
		opts := a.options(interrupts.second)
		opts.Consent = *yes
		c, err := validation.Calibrate(interrupts.first, p, opts)
		if err != nil {
			return err
		}
		data, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			return fmt.Errorf("encoding the calibration: %w", err)
		}
		if err := snapshot.WriteDataOrKeep(*out, append(data, '\n')); err != nil {
			return &validation.EnvironmentError{Err: err}
		}
		fmt.Fprintf(a.err, "Wrote %s: name it under calibration in the plan.\n\n", *out)
		return a.writeData(*output, c, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteCalibration(w, c, style)
		})
	}
	return cmd
}
