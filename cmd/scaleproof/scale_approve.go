package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"scaleproof/internal/validation"
)

func (a *app) scaleApproveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "approve ID",
		Short: "Answer the pause step that a run waits in",
		Long: `approve lets a run go on that waits in a pause step for a person's approval, or with
--refuse ends it, which undoes what was done. It answers in the run's folder, so
that it works from any terminal that sees the folder.`,
		Args: cobra.ExactArgs(1),
	}
	runs := runsFlag(cmd)
	refuse := cmd.Flags().Bool("refuse", false, "say no: the run stops and undoes what it did")
	by := cmd.Flags().String("by", personHere(), "who answers")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		dir := filepath.Join(*runs, args[0])
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return usagef("there is no run in %s: name its parent folder by --runs", dir)
		}
		answered, err := validation.Approve(dir, validation.Answer{Yes: !*refuse, By: *by, At: time.Now()})
		if errors.Is(err, validation.ErrNoQuestion) {
			return &usageError{err}
		}
		if err != nil {
			return &validation.EnvironmentError{Err: err}
		}
		word := "approved"
		if *refuse {
			word = "refused"
		}
		for _, q := range answered {
			fmt.Fprintf(a.out, "%s: %s: %s\n", word, q.Step, q.Question)
		}
		return nil
	}
	return cmd
}

// personHere is the name of the user of this process.
func personHere() string {
	u, err := user.Current()
	if err != nil {
		return "unknown"
	}
	return u.Username
}

// asker asks at the terminal, where standard input is one.
func (a *app) asker() func(context.Context, string) (validation.Answer, error) {
	file, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return func(_ context.Context, question string) (validation.Answer, error) {
		lines := bufio.NewReader(file)
		for {
			fmt.Fprintf(a.err, "\n%s\nGo on? Type yes or no: ", question)
			line, err := lines.ReadString('\n')
			if err != nil {
				return validation.Answer{}, err
			}
			switch strings.ToLower(strings.TrimSpace(line)) {
			case "yes", "no":
				return validation.Answer{Yes: strings.ToLower(strings.TrimSpace(line)) == "yes", By: personHere(), At: time.Now()}, nil
			}
		}
	}
}
