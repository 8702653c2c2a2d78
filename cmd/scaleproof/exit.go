package main

import (
	"context"
	"errors"
	"fmt"

	"scaleproof/internal/plan"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

// The exit codes that no verdict stands for; see reports.Word for the others.
const (
	exitUsage = 2
)

// A usageError is a fault of the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Errorf(format, args...)}
}

// A verdictError carries the verdict of a command that has already said all.
type verdictError struct{ word reports.Word }

func (e *verdictError) Error() string { return string(e.word) }

// verdict returns the error that makes the command end with w's exit code.
func verdict(w reports.Word) error {
	if w == reports.Pass {
		return nil
	}
	return &verdictError{w}
}

// exitCode maps a command's error to the exit code, and says the error on
// stderr where the command has not.
func (a *app) exitCode(err error) int {
	var said *verdictError
	if errors.As(err, &said) {
		return said.word.ExitCode()
	}
	if err == nil {
		return 0
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.err, "scaleproof: interrupted before anything was changed")
		return reports.Interrupted.ExitCode()
	}
	fmt.Fprintln(a.err, "scaleproof:", err)
	var (
		usage       *usageError
		badPlan     *plan.Error
		consent     *validation.ConsentError
		unsuited    *validation.PlanError
		environment *validation.EnvironmentError
	)
	switch {
	case errors.As(err, &environment):
		return reports.Broken.ExitCode()
	case errors.As(err, &usage), errors.As(err, &badPlan), errors.As(err, &consent), errors.As(err, &unsuited), !a.started:
		return exitUsage
	}
	return reports.Broken.ExitCode()
}
