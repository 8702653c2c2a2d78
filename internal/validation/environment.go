package validation

import (
	"context"
	"os"

	"scaleproof/internal/plan"
	"scaleproof/scaling"
)

// preflight reaches everything that the plan measures.
func (r *runner) preflight(ctx context.Context) error {
	r.event(Preflight, "reaching what the plan measures")
	var lines []string
	for _, load := range r.plan.Measure.Load {
		lines = append(lines, load.Targets...)
	}
	for _, s := range r.plan.Measure.Scrape {
		lines = append(lines, s.URL)
	}
	if err := r.reachKubernetes(ctx); err != nil {
		return &EnvironmentError{err}
	}
	return preflight(ctx, r.plan, urlsOf(lines))
}

// executor returns the executor of the plan's steps.
func (r *runner) executor(journal *scaling.Journal, onEvent func(scaling.Event)) *scaling.Executor {
	return scaling.NewExecutor(r.stepEnvironment(), journal, onEvent)
}

func (r *runner) stepEnvironment() scaling.Environment {
	dsns := map[string]string{}
	for _, node := range r.plan.Environment.Postgres.All() {
		dsns[node.Name] = node.DSN
	}
	return scaling.Environment{
		DSNs: dsns, Environ: os.Environ(), HTTP: r.opts.HTTP, Now: r.opts.Now, Secrets: r.plan.Secrets,
		Kubernetes: r.kubernetes(),
	}
}

// Preview says what the steps of a plan would do, and changes nothing.
func Preview(ctx context.Context, p *plan.Plan, opts Options) ([]scaling.PreviewStep, error) {
	r := newRunner(p, opts)
	if err := r.preflight(ctx); err != nil {
		return nil, err
	}
	return r.executor(nil, func(scaling.Event) {}).Preview(ctx, p.Action.Steps), nil
}
