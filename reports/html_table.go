package reports

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"scaleproof/internal/unit"
)

// tableRows is the most rows of the table behind a chart.
const tableRows = 40

// Head returns the headings of the table behind the chart.
func (c chart) Head() []string {
	head := []string{c.XLabel}
	for _, s := range c.Series {
		head = append(head, s.Label)
	}
	return head
}

// Shown says how much of a chart its table has, where it is not all.
func (c chart) Shown() string {
	if len(c.X) <= tableRows {
		return ""
	}
	return "or read some of its " + strconv.Itoa(len(c.X)) + " points here:"
}

// Rows returns the table behind the chart, of some of its points where there
// are many.
func (c chart) Rows() [][]string {
	step := max((len(c.X)+tableRows-1)/tableRows, 1)
	var rows [][]string
	for i := 0; i < len(c.X); i += step {
		row := []string{c.xText(float64(c.X[i]))}
		for _, s := range c.Series {
			row = append(row, unit.Format(float64(s.Values[i]), unit.Base(c.YUnit)))
		}
		rows = append(rows, row)
	}
	return rows
}

func (c chart) xText(x float64) string {
	switch c.Kind {
	case "percentile":
		return "p" + strconv.FormatFloat(100*(1-1/x), 'g', 5, 64)
	case "date":
		return time.Unix(int64(x), 0).UTC().Format(time.DateOnly)
	case "decile":
		return "p" + formatNumber(x)
	case "curve":
		return unit.Format(x, unit.RequestsPerSecond)
	}
	return unit.Format(x, unit.Seconds)
}

func formatNumber(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func sortBy[T any](xs []T, key func(T) float64) {
	slices.SortStableFunc(xs, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}
