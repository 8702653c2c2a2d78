package main

import (
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
	cmd.AddCommand(a.capacityCollectCommand(), a.capacityProjectCommand(), a.capacityReportCommand(), a.capacityUSLCommand(), a.capacityEfficiencyCommand(), a.capacityPoolCommand())
	return cmd
}

// projectFlags say what to project and how far.
type projectFlags struct {
	series, kind, unit, limit, floor string
	metrics                          []string
	horizon                          unit.Duration
	growth, load                     float64
	add, addPerDay                   string
	retention                        unit.Duration
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
	f.StringArrayVar(&p.metrics, "metric", nil, "metric of the history, of every source or as metric@source of one; may be repeated")
	f.StringVar(&p.kind, "kind", "", "gauge, size (accumulates; a drop is no shrinking) or counter (a drop is a reset); for --metric what the name tells, else gauge")
	f.StringVar(&p.unit, "unit", "", "unit of --series: seconds, bytes, count, ratio ...")
	f.StringVar(&p.limit, "limit", "", "value that must not be reached from below, such as 500GiB")
	f.StringVar(&p.floor, "floor", "", "value that must not be reached from above")
	f.Var(&p.horizon, "horizon", "how far ahead to look")
	f.Float64Var(&p.growth, "growth", 1, "scenario: times the growth from now on")
	f.Float64Var(&p.load, "load", 1, "scenario: times the level at once")
	f.StringVar(&p.add, "add", "", "scenario: so much more at once, such as 20GiB of a new organisation")
	f.StringVar(&p.addPerDay, "add-per-day", "", "scenario: so much more every day")
	f.Var(&p.retention, "retention", "scenario: what is older goes, such as 30d")
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
			if p.kind != "" {
				s.Kind = capacity.Kind(p.kind)
			}
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
		found := validation.SeriesOf(entries, metric, time.Now())
		if len(found) == 0 {
			return nil, usagef("the history has no value of %s", metric)
		}
		all = append(all, found...)
	}
	return all, nil
}

// options are those of one series.
func (p *projectFlags) options(s capacity.Series) (capacity.ProjectOptions, error) {
	opts := capacity.ProjectOptions{Horizon: p.horizon.Std(), Seed: p.seed, Now: time.Now()}
	scenario, err := p.scenario(s)
	if err != nil {
		return opts, err
	}
	opts.Scenario = scenario
	if p.limit != "" && p.floor != "" {
		return opts, usagef("give either --limit or --floor")
	}
	for flag, text := range map[string]string{"--limit": p.limit, "--floor": p.floor} {
		if text == "" {
			continue
		}
		var q unit.Quantity
		if err := q.UnmarshalText([]byte(text)); err != nil {
			return opts, usagef("%s: %w", flag, err)
		}
		if s.Unit != "" && !q.Fits(s.Unit) {
			return opts, usagef("%s is measured in %s, and the limit %s in %s", s.Name, s.Unit, text, q.Base)
		}
		opts.Limit, opts.Below = &q.Value, p.floor != ""
	}
	return opts, nil
}

// scenario is what the flags change.
func (p *projectFlags) scenario(s capacity.Series) (capacity.Scenario, error) {
	c := capacity.Scenario{Growth: p.growth, Load: p.load, Retention: p.retention}
	var parts []string
	for _, part := range []struct {
		name string
		v    float64
	}{{"growth", p.growth}, {"load", p.load}} {
		if part.v != 1 {
			parts = append(parts, fmt.Sprintf("%s x%g", part.name, part.v))
		}
	}
	for _, part := range []struct {
		name, text string
		to         *float64
	}{{"add", p.add, &c.Add}, {"add a day", p.addPerDay, &c.AddPerDay}} {
		if part.text == "" {
			continue
		}
		var q unit.Quantity
		if err := q.UnmarshalText([]byte(part.text)); err != nil {
			return c, &usageError{err}
		}
		if s.Unit != "" && !q.Fits(s.Unit) {
			return c, usagef("%s is measured in %s, and %s is added to it", s.Name, s.Unit, part.text)
		}
		*part.to = q.Value
		parts = append(parts, part.name+" "+part.text)
	}
	if p.retention > 0 {
		parts = append(parts, "retention "+p.retention.String())
	}
	c.Name = strings.Join(parts, ", ")
	return c, nil
}
