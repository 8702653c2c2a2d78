package main

import (
	"io"

	"github.com/spf13/cobra"

	"scaleproof/dbbench"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

func (a *app) dbAdviseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "advise",
		Short: "What to do about indexes, bloat and statistics, with what speaks for it",
		Long: `advise runs a suite once, looks at its plans and at the statistics of every node,
and says what to do: indexes that are missing, unused, duplicate or invalid,
bloat, tables that need ANALYZE, sequences near their end.

An index is proposed only where it proves useful: the planner is asked by HypoPG
where that extension is there; with --scratch it is really built, on copies of the
tables in a schema of its own, which is dropped afterwards. Nothing else is
written. What only some nodes do shows on those alone: name all by --node, or no
index is called unused.`,
		Example: `  scaleproof db advise --suite runbook --node replica-0=REPLICA_0_URL
  scaleproof db advise --suite queries.sql --scratch --scratch-limit 5GiB`,
		Args: cobra.NoArgs,
	}
	from, further, output := dsnFlag(cmd), nodesFlag(cmd), outputFlag(cmd)
	config := dbbench.Config{}
	cmd.Flags().StringVar(&config.Suite, "suite", "", "file of queries, YAML or .sql with named comments, or the name of a built-in suite; without it only statistics are looked at")
	cmd.Flags().Var(&config.StatementTimeout, "timeout", "of a statement (60s)")
	cmd.Flags().Uint64Var(&config.Seed, "seed", 0, "of random arguments")
	scratch := cmd.Flags().Bool("scratch", false, "build indexes for real, on copies of the tables that the suite reads")
	limit := cmd.Flags().String("scratch-limit", "1GiB", "the most that may be copied")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		how := dbbench.AdviceConfig{Scratch: *scratch}
		bytes, base, err := unit.Parse(*limit)
		if err != nil || base != unit.Bytes || bytes <= 0 {
			return usagef("--scratch-limit: %q is no size, such as 5GiB", *limit)
		}
		how.ScratchLimit = bytes
		if config.Suite != "" {
			if _, err := dbbench.LoadSuite(config.Suite); err != nil {
				return &usageError{err}
			}
		} else if *scratch {
			return usagef("--scratch builds indexes for the queries of a suite: name one by --suite")
		}
		nodes, err := a.nodes(*from, *further)
		if err != nil {
			return err
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: stopping, and dropping what was copied.")
		defer interrupts.stop()
		result, err := dbbench.Advise(interrupts.first, nodes, config, how)
		if err != nil {
			return environmentFault(err, nodes...)
		}
		return a.writeData(*output, result, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteAdvice(w, result, style)
		})
	}
	return cmd
}
