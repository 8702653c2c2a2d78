package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"scaleproof/internal/unit"
)

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
