package reports

import (
	"cmp"
	"fmt"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// resourceTable shows what was used of everything whose limit is known.
func resourceTable(r *Report) (table, error) {
	t := table{
		Note: "Medians of the trials, as a share of what there is.",
		Head: columns("resource", "#before", "#after", "#should stay below", ""),
	}
	shares, beyond := map[string][2]string{}, map[string]string{}
	var order []share
	for i, side := range []*snapshot.Snapshot{r.Before, r.After} {
		if side == nil {
			continue
		}
		list, err := utilisation(side)
		if err != nil {
			return t, err
		}
		for _, s := range list {
			texts, known := shares[s.name]
			if !known {
				order = append(order, s)
			}
			texts[i] = percent(s.share)
			if i == 1 && s.share > s.bound {
				beyond[s.name] = "beyond"
			}
			shares[s.name] = texts
		}
	}
	for _, s := range order {
		texts := shares[s.name]
		t.Rows = append(t.Rows, []string{s.name, cmp.Or(texts[0], "–"), cmp.Or(texts[1], "–"), percent(s.bound), beyond[s.name]})
	}
	return t, nil
}

// validityTable says of each load whether its figures speak of the target.
func validityTable(r *Report) (table, error) {
	t := table{
		Note: "Only a valid load measures the target's latency; a target-limited one measures its throughput. Within a trial: successes per second " +
			"of the last one with their 95 % interval by block bootstrap; another run differs by more.",
		Head: columns("load", "side", "#requests", "#rate", "#within a trial", "validity", "why"),
	}
	before, err := loads(r.Before)
	if err != nil {
		return t, err
	}
	after, err := loads(r.After)
	if err != nil {
		return t, err
	}
	add := func(side string, l *loadgen.Result) {
		if l != nil {
			t.Rows = append(t.Rows, []string{
				l.Name, side, unit.Format(float64(l.Requests), unit.Count), unit.Format(l.Rate, unit.RequestsPerSecond), withinTrial(l), string(l.Validity), l.ValidityReason,
			})
		}
	}
	for _, name := range loadNames(r.Before, r.After) {
		add("before", before[name])
		add("after", after[name])
	}
	add("through the action", r.Through)
	return t, nil
}

// leastSeconds is how many seconds a trial must have for its series to say much.
const leastSeconds = 20

// withinTrial describes how steady the throughput of a trial was.
func withinTrial(l *loadgen.Result) string {
	var perSecond []float64
	for _, s := range l.Seconds {
		if s.Offset >= 0 && s.Length >= 1 {
			perSecond = append(perSecond, float64(s.Requests-s.Errors)/s.Length)
		}
	}
	if len(perSecond) < leastSeconds {
		return "–"
	}
	i := stats.MeanOfSeries(perSecond, changeConfidence, 1)
	return fmt.Sprintf("%s (%s to %s)", unit.Format(i.Value, unit.RequestsPerSecond), unit.Format(i.Low, unit.RequestsPerSecond), unit.Format(i.High, unit.RequestsPerSecond))
}
