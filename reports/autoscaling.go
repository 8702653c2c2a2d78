package reports

import (
	"io"
	"maps"
	"slices"

	"scaleproof/capacity"
	"scaleproof/internal/unit"
)

// sparkSteps is the most that a drawn timeline has.
const sparkSteps = 72

// WriteHPA writes what an HPA did on a trace for a terminal. spark draws values
// from 0.
func WriteHPA(w io.Writer, name string, timeline *capacity.HPATimeline, spark func([]float64) string, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.heading(plain(name))
	draw := func(what string, base unit.Base, value func(capacity.HPAStep) float64) {
		values := thinned(timeline.Steps, value)
		t.printf("  %-12s %s  %s at most\n", what, spark(values), unit.Format(slices.Max(values), base))
	}
	if len(timeline.Steps) > 0 {
		draw("demand", unit.Count, func(s capacity.HPAStep) float64 { return s.Demand })
		draw("replicas", unit.Count, func(s capacity.HPAStep) float64 { return float64(s.Replicas) })
		draw("utilisation", unit.Ratio, func(s capacity.HPAStep) float64 { return s.Utilisation })
		draw("unmet", unit.Count, func(s capacity.HPAStep) float64 { return s.Unmet })
	}
	t.hpaSummary(timeline.Summary)
	t.notes(timeline.Warnings)
	return t.out.Flush()
}

func (t *terminal) hpaSummary(s capacity.HPASummary) {
	t.printf("  %-12s %s on average, %d at most, %s replica hours; %d times up, %d down\n", "replicas", unit.Format(s.MeanReplicas, unit.Count), s.PeakReplicas, unit.Format(s.ReplicaHours, unit.Count), s.ScaleUps, s.ScaleDowns)
	t.printf("  %-12s %s on average, %s at most\n", "utilisation", unit.Format(s.MeanUtilisation, unit.Ratio), unit.Format(s.PeakUtilisation, unit.Ratio))
	unmet := "none"
	if s.UnmetFraction > 0 {
		unmet = unit.Format(s.UnmetFraction, unit.Ratio) + " of the demand, for " + unit.Format(s.UnmetTime.Seconds(), unit.Seconds) + ", " + unit.Format(s.LongestUnmet.Seconds(), unit.Seconds) + " at a stretch"
	}
	t.printf("  %-12s %s\n", "unmet", unmet)
	if s.AtMax > 0 {
		t.printf("  %-12s for %s\n", "at the max", unit.Format(s.AtMax.Seconds(), unit.Seconds))
	}
}

// WriteHPARanking writes several HPAs on the same trace side by side for a terminal,
// in an order that names the best first; nothing of a single one.
func WriteHPARanking(w io.Writer, names []string, timelines []*capacity.HPATimeline, order []int, style TerminalStyle) error {
	if len(order) < 2 {
		return nil
	}
	t := newTerminal(w, style)
	t.heading("Compared, the best first")
	t.printf("  %10s %14s %14s  %s\n", "unmet", "replica hours", "replicas most", "manifest")
	for _, i := range order {
		s := timelines[i].Summary
		t.printf("  %10s %14s %14d  %s\n", unit.Format(s.UnmetFraction, unit.Ratio), unit.Format(s.ReplicaHours, unit.Count), s.PeakReplicas, plain(names[i]))
	}
	return t.out.Flush()
}

// thinned returns a value of the steps, the highest of each stretch.
func thinned(steps []capacity.HPAStep, value func(capacity.HPAStep) float64) []float64 {
	n := min(len(steps), sparkSteps)
	out := make([]float64, n)
	for i, s := range steps {
		at := i * n / len(steps)
		out[at] = max(out[at], value(s))
	}
	return out
}

// WriteHPARecommendation writes a recommended HPA for a terminal, as a manifest.
func WriteHPARecommendation(w io.Writer, r *capacity.HPARecommendation, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.heading("Recommended")
	t.wrapped(plain(r.Reason), 2)
	t.hpaSummary(r.Summary)
	t.printf("\n")
	if err := t.out.Flush(); err != nil {
		return err
	}
	return r.HPA.Write(w)
}

// WriteVPA writes a recommendation for a container for a terminal, with those of a
// cluster's own recommender by container.
func WriteVPA(w io.Writer, r *capacity.VPARecommendation, live map[string]capacity.VPARecommendation, style TerminalStyle) error {
	t := newTerminal(w, style)
	t.printf("  %-12s %14s %14s\n", "", "cpu", "memory")
	t.amounts(*r)
	t.printf("  from %d samples over %s days\n", r.Samples, unit.Format(r.Days, unit.Count))
	for _, container := range slices.Sorted(maps.Keys(live)) {
		t.heading("The cluster's, for container " + plain(container))
		t.amounts(live[container])
	}
	t.notes(r.Warnings)
	return t.out.Flush()
}

func (t *terminal) amounts(r capacity.VPARecommendation) {
	for _, row := range []struct {
		name   string
		amount *capacity.ResourceAmount
	}{{"target", &r.Target}, {"lower bound", &r.LowerBound}, {"upper bound", r.UpperBound}} {
		if row.amount == nil {
			t.printf("  %-12s %14s %14s\n", row.name, "none yet", "none yet")
			continue
		}
		t.printf("  %-12s %14s %14s\n", row.name, unit.Format(row.amount.CPU, unit.Cores), unit.Format(row.amount.Memory, unit.Bytes))
	}
}
