package main

import (
	"errors"
	"fmt"
	"os"

	"scaleproof/reports"
)

// announce tells GitHub of a report, where this is one of its workflows: the
// Markdown on the summary page, and one annotation at the head of it.
func (a *app) announce(report *reports.Report, planPath string) error {
	if actions, _ := a.lookup("GITHUB_ACTIONS"); actions != "true" {
		return nil
	}
	if err := reports.WriteAnnotation(a.err, report, planPath); err != nil {
		return err
	}
	path, _ := a.lookup("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("opening the step's summary: %w", err)
	}
	info, err := file.Stat()
	if err == nil {
		err = reports.WriteStepSummary(file, report, info.Size())
	}
	return errors.Join(err, file.Close())
}
