package main

import (
	"github.com/spf13/cobra"
)

// An app is what the commands share.
type app struct {
	streams
	lookup  func(string) (string, bool)
	version string
	// started is set once a command's own code runs: an error before that is a
	// fault of the command line.
	started bool
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "scaleproof",
		Short: "Did this scaling action work, and how long will it last?",
		Long: `scaleproof measures a service and its Postgres database, runs a scaling action
under load, measures again, compares with honest statistics, undoes the action
if it failed its objectives, and writes a report that someone can sign.

Exit codes: 0 pass, 1 a condition failed (a rollback, if any, is verified),
2 usage or invalid plan, 3 inconclusive, 4 the measurement or its environment
failed, 5 a rollback failed or could not be verified, 130 interrupted.`,
		Version:           a.version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { a.started = true },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(
		a.demoCommand(),
		a.initCommand(),
		a.runCommand(),
		a.loadCommand(),
		a.dbCommand(),
		a.snapshotCommand(),
		a.compareCommand(),
		a.gateCommand(),
		a.calibrateCommand(),
		a.historyCommand(),
		a.capacityCommand(),
		a.hpaCommand(),
		a.vpaCommand(),
		a.scaleCommand(),
		a.shardCommand(),
		a.doctorCommand(),
		a.reportCommand(),
		a.signCommand(),
		a.verifyCommand(),
		a.sampleCommand(),
		a.workerCommand(),
		a.relayCommand(),
	)
	sayHowItIsCalled(root)
	return root
}
