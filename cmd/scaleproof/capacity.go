package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/capacity"
	"scaleproof/internal/history"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

func (a *app) capacityCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "capacity", Short: "How long it will last: collect, project, and the scalability law"}
	cmd.AddCommand(a.capacityCollectCommand(), a.capacityProjectCommand(), a.capacityReportCommand(), a.capacityUSLCommand())
	return cmd
}

// projectFlags say what to project and how far.
type projectFlags struct {
	series, kind, unit, limit, floor string
	metrics                          []string
	horizon                          unit.Duration
	growth, load                     float64
	seed                             uint64
}

func (a *app) capacityProjectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "project",
		Short: "How series go on, and when they reach a limit",
		Long: `project takes metrics of the history or, by --series, a CSV file with the columns
time and value (RFC 3339, a date, or Unix time), and says how they go on, with
intervals whose width the past has earned, and when a limit is first reached. Where
there is too little history, or no growth, it gives no date.`,
		Example: `  scaleproof capacity project --series disk.csv --kind size --unit bytes --limit 500GiB
  scaleproof capacity project --metric pg.primary.size.database --limit 500GiB`,
		Args: cobra.NoArgs,
	}
	place, output := historyFlag(cmd), outputFlag(cmd)
	var p projectFlags
	p.horizon = unit.Duration(90 * 24 * time.Hour)
	f := cmd.Flags()
	f.StringVar(&p.series, "series", "", "CSV file with the columns time and value")
	f.StringArrayVar(&p.metrics, "metric", nil, "metric of the history; may be repeated")
	f.StringVar(&p.kind, "kind", "", "gauge (the default), size (accumulates; a drop is no shrinking) or counter (a drop is a reset)")
	f.StringVar(&p.unit, "unit", "", "unit of --series: seconds, bytes, count, ratio ...")
	f.StringVar(&p.limit, "limit", "", "value that must not be reached from below, such as 500GiB")
	f.StringVar(&p.floor, "floor", "", "value that must not be reached from above")
	f.Var(&p.horizon, "horizon", "how far ahead to look")
	f.Float64Var(&p.growth, "growth", 1, "scenario: times the growth from now on")
	f.Float64Var(&p.load, "load", 1, "scenario: times the level at once")
	f.Uint64Var(&p.seed, "seed", 0, "of the simulated futures")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if (p.series == "") == (len(p.metrics) == 0) {
			return usagef("name either a file by --series, or metrics of the history by --metric")
		}
		var all []capacity.Series
		var err error
		if p.series != "" {
			all, err = p.readSeries()
		} else {
			err = a.withHistory(cmd.Context(), *place, func(store history.Store) error {
				all, err = p.fromHistory(cmd, store)
				return err
			})
		}
		if err != nil {
			return err
		}
		var jobs []capacity.ProjectJob
		for _, s := range all {
			s.Kind = capacity.Kind(p.kind)
			opts, err := p.options(s)
			if err != nil {
				return err
			}
			jobs = append(jobs, capacity.ProjectJob{Series: s, Options: opts})
		}
		projections, err := capacity.ProjectAll(cmd.Context(), jobs)
		if err != nil {
			return &usageError{err}
		}
		return a.writeProjections(*output, projections)
	}
	return cmd
}

// writeProjections writes one projection as an object, and several as a list.
func (a *app) writeProjections(output string, projections []*capacity.Projection) error {
	var data any = projections
	if len(projections) == 1 {
		data = projections[0]
	}
	return a.writeData(output, data, func(w io.Writer, style reports.TerminalStyle) error {
		return reports.WriteProjections(w, projections, style)
	})
}

func (p *projectFlags) readSeries() ([]capacity.Series, error) {
	f, err := os.Open(p.series)
	if err != nil {
		return nil, &usageError{fmt.Errorf("reading a series: %w", err)}
	}
	defer f.Close()
	s, err := capacity.ReadSeriesCSV(f)
	if err != nil {
		return nil, &usageError{fmt.Errorf("%s: %w", p.series, err)}
	}
	s.Name = strings.TrimSuffix(filepath.Base(p.series), filepath.Ext(p.series))
	s.Unit = unit.Base(p.unit)
	if p.unit != "" && !s.Unit.Known() {
		return nil, usagef("--unit %q is not known", p.unit)
	}
	return []capacity.Series{s}, nil
}

func (p *projectFlags) fromHistory(cmd *cobra.Command, store history.Store) ([]capacity.Series, error) {
	entries, err := store.List(cmd.Context())
	if err != nil {
		return nil, &validation.EnvironmentError{Err: err}
	}
	var all []capacity.Series
	for _, metric := range p.metrics {
		trend := history.TrendOf(entries, metric, "")
		if len(trend.Points) == 0 {
			return nil, usagef("the history has no value of %s", metric)
		}
		s := capacity.Series{Name: metric, Unit: trend.Unit}
		for _, point := range trend.Points {
			s.Times, s.Values = append(s.Times, point.At), append(s.Values, point.Value)
		}
		all = append(all, s)
	}
	return all, nil
}

// options are those of one series.
func (p *projectFlags) options(s capacity.Series) (capacity.ProjectOptions, error) {
	opts := capacity.ProjectOptions{Horizon: p.horizon.Std(), Seed: p.seed, Now: time.Now()}
	if p.growth != 1 || p.load != 1 {
		opts.Scenario = capacity.Scenario{Name: fmt.Sprintf("growth x%g, load x%g", p.growth, p.load), Growth: p.growth, Load: p.load}
	}
	if p.limit != "" && p.floor != "" {
		return opts, usagef("give either --limit or --floor")
	}
	for _, text := range []string{p.limit, p.floor} {
		if text == "" {
			continue
		}
		value, base, err := unit.Parse(text)
		if err != nil {
			return opts, &usageError{err}
		}
		if s.Unit != "" && base != s.Unit && base != unit.Count {
			return opts, usagef("%s is measured in %s, and the limit %s in %s", s.Name, s.Unit, text, base)
		}
		opts.Limit, opts.Below = &value, p.floor != ""
	}
	return opts, nil
}

func (a *app) capacityUSLCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "usl FILE.csv",
		Short: "The scalability law of a load sweep with the columns n and throughput",
		Long: `usl fits the Universal Scalability Law to throughputs at several concurrencies, or
numbers of replicas: X(n) = gamma n / (1 + alpha (n-1) + beta n (n-1)).`,
		Example: `  scaleproof capacity usl sweep.csv --at 16 --at 32`,
		Args:    cobra.ExactArgs(1),
	}
	output := outputFlag(cmd)
	at := cmd.Flags().Float64Slice("at", nil, "concurrency to predict; may be repeated")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		f, err := os.Open(args[0])
		if err != nil {
			return &usageError{fmt.Errorf("reading a load sweep: %w", err)}
		}
		defer f.Close()
		n, x, err := capacity.ReadUSLCSV(f)
		if err == nil && len(n) == 0 {
			err = errors.New("it has no rows")
		}
		if err != nil {
			return &usageError{fmt.Errorf("%s: %w", args[0], err)}
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
			Predictions []prediction `json:"predictions,omitempty"`
		}{USL: u}
		for _, c := range *at {
			view.Predictions = append(view.Predictions, prediction{c, u.Predict(c)})
		}
		return a.writeData(*output, view, func(w io.Writer, style reports.TerminalStyle) error {
			return reports.WriteUSL(w, u, *at, style)
		})
	}
	return cmd
}
