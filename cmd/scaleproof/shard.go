package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"scaleproof/internal/plan"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/reports"
	"scaleproof/scaling/shard"
)

func (a *app) shardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shard",
		Short: "Move organisations to another database, verified row by row",
		Long: `shard does what the section shard of a plan says: plan and verify change nothing;
move copies, while the source goes on; cutover refuses writes of the organisations for
a moment, proves that both sides are equal and switches the routing; cleanup takes the
rows away from the source. Each can be run again after it was stopped, however that was.`,
	}
	cmd.AddCommand(a.shardPlanCommand(), a.shardMoveCommand(), a.shardVerifyCommand(), a.shardCutoverCommand(), a.shardCleanupCommand())
	return cmd
}

// shardRun reads the plan of a flag and runs f with its move, until Ctrl-C.
func (a *app) shardRun(ctx context.Context, path, notice string, f func(context.Context, *plan.Plan, *shard.Job) error) error {
	p, err := a.readPlan(path)
	if err != nil {
		return err
	}
	if p.Shard == nil {
		return usagef("%s has no section shard", path)
	}
	interrupts := a.interrupts(ctx, notice)
	defer interrupts.stop()
	job, err := validation.Move(interrupts.first, p, a.options(interrupts.second))
	if err != nil {
		return &validation.EnvironmentError{Err: err}
	}
	err = f(interrupts.first, p, job)
	if interrupts.first.Err() != nil {
		if err != nil {
			fmt.Fprintln(a.err, "scaleproof:", p.Secrets.String(err.Error()))
		}
		return verdict(reports.Interrupted)
	}
	return shardFault(p, err)
}

// shardFault tells a command that comes too early or too late from other faults.
func shardFault(p *plan.Plan, err error) error {
	var phase *shard.PhaseError
	var said *verdictError
	switch {
	case err == nil, errors.As(err, &said):
		return err
	case errors.As(err, &phase):
		return &usageError{err}
	}
	return &validation.EnvironmentError{Err: errors.New(p.Secrets.String(err.Error()))}
}

func (a *app) shardPlanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan -f PLAN",
		Short: "How each table belongs to organisations, their sizes, and balanced shards",
		Args:  cobra.NoArgs,
	}
	path, output := planFlag(cmd), outputFlag(cmd)
	shards := cmd.Flags().Int("shards", 0, "propose so many balanced shards")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *shards < 0 {
			return usagef("--shards %d: at least 1", *shards)
		}
		return a.shardRun(cmd.Context(), *path, "Interrupted. Nothing was changed.", func(ctx context.Context, _ *plan.Plan, job *shard.Job) error {
			r, err := job.Plan(ctx, *shards)
			if err != nil {
				return err
			}
			if err := a.writeData(*output, r, func(w io.Writer, style reports.TerminalStyle) error {
				return reports.WriteMovePlan(w, r, style)
			}); err != nil {
				return err
			}
			if len(r.Faults) > 0 {
				return verdict(reports.Broken)
			}
			return nil
		})
	}
	return cmd
}

func (a *app) shardMoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "move -f PLAN",
		Short: "Copy the organisations to the target, or go on with a copy that was stopped",
		Args:  cobra.NoArgs,
	}
	path, output := planFlag(cmd), outputFlag(cmd)
	abandon := cmd.Flags().Bool("abandon", false, "give the move up: the target's copy goes, the source stays as it is")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.shardRun(cmd.Context(), *path, "Interrupted: stopping. What is copied stays, and move goes on from there.", func(ctx context.Context, _ *plan.Plan, job *shard.Job) error {
			if *abandon {
				if err := job.Abandon(ctx); err != nil {
					return err
				}
				fmt.Fprintln(a.out, "The move is abandoned; the target has given its rows up.")
				return nil
			}
			r, err := job.Move(ctx)
			if err != nil {
				return err
			}
			return a.writeData(*output, r, func(w io.Writer, _ reports.TerminalStyle) error {
				fmt.Fprintf(w, "%s rows are on the target, %s of them copied now in %s.\n", grouped(r.Rows), grouped(r.Copied), unit.Format(r.Seconds, unit.Seconds))
				if r.Resumed {
					fmt.Fprintf(w, "The copy went on from an earlier one; %s rows had changed since and were copied again.\n", grouped(r.CopiedAgain))
				}
				_, err := fmt.Fprintf(w, "The move is %s. %s\n", r.Phase, nextStep(r.Phase))
				return err
			})
		})
	}
	return cmd
}

// nextStep says what comes after a phase.
func nextStep(phase shard.Phase) string {
	switch phase {
	case shard.Moved:
		return "Next: scaleproof shard cleanup, after the soak, or cutover --back."
	case shard.Closing:
		return "Its cut-over was stopped: scaleproof shard cutover ends it, cutover --back undoes it."
	case shard.Returning:
		return "Its way back was stopped: scaleproof shard cutover --back ends it."
	case shard.Cleaning:
		return "Its clean-up was stopped: scaleproof shard cleanup ends it."
	case shard.Cleaned:
		return "It is done."
	}
	return "Next: scaleproof shard verify, then cutover."
}

func (a *app) shardVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify -f PLAN",
		Short: "Compare every row on both sides, and look whether the target is whole",
		Long: `verify compares counts and two checksums of every row on both sides, names the rows
that differ, and looks for orphans, foreign rows, constraints, indexes and sequences.
Exit code 1 where anything is not as it should be.`,
		Args: cobra.NoArgs,
	}
	path, output := planFlag(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.shardRun(cmd.Context(), *path, "Interrupted. Nothing was changed.", func(ctx context.Context, _ *plan.Plan, job *shard.Job) error {
			v, err := job.Verify(ctx)
			if err != nil {
				return err
			}
			if err := a.writeData(*output, v, func(w io.Writer, style reports.TerminalStyle) error {
				return reports.WriteMoveVerification(w, v, style)
			}); err != nil {
				return err
			}
			if !v.Equal {
				return verdict(reports.Fail)
			}
			return nil
		})
	}
	return cmd
}

func (a *app) shardCutoverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cutover -f PLAN",
		Short: "Give the organisations to the target, or back to the source",
		Args:  cobra.NoArgs,
	}
	path, output := planFlag(cmd), outputFlag(cmd)
	back := cmd.Flags().Bool("back", false, "give them back, with all that was written on the target since")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.shardRun(cmd.Context(), *path, "Interrupted: lifting the fence.", func(ctx context.Context, p *plan.Plan, job *shard.Job) error {
			pass, to := job.Cutover, p.Shard.Target
			if *back {
				pass, to = job.Back, p.Shard.SourceNode()
			}
			r, err := pass(ctx)
			if err != nil {
				return err
			}
			return a.writeData(*output, r, func(w io.Writer, _ reports.TerminalStyle) error {
				_, err := fmt.Fprintf(w, "%s has the organisations; the routing is of epoch %d. %s rows were compared; then writes were refused for %s, in which %s were compared again.\n",
					to, r.Epoch, grouped(r.Compared), unit.Format(r.FenceSeconds, unit.Seconds), grouped(r.Checked.Count()))
				return err
			})
		})
	}
	return cmd
}

func (a *app) shardCleanupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cleanup -f PLAN",
		Short: "Take the rows away from the source, after the soak: there is no way back",
		Args:  cobra.NoArgs,
	}
	path, output := planFlag(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.shardRun(cmd.Context(), *path, "Interrupted: stopping. cleanup goes on from there.", func(ctx context.Context, p *plan.Plan, job *shard.Job) error {
			r, err := job.Cleanup(ctx)
			if err != nil {
				return err
			}
			return a.writeData(*output, r, func(w io.Writer, _ reports.TerminalStyle) error {
				_, err := fmt.Fprintf(w, "%s rows were deleted from %s.\n", grouped(r.Deleted), p.Shard.SourceNode())
				return err
			})
		})
	}
	return cmd
}

// grouped is a number of rows with its thousands apart, as tables have it.
func grouped(rows int64) string { return unit.Format(float64(rows), unit.Count) }
