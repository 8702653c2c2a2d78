package reports

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"scaleproof/capacity"
)

const (
	// drawnLimits and drawnGrowing are how many charts there are.
	drawnLimits, drawnGrowing = 12, 4
	// drawnDays is how much of the past a chart shows, at least.
	drawnDays = 90
)

// WriteOutlookHTML writes an outlook as one page that needs no network. See
// WriteHTML.
func WriteOutlookHTML(w io.Writer, o *Outlook) error {
	page := &outlookPage{Outlook: o, Charts: outlookCharts(o)}
	page.Shown, page.Rest = o.shown()
	page.Grown, page.Tested = growthGroups(o.Growing), o.backtested()
	if err := page.inline(page.Charts, o); err != nil {
		return fmt.Errorf("writing the outlook as HTML: %w", err)
	}
	return writePage(w, "outlook.tmpl", page)
}

// An outlookPage is what the template shows.
type outlookPage struct {
	*Outlook
	inlined
	Charts []chart
	Shown  []*Dated
	Rest   int
	Grown  []growthGroup
	Tested []*Dated // limits with a backtest
}

// outlookCharts draws the most urgent limits and what grows fastest.
func outlookCharts(o *Outlook) []chart {
	var charts []chart
	for _, d := range o.Limits[:min(len(o.Limits), drawnLimits)] {
		charts = append(charts, d.chart(len(charts)))
	}
	for _, d := range o.Growing[:min(len(o.Growing), drawnGrowing)] {
		charts = append(charts, d.chart(len(charts)))
	}
	return charts
}

// The series of a chart, in their order. A band is between each pair.
const (
	chartMeasured = iota
	chartMedian
	chartLow80
	chartHigh80
	chartPast
	chartPastLow
	chartPastHigh
	chartLimit
	chartSeries
)

// chart draws what was measured, what is expected, what was expected a month ago,
// and the limit.
func (d *Dated) chart(at int) chart {
	c := chart{
		ID: fmt.Sprintf("outlook-%d", at), Kind: "date", Title: d.Series, XLabel: "date", YLabel: d.Series, YUnit: string(d.Unit),
		Note: d.chartNote(),
		Series: []series{
			{Label: "measured", Role: "other"},
			{Label: "expected", Role: "after"},
			{Label: "low", Role: "after", Faint: true},
			{Label: "high", Role: "after", Faint: true},
			{Label: "a month ago", Role: "before", Dashed: true},
			{Label: "low then", Role: "before", Faint: true},
			{Label: "high then", Role: "before", Faint: true},
			{Label: "limit", Role: "bad", Dashed: true},
		},
		Bands: [][2]int{{chartHigh80, chartLow80}, {chartPastHigh, chartPastLow}},
	}
	points := d.chartPoints()
	for _, x := range slices.Sorted(maps.Keys(points)) {
		c.X = append(c.X, number(x))
		c.add(points[x][:]...)
	}
	c.drop(points)
	return c
}

// chartPoints are the values of all series, by Unix time.
func (d *Dated) chartPoints() map[int64]*[chartSeries]float64 {
	points := map[int64]*[chartSeries]float64{}
	at := func(t int64) *[chartSeries]float64 {
		p := points[t]
		if p == nil {
			p = &[chartSeries]float64{}
			for i := range p {
				p[i] = math.NaN()
			}
			points[t] = p
		}
		return p
	}
	from := d.To.AddDate(0, 0, -max(drawnDays, len(d.Steps)))
	highest := 0.0
	for i, t := range d.History.Times {
		if v := d.History.Values[i]; t.After(from) && !math.IsNaN(v) {
			at(t.Unix())[chartMeasured] = v
			highest = max(highest, v)
		}
	}
	at(d.To.Unix())[chartMedian], at(d.To.Unix())[chartLow80], at(d.To.Unix())[chartHigh80] = d.Last, d.Last, d.Last
	for _, s := range d.Steps {
		p := at(s.Time.Unix())
		p[chartMedian], p[chartLow80], p[chartHigh80] = s.Median, s.Low80, s.High80
		highest = max(highest, s.High80)
	}
	if d.Past != nil {
		for _, s := range d.Past.Steps {
			if s.Time.After(*d.To) {
				break
			}
			p := at(s.Time.Unix())
			p[chartPast], p[chartPastLow], p[chartPastHigh] = s.Median, s.Low80, s.High80
		}
	}
	// A limit that is far off would press all else flat.
	if d.Limit != nil && math.Abs(d.Limit.Limit) < 3*highest {
		for _, p := range points {
			p[chartLimit] = d.Limit.Limit
		}
	}
	return points
}

// drop leaves out series without a value, and with them their bands. The pair of
// a band goes together, and stands last but for the limit.
func (c *chart) drop(points map[int64]*[chartSeries]float64) {
	has := func(i int) bool {
		for _, p := range points {
			if !math.IsNaN(p[i]) {
				return true
			}
		}
		return false
	}
	if !has(chartLimit) {
		c.Series = c.Series[:chartLimit]
	}
	if !has(chartPast) {
		c.Series = slices.Delete(c.Series, chartPast, chartPastHigh+1)
		c.Bands = c.Bands[:1]
	}
}

func (d *Dated) chartNote() string {
	note := "Four of five futures lie in the tinted band."
	if d.Limit != nil {
		note = "Limit: " + d.Limit.String() + ". " + note
	}
	if s := d.Score; s != nil {
		note += fmt.Sprintf(" The brown band was projected on %s.", s.Made.Format("2006-01-02"))
	}
	if d.Status == capacity.Projected && d.Confidence == capacity.Low {
		note += " The confidence is low."
	}
	return note
}

// Scored are the limits of which a past projection could be compared.
func (p *outlookPage) Scored() []*Dated {
	var all []*Dated
	for _, d := range p.Shown {
		if d.Score != nil {
			all = append(all, d)
		}
	}
	return all
}

// UnknownShown and UnknownRest are what has too little history, some of it by
// name.
func (p *outlookPage) UnknownShown() []*Undated {
	return p.Unknown[:min(len(p.Unknown), shownGrowing)]
}

// UnknownRest is how many are not named.
func (p *outlookPage) UnknownRest() int { return max(0, len(p.Unknown)-shownGrowing) }
