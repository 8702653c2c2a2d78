package main

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/capacity"
	"scaleproof/internal/history"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
)

// forecastFlags say to which projected peak a trace is scaled.
type forecastFlags struct {
	metric, quantile string
	horizon          unit.Duration
}

func newForecastFlags(cmd *cobra.Command) *forecastFlags {
	f := &forecastFlags{horizon: unit.Duration(90 * 24 * time.Hour)}
	cmd.Flags().StringVar(&f.metric, "forecast", "", "metric of the history: the trace's peak becomes what is projected of its daily peak")
	cmd.Flags().StringVar(&f.quantile, "forecast-quantile", "p90", "p50, what is likely, or p90, what nine of ten futures stay below")
	cmd.Flags().Var(&f.horizon, "horizon", "how far ahead --forecast looks")
	return f
}

// forecastScale returns the factor that brings a trace's peak to the one that is
// projected of a metric of the history, in the unit of the trace.
func (a *app) forecastScale(cmd *cobra.Command, place string, trace capacity.Series, f forecastFlags) (float64, error) {
	if f.quantile != "p50" && f.quantile != "p90" {
		return 0, usagef("--forecast-quantile is p50 or p90, not %q", f.quantile)
	}
	highest := slices.Max(trace.Values)
	if highest <= 0 {
		return 0, usagef("the trace has no demand that could be scaled")
	}
	var all []capacity.Series
	err := a.withHistory(cmd.Context(), place, func(store history.Store) error {
		entries, err := store.List(cmd.Context())
		if err != nil {
			return &validation.EnvironmentError{Err: err}
		}
		all = validation.SeriesOf(entries, f.metric, time.Now())
		return nil
	})
	if err != nil {
		return 0, err
	}
	if len(all) != 1 {
		return 0, usagef("the history has %d series of %s, and the forecast is of one: name it as metric@source", len(all), f.metric)
	}
	never := math.MaxFloat64 // a limit, so that what nine of ten futures need is told
	p, err := capacity.Project(all[0], capacity.ProjectOptions{Horizon: f.horizon.Std(), Limit: &never, Now: time.Now()})
	if err != nil {
		return 0, &usageError{err}
	}
	if p.Status != capacity.Projected {
		return 0, usagef("there is too little history of %s for a forecast: %d points", p.Series, p.Points)
	}
	peak := peakOf(p, f.quantile)
	fmt.Fprintf(a.err, "The trace peaks at %s: what is projected of %s (%s) until %s.\n", unit.Format(peak, p.Unit), p.Series, f.quantile, p.Steps[len(p.Steps)-1].Time.Format(time.DateOnly))
	return peak / highest, nil
}

// peakOf returns the highest value that is expected from now to the horizon.
func peakOf(p *capacity.Projection, quantile string) float64 {
	if quantile == "p90" {
		return p.Limit.Needed
	}
	peak := p.Last
	for _, s := range p.Steps {
		peak = max(peak, s.Median)
	}
	return peak
}
