package history

import (
	"time"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
)

// The shape of a trend.
const (
	trendSignificance = 0.01
	// longestTrend is how many points are looked at for changes: the test's time
	// grows with their square.
	longestTrend = 400
)

// A Trend is one metric over the history.
type Trend struct {
	Metric  string             `json:"metric"`
	Unit    unit.Base          `json:"unit"`
	Better  snapshot.Direction `json:"better"`
	Points  []Point            `json:"points"`
	Changes []TrendChange      `json:"changes"`
}

// A Point is the median of one snapshot.
type Point struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Commit string    `json:"commit,omitempty"`
	Value  float64   `json:"value"`
}

// A TrendChange is where the distribution of a metric changed: From and To are
// the medians between this change and its neighbours.
type TrendChange struct {
	Point
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// TrendOf returns a metric's trend over entries, which are in the order of their
// time: of one plan, or of all where plan is empty.
func TrendOf(entries []Entry, metric, plan string) Trend {
	t := Trend{Metric: metric, Points: []Point{}, Changes: []TrendChange{}}
	for _, e := range entries {
		if f, ok := e.Figure(metric); ok && (plan == "" || e.Plan == plan) {
			t.Unit, t.Better = f.Unit, f.Better
			t.Points = append(t.Points, Point{e.ID, e.StartedAt, e.Commit, f.Median})
		}
	}
	recent := t.Points[max(0, len(t.Points)-longestTrend):]
	values := make([]float64, len(recent))
	for i, p := range recent {
		values[i] = p.Value
	}
	places := stats.ChangePoints(values, trendSignificance, 1)
	for i, at := range places {
		from, to := 0, len(values)
		if i > 0 {
			from = places[i-1]
		}
		if i+1 < len(places) {
			to = places[i+1]
		}
		t.Changes = append(t.Changes, TrendChange{recent[at], stats.Median(values[from:at]), stats.Median(values[at:to])})
	}
	return t
}
