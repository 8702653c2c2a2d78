package validation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/plan"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

// preflight reaches everything that the plan measures, before anything is
// started. Its error is an *EnvironmentError that names all that can't be
// reached.
func (r *runner) preflight(ctx context.Context) error {
	r.event(Preflight, "reaching what the plan measures")
	if err := r.guard(); err != nil {
		return err
	}
	warnings, err := r.sightWarnings()
	if err != nil {
		return &EnvironmentError{err}
	}
	for _, warning := range warnings {
		r.event(Preflight, "warning: %s", warning)
	}
	var faults []error
	for _, load := range r.plan.Measure.Load {
		if err := r.reachTargets(ctx, load); err != nil {
			faults = append(faults, fmt.Errorf("load %s: %w", load.Name, err))
		}
	}
	for _, s := range r.plan.Measure.Scrape {
		faults = append(faults, reach(ctx, s.URL))
	}
	faults = append(faults, r.reachKubernetes(ctx))
	for _, node := range r.plan.Environment.Postgres.All() {
		faults = append(faults, reachPostgres(ctx, node.Name, node.DSN))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := errors.Join(faults...); err != nil {
		return &EnvironmentError{errors.New(r.plan.Secrets.String(err.Error()))}
	}
	return nil
}

// guard asks for a consent to load on hosts that the plan's environment does
// not name.
func (r *runner) guard() error {
	if r.opts.Consent {
		return nil
	}
	for _, load := range r.plan.Measure.Load {
		source, err := loadgen.NewSource(load)
		if err != nil {
			return nil // Reach tells
		}
		if err := loadgen.Guard(load, source, r.plan.Environment.Hosts); err != nil {
			return &ConsentError{fmt.Sprintf("load %s: %v: name the host under environment.hosts, or consent by --yes", load.Name, err)}
		}
	}
	return nil
}

// consented asks for a consent to steps that can't be undone.
func (r *runner) consented() error {
	if r.opts.Consent {
		return nil
	}
	for i, s := range r.plan.Action.Steps {
		if s.Irreversible {
			return &ConsentError{fmt.Sprintf("step %d, %s, can't be undone: look at it by run --dry-run, and consent by --yes", i+1, s.Title())}
		}
	}
	return nil
}

// permitted makes sure, before anything is measured, that the steps may do what they
// want, and their rollback too, and that no autoscaler owns what they would write.
func (r *runner) permitted(ctx context.Context) error {
	steps := r.plan.Action.Steps
	if !slices.ContainsFunc(steps, scaling.Step.OnKubernetes) {
		return nil
	}
	client := r.kubernetes()
	client.Patience = 0
	var faults []error
	previews := r.executor(nil, func(scaling.Event) {}).Preview(ctx, steps)
	for _, p := range previews {
		switch {
		case errors.As(p.Err, new(*scaling.OwnedError)):
			return &ConsentError{fmt.Sprintf("step %s: %v", p.Name, p.Err)}
		case kubectl.ReasonOf(p.Err) == kubectl.Forbidden:
			faults = append(faults, fmt.Errorf("step %s: %w", p.Name, p.Err))
		}
	}
	for _, c := range scaling.CheckUnproven(ctx, client, steps, previews) {
		if c.State == scaling.CheckFault {
			faults = append(faults, fmt.Errorf("%s: %s: %s", c.Name, c.Detail, c.Mend))
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(faults) > 0 {
		return &EnvironmentError{errors.New(r.plan.Secrets.String(errors.Join(faults...).Error()))}
	}
	return nil
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
	client := *r.opts.HTTP
	client.Timeout = 0 // the step's own bounds its requests
	return scaling.Environment{
		DSNs: dsns, Environ: os.Environ(), HTTP: &client, Now: r.opts.Now, Secrets: r.plan.Secrets,
		Kubernetes: r.kubernetes(), StepsHash: r.plan.StepsHash, ServerUID: r.serverUID, Approve: r.approve,
		Move: r.plan.Shard, OnMove: r.tellMove, OnProgress: r.progressTeller(stepProgressInterval),
		Origin: fmt.Sprintf("plan %s, run %s", r.plan.Name, r.id),
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
