package snapshot_test

import (
	"fmt"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

func ExampleBuilder() {
	var b snapshot.Builder
	for _, p99 := range []float64{0.061, 0.064, 0.063} {
		err := b.AddTrial([]snapshot.Sample{{
			Name: "load.api.response.p99", Unit: unit.Seconds, Better: snapshot.Lower, Value: p99,
		}})
		if err != nil {
			panic(err)
		}
	}
	trials, metrics := b.Build()
	fmt.Println(trials, metrics[0].Name, metrics[0].Values)
	// Output: 3 load.api.response.p99 [0.061 0.064 0.063]
}
