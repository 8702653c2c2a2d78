package dbbench_test

import (
	"fmt"

	"scaleproof/dbbench"
)

const (
	scan = `[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "incidents", "Alias": "incidents",
		"Plan Rows": 100, "Actual Rows": 2000, "Actual Loops": 1, "Filter": "(organization_id = 20)",
		"Rows Removed by Filter": 498000, "Shared Hit Blocks": 8226, "Shared Read Blocks": 0}}]`
	index = `[{"Plan": {"Node Type": "Index Scan", "Relation Name": "incidents", "Alias": "incidents",
		"Index Name": "incidents_organization", "Scan Direction": "Forward", "Plan Rows": 2100,
		"Actual Rows": 2000, "Actual Loops": 1, "Index Cond": "(organization_id = 20)",
		"Shared Hit Blocks": 58, "Shared Read Blocks": 4}}]`
)

// Two plans of a query, from EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON), before
// and after an index was added.
func ExampleDiffPlans() {
	before, err := dbbench.DecodePlan([]byte(scan))
	if err != nil {
		fmt.Println(err)
		return
	}
	after, err := dbbench.DecodePlan([]byte(index))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("worst q-error %.0f, then %.2f\n", before.QError(), after.QError())
	for _, change := range dbbench.DiffPlans(before, after) {
		fmt.Println(change)
	}
	// Output:
	// worst q-error 20, then 1.05
	// Seq Scan on incidents became Index Scan using incidents_organization on incidents
	// Index Scan using incidents_organization on incidents: rows estimated well, before 20 times too low
}
