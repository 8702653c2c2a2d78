package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"scaleproof/dbbench"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// activityPair is what the sessions of a node did on both sides; zero where that
// was not sampled.
type activityPair struct{ before, after dbbench.Activity }

// activities returns the activity of each node by its name.
func activities(r *Report) (map[string]*activityPair, error) {
	pairs := map[string]*activityPair{}
	for i, s := range []*snapshot.Snapshot{r.Before, r.After} {
		if s == nil {
			continue
		}
		var sampled []dbbench.Activity
		if _, err := s.Section("pg.activity", &sampled); err != nil {
			return nil, err
		}
		for _, a := range sampled {
			if pairs[a.Node] == nil {
				pairs[a.Node] = &activityPair{}
			}
			*[]*dbbench.Activity{&pairs[a.Node].before, &pairs[a.Node].after}[i] = a
		}
	}
	return pairs, nil
}

// tables are those of one node's activity.
func (p activityPair) tables() []table {
	return full(p.waits(), p.blocks(), p.lags())
}

func meanMax(m dbbench.MeanMax, base unit.Base) string {
	return fmt.Sprintf("%s, %s at most", unit.Format(m.Mean, base), unit.Format(m.Max, base))
}

// waits lists what active sessions waited for.
func (p activityPair) waits() table {
	t := table{
		Title: "What sessions waited for", Note: "How many active sessions at a time, of samples through each measurement.",
		Head: columns("wait", "#before", "#after"),
	}
	texts, most := map[string][2]string{}, map[string]float64{}
	for i, a := range []dbbench.Activity{p.before, p.after} {
		for _, w := range a.Waits {
			name := w.Type
			if w.Event != "" {
				name += ": " + w.Event
			}
			pair := texts[name]
			pair[i] = meanMax(w.MeanMax, unit.Count)
			texts[name], most[name] = pair, max(most[name], w.Mean)
		}
	}
	names := slices.SortedFunc(maps.Keys(texts), func(a, b string) int { return cmp.Or(cmp.Compare(most[b], most[a]), cmp.Compare(a, b)) })
	for _, name := range names[:min(len(names), topRows)] {
		t.Rows = append(t.Rows, []string{name, cmp.Or(texts[name][0], "–"), cmp.Or(texts[name][1], "–")})
	}
	return t
}

// blocks lists the sessions that waited longest for another's lock.
func (p activityPair) blocks() table {
	t := table{Title: "Blocked sessions", Note: "Those that waited for a lock that another held.", Head: columns("statement", "side", "wants", "of", "held by", "#ran for")}
	for side, a := range map[string]dbbench.Activity{"before": p.before, "after": p.after} {
		for _, b := range a.Blocks[:min(len(a.Blocks), topRows)] {
			t.Rows = append(t.Rows, []string{b.Query, side, b.Mode, b.Relation, b.Blocker, unit.Format(b.Seconds, unit.Seconds)})
		}
	}
	slices.SortStableFunc(t.Rows, func(a, b []string) int { return cmp.Compare(b[1], a[1]) })
	return t
}

// lags lists how far the node's standbys were behind.
func (p activityPair) lags() table {
	t := table{
		Title: "Replication lag", Note: "Through each measurement, in what was still to be replayed and by the server's own clock.",
		Head: columns("standby", "state", "#bytes before", "#after", "#time before", "#after"),
	}
	type pair struct{ before, after *dbbench.Lag }
	pairs := map[string]*pair{}
	at := func(name string) *pair {
		if pairs[name] == nil {
			pairs[name] = &pair{}
		}
		return pairs[name]
	}
	for i := range p.before.Lags {
		at(p.before.Lags[i].Standby).before = &p.before.Lags[i]
	}
	for i := range p.after.Lags {
		at(p.after.Lags[i].Standby).after = &p.after.Lags[i]
	}
	text := func(l *dbbench.Lag, figure func(*dbbench.Lag) dbbench.MeanMax, base unit.Base) string {
		if l == nil {
			return "–"
		}
		return meanMax(figure(l), base)
	}
	inBytes := func(l *dbbench.Lag) dbbench.MeanMax { return l.Bytes }
	inTime := func(l *dbbench.Lag) dbbench.MeanMax { return l.Seconds }
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		lag, state := pairs[name], "gone"
		if lag.after != nil {
			state = lag.after.State
		}
		t.Rows = append(t.Rows, []string{
			name, state, text(lag.before, inBytes, unit.Bytes), text(lag.after, inBytes, unit.Bytes), text(lag.before, inTime, unit.Seconds), text(lag.after, inTime, unit.Seconds),
		})
	}
	return t
}
