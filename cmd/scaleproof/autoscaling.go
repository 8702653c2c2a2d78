package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/capacity"
	"scaleproof/internal/live"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

func (a *app) hpaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "hpa", Short: "What a HorizontalPodAutoscaler would do"}
	cmd.AddCommand(a.hpaSimulateCommand())
	return cmd
}

func (a *app) hpaSimulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate --hpa MANIFEST --trace FILE.csv",
		Short: "Run HPAs over a load trace, as the controller computes",
		Long: `simulate runs autoscaling/v2 manifests over a trace with the columns time and value:
the demand, in requests per second or any unit, of which --capacity-per-replica is
what one ready replica serves. It shows replicas, utilisation and the demand that
found no capacity. With --recommend it looks for the min, max, target and behavior
that leave no more than --unmet of the demand at the fewest replica hours.`,
		Example: `  scaleproof hpa simulate --hpa hpa.yaml --trace day.csv --capacity-per-replica 120
  scaleproof hpa simulate --hpa now.yaml --hpa next.yaml --trace day.csv --capacity-per-replica 120 --recommend --unmet 0.1%`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(cmd)
	manifests := cmd.Flags().StringArray("hpa", nil, "manifest; more than one are compared (required)")
	trace := cmd.Flags().String("trace", "", "CSV file with the columns time and value (required)")
	var w capacity.Workload
	cmd.Flags().Float64Var(&w.CapacityPerReplica, "capacity-per-replica", 1, "demand that one ready replica serves at most; 1 means that the trace is in replicas")
	cmd.Flags().Float64Var(&w.UtilisationAtCapacity, "utilisation-at-capacity", 1, "share of its CPU request that a replica uses then")
	cmd.Flags().DurationVar(&w.PodStart, "pod-start", 30*time.Second, "time from the decision to a ready pod")
	initial := cmd.Flags().Int32("initial", 0, "replicas at the start (what the first demand needs)")
	scale := cmd.Flags().Float64("scale", 1, "times the demand of the trace")
	recommend := cmd.Flags().Bool("recommend", false, "look for an HPA that meets --unmet")
	unmet := unit.Fraction(0)
	cmd.Flags().Var(&unmet, "unmet", "share of the demand that may find no capacity")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(*manifests) == 0 || *trace == "" {
			return usagef("name a manifest by --hpa, and a trace by --trace")
		}
		w.Initial = *initial
		s, err := readTrace(*trace)
		if err != nil {
			return err
		}
		run := hpaRun{manifests: *manifests, trace: s.Scaled(*scale), workload: w}
		if *recommend {
			run.goal = &capacity.HPAObjective{UnmetFraction: float64(unmet)}
		}
		return a.simulateHPA(cmd, *output, run)
	}
	return cmd
}

func readTrace(path string) (capacity.Series, error) {
	f, err := os.Open(path)
	if err != nil {
		return capacity.Series{}, &usageError{fmt.Errorf("reading a trace: %w", err)}
	}
	defer f.Close()
	s, err := capacity.ReadTraceCSV(f)
	if err != nil {
		return s, &usageError{fmt.Errorf("%s: %w", path, err)}
	}
	return s, nil
}

type hpaRun struct {
	manifests []string
	trace     capacity.Series
	workload  capacity.Workload
	goal      *capacity.HPAObjective // nil: nothing is recommended
}

// hpaView is one simulated manifest as JSON.
type hpaView struct {
	Manifest string `json:"manifest"`
	*capacity.HPATimeline
	Recommendation *capacity.HPARecommendation `json:"recommendation,omitempty"`
}

func (a *app) simulateHPA(cmd *cobra.Command, output string, run hpaRun) error {
	var views []hpaView
	for _, path := range run.manifests {
		h, err := readHPA(path)
		if err != nil {
			return err
		}
		timeline, err := capacity.SimulateHPA(h, run.trace, run.workload)
		if err != nil {
			return &usageError{fmt.Errorf("%s: %w", path, err)}
		}
		view := hpaView{Manifest: path, HPATimeline: timeline}
		if run.goal != nil && len(views) == 0 {
			if view.Recommendation, err = capacity.RecommendHPA(cmd.Context(), h, run.trace, run.workload, *run.goal); err != nil {
				return &usageError{fmt.Errorf("%s: %w", path, err)}
			}
		}
		views = append(views, view)
	}
	var data any = views
	if len(views) == 1 {
		data = views[0]
	}
	return a.writeData(output, data, func(w io.Writer, style reports.TerminalStyle) error {
		for _, v := range views {
			if err := reports.WriteHPA(w, v.Manifest, v.HPATimeline, live.Sparkline, style); err != nil {
				return err
			}
		}
		if r := views[0].Recommendation; r != nil {
			return reports.WriteHPARecommendation(w, r, style)
		}
		return nil
	})
}

func readHPA(path string) (*capacity.HPA, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &usageError{fmt.Errorf("reading a manifest: %w", err)}
	}
	defer f.Close()
	h, err := capacity.ReadHPA(f)
	if err != nil {
		return nil, &usageError{fmt.Errorf("%s: %w", path, err)}
	}
	return h, nil
}

func (a *app) vpaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "vpa", Short: "What a VerticalPodAutoscaler would recommend"}
	recommend := &cobra.Command{
		Use:   "recommend --trace FILE.csv",
		Short: "Requests for a container from its usage over time",
		Long: `recommend computes as the recommender of the Vertical Pod Autoscaler does, from a CSV
file with the column time, and cpu (or value) in cores, memory in bytes, or both; a
column oom marks kills for memory.`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(recommend)
	trace := recommend.Flags().String("trace", "", "CSV file of the usage (required)")
	var o capacity.VPAOptions
	recommend.Flags().IntVar(&o.Containers, "containers", 1, "containers of the pod, which share the least amounts")
	recommend.Flags().Float64Var(&o.CPURequest, "cpu-request", 0, "present request, in cores")
	recommend.RunE = func(*cobra.Command, []string) error {
		if *trace == "" {
			return usagef("name the usage by --trace")
		}
		f, err := os.Open(*trace)
		if err != nil {
			return &usageError{fmt.Errorf("reading the usage: %w", err)}
		}
		defer f.Close()
		samples, err := capacity.ReadUsageCSV(f)
		if err != nil {
			return &usageError{fmt.Errorf("%s: %w", *trace, err)}
		}
		r, err := capacity.RecommendVPA(samples, o)
		if err != nil {
			return &usageError{err}
		}
		return a.writeData(*output, r, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteVPA(w, r, style)
		})
	}
	cmd.AddCommand(recommend)
	return cmd
}
