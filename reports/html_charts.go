package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// A chart is drawn by the page's script, and shown as a table where there is
// none.
type chart struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"` // time, date, percentile, decile or curve: what x is
	Title  string   `json:"title"`
	Note   string   `json:"note"`
	XLabel string   `json:"x_label"`
	YLabel string   `json:"y_label"`
	YUnit  string   `json:"y_unit"`
	X      []number `json:"x"`
	Series []series `json:"series"`
	// Markers are events at an x.
	Markers []chartMarker `json:"markers,omitempty"`
	// Bands are pairs of series (upper, lower) between which the chart is tinted.
	Bands [][2]int `json:"bands,omitempty"`
}

// series is one line of a chart, of as many values as the chart's X.
type series struct {
	Label  string   `json:"label"`
	Role   string   `json:"role"` // before, after, good, bad or other: its colour
	Dashed bool     `json:"dashed,omitempty"`
	Faint  bool     `json:"faint,omitempty"` // the edge of a band
	Values []number `json:"values"`
}

type chartMarker struct {
	X     number `json:"x"`
	Label string `json:"label"`
}

// A number is written with six digits, which is more than a chart shows, or whole
// where it is, as times are; NaN is null, a gap.
type number float64

// MarshalJSON implements json.Marshaler.
func (n number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	if whole := int64(n); number(whole) == n {
		return strconv.AppendInt(nil, whole, 10), nil
	}
	return []byte(formatNumber(float64(n))), nil
}

// maxPoints bounds the points of a line: more than a screen has columns.
const maxPoints = 1200

func charts(r *Report) ([]chart, error) {
	var all []chart
	all = append(all, throughCharts(r.Through, r.Markers)...)
	before, err := loads(r.Before)
	if err != nil {
		return nil, err
	}
	after, err := loads(r.After)
	if err != nil {
		return nil, err
	}
	for _, name := range loadNames(r.Before, r.After) {
		if c, ok := percentileChart(name, before[name], after[name]); ok {
			all = append(all, c)
		}
		if c, ok := shiftChart(name, before[name], after[name]); ok {
			all = append(all, c)
		}
		if c, ok := capacityChart(name, before[name], after[name]); ok {
			all = append(all, c)
		}
	}
	return all, nil
}

// loads decodes the results of the loads of a snapshot, by name.
func loads(s *snapshot.Snapshot) (map[string]*loadgen.Result, error) {
	results := map[string]*loadgen.Result{}
	for _, name := range loadNames(s) {
		var result loadgen.Result
		if _, err := s.Section("load."+name, &result); err != nil {
			return nil, err
		}
		results[name] = &result
	}
	return results, nil
}

// loadNames lists the loads of snapshots in the order of their metrics.
func loadNames(snapshots ...*snapshot.Snapshot) []string {
	var names []string
	seen := map[string]bool{}
	for _, s := range snapshots {
		if s == nil {
			continue
		}
		for _, m := range s.Metrics {
			family, rest, _ := strings.Cut(m.Name, ".")
			name, _, _ := strings.Cut(rest, ".")
			if _, ok := s.Sections["load."+name]; family == "load" && ok && !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// shortSecond is the length from which on the last second of a load has a rate.
const shortSecond = .5

// throughCharts shows the load that went on while the steps ran.
func throughCharts(through *loadgen.Result, markers []Marker) []chart {
	if through == nil || len(through.Seconds) < 2 {
		return nil
	}
	seconds := through.Seconds
	if last := seconds[len(seconds)-1].Length; last > 0 && last < shortSecond {
		seconds = seconds[:len(seconds)-1] // one request in a hundredth of a second is no rate of a hundred
	}
	seconds = thin(seconds)
	throughput := chart{
		ID: "through-rate", Kind: "time", Title: "Requests through the action", XLabel: "time", YLabel: "requests per second", YUnit: string(unit.RequestsPerSecond),
		Note:   "The load stayed on while the steps ran; the lines mark them. Drag to zoom, double-click to return.",
		Series: []series{{Label: "succeeded", Role: "good"}, {Label: "failed", Role: "bad"}},
	}
	latency := chart{
		ID: "through-latency", Kind: "time", Title: "Response time through the action", XLabel: "time", YLabel: "response time", YUnit: string(unit.Seconds),
		Note:   "From the time at which a request was due to the end of its answer, of requests that succeeded.",
		Series: []series{{Label: "p50", Role: "other"}, {Label: "p99", Role: "after"}},
	}
	for _, s := range seconds {
		length := s.Length
		if length <= 0 {
			length = 1
		}
		x := number(s.Offset)
		throughput.X, latency.X = append(throughput.X, x), append(latency.X, x)
		throughput.add(float64(s.Requests-s.Errors)/length, float64(s.Errors)/length)
		if s.Requests == s.Errors {
			latency.add(math.NaN(), math.NaN())
		} else {
			latency.add(s.P50, s.P99)
		}
	}
	for _, m := range markers {
		marker := chartMarker{number(m.At.Sub(through.StartedAt).Seconds()), m.Label}
		throughput.Markers, latency.Markers = append(throughput.Markers, marker), append(latency.Markers, marker)
	}
	return []chart{throughput, latency}
}

func (c *chart) add(values ...float64) {
	for i, v := range values {
		c.Series[i].Values = append(c.Series[i].Values, number(v))
	}
}

// thin joins neighbours until there are no more than maxPoints: counts are
// added up, and of latencies the worst stays.
func thin(seconds []loadgen.Second) []loadgen.Second {
	for len(seconds) > maxPoints {
		var half []loadgen.Second
		for i := 0; i < len(seconds); i += 2 {
			s := seconds[i]
			if i+1 < len(seconds) {
				n := seconds[i+1]
				s.Requests, s.Errors, s.Length = s.Requests+n.Requests, s.Errors+n.Errors, s.Length+n.Length
				s.P50, s.P99, s.Max = max(s.P50, n.P50), max(s.P99, n.P99), max(s.Max, n.Max)
			}
			half = append(half, s)
		}
		seconds = half
	}
	return seconds
}

// percentileChart draws latency over the percentile, of which the x axis spreads
// the upper end: each step is a tenth of the slowest requests.
func percentileChart(name string, before, after *loadgen.Result) (chart, bool) {
	c := chart{
		ID: "percentiles-" + name, Kind: "percentile", Title: "Response time of " + name, XLabel: "percentile", YLabel: "response time", YUnit: string(unit.Seconds),
		Note: "How long the fastest part of the requests took, all trials together. The further right, the rarer.",
	}
	var sides []*stats.Histogram
	for _, side := range []struct {
		role   string
		result *loadgen.Result
	}{{"before", before}, {"after", after}} {
		if side.result != nil && side.result.Histograms != nil && side.result.Histograms.Response.Count() > 0 {
			c.Series = append(c.Series, series{Label: side.role, Role: side.role})
			sides = append(sides, side.result.Histograms.Response)
		}
	}
	if len(sides) == 0 {
		return c, false
	}
	most := int64(0)
	for _, h := range sides {
		most = max(most, h.Count())
	}
	// Beyond the rarest of all requests a quantile would say nothing.
	for nines := 0.0; nines <= math.Log10(float64(most)); nines += 0.05 {
		q := 1 - math.Pow(10, -nines)
		c.X = append(c.X, number(1/(1-q)))
		for i, h := range sides {
			c.Series[i].Values = append(c.Series[i].Values, number(h.Quantile(q)))
		}
	}
	return c, true
}

// shiftChart draws how much later or earlier each tenth of the requests is
// answered: where the latency moved (the shift function, Doksum 1974, of
// Harrell-Davis deciles). It describes and decides nothing.
func shiftChart(name string, before, after *loadgen.Result) (chart, bool) {
	c := chart{
		ID: "shift-" + name, Kind: "decile", Title: "Where the response time of " + name + " moved", XLabel: "decile", YLabel: "after less before", YUnit: string(unit.Seconds),
		Note:   "After less before at each tenth of the requests, all trials together: below zero is faster.",
		Series: []series{{Label: "after less before", Role: "after"}},
	}
	for _, r := range []*loadgen.Result{before, after} {
		if r == nil || r.Histograms == nil || r.Histograms.Response.Count() < minShift {
			return c, false
		}
	}
	for decile := 1; decile <= 9; decile++ {
		q := float64(decile) / 10
		c.X = append(c.X, number(100*q))
		c.add(after.Histograms.Response.HarrellDavis(q) - before.Histograms.Response.HarrellDavis(q))
	}
	return c, true
}

// minShift is how many requests a side must have for its deciles to say much.
const minShift = 100

// capacityChart draws the probes of the search for the capacity.
func capacityChart(name string, before, after *loadgen.Result) (chart, bool) {
	c := chart{
		ID: "capacity-" + name, Kind: "curve", Title: "Rate against latency of " + name, XLabel: "offered rate", YLabel: "p99 of the response time", YUnit: string(unit.Seconds),
		Note: "Each point is a probe of the search for the highest rate that holds the service level; the lines mark that rate, the knee.",
	}
	type point struct{ x, before, after float64 }
	var points []point
	collect := func(side string, r *loadgen.Result, set func(*point, float64)) {
		if r == nil || r.Capacity == nil {
			return
		}
		c.Markers = append(c.Markers, chartMarker{number(r.Capacity.Rate), fmt.Sprintf("%s: %s", side, unit.Format(r.Capacity.Rate, unit.RequestsPerSecond))})
		for _, p := range r.Capacity.Curve {
			at := point{p.Offered, math.NaN(), math.NaN()}
			set(&at, p.P99)
			points = append(points, at)
		}
	}
	collect("before", before, func(p *point, y float64) { p.before = y })
	collect("after", after, func(p *point, y float64) { p.after = y })
	if len(points) == 0 {
		return c, false
	}
	sortBy(points, func(p point) float64 { return p.x })
	c.Series = []series{{Label: "before", Role: "before"}, {Label: "after", Role: "after"}}
	for _, p := range points {
		c.X = append(c.X, number(p.x))
		c.add(p.before, p.after)
	}
	return c, true
}
