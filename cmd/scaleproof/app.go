package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"scaleproof/internal/unit"
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

// sayHowItIsCalled gives every command words for a wrong number of arguments, and has
// the commands that only hold others refuse what is none of them: cobra prints their
// help then, and ends with 0, so that a script with a typo would pass.
func sayHowItIsCalled(cmd *cobra.Command) {
	cmd.Flags().VisitAll(sayDefault)
	for _, sub := range cmd.Commands() {
		sayHowItIsCalled(sub)
		if counts := sub.Args; counts != nil {
			sub.Args = func(cmd *cobra.Command, args []string) error {
				if counts(cmd, args) == nil {
					return nil
				}
				return usagef("wrong number of arguments (%d): write %s", len(args), cmd.UseLine())
			}
		}
	}
	if !cmd.HasParent() || !cmd.HasSubCommands() {
		return
	}
	cmd.DisableFlagParsing = true // of the command that is meant, which is none of these
	cmd.DisableFlagsInUseLine = true
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 || slices.Contains([]string{"-h", "--help", "help"}, args[0]) {
			return cmd.Help()
		}
		return usagef("%s", unknownCommand(cmd, args[0]))
	}
}

// sayDefault words the default of a flag for its help. A zero value, which takes what
// the flag's text names, has none; days are told as such.
func sayDefault(f *pflag.Flag) {
	switch f.DefValue {
	case "0s", "0%", "0B", "max":
		f.DefValue = ""
	}
	if d, ok := f.Value.(*unit.Duration); ok && d.Std() > 0 && d.Std()%(24*time.Hour) == 0 {
		f.DefValue = fmt.Sprintf("%dd", d.Std()/(24*time.Hour))
	}
}

// unknownCommand says which of cmd's commands there are, and which may be meant.
func unknownCommand(cmd *cobra.Command, name string) string {
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return fmt.Sprintf("%s has no command %q; did you mean %s?", cmd.Name(), name, strings.Join(near, " or "))
	}
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return fmt.Sprintf("%s has no command %q, but %s", cmd.Name(), name, strings.Join(names, ", "))
}

// Interrupts are the two signals that a person or a system sends to end a
// command: the first asks it to stop and clean up, the second to leave at once.
type interrupts struct {
	// first ends with the first signal, second with the second.
	first, second context.Context
	stop          func()
}

// sameInterrupt is how long after the first signal another is taken for the same one:
// timeout(1), and a supervisor that signals a process and its group, send it twice, and
// mean no second Ctrl-C, which would leave an action half done.
const sameInterrupt = 500 * time.Millisecond

// interrupts listens for SIGINT and SIGTERM until stop is called. At the first
// one it says notice on stderr. A reader of the output that goes ends the command no
// more, and a terminal that hangs up is the first.
func (a *app) interrupts(ctx context.Context, notice string) interrupts {
	first, endFirst := context.WithCancel(ctx)
	second, endSecond := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	// Ctrl-C ends a tee that reads the output, too: what was done must be undone all the
	// same. The write fails instead. To ignore the signal would make children ignore it.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	hangUps := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(hangUps, syscall.SIGHUP)
	}
	go func() {
		select {
		case <-hangUps: // the shell and the kernel may both tell: more of them say no more
			endFirst()
		case <-first.Done():
		}
	}()
	go func() {
		var began time.Time
		for {
			select {
			case <-signals:
			case <-second.Done():
				return
			}
			switch {
			case began.IsZero():
				began = time.Now()
				fmt.Fprintln(a.err, "\n"+notice)
				endFirst()
			case time.Since(began) > sameInterrupt:
				endSecond()
			}
		}
	}()
	return interrupts{first, second, func() {
		signal.Stop(signals)
		signal.Stop(hangUps)
		endFirst()
		endSecond()
	}}
}
