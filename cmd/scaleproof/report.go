package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"scaleproof/reports"
)

func (a *app) reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report RUN",
		Short: "Write the report of a run in another format",
		Long:  "report reads report.json of the folder RUN, or the file RUN, and writes it to stdout.",
		Args:  cobra.ExactArgs(1),
	}
	format := formatFlag(cmd, "text")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		path := args[0]
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			path = filepath.Join(path, "report.json")
		}
		f, err := os.Open(path)
		if err != nil {
			return &usageError{fmt.Errorf("reading a report: %w", err)}
		}
		defer f.Close()
		report, err := reports.ReadJSON(f)
		if err != nil {
			return &usageError{fmt.Errorf("reading the report %s: %w", path, err)}
		}
		return a.write(report, *format)
	}
	return cmd
}

// formatFlag is the flag that names the format of a report on stdout.
func formatFlag(cmd *cobra.Command, byDefault string) *string {
	return cmd.Flags().String("format", byDefault, "text, html, md, json, junit or openmetrics")
}

// write writes a report to stdout.
func (a *app) write(report *reports.Report, format string) error {
	switch format {
	case "text":
		return reports.WriteTerminal(a.out, report, a.style())
	case "html":
		return reports.WriteHTML(a.out, report)
	case "md", "markdown":
		return reports.WriteMarkdown(a.out, report)
	case "json":
		return reports.WriteJSON(a.out, report)
	case "junit":
		return reports.WriteJUnit(a.out, report)
	case "openmetrics":
		return reports.WriteOpenMetrics(a.out, report)
	}
	return usagef("--format is text, html, md, json, junit or openmetrics, and not %q", format)
}
