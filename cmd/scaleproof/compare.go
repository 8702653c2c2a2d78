package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"scaleproof/internal/expr"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/loadgen"
	"scaleproof/reports"
)

func (a *app) compareCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compare BEFORE AFTER",
		Short: "Compare two snapshots, or two CSV files of any tool",
		Long: `compare judges AFTER against BEFORE: two snapshots, or CSV files with the columns
metric,value[,unit,better], one row a trial.

Every metric with a direction that was measured twice or more gates, unless --gate names
those that do.`,
		Args: cobra.ExactArgs(2),
	}
	format := formatFlag(cmd, "text")
	gates := cmd.Flags().StringSlice("gate", nil, "a metric that must not regress (repeatable)")
	objectives := cmd.Flags().StringArray("objective", nil, "a condition that must hold, such as 'load.api.response.p99 < 80ms' (repeatable)")
	minChange := unit.Fraction(0.05)
	cmd.Flags().Var(&minChange, "min-change", "the smallest change that matters")
	controls := cmd.Flags().StringSlice("control", nil, "a metric that nothing that was done can touch (repeatable)")
	force := allowDifferencesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		before, err := readMeasurement(args[0])
		if err != nil {
			return err
		}
		after, err := readMeasurement(args[1])
		if err != nil {
			return err
		}
		criteria := reports.Criteria{MinChange: minChange, AllowDifferences: *force}
		for _, text := range *objectives {
			condition, err := expr.Parse(text)
			if err != nil {
				return &usageError{err}
			}
			condition.Metric = loadgen.LongName(condition.Metric)
			criteria.Objectives = append(criteria.Objectives, condition)
		}
		for _, names := range [][]string{*gates, *controls} {
			for i, name := range names {
				names[i] = loadgen.LongName(name)
			}
		}
		gating, others := gatesOf(*gates, before, after)
		for _, metric := range gating {
			if slices.Contains(*controls, metric) {
				continue
			}
			criteria.Gates = append(criteria.Gates, reports.GateSpec{Metric: metric, MinChange: minChange})
		}
		for _, metric := range *controls {
			criteria.Controls = append(criteria.Controls, reports.GateSpec{Metric: metric, MinChange: minChange})
		}
		report := validation.Compare(before, after, criteria, a.options(cmd.Context()))
		if len(others) > 0 {
			report.Warnings = append(report.Warnings, notGating(others))
		}
		if err := a.write(report, *format); err != nil {
			return err
		}
		if err := a.announce(report, ""); err != nil {
			return &validation.EnvironmentError{Err: err}
		}
		return verdict(report.Verdict.Word)
	}
	return cmd
}

// allowDifferencesFlag is the consent to compare what may not be comparable.
func allowDifferencesFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("allow-differences", false, "compare although workloads or environments differ")
}

// gatesOf returns the metrics that gate: those that were named or, where none was, all
// that can get better and have two values or more on either side, or all that can get
// better where none has. The others are left out: what is measured once a snapshot can
// show nothing.
func gatesOf(named []string, before, after *snapshot.Snapshot) (gates, others []string) {
	if len(named) > 0 {
		return named, nil
	}
	values := func(s *snapshot.Snapshot, name string) int {
		if m := s.Metric(name); m != nil {
			return len(m.Values.Observed())
		}
		return 0
	}
	for _, m := range before.Metrics {
		switch {
		case m.Better == snapshot.Neutral:
		case max(values(before, m.Name), values(after, m.Name)) >= 2:
			gates = append(gates, m.Name)
		default:
			others = append(others, m.Name)
		}
	}
	if len(gates) == 0 {
		return others, nil
	}
	return gates, others
}

// notGating says which metrics did not gate, a few by name.
func notGating(others []string) string {
	const few = 5
	text := strings.Join(others[:min(len(others), few)], ", ")
	if len(others) > few {
		text += fmt.Sprintf(" and %d more", len(others)-few)
	}
	return fmt.Sprintf("%s did not gate: measured once, a metric can show nothing; --gate names those that gate", text)
}

// readMeasurement reads a snapshot or, by its name, a CSV file.
func readMeasurement(path string) (*snapshot.Snapshot, error) {
	if !strings.EqualFold(filepath.Ext(path), ".csv") {
		s, err := snapshot.ReadFile(path)
		if err != nil {
			return nil, &usageError{err}
		}
		return s, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &usageError{fmt.Errorf("reading a measurement: %w", err)}
	}
	defer f.Close()
	s, err := snapshot.ReadCSV(f)
	if err != nil {
		return nil, &usageError{fmt.Errorf("reading %s: %w", path, err)}
	}
	return s, nil
}
