package reports

import (
	"fmt"
	"io"
	"time"

	"scaleproof/internal/unit"
)

// A Trend is one metric over time.
type Trend struct {
	Metric  string
	Unit    unit.Base
	Method  string       // how changes are found, in words
	Points  []TrendPoint // the oldest first
	Changes []TrendChange
}

// A TrendPoint is the value of one measurement.
type TrendPoint struct {
	At     time.Time
	ID     string
	Commit string // of what was measured; may be empty
	Value  float64
}

// A TrendChange is where a metric changed, from one median to another.
type TrendChange struct {
	TrendPoint
	From, To float64
}

type trendPage struct {
	inlined
	Title   string
	Points  int
	From    string
	To      string
	Method  string
	Trends  []trendView
	Changes table
}

type trendView struct{ Chart chart }

// WriteTrends writes trends as one page that needs no network, a chart for each
// with its changes marked.
func WriteTrends(w io.Writer, trends []Trend) error {
	page := trendPage{Title: "Trends", Changes: table{Head: columns("metric", "since", "commit", "measurement", "#from", "#to")}}
	if len(trends) == 1 {
		page.Title = trends[0].Metric
	}
	var charts []chart
	for i, t := range trends {
		c := t.chart(i)
		charts = append(charts, c)
		page.Trends = append(page.Trends, trendView{c})
		page.Points = max(page.Points, len(t.Points))
		page.Method = t.Method
		if n := len(t.Points); n > 0 && page.From == "" {
			page.From, page.To = t.Points[0].At.Format(time.DateOnly), t.Points[n-1].At.Format(time.DateOnly)
		}
		for _, change := range t.Changes {
			page.Changes.Rows = append(page.Changes.Rows, []string{
				t.Metric, change.At.Format(time.DateTime), change.Commit, change.ID, unit.Format(change.From, t.Unit), unit.Format(change.To, t.Unit),
			})
		}
	}
	if err := page.inline(charts, trends); err != nil {
		return fmt.Errorf("writing trends as HTML: %w", err)
	}
	return writePage(w, "trend.tmpl", page)
}

func (t Trend) chart(index int) chart {
	c := chart{
		ID: fmt.Sprintf("trend-%d", index), Kind: "date", Title: t.Metric, XLabel: "date", YLabel: t.Metric, YUnit: string(t.Unit),
		Note: "The median of each measurement; the lines mark where it changed.", Series: []series{{Label: "median", Role: "after"}},
	}
	for _, p := range t.Points {
		c.X = append(c.X, number(p.At.Unix()))
		c.add(p.Value)
	}
	for _, change := range t.Changes {
		label := change.At.Format(time.DateOnly)
		if change.Commit != "" {
			label = fmt.Sprintf("%.10s", change.Commit)
		}
		c.Markers = append(c.Markers, chartMarker{number(change.At.Unix()), label})
	}
	return c
}
