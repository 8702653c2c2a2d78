package dbbench

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"scaleproof/internal/stats"
)

// A caseRun gathers the executions of one case.
type caseRun struct {
	benchCase
	bench     *Bench
	statement string // the name of the prepared statement
	result    CaseResult
	plans     []*planRun
	prepared  bool
}

// A planRun gathers those with one kind of plan.
type planRun struct {
	*caseRun
	mode         string // a value of plan_cache_mode
	version      int
	result       PlanResult
	timed        []*Plan   // with the clock at the nodes
	executions   []float64 // ms, without it
	fingerprints []string  // of each run
}

// newCaseRun makes the case at place i of the suite ready to run.
func (b *Bench) newCaseRun(i int, c benchCase) *caseRun {
	r := &caseRun{benchCase: c, bench: b, statement: fmt.Sprintf("scaleproof_%d", i), result: CaseResult{Name: c.name, SQL: c.sql, Query: c.query, Node: c.on.node.Name}}
	r.result.setArguments(c.args)
	if c.fault != nil {
		r.result.Error = c.fault.Error()
	}
	for _, kind := range b.config.planModes(len(c.args) > 0) {
		r.plans = append(r.plans, &planRun{caseRun: r, mode: kind, version: c.on.versionNum, result: PlanResult{Histogram: stats.NewHistogram()}})
	}
	return r
}

const (
	customPlan  = "force_custom_plan"
	genericPlan = "force_generic_plan"
)

// planModes returns the kinds of plan that a query runs with. One without
// parameters has but one.
func (c Config) planModes(parameters bool) []string {
	switch {
	case !parameters || c.Plans == "custom":
		return []string{customPlan}
	case c.Plans == "generic":
		return []string{genericPlan}
	}
	return []string{customPlan, genericPlan}
}

func (r *caseRun) prepare(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.PgConn().Prepare(ctx, r.statement, r.sql, nil)
	r.prepared = err == nil
	return err
}

// warmUp runs the query once with each kind of plan, and takes its result's
// hash.
func (r *caseRun) warmUp(ctx context.Context, conn *pgx.Conn) error {
	for _, p := range r.plans {
		if _, err := p.execute(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

// finish returns the case's result. One that the budget left without any run of
// one of its plans has no figures.
func (r *caseRun) finish() CaseResult {
	for _, p := range r.plans {
		if r.result.Cut && r.result.Error == "" && len(p.result.ClientTime) == 0 {
			r.result.Error = "the suite's budget was spent before it was measured"
		}
	}
	for _, p := range r.plans {
		p.finish()
	}
	r.result.PlanResult = r.plans[0].result
	if len(r.plans) > 1 {
		r.result.Generic = &r.plans[1].result
	}
	return r.result
}

// measure runs the query once plainly, timed at the client, and once under
// EXPLAIN without the clock at the nodes, whose own cost would be part of the
// time.
func (p *planRun) measure(ctx context.Context, conn *pgx.Conn) error {
	took, err := p.execute(ctx, conn)
	if err != nil {
		return err
	}
	p.result.ClientTime = append(p.result.ClientTime, took.Seconds())
	p.result.Histogram.RecordNanos(took.Nanoseconds())
	plan, err := p.explain(ctx, conn, false)
	if err != nil {
		return err
	}
	p.result.Figures = plan.Figures()
	p.result.Shape = plan.Root.Shape()
	p.result.Fingerprint = plan.Fingerprint()
	p.fingerprints = append(p.fingerprints, p.result.Fingerprint)
	if p.result.WorkersLaunched < p.result.WorkersPlanned {
		p.result.LackedWorkers++
		return nil
	}
	p.result.ServerTime = append(p.result.ServerTime, (plan.PlanningTime+plan.ExecutionTime)/1e3)
	p.executions = append(p.executions, plan.ExecutionTime)
	return nil
}

// timeNodes runs the query once with the clock at the nodes, for their shares.
func (p *planRun) timeNodes(ctx context.Context, conn *pgx.Conn) error {
	plan, err := p.explain(ctx, conn, true)
	if err == nil {
		p.timed = append(p.timed, plan)
	}
	return err
}

// finish chooses the plan of the middle of the runs that timed the nodes.
func (p *planRun) finish() {
	p.result.Fingerprints = several(p.fingerprints)
	if len(p.timed) == 0 {
		return
	}
	slices.SortFunc(p.timed, func(a, b *Plan) int { return cmp.Compare(a.withoutSerialization(), b.withoutSerialization()) })
	p.result.Plan = p.timed[len(p.timed)/2]
	if off := stats.Median(p.executions); off > 0 {
		p.result.TimingOverhead = p.result.Plan.withoutSerialization() / off
	}
}

// withoutSerialization is the execution time less the conversion of the rows,
// which only runs that time the nodes do.
func (p *Plan) withoutSerialization() float64 {
	if p.Serialization == nil {
		return p.ExecutionTime
	}
	return p.ExecutionTime - p.Serialization.Time
}

// choosePlan makes the transaction ready for the next statement.
func (p *planRun) choosePlan(ctx context.Context, conn *pgconn.PgConn) error {
	_, err := conn.Exec(ctx, "SET LOCAL "+planCacheMode+" = "+p.mode+"; "+p.bench.setTimeout()).ReadAll()
	return err
}

func (p *planRun) explain(ctx context.Context, conn *pgx.Conn, timing bool) (*Plan, error) {
	if err := p.choosePlan(ctx, conn.PgConn()); err != nil {
		return nil, err
	}
	statement, err := executeStatement(conn.PgConn(), p.statement, p.args)
	if err != nil {
		return nil, err
	}
	return explain(ctx, conn.PgConn(), explainOptions(p.version, timing), statement)
}

// execute runs the query, reads all of its rows, and the first time hashes them
// without regard to their order, which SQL leaves open.
func (p *planRun) execute(ctx context.Context, conn *pgx.Conn) (time.Duration, error) {
	if err := p.choosePlan(ctx, conn.PgConn()); err != nil {
		return 0, err
	}
	hash := p.caseRun.result.ResultHash == ""
	var count float64
	var digest [sha256.Size]byte
	started := time.Now()
	rows := conn.PgConn().ExecPrepared(ctx, p.statement, p.args, nil, nil)
	for rows.NextRow() {
		count++
		if hash {
			addRow(&digest, rows.Values())
		}
	}
	_, err := rows.Close()
	took := time.Since(started)
	switch {
	case err != nil:
		return 0, err
	case hash:
		p.caseRun.result.ResultHash = fmt.Sprintf("%s-%.0f", hex.EncodeToString(digest[:8]), count)
	case count != p.caseRun.result.Rows:
		p.caseRun.result.Unstable = true
	}
	p.caseRun.result.Rows = count
	return took, nil
}

// addRow adds the hash of a row to a sum, which does not depend on the order.
// A NULL differs from an empty text.
func addRow(sum *[sha256.Size]byte, values [][]byte) {
	h := sha256.New()
	for _, v := range values {
		fmt.Fprintf(h, "%d,%t,", len(v), v == nil)
		h.Write(v)
	}
	carry := 0
	row := h.Sum(nil)
	for i := range sum {
		carry += int(sum[i]) + int(row[i])
		sum[i] = byte(carry)
		carry >>= 8
	}
}
