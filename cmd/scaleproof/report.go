package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"scaleproof/reports"
)

func (a *app) reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "report RUN",
		Short: "Write the report of a run in another format",
		Long:  "report reads report.json of the folder RUN, or the file RUN, and writes it to stdout.",
		Args:  cobra.MaximumNArgs(1),
	}
	format := formatFlag(cmd, "text")
	schema := cmd.Flags().Bool("schema", false, "write the JSON Schema of report.json instead")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if *schema {
			_, err := a.out.Write(reports.Schema)
			return err
		}
		if len(args) == 0 {
			return usagef("no run: name its folder, or its report.json")
		}
		report, err := readReport(args[0])
		if err != nil {
			return err
		}
		return a.write(report, *format)
	}
	return cmd
}

// readReport reads the report of a folder, with its signatures, or from a file.
func readReport(path string) (*reports.Report, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		report, err := reports.ReadSigned(path)
		if err != nil {
			return nil, &usageError{err}
		}
		return report, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &usageError{fmt.Errorf("reading a report: %w", err)}
	}
	defer f.Close()
	report, err := reports.ReadJSON(f)
	if err != nil {
		return nil, &usageError{fmt.Errorf("reading the report %s: %w", path, err)}
	}
	return report, nil
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
