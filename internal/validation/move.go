package validation

import (
	"context"
	"fmt"
	"time"

	"scaleproof/internal/plan"
	"scaleproof/internal/unit"
	"scaleproof/scaling"
	"scaleproof/scaling/shard"
)

// Move returns the move of a plan's section shard, which tells what it does.
func Move(ctx context.Context, p *plan.Plan, opts Options) (*shard.Job, error) {
	r := newRunner(p, opts)
	if p.Shard.Routing.ConfigMap != "" {
		if err := r.reachKubernetes(ctx); err != nil {
			return nil, err
		}
	}
	env := r.stepEnvironment()
	env.OnProgress = r.progressTeller(0)
	return scaling.NewJob(env)
}

// tellMove tells what a move does, within a step or by itself.
func (r *runner) tellMove(step, text string) {
	r.event(Acting, "%s", ofStep(step, text))
}

// ofStep is what a step has to say, or a move by itself where step is empty.
func ofStep(step, text string) string {
	if step == "" {
		return text
	}
	return "step " + step + ": " + text
}

// stepProgressInterval is the time between lines that tell how far a step is.
const stepProgressInterval = 30 * time.Second

// progressTeller returns a function that tells how far a move is, no more often than
// every interval, but when it begins something else. The report has none of it.
func (r *runner) progressTeller(interval time.Duration) func(step string, p shard.Progress) {
	var last time.Time
	var doing string
	return func(step string, p shard.Progress) {
		now := r.now()
		r.telling.Lock()
		defer r.telling.Unlock()
		if p.Doing == doing && now.Sub(last) < interval {
			return
		}
		last, doing = now, p.Doing
		r.opts.OnEvent(Event{now, Acting, ofStep(step, progressText(p))})
	}
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
	if name := r.plan.Shard.Routing.ConfigMap; name != "" && r.kubernetes() != nil {
		checks = append(checks, scaling.CheckRouting(ctx, r.kubernetes(), name)...)
	}
	name := "move " + r.plan.Shard.Name
	job, err := scaling.NewJob(r.stepEnvironment())
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

// progressText writes how far a phase is.
func progressText(p shard.Progress) string {
	text := p.Doing
	if p.Rows > 0 || p.Total > 0 {
		text += fmt.Sprintf(" %s rows", unit.Format(float64(p.Rows), unit.Count))
	}
	if p.Total > 0 {
		text += fmt.Sprintf(" of about %s", unit.Format(float64(max(p.Total, p.Rows)), unit.Count))
	}
	if p.Bytes > 0 {
		text += ", " + unit.Format(float64(p.Bytes), unit.Bytes)
	}
	if p.Rate > 0 {
		text += ", " + unit.Format(p.Rate, unit.PerSecond)
	}
	if p.Left > 0 {
		text += ", about " + unit.Format(p.Left.Seconds(), unit.Seconds) + " left"
	}
	if p.Waiting != "" {
		text += ", held back: " + p.Waiting
	}
	return text
}
