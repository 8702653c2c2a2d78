package dbbench

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// explainOptions returns the options of EXPLAIN that a server of a version has
// (server_version_num, 150004). With timing, the clock is read at each node;
// only then the further figures are asked for that would add to the time.
func explainOptions(version int, timing bool) string {
	options := []string{"ANALYZE", "BUFFERS", "SETTINGS", "FORMAT JSON"}
	if version >= 130000 {
		options = append(options, "WAL")
	}
	if !timing {
		return strings.Join(append(options, "TIMING OFF"), ", ")
	}
	if version >= 170000 {
		options = append(options, "SERIALIZE TEXT", "MEMORY")
	}
	return strings.Join(append(options, "TIMING ON"), ", ")
}

// explain runs EXPLAIN on a statement.
func explain(ctx context.Context, conn *pgconn.PgConn, options, statement string) (*Plan, error) {
	results, err := conn.Exec(ctx, "EXPLAIN ("+options+") "+statement).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) != 1 {
		return nil, fmt.Errorf("EXPLAIN gave %d results, not one plan", len(results))
	}
	plan, err := DecodePlan(results[0].Rows[0][0])
	if err != nil {
		return nil, err
	}
	delete(plan.Settings, planCacheMode) // which we have set ourselves
	return plan, nil
}

const planCacheMode = "plan_cache_mode"

// executeStatement writes EXECUTE for a prepared statement: the way to plan one
// with its arguments, or without them where the plan is generic.
func executeStatement(conn *pgconn.PgConn, name string, args [][]byte) (string, error) {
	if len(args) == 0 {
		return "EXECUTE " + name, nil
	}
	literals := make([]string, len(args))
	for i, a := range args {
		literals[i] = "NULL"
		if a == nil {
			continue
		}
		escaped, err := conn.EscapeString(string(a))
		if err != nil {
			return "", err
		}
		literals[i] = "'" + escaped + "'"
	}
	return "EXECUTE " + name + " (" + strings.Join(literals, ", ") + ")", nil
}
