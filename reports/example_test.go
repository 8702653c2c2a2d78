package reports_test

import (
	"fmt"
	"strings"

	"scaleproof/internal/snapshot"
	"scaleproof/reports"
)

// Two tables of any tool's figures, one row a trial, become a verdict.
func ExampleCompare() {
	table := func(values ...string) *snapshot.Snapshot {
		text := "metric,value,unit,better\nlatency," + strings.Join(values, ",ms,lower\nlatency,") + ",ms,lower\n"
		s, err := snapshot.ReadCSV(strings.NewReader(text))
		if err != nil {
			panic(err)
		}
		return s
	}
	before := table("100", "101", "99", "100", "102", "98")
	after := table("71", "70", "69", "70", "72", "70")
	for _, row := range reports.Compare(before, after, reports.Criteria{}).Rows {
		fmt.Printf("%s: %s, %.2f times what it was\n", row.Metric, row.Change, row.Ratio.Value)
	}
	// Output: latency: improved, 0.70 times what it was
}
