package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"scaleproof/capacity"
	"scaleproof/reports"
)

func (a *app) vpaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "vpa", Short: "What a VerticalPodAutoscaler would recommend"}
	cmd.AddCommand(a.vpaRecommendCommand())
	return cmd
}

// vpaView is a recommendation with what the cluster's own recommender says.
type vpaView struct {
	*capacity.VPARecommendation
	Live map[string]capacity.VPARecommendation `json:"live,omitempty"`
}

func (a *app) vpaRecommendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recommend --trace FILE.csv",
		Short: "Requests for a container from its usage over time",
		Long: `recommend computes as the recommender of the Vertical Pod Autoscaler does, from a CSV
file with the column time, and cpu (or value) in cores, memory in bytes, or both; a
column oom marks kills for memory. --live shows beside it what a VPA of the cluster
recommends.`,
		Example: `  scaleproof vpa recommend --trace usage.csv --cpu-request 0.5
  scaleproof vpa recommend --trace usage.csv --live app --context prod --namespace shop`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(cmd)
	trace := cmd.Flags().String("trace", "", "CSV file of the usage (required)")
	at := liveFlags(cmd, "VPA of the cluster")
	var o capacity.VPAOptions
	cmd.Flags().IntVar(&o.Containers, "containers", 1, "containers of the pod, which share the least amounts")
	cmd.Flags().Float64Var(&o.CPURequest, "cpu-request", 0, "present request, in cores")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *trace == "" {
			return usagef("name the usage by --trace")
		}
		if err := at.check(); err != nil {
			return err
		}
		samples, err := readUsage(*trace)
		if err != nil {
			return &usageError{err}
		}
		var view vpaView
		if view.VPARecommendation, err = capacity.RecommendVPA(samples, o); err != nil {
			return &usageError{err}
		}
		if at.name != "" {
			if view.Live, err = at.vpa(cmd.Context()); err != nil {
				return err
			}
		}
		return a.writeData(*output, view, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteVPA(w, view.VPARecommendation, view.Live, style)
		})
	}
	return cmd
}

func readUsage(path string) ([]capacity.UsageSample, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the usage: %w", err)
	}
	defer f.Close()
	samples, err := capacity.ReadUsageCSV(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return samples, nil
}
