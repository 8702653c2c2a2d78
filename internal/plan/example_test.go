package plan_test

import (
	"fmt"

	"scaleproof/internal/plan"
)

func ExampleRead() {
	text := `version: 1
name: more-replicas
measure:
  load:
    - name: api
      targets: ["GET ${APP_URL}/health"]
      rate: 100 parsecs
      duration: 10s
`
	environment := map[string]string{"APP_URL": "http://127.0.0.1:8000"}
	_, err := plan.Read("plan.yaml", []byte(text), func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	fmt.Println(err)
	// Output:
	// plan.yaml:7:13: "100 parsecs" is not a number with a unit (such as 80ms, 500/s, 4GiB or 0.1%)
}
