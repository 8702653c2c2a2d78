package unit_test

import (
	"fmt"

	"scaleproof/internal/unit"
)

func ExampleParse() {
	value, base, err := unit.Parse("80ms")
	fmt.Println(value, base, err)
	fmt.Println(unit.Format(value, base))
	// Output:
	// 0.08 seconds <nil>
	// 80 ms
}
