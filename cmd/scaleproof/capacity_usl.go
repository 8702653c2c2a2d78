package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"scaleproof/capacity"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

func (a *app) capacityUSLCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "usl FILE.csv",
		Short: "The scalability law of a load sweep with the columns n and throughput",
		Long: `usl fits the Universal Scalability Law to throughputs at several concurrencies, or
numbers of replicas: X(n) = gamma n / (1 + alpha (n-1) + beta n (n-1)), and says what
more of them would bring.`,
		Example: `  scaleproof capacity usl sweep.csv --at 16 --at 32`,
		Args:    cobra.ExactArgs(1),
	}
	output := outputFlag(cmd)
	at := cmd.Flags().Float64Slice("at", nil, "concurrency to predict; may be repeated")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		n, x, err := readSweep(args[0])
		if err != nil {
			return &usageError{err}
		}
		u, err := capacity.FitUSL(n, x)
		if err != nil {
			return &usageError{fmt.Errorf("%s: %w", args[0], err)}
		}
		type prediction struct {
			N float64 `json:"n"`
			capacity.Coefficient
		}
		view := struct {
			*capacity.USL
			Predictions []prediction       `json:"predictions,omitempty"`
			More        []capacity.ScaleUp `json:"more"`
		}{USL: u, More: u.More()}
		for _, c := range *at {
			view.Predictions = append(view.Predictions, prediction{c, u.Predict(c)})
		}
		return a.writeData(*output, view, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteUSL(w, u, *at, style)
		})
	}
	return cmd
}

func readSweep(path string) (n, x []float64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading a load sweep: %w", err)
	}
	defer f.Close()
	if n, x, err = capacity.ReadUSLCSV(f); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, x, nil
}

func (a *app) capacityEfficiencyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "efficiency BEFORE AFTER --from N --to N",
		Short: "What a scaling action has brought for each replica added",
		Long: `efficiency compares the throughputs and capacities of loads in two snapshots, taken
before and after an action that went from one number of replicas to another. 100 %
means that twice the replicas carry twice the load.`,
		Example: `  scaleproof capacity efficiency report/before.json report/after.json --from 2 --to 5`,
		Args:    cobra.ExactArgs(2),
	}
	output := outputFlag(cmd)
	from := cmd.Flags().Float64("from", 0, "replicas before (required)")
	to := cmd.Flags().Float64("to", 0, "replicas after (required)")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		var sides [2]*snapshot.Snapshot
		for i, path := range args {
			s, err := snapshot.ReadFile(path)
			if err != nil {
				return &usageError{err}
			}
			sides[i] = s
		}
		rows, err := reports.Efficiencies(sides[0], sides[1], *from, *to)
		if err != nil {
			return &usageError{err}
		}
		return a.writeData(*output, rows, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteEfficiencies(w, rows, style)
		})
	}
	return cmd
}

func (a *app) capacityPoolCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pool --arrivals RATE --service TIME",
		Short: "How many workers or connections a load needs, by Erlang C",
		Long: `pool says how long requests wait for one of a number of servers (workers, or
connections of a pool), and how many it takes so that a percentile of the waits stays
below a time. Arrivals are random and service times exponential: a steadier load
waits less. The square-root rule is beside it, with the same chance of waiting.`,
		Example: `  scaleproof capacity pool --arrivals 500/s --service 20ms --wait 5ms --percentile 99
  scaleproof capacity pool --arrivals 500/s --service 20ms --servers 12`,
		Args: cobra.NoArgs,
	}
	output := outputFlag(cmd)
	var arrivals unit.Rate
	var service, wait unit.Duration
	cmd.Flags().Var(&arrivals, "arrivals", "requests a second, such as 500/s (required)")
	cmd.Flags().Var(&service, "service", "mean time that a server is held (required)")
	cmd.Flags().Var(&wait, "wait", "time below which the percentile of waits must stay (0: most find a free server)")
	percentile := cmd.Flags().Float64("percentile", 95, "percentile of waits")
	servers := cmd.Flags().Int("servers", 0, "number of servers to forecast (what is needed)")
	cmd.RunE = func(*cobra.Command, []string) error {
		if arrivals == 0 || service == 0 {
			return usagef("name the load by --arrivals and --service")
		}
		pool, err := capacity.SizePool(float64(arrivals), service.Seconds(), *percentile/100, wait.Seconds(), *servers)
		if err != nil {
			return &usageError{err}
		}
		return a.writeData(*output, pool, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WritePool(w, pool, style)
		})
	}
	return cmd
}
