package loadgen_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// Two hundred requests a second for half a second, in the open model.
func ExampleRun() {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"status": "ok"}`)
	}))
	defer service.Close()
	result, err := loadgen.Run(context.Background(), loadgen.Config{
		Targets:  []string{"GET " + service.URL + "/incidents?organization_id={{random 1 200}}"},
		Rate:     200,
		Duration: unit.Duration(500 * time.Millisecond),
		Checks:   []string{`json $.status == "ok"`},
	}, loadgen.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.OfferedRate, "requests a second,", len(result.Errors), "kinds of error")
	fmt.Println("a response time, in seconds:", result.ResponseTime.P99 > 0)
	// Output:
	// 200 requests a second, 0 kinds of error
	// a response time, in seconds: true
}

func ExampleParseSLO() {
	slo, err := loadgen.ParseSLO("p99<50ms,errors<0.1%")
	fmt.Println(slo.P99, slo.Errors, err)
	// Output: 50ms 0.1% <nil>
}
