package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"sync"
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
		dir := runFolder(*runs, args[0])
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
	return asking(file, a.err)
}

// asking returns what asks on one stream and takes the answers from another. Only one
// goroutine reads, for as long as there is something to read: a question that was
// answered elsewhere takes no line from the next one.
func asking(in io.Reader, out io.Writer) func(context.Context, string) (validation.Answer, error) {
	lines := make(chan string)
	start := sync.OnceFunc(func() {
		go func() {
			defer close(lines)
			for scanner := bufio.NewScanner(in); scanner.Scan(); {
				lines <- scanner.Text()
			}
		}()
	})
	return func(ctx context.Context, question string) (validation.Answer, error) {
		start()
		select {
		case <-lines: // typed before it was asked
		default:
		}
		for {
			fmt.Fprintf(out, "\n%s\nGo on? Type yes or no: ", question)
			select {
			case <-ctx.Done():
				return validation.Answer{}, ctx.Err()
			case line, ok := <-lines:
				if !ok {
					return validation.Answer{}, io.EOF
				}
				if word := strings.ToLower(strings.TrimSpace(line)); word == "yes" || word == "no" {
					return validation.Answer{Yes: word == "yes", By: personHere(), At: time.Now()}, nil
				}
			}
		}
	}
}
