package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"scaleproof/internal/validation"
	"scaleproof/loadgen/fleet"
)

// workerCommand is what the processes run that share a load.
func (a *app) workerCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "worker", Short: "One of the workers of a load", Hidden: true, Args: cobra.NoArgs}
	f := cmd.Flags()
	connect := f.StringSlice("connect", nil, "addresses of the coordinator, of which the first that answers is taken")
	connectFile := f.String("connect-file", "", "file with these addresses, between commas")
	index := f.Int("index", -1, "the worker's number; by default JOB_COMPLETION_INDEX")
	file := f.String("secret-file", "", "file of the secret; by default the first line of the standard input, whose end ends the worker")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts := fleet.WorkerOptions{Addresses: *connect, Index: *index, Build: a.version}
		opts.Host, _ = os.Hostname() // a name for people
		if *connectFile != "" {
			list, err := os.ReadFile(*connectFile)
			if err != nil {
				return fmt.Errorf("reading the addresses of the coordinator: %w", err)
			}
			opts.Addresses = append(opts.Addresses, strings.Split(strings.TrimSpace(string(list)), ",")...)
		}
		if len(opts.Addresses) == 0 {
			return usagef("no coordinator: name one by --connect")
		}
		if text, ok := a.lookup("JOB_COMPLETION_INDEX"); ok && *index < 0 {
			n, err := strconv.Atoi(text)
			if err != nil {
				return usagef("JOB_COMPLETION_INDEX %q is not a number", text)
			}
			opts.Index = n
		}
		interrupts := a.interrupts(cmd.Context(), "Interrupted: ending the load.")
		defer interrupts.stop()
		ctx, end := context.WithCancelCause(interrupts.first)
		defer end(nil)
		var err error
		if opts.Secret, err = a.secret(*file, end); err != nil {
			return err
		}
		if err := fleet.Work(ctx, opts); err != nil {
			return &validation.EnvironmentError{Err: fmt.Errorf("worker %d: %w", opts.Index, err)}
		}
		return nil
	}
	return cmd
}

// secret reads the secret. Where it comes from a parent, that one's end is told to
// end.
func (a *app) secret(file string, end context.CancelCauseFunc) ([]byte, error) {
	var text string
	if file != "" {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the secret: %w", err)
		}
		text = string(data)
	} else {
		in := bufio.NewReader(a.in)
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("reading the secret from the standard input: %w", err)
		}
		text = line
		go func() {
			_, _ = io.Copy(io.Discard, in) // its end is the message
			end(errors.New("the parent has ended"))
		}()
	}
	secret, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("reading the secret: it is not in hexadecimal digits") // which are not to be told
	}
	return secret, nil
}
