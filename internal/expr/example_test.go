package expr_test

import (
	"fmt"

	"scaleproof/internal/expr"
)

func ExampleParse() {
	condition, err := expr.Parse("load.api.response.p99 < 80ms")
	if err != nil {
		panic(err)
	}
	fmt.Println(condition.Metric, condition.Holds(0.064))
	_, err = expr.Parse("load.api.response.p99 < fast")
	fmt.Println(err)
	// Output:
	// load.api.response.p99 true
	// in condition "load.api.response.p99 < fast", column 25: "fast" is not a number with a unit (such as 80ms, 500/s, 4GiB or 0.1%)
}
