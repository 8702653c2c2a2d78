package validation

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/workers"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

// fleet returns the workers of a load, nil where it has none. They are started
// once, and serve all trials and the action until endWorkers.
func (r *runner) fleet(ctx context.Context, load loadgen.Config) (loadgen.Fleet, error) {
	w := load.Workers
	if w.Count == 0 {
		return nil, nil
	}
	if f, ok := r.fleets[load.Name]; ok {
		return f, nil
	}
	r.event(Preflight, "starting %d workers for load %s", w.Count, load.Name)
	f, err := workers.Start(ctx, load, r.workerOptions(load))
	if err != nil {
		return nil, &EnvironmentError{&generatorError{fmt.Errorf("load %s: %w", load.Name, err)}}
	}
	if r.fleets == nil {
		r.fleets = map[string]*workers.Fleet{}
	}
	r.fleets[load.Name] = f
	return f, nil
}

func (r *runner) workerOptions(load loadgen.Config) workers.Options {
	return workers.Options{
		Program: r.opts.Program, Build: strings.TrimPrefix(r.opts.Tool, "scaleproof "), Err: os.Stderr,
		ID: workerID(r.id, load.Name), Client: r.workersClient(load),
	}
}

// workerID is the ID of a run's load in names of Kubernetes.
func workerID(run, load string) string {
	id := strings.ToLower(strings.NewReplacer("_", "-").Replace(run + "-" + load))
	const longest = 40 // of the 63 of a label; the Job's name and its pods' have more
	return strings.Trim(id[max(len(id)-longest, 0):], "-")
}

// endWorkers ends all workers and removes what was made for them.
func (r *runner) endWorkers() {
	for name, f := range r.fleets {
		if err := f.Close(); err != nil {
			r.event(Judging, "warning: ending the workers of load %s: %v", name, err)
		}
	}
	r.fleets = nil
}

// workersClient acts where a load's pods are; nil where it has none.
func (r *runner) workersClient(load loadgen.Config) *kubectl.Client {
	w := load.Workers
	if w.Count == 0 || w.Local {
		return nil
	}
	k := r.plan.Environment.Kubernetes
	return &kubectl.Client{
		Context: orDefault(w.Context, k.Context), Namespace: orDefault(w.Namespace, k.Namespace),
		Run: kubectl.Program("kubectl", os.Environ()), Patience: kubernetesPatience,
	}
}

// reachTargets connects once to a load's targets, where this machine is to.
func (r *runner) reachTargets(ctx context.Context, load loadgen.Config) error {
	if r.workersClient(load) != nil {
		_, err := loadgen.NewSource(load) // the pods see another network
		return err
	}
	return loadgen.Reach(ctx, load)
}

// checkWorkers looks at what a load's pods need, and changes nothing but by
// Options.ProbePods.
func (r *runner) checkWorkers(ctx context.Context, load loadgen.Config) []scaling.Check {
	client := r.workersClient(load)
	if client == nil {
		return nil
	}
	name := "workers of load " + load.Name
	var checks []scaling.Check
	for _, right := range workers.Rights(load.Workers) {
		can, err := client.Can(ctx, right.Verb, right.Resource, right.Subresource)
		if err == nil && !can {
			err = fmt.Errorf("the user of context %s may not %s in namespace %s", client.Context, right, client.Namespace)
		}
		checks = append(checks, r.check(name+": right to "+right.String(), "given", err, "give it, or leave the workers out"))
	}
	checks = append(checks, r.check(name+": Job", "the API server takes it",
		workers.DryRun(ctx, workers.JobOptions{Client: client, Load: load, ID: workerID(r.id, load.Name)}), "mend measure.load.workers, or the namespace's policies and quotas"))
	return append(checks, r.checkWay(ctx, load, client, name+": way to this machine"))
}

// checkWay tells how pods will reach this machine, and where pods may be probed
// whether they do. Where they don't, the way through the API server is tried.
func (r *runner) checkWay(ctx context.Context, load loadgen.Config, client *kubectl.Client, name string) scaling.Check {
	const mend = "name an address of this machine that pods reach by workers.advertise, say workers.through: " + loadgen.PortForward + ", or run scaleproof in the cluster"
	detail := "pods will come through a forwarded port"
	if load.Workers.Through == "" {
		addresses, err := workers.Addresses(ctx, client, load.Workers.Advertise)
		if err != nil {
			return r.check(name, "", err, mend)
		}
		detail = "pods will dial " + workers.InOrder(addresses)
	}
	if !r.opts.ProbePods {
		return r.check(name, detail, nil, mend)
	}
	way, err := r.probePod(ctx, load)
	if err == nil {
		return r.check(name, detail+": one has come by "+way+", and the target answered it", nil, mend)
	}
	var unanswered *targetError
	if load.Workers.Through != "" || errors.As(err, &unanswered) || ctx.Err() != nil {
		return r.check(name, detail, err, mend+"; or mend the target")
	}
	load.Workers.Through, load.Workers.Advertise = loadgen.PortForward, ""
	if _, other := r.probePod(ctx, load); other != nil {
		return r.check(name, detail, errors.Join(err, fmt.Errorf("nor through a forwarded port: %w", other)), mend)
	}
	return r.check(name, detail, err, "a pod did come through a forwarded port: say workers.through: "+loadgen.PortForward)
}

// A targetError is that of a target which did not answer a pod that came.
type targetError struct{ fault string }

func (e *targetError) Error() string {
	return "a pod came, and the target did not answer it: " + e.fault
}

// probePod starts one of a load's pods, which sends the target a little, and removes
// it. It returns the address by which the pod came.
func (r *runner) probePod(ctx context.Context, load loadgen.Config) (way string, err error) {
	load.Workers.Count = 1
	f, err := workers.Start(ctx, load, r.workerOptions(load))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	way = strings.Join(f.Ways(), ", ")
	result, err := loadgen.Run(ctx, little(load), loadgen.Options{Fleet: f})
	if fault := probeFault(result, err, 0); fault != "" {
		return way, &targetError{fault}
	}
	return way, nil
}
