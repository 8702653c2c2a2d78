package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/internal/plan"
	"scaleproof/internal/validation"
	"scaleproof/reports"
	"scaleproof/scaling"
)

func (a *app) scaleCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "scale", Short: "The executor alone: apply a plan's steps, undo them, tell where they stand"}
	cmd.AddCommand(a.scaleApplyCommand(), a.scaleRollbackCommand(), a.scaleStatusCommand(), a.scaleApproveCommand())
	return cmd
}

// runsFlag names the folder in which each run has one of its own.
func runsFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("runs", "scaleproof-runs", "folder of the runs: the journal of a run is in RUNS/ID, or in RUNS itself where the run was told so by --out")
}

// runFolder is the folder that the journal of a run is in.
func runFolder(runs, id string) string {
	if _, err := os.Stat(filepath.Join(runs, validation.JournalName(id))); err == nil {
		return runs
	}
	return filepath.Join(runs, id)
}

func journalPath(runs, id string) string {
	return filepath.Join(runFolder(runs, id), validation.JournalName(id))
}

func (a *app) scaleApplyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply -f PLAN",
		Short: "Run the steps of a plan, without measuring",
		Long: `apply runs the steps of a plan in order. Where one fails, or at Ctrl-C, what was done
is undone and verified. The journal of the run lets scale rollback undo it later,
also after this process was killed.`,
		Args: cobra.NoArgs,
	}
	path, runs, yes, output := planFlag(cmd), runsFlag(cmd), yesFlag(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		p, err := a.readPlan(*path)
		if err != nil {
			return err
		}
		if len(p.Action.Steps) == 0 {
			return usagef("the plan has no steps")
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping, and undoing what was done. Press Ctrl-C again to leave at once, with the action half done.")
		defer interrupts.stop()
		opts := a.options(interrupts.second)
		opts.ID = validation.NewID(time.Now())
		opts.Consent = *yes
		opts.JournalDir = filepath.Join(*runs, opts.ID)
		place := ""
		if cmd.Flags().Changed("runs") {
			place = " --runs " + *runs
		}
		fmt.Fprintf(a.err, "Run %s. To undo it: scaleproof scale rollback %s -f %s%s\n", opts.ID, opts.ID, *path, place)
		outcome, err := validation.Apply(interrupts.first, p, opts)
		if err != nil {
			return err
		}
		if err := a.writeOutcome(*output, outcome, outcome.Steps); err != nil {
			return err
		}
		if outcome.Rollback == nil && outcome.Status == scaling.Applied {
			return nil
		}
		if outcome.Rollback != nil && !outcome.Rollback.Verified {
			return verdict(reports.RollbackFailed)
		}
		if interrupts.first.Err() != nil {
			return verdict(reports.Interrupted)
		}
		return verdict(reports.Fail)
	}
	return cmd
}

func (a *app) scaleRollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rollback ID -f PLAN",
		Short: "Undo the run of that ID, from its journal",
		Long: `rollback undoes what a run has done, in reverse order, from the journal that it kept:
also of a run that was killed. Each step goes back to the state that it had found,
which is verified by reading it again; what someone else has changed meanwhile is
told and left alone.`,
		Args: cobra.ExactArgs(1),
	}
	path, runs, output := planFlag(cmd), runsFlag(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		p, err := a.readPlan(*path)
		if err != nil {
			return err
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: the rollback goes on. Press Ctrl-C again to leave at once, with the action half undone.")
		defer interrupts.stop()
		opts := a.options(interrupts.second)
		opts.ID = args[0]
		outcome, err := validation.Undo(interrupts.first, p, journalPath(*runs, args[0]), opts)
		if err != nil {
			return journalFault(err)
		}
		if err := a.writeOutcome(*output, outcome, outcome.Rollback.Steps); err != nil {
			return err
		}
		if !outcome.Rollback.Verified {
			return verdict(reports.RollbackFailed)
		}
		return nil
	}
	return cmd
}

// journalFault tells a run that is not there, or a plan that has changed, from
// other faults: they are of the command line.
func journalFault(err error) error {
	for _, fault := range []error{fs.ErrNotExist, scaling.ErrOtherSteps, scaling.ErrOtherTarget, validation.ErrNothingToResume, validation.ErrNotMeasured, validation.ErrUndone} {
		if errors.Is(err, fault) {
			return &usageError{err}
		}
	}
	return err
}

func (a *app) scaleStatusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [ID] -f PLAN",
		Short: "Where each step of a plan stands",
		Args:  cobra.MaximumNArgs(1),
	}
	path, runs, output := planFlag(cmd), runsFlag(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkOutput(*output); err != nil {
			return err
		}
		p, err := a.readPlan(*path)
		if err != nil {
			return err
		}
		journal := ""
		if len(args) == 1 {
			journal = journalPath(*runs, args[0])
		}
		states, err := validation.Status(cmd.Context(), p, journal, a.options(cmd.Context()))
		if err != nil {
			return journalFault(err)
		}
		return a.writeData(*output, states, func(w io.Writer, _ reports.TerminalStyle) error { return writeStates(w, p, states) })
	}
	return cmd
}

func writeStates(w io.Writer, p *plan.Plan, states []validation.StepState) error {
	fmt.Fprintf(w, "%s: %s\n", p.Name, numberOfSteps(len(states)))
	for _, s := range states {
		status := string(s.Status)
		if status == "" {
			status = "now"
		}
		fmt.Fprintf(w, "  %-12s %s: %s\n", status, s.Name, s.Summary)
		if s.Before != "" {
			fmt.Fprintf(w, "  %-12s found:  %s\n", "", s.Before)
		}
		if _, err := fmt.Fprintf(w, "  %-12s is now: %s\n", "", s.State); err != nil {
			return fmt.Errorf("writing the status: %w", err)
		}
	}
	return nil
}

// writeOutcome writes an outcome, in words that of some of its steps.
func (a *app) writeOutcome(output string, o *scaling.Outcome, steps []scaling.StepOutcome) error {
	return a.writeData(output, o, func(w io.Writer, _ reports.TerminalStyle) error {
		var table strings.Builder
		columns := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
		for _, s := range steps {
			fmt.Fprintf(columns, "  %s\t%s\t%s\t%s\n", s.Status, s.Name, reports.StateChange(s), s.Error)
		}
		_ = columns.Flush() // a builder takes all
		for line := range strings.Lines(table.String()) {
			fmt.Fprintln(w, strings.TrimRight(line, " \n"))
		}
		switch {
		case o.Rollback == nil:
		case o.Rollback.Verified:
			fmt.Fprintln(w, "The prior state is verified.")
		default:
			fmt.Fprintln(w, "The rollback failed, or could not be verified:")
			for _, d := range o.Rollback.Differences {
				fmt.Fprintln(w, "  ", d)
			}
		}
		return nil
	})
}

func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor -f PLAN",
		Short: "Look at everything that a plan and its rollback need",
		Long: `doctor changes nothing, but for pods by --probe. It tries to reach all that the plan measures, looks at
rights, versions and extensions, at every verb that the steps and their rollback
need on Kubernetes, and at who owns what would be written. Exit code 4 if the plan,
or its rollback, would fail.`,
		Args: cobra.NoArgs,
	}
	path, output := planFlag(cmd), outputFlag(cmd)
	out := cmd.Flags().String("out", "scaleproof-runs", "folder that the report would be in")
	probe := cmd.Flags().Bool("probe", false, "start one pod of each load that pods make, and remove it, to see whether it reaches this machine and the target")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.readPlan(*path)
		if err != nil {
			return err
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: ending the checks.")
		defer interrupts.stop()
		opts := a.options(interrupts.second)
		opts.JournalDir, opts.ProbePods = *out, *probe
		checks := validation.Doctor(interrupts.first, p, opts)
		if err := a.writeData(*output, checks, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteChecks(w, checks, style)
		}); err != nil {
			return err
		}
		for _, c := range checks {
			if c.State == scaling.CheckFault {
				return verdict(reports.Broken)
			}
		}
		return nil
	}
	return cmd
}
