package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"scaleproof/internal/history"
	"scaleproof/internal/plan"
	"scaleproof/internal/validation"
	"scaleproof/reports"
	"scaleproof/scaling"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run -f PLAN",
		Short: "Measure, act, measure again, judge, undo if it failed, and report",
		Args:  cobra.NoArgs,
	}
	path := planFlag(cmd)
	out := cmd.Flags().String("out", "", "folder for the report (scaleproof-runs/ID)")
	dryRun := cmd.Flags().Bool("dry-run", false, "say what would be done, and change nothing")
	yes := yesFlag(cmd)
	place := cmd.Flags().String("history", "", "add what was measured of the load, as it is in the end, to this history (none): a folder, or the connection URL of a Postgres database")
	output := outputFlag(cmd)
	resume := cmd.Flags().String("resume", "", "go on with the run of that ID, which was killed within its action")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.readPlan(*path)
		if err != nil {
			return err
		}
		if *dryRun {
			return a.preview(cmd.Context(), p, *output)
		}
		if err := refuse(cmd, "without --dry-run: a run writes report.json", "output"); err != nil {
			return err
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping, and undoing what was done. Press Ctrl-C again to leave at once, with the action half done.")
		defer interrupts.stop()
		return a.validate(interrupts, p, runOptions{out: *out, resume: *resume, history: *place, consent: *yes})
	}
	return cmd
}

// planFlag is the flag that names the plan.
func planFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("file", "f", "", "the plan file (required)")
}

// yesFlag is the consent to what must be asked for twice.
func yesFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("yes", false, "consent to steps that can't be undone, and to much load on hosts that environment.hosts does not name")
}

// readPlan reads the plan that a flag names.
func (a *app) readPlan(path string) (*plan.Plan, error) {
	if path == "" {
		return nil, usagef("no plan: name it by --file PLAN; scaleproof init writes one to start from")
	}
	return plan.ReadFile(path, a.lookup)
}

// runOptions are what the flags of a run say.
type runOptions struct {
	out     string // folder of the report; empty: one of its own
	resume  string // the ID of a run to go on with
	history string // the place of a history to add to; empty: none
	consent bool
}

// validate runs a plan, writes its report and says the verdict.
func (a *app) validate(i interrupts, p *plan.Plan, o runOptions) error {
	var store history.Store
	if o.history != "" {
		var err error
		if store, err = history.Open(i.first, o.history); err != nil {
			return &validation.EnvironmentError{Err: err}
		}
		defer store.Close()
	}
	opts := a.options(i.second)
	opts.Consent = o.consent
	opts.ID = validation.NewID(time.Now())
	run := validation.Run
	if o.resume != "" {
		opts.ID, run = o.resume, validation.Resume
	}
	out := o.out
	if out == "" {
		out = filepath.Join("scaleproof-runs", opts.ID)
	}
	opts.JournalDir = out
	fmt.Fprintf(a.err, "Run %s in %s\n", opts.ID, out)
	report, err := run(i.first, p, opts)
	if err != nil {
		return journalFault(err)
	}
	writeErr := errors.Join(reports.WriteAll(out, report), addStanding(i.second, store, report))
	fmt.Fprintln(a.err)
	// A summary that nobody can read must not hide where the measurements are.
	if err := errors.Join(writeErr, reports.WriteTerminal(a.out, report, a.style()), a.announce(report, p.Path)); err != nil {
		return &validation.EnvironmentError{Err: err}
	}
	fmt.Fprintf(a.out, "Report: %s\n", filepath.Join(out, "report.html"))
	return verdict(report.Verdict.Word)
}

// addStanding adds to a history, nil for none, what was measured of the state in
// which a run has left things.
func addStanding(ctx context.Context, store history.Store, report *reports.Report) error {
	s := report.Standing()
	if store == nil || s == nil {
		return nil
	}
	return addOrKeep(ctx, store, s, history.Labels{Verdict: string(report.Verdict.Word)})
}

// options are what a validation needs of this process. abandon ends a rollback.
func (a *app) options(abandon context.Context) validation.Options {
	started := time.Now()
	program, _ := os.Executable() // without it, workers on this machine say so
	return validation.Options{
		Program: program,
		Tool:    "scaleproof " + a.version,
		HTTP:    &http.Client{Timeout: 30 * time.Second},
		Now:     time.Now,
		Abandon: abandon,
		Ask:     a.asker(),
		OnEvent: func(e validation.Event) {
			fmt.Fprintf(a.err, "%6.1fs  %-9s %s\n", e.At.Sub(started).Seconds(), e.Phase, e.Text)
		},
	}
}

// progress says what a set-up does, in lines like those of a validation.
func (a *app) progress() func(string) {
	started := time.Now()
	return func(text string) {
		fmt.Fprintf(a.err, "%6.1fs  %-9s %s\n", time.Since(started).Seconds(), "setup", text)
	}
}

// style fits the output to the terminal, where it is one.
func (a *app) style() reports.TerminalStyle {
	file, ok := a.out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return reports.TerminalStyle{Width: 100}
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		width = 100
	}
	_, noColor := a.lookup("NO_COLOR")
	return reports.TerminalStyle{Color: !noColor, Width: width}
}

// preview says what the steps of a plan would do.
func (a *app) preview(ctx context.Context, p *plan.Plan, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	opts := a.options(ctx)
	opts.Consent = true // a preview loads nothing
	steps, err := validation.Preview(ctx, p, opts)
	if err != nil {
		return err
	}
	return a.writeData(output, steps, func(w io.Writer, _ reports.TerminalStyle) error {
		_, err := fmt.Fprintf(w, "%s: %s. Nothing was changed.\n", p.Name, numberOfSteps(len(steps)))
		for i, s := range steps {
			previewStep(w, i+1, s)
		}
		return err
	})
}

func numberOfSteps(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}

func previewStep(w io.Writer, number int, s scaling.PreviewStep) {
	fmt.Fprintf(w, "%3d. %s: %s\n", number, s.Name, s.Summary)
	if s.When != "" {
		fmt.Fprintf(w, "     only: %s\n", s.When)
	}
	if s.Parallel != "" {
		fmt.Fprintf(w, "     with: the others of group %s\n", s.Parallel)
	}
	if s.MayFail {
		fmt.Fprintln(w, "     fail: it may; the action goes on without it")
	}
	if len(s.Diff) == 0 && s.State != scaling.NoState {
		fmt.Fprintf(w, "     now:  %s\n", s.State)
	}
	for _, line := range s.Diff {
		fmt.Fprintf(w, "     diff: %s\n", line)
	}
	for _, note := range s.Notes {
		fmt.Fprintf(w, "     note: %s\n", note)
	}
	if s.Irreversible {
		fmt.Fprintf(w, "     back: IRREVERSIBLE: needs --yes (%s)\n", s.Undo)
		return
	}
	if s.Unread {
		s.Undo += " (which can't be verified, since the step has no read: a rollback ends with exit code 5)"
	}
	fmt.Fprintf(w, "     back: %s\n", s.Undo)
}
