package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/capacity"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
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

// vpaFlags say what a container used, and where its plan goes to.
type vpaFlags struct {
	trace, plan, cpuQuery, memoryQuery string
	since                              unit.Duration
	planOut, target, container         string
}

func (a *app) vpaRecommendCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recommend --trace FILE.csv",
		Short: "Requests for a container from its usage over time",
		Long: `recommend computes as the recommender of the Vertical Pod Autoscaler does, from a CSV
file with the column time, and cpu (or value) in cores, memory in bytes, or both; a
column oom marks kills for memory. With --cpu-query and --memory-query the plan's
Prometheus is asked instead. --live shows beside it what a VPA of the cluster
recommends; --plan-out writes a plan that gives the container these requests.`,
		Example: `  scaleproof vpa recommend --trace usage.csv --cpu-request 0.5
  scaleproof vpa recommend --trace usage.csv --live app --context prod --namespace shop
  scaleproof vpa recommend -f nightly.yaml --cpu-query 'max(rate(container_cpu_usage_seconds_total{container="app"}[5m]))' --plan-out requests.yaml --target deployment/app --container app`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(cmd)
	v := vpaFlags{since: unit.Duration(8 * 24 * time.Hour)}
	f := cmd.Flags()
	f.StringVar(&v.trace, "trace", "", "CSV file of the usage")
	f.StringVarP(&v.plan, "file", "f", "", "plan whose Prometheus is asked")
	f.StringVar(&v.cpuQuery, "cpu-query", "", "query of Prometheus: cores that the container uses")
	f.StringVar(&v.memoryQuery, "memory-query", "", "query of Prometheus: bytes that the container uses")
	f.Var(&v.since, "since", "how much of the past is asked for")
	f.StringVar(&v.planOut, "plan-out", "", "file for a plan with these requests")
	f.StringVar(&v.target, "target", "", "workload of that plan, such as deployment/app")
	f.StringVar(&v.container, "container", "", "container of that plan")
	at := liveFlags(cmd, "VPA of the cluster")
	var o capacity.VPAOptions
	f.IntVar(&o.Containers, "containers", 1, "containers of the pod, which share the least amounts")
	f.Float64Var(&o.CPURequest, "cpu-request", 0, "present request, in cores")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := v.check(); err != nil {
			return err
		}
		if err := at.check(); err != nil {
			return err
		}
		samples, err := a.usage(cmd.Context(), v)
		if err != nil {
			return err
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
		if err := v.writePlan(samples, view.Target, at); err != nil {
			return err
		}
		return a.writeData(*output, view, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteVPA(w, view.VPARecommendation, view.Live, style)
		})
	}
	return cmd
}

func (v vpaFlags) check() error {
	asked := v.cpuQuery != "" || v.memoryQuery != ""
	switch {
	case asked == (v.trace != ""):
		return usagef("name the usage either by --trace or by --cpu-query and --memory-query")
	case asked && v.since.Std() < time.Hour:
		return usagef("--since is from 1h on")
	case (v.planOut != "") != (v.target != "" && v.container != ""):
		return usagef("--plan-out needs --target and --container, and they are of nothing else")
	}
	return nil
}

// usage reads what a container used, from a file or from the plan's Prometheus.
func (a *app) usage(ctx context.Context, v vpaFlags) ([]capacity.UsageSample, error) {
	if v.trace != "" {
		samples, err := readUsage(v.trace)
		if err != nil {
			return nil, &usageError{err}
		}
		return samples, nil
	}
	p, err := a.readPlan(v.plan)
	if err != nil {
		return nil, err
	}
	if p.Environment.Prometheus.URL == "" {
		return nil, usagef("the plan has no environment.prometheus.url")
	}
	return validation.ContainerUsage(ctx, p, v.cpuQuery, v.memoryQuery, time.Now(), v.since.Std())
}

// writePlan writes the plan of what was measured, nothing where none is asked for.
func (v vpaFlags) writePlan(samples []capacity.UsageSample, target capacity.ResourceAmount, at *liveObject) error {
	if v.planOut == "" {
		return nil
	}
	if !slices.ContainsFunc(samples, func(s capacity.UsageSample) bool { return s.CPU >= 0 }) {
		target.CPU = 0
	}
	if !slices.ContainsFunc(samples, func(s capacity.UsageSample) bool { return s.Memory >= 0 }) {
		target.Memory = 0
	}
	text := validation.RequestsPlan(v.target, v.container, target, at.kubeContext, at.namespace)
	if err := snapshot.WriteFileAtomically(v.planOut, []byte(text)); err != nil {
		return &validation.EnvironmentError{Err: fmt.Errorf("writing the plan: %w", err)}
	}
	return nil
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
