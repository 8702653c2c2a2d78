package history

import (
	"fmt"
	"time"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// trendSignificance is that of a change, as Hunter has it.
const trendSignificance = 0.001

// A Trend is one metric over the history.
type Trend struct {
	Metric string             `json:"metric"`
	Unit   unit.Base          `json:"unit"`
	Better snapshot.Direction `json:"better"`
	Points []Point            `json:"points"`
	// Method says in words how changes are found.
	Method  string        `json:"method"`
	Changes []TrendChange `json:"changes"`
}

// A Point is the median of one snapshot.
type Point struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Commit string    `json:"commit,omitempty"`
	Value  float64   `json:"value"`
}

// A TrendChange is where a metric changed: From and To are the medians between this
// change and its neighbours.
type TrendChange struct {
	Point
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// TrendOf returns a metric's trend over entries, which are in the order of their
// time: of one plan, or of all where plan is empty. Changes of less than minChange, a
// fraction, don't count.
func TrendOf(entries []Entry, metric, plan string, minChange unit.Fraction) Trend {
	t := Trend{Metric: metric, Method: trendMethod(minChange), Points: []Point{}, Changes: []TrendChange{}}
	for _, e := range entries {
		if f, ok := e.Figure(metric); ok && (plan == "" || e.Plan == plan) {
			t.Unit, t.Better = f.Unit, f.Better
			t.Points = append(t.Points, Point{e.ID, e.StartedAt, e.Commit, f.Median})
		}
	}
	values := make([]float64, len(t.Points))
	for i, p := range t.Points {
		values[i] = p.Value
	}
	places := stats.ChangePoints(values, trendSignificance, float64(minChange))
	for i, at := range places {
		from, to := 0, len(values)
		if i > 0 {
			from = places[i-1]
		}
		if i+1 < len(places) {
			to = places[i+1]
		}
		t.Changes = append(t.Changes, TrendChange{t.Points[at], stats.Median(values[from:at]), stats.Median(values[at:to])})
	}
	return t
}

func trendMethod(minChange unit.Fraction) string {
	method := fmt.Sprintf("E-divisive with Hunter's changes: in windows of %d points, by t-test at p %g", stats.ChangeWindow, trendSignificance)
	if minChange > 0 {
		method += ", of " + unit.Format(float64(minChange), unit.Ratio) + " or more"
	}
	return method
}
