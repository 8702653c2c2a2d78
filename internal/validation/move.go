package validation

import (
	"context"

	"scaleproof/internal/plan"
	"scaleproof/scaling"
	"scaleproof/scaling/shard"
)

// Move returns the move of a plan's section shard.
func Move(p *plan.Plan, opts Options, onProgress func(shard.Progress)) (*shard.Job, error) {
	r := newRunner(p, opts)
	return scaling.NewJob(r.stepEnvironment(), onProgress, func(text string) { r.event(Acting, "%s", text) })
}

// checkMove looks whether a plan's move would work, and for what others have left
// behind.
func (r *runner) checkMove(ctx context.Context) []scaling.Check {
	var checks []scaling.Check
	var nodes []shard.Node
	for _, node := range r.plan.Environment.Postgres.All() {
		nodes = append(nodes, shard.Node{Name: node.Name, DSN: node.DSN})
	}
	for _, l := range shard.Leftovers(ctx, nodes) {
		checks = append(checks, scaling.Check{Name: "postgres " + l.Node, State: scaling.CheckFault, Detail: l.What, Mend: l.Mend})
	}
	if r.plan.Shard == nil {
		return checks
	}
	name := "move " + r.plan.Shard.Name
	job, err := scaling.NewJob(r.stepEnvironment(), nil, nil)
	if err != nil {
		return append(checks, r.check(name, "", err, "mend the section shard"))
	}
	faults, warnings, err := job.Check(ctx)
	if err != nil {
		return append(checks, r.check(name, "", err, "mend it, or the section shard"))
	}
	for _, fault := range faults {
		checks = append(checks, scaling.Check{Name: name, State: scaling.CheckFault, Detail: r.plan.Secrets.String(fault), Mend: "see scaleproof shard plan"})
	}
	for _, warning := range warnings {
		checks = append(checks, scaling.Check{Name: name, State: scaling.CheckWarning, Detail: warning})
	}
	if len(faults) == 0 {
		checks = append(checks, scaling.Check{Name: name, State: scaling.CheckOK, Detail: "every table is classified, and the target can take them"})
	}
	return checks
}
