package dbbench

import (
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5/pgconn"
)

// healthyClock is what a reading of a clock may take (pg_test_timing's
// documentation): above it a server should have another clock source.
const healthyClock = 100e-9

// clockRows is how many rows the query has by which the clock is measured, and
// clockRounds how often it runs in each way.
const (
	clockRows   = 20000
	clockRounds = 4
)

// measureClock returns the seconds that one reading of the server's clock takes:
// the same query with the clock at the nodes and without, where each row that a
// scan hands up reads it twice. The shortest run of each counts, since all that
// disturbs a run makes it longer.
func measureClock(ctx context.Context, conn *pgconn.PgConn) (float64, error) {
	shortest := map[string]float64{"ON": math.Inf(1), "OFF": math.Inf(1)}
	for range clockRounds {
		for _, timing := range []string{"ON", "OFF"} {
			plan, err := explain(ctx, conn, "ANALYZE, BUFFERS OFF, FORMAT JSON, TIMING "+timing,
				fmt.Sprintf("SELECT count(*) FROM generate_series(1, %d)", clockRows))
			if err != nil {
				return 0, fmt.Errorf("measuring the clock's cost: %w", err)
			}
			shortest[timing] = min(shortest[timing], plan.ExecutionTime)
		}
	}
	return max(shortest["ON"]-shortest["OFF"], 0) / 1e3 / (2 * clockRows), nil
}
