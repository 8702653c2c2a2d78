package main

import (
	"context"
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
that leave no more than --unmet of the demand, and none for longer than
--longest-unmet, at the fewest replica hours within --max-replicas. With --forecast
the trace is the profile of a day, and its peak what the history lets expect. --live
takes an HPA as it stands in the cluster.`,
		Example: `  scaleproof hpa simulate --hpa hpa.yaml --trace day.csv --capacity-per-replica 120
  scaleproof hpa simulate --live app --context prod --namespace shop --hpa next.yaml --trace day.csv --capacity-per-replica 120
  scaleproof hpa simulate --hpa now.yaml --hpa next.yaml --trace day.csv --capacity-per-replica 120 --recommend --unmet 0.1%`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(cmd)
	manifests := cmd.Flags().StringArray("hpa", nil, "manifest; more than one are compared (required)")
	trace := cmd.Flags().String("trace", "", "CSV file with the columns time and value (required)")
	at := liveFlags(cmd, "HPA of the cluster")
	var w capacity.Workload
	cmd.Flags().Float64Var(&w.CapacityPerReplica, "capacity-per-replica", 1, "demand that one ready replica serves at most; 1 means that the trace is in replicas")
	cmd.Flags().Float64Var(&w.UtilisationAtCapacity, "utilisation-at-capacity", 1, "share of its CPU request that a replica uses then")
	cmd.Flags().Float64Var(&w.CPURequest, "cpu-request", 0, "CPU request of a pod, in cores, for targets in cores (1, with a warning)")
	cmd.Flags().DurationVar(&w.PodStart, "pod-start", 30*time.Second, "time from the decision to a ready pod")
	initial := cmd.Flags().Int32("initial", 0, "replicas at the start (what the first demand needs)")
	scale := cmd.Flags().Float64("scale", 1, "times the demand of the trace")
	place := historyFlag(cmd)
	ahead := newForecastFlags(cmd)
	recommend := cmd.Flags().Bool("recommend", false, "look for an HPA that meets --unmet")
	unmet := unit.Fraction(0)
	var goal capacity.HPAObjective
	cmd.Flags().Var(&unmet, "unmet", "share of the demand that may find no capacity")
	cmd.Flags().Var(&goal.LongestUnmet, "longest-unmet", "how long at a stretch it may find none (as --unmet allows)")
	cmd.Flags().Int32Var(&goal.MaxReplicas, "max-replicas", 0, "most replicas that the recommended HPA may have (no bound)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(*manifests) == 0 && at.name == "" || *trace == "" {
			return usagef("name a manifest by --hpa or an HPA of the cluster by --live, and a trace by --trace")
		}
		if err := at.check(); err != nil {
			return err
		}
		if changed := cmd.Flags().Changed; !*recommend && (changed("unmet") || changed("longest-unmet") || changed("max-replicas")) {
			return usagef("--unmet, --longest-unmet and --max-replicas are of what --recommend looks for")
		}
		w.Initial = *initial
		s, err := readTrace(*trace)
		if err != nil {
			return err
		}
		if ahead.metric != "" {
			if cmd.Flags().Changed("scale") {
				return usagef("--forecast and --scale both say how high the trace is: give one")
			}
			if *scale, err = a.forecastScale(cmd, *place, s, *ahead); err != nil {
				return err
			}
		}
		run := hpaRun{live: at, manifests: *manifests, trace: s.Scaled(*scale), workload: w}
		if *recommend {
			goal.UnmetFraction = float64(unmet)
			run.goal = &goal
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
	live      *liveObject
	manifests []string
	trace     capacity.Series
	workload  capacity.Workload
	goal      *capacity.HPAObjective // nil: nothing is recommended
}

// hpaView is one simulated manifest as JSON.
type hpaView struct {
	Manifest string `json:"manifest"`
	// Rank is 1 for the manifest that leaves the least unmet, at the least cost.
	Rank int `json:"rank"`
	*capacity.HPATimeline
	Recommendation *capacity.HPARecommendation `json:"recommendation,omitempty"`
}

// hpas reads the HPAs of a run, the live one first.
func (run hpaRun) hpas(ctx context.Context) (names []string, all []*capacity.HPA, err error) {
	if name := run.live.name; name != "" {
		h, err := run.live.hpa(ctx)
		if err != nil {
			return nil, nil, err
		}
		names, all = append(names, "the cluster's "+name), append(all, h)
	}
	for _, path := range run.manifests {
		h, err := readHPA(path)
		if err != nil {
			return nil, nil, err
		}
		names, all = append(names, path), append(all, h)
	}
	return names, all, nil
}

func (a *app) simulateHPA(cmd *cobra.Command, output string, run hpaRun) error {
	names, hpas, err := run.hpas(cmd.Context())
	if err != nil {
		return err
	}
	var views []hpaView
	var timelines []*capacity.HPATimeline
	for i, h := range hpas {
		timeline, err := capacity.SimulateHPA(h, run.trace, run.workload)
		if err != nil {
			return &usageError{fmt.Errorf("%s: %w", names[i], err)}
		}
		view := hpaView{Manifest: names[i], HPATimeline: timeline}
		if run.goal != nil && i == 0 {
			if view.Recommendation, err = capacity.RecommendHPA(cmd.Context(), h, run.trace, run.workload, *run.goal); err != nil {
				return &usageError{fmt.Errorf("%s: %w", names[i], err)}
			}
		}
		views, timelines = append(views, view), append(timelines, timeline)
	}
	order := capacity.RankHPA(timelines)
	for place, i := range order {
		views[i].Rank = place + 1
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
		if err := reports.WriteHPARanking(w, names, timelines, order, style); err != nil {
			return err
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
