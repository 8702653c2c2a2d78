package reports

import (
	"fmt"
	"math"
	"strings"
)

// A metricGroup is the metrics of one family: those that matter in a table, the
// rest folded away.
type metricGroup struct {
	Title string
	Shown []metricLine
	Rest  []metricLine
}

// A metricLine is one row of a table of metrics.
type metricLine struct {
	Row
	Bar *ratioBar
}

// A ratioBar places a ratio's interval on a logarithmic scale, in percent of
// its width. Zone is where a change does not matter.
type ratioBar struct {
	Low, Width, Value, ZoneLow, ZoneWidth float64
}

// barSpan is the ratio at the right end of a bar; 1/barSpan is at the left.
const barSpan = 10

func newRatioBar(r Row) *ratioBar {
	i := r.Shown()
	if i == nil || i.Value <= 0 {
		return nil
	}
	place := func(ratio float64) float64 {
		at := 50 + 50*math.Log(ratio)/math.Log(barSpan)
		return min(max(at, 0), 100)
	}
	low, high := place(i.Low), place(i.High)
	zone := place(1 / (1 + r.MinChange))
	return &ratioBar{Low: low, Width: max(high-low, 0.8), Value: place(i.Value), ZoneLow: zone, ZoneWidth: place(1+r.MinChange) - zone}
}

// databaseTitle is that of the metrics from the database's own views.
const databaseTitle = "Counted through the trials"

// groupMetrics sorts rows by the first part of their names, in the order in
// which the parts appear.
func groupMetrics(rows []Row) []metricGroup {
	titles := map[string]string{
		"load": "Load", "db": "Queries", "pg": databaseTitle, "host": "Host", "proc": "Processes", "k8s": "Kubernetes", "scrape": "Application",
	}
	var groups []metricGroup
	index := map[string]int{}
	for _, r := range rows {
		family, _, _ := strings.Cut(r.Metric, ".")
		title := titles[family]
		if title == "" {
			title = "Metrics"
		}
		at, ok := index[title]
		if !ok {
			at = len(groups)
			index[title] = at
			groups = append(groups, metricGroup{Title: title})
		}
		line := metricLine{r, newRatioBar(r)}
		g := &groups[at]
		if r.Gate || headline(r) || title == "Metrics" {
			g.Shown = append(g.Shown, line)
		} else {
			g.Rest = append(g.Rest, line)
		}
	}
	return groups
}

// RestTitle says how many metrics are folded away.
func (g metricGroup) RestTitle() string {
	if len(g.Rest) == 1 {
		return "one more metric"
	}
	return fmt.Sprintf("%d more metrics", len(g.Rest))
}
