package validation

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/plan"
	"scaleproof/internal/unit"
	"scaleproof/scaling"
)

// Doctor looks at everything that a plan and its rollback need, and changes
// nothing but by Options.ProbePods.
func Doctor(ctx context.Context, p *plan.Plan, opts Options) []scaling.Check {
	r := newRunner(p, opts)
	checks := []scaling.Check{checkFolder(opts.JournalDir)}
	for _, load := range p.Measure.Load {
		checks = append(checks, r.check("load "+load.Name, "its targets answer", r.reachTargets(ctx, load), "start the target, or mend its URL"))
		checks = append(checks, r.checkWorkers(ctx, load)...)
	}
	for _, s := range p.Measure.Scrape {
		checks = append(checks, r.check("scrape "+s.URL, "it answers", reach(ctx, s.URL), "start it, or mend the URL"))
	}
	for _, node := range p.Environment.Postgres.All() {
		checks = append(checks, r.checkPostgres(ctx, node)...)
	}
	checks = append(checks, r.checkMove(ctx)...)
	onKubernetes := p.Action.Steps
	if p.Shard != nil && p.Shard.Routing.ConfigMap != "" {
		// The routing needs what a step on the same ConfigMap would.
		onKubernetes = append(slices.Clone(onKubernetes), scaling.Step{Name: "routing", ConfigMap: &scaling.ConfigMap{Name: p.Shard.Routing.ConfigMap}})
	}
	reached := true
	if r.needsKubernetes() {
		checks = append(checks, r.check("cluster", "context "+p.Environment.Kubernetes.Context+" leads to it", r.reachKubernetes(ctx), "mend environment.kubernetes, kubectl, or the way to the cluster"))
		if reached = checks[len(checks)-1].State == scaling.CheckOK; reached {
			checks = append(checks, scaling.CheckKubernetes(ctx, r.kubernetes(), onKubernetes)...)
		}
	}
	for i := range p.Action.Steps {
		if reached || !p.Action.Steps[i].OnKubernetes() {
			checks = append(checks, r.checkStep(ctx, i)...)
		}
	}
	if warnings, err := r.sightWarnings(); err != nil {
		checks = append(checks, r.check("calibration", "", err, "run scaleproof calibrate"))
	} else {
		for _, w := range warnings {
			checks = append(checks, scaling.Check{Name: "calibration", State: scaling.CheckWarning, Detail: w, Mend: "raise measure.trials, or the gate's min_change"})
		}
	}
	return checks
}

func (r *runner) check(name, fine string, err error, mend string) scaling.Check {
	if err != nil {
		return scaling.Check{Name: name, State: scaling.CheckFault, Detail: r.plan.Secrets.String(err.Error()), Mend: mend}
	}
	return scaling.Check{Name: name, State: scaling.CheckOK, Detail: fine}
}

// checkStep tries to read the state of a step, as the run will, and finds what it
// starts or sends to.
func (r *runner) checkStep(ctx context.Context, index int) []scaling.Check {
	step := r.plan.Action.Steps[index]
	p := r.executor(nil, func(scaling.Event) {}).Preview(ctx, []scaling.Step{step})[0]
	c := scaling.Check{Name: "step " + p.Name, State: scaling.CheckOK, Detail: p.Summary}
	switch {
	case p.Err != nil && index > 0 && kubectl.ReasonOf(p.Err) == kubectl.NotFound:
		c.State, c.Detail, c.Mend = scaling.CheckWarning, p.State, "be sure that an earlier step makes it"
	case p.Err != nil:
		c.State, c.Detail, c.Mend = scaling.CheckFault, p.State, "mend the step, or what it reads"
	case p.Irreversible:
		c.State, c.Detail, c.Mend = scaling.CheckWarning, "it can't be undone: "+p.Summary, "give it an undo, or consent by --yes"
	case p.AlreadyThere():
		c.State, c.Detail, c.Mend = scaling.CheckWarning, "its state is there already: "+p.State, "see who has made it, and leave the step out, or undo it first"
	case p.Unread:
		c.State, c.Detail, c.Mend = scaling.CheckWarning, "its undo can't be verified: "+p.Undo, "give it a read: the state that it changes"
	}
	checks := []scaling.Check{c}
	if step.Exec != nil {
		checks = append(checks, r.checkPrograms(p.Name, step.Exec)...)
	}
	if step.Notify != nil {
		checks = append(checks, r.check("webhook of step "+p.Name, "it answers", reach(ctx, step.Notify.Host()), "mend the webhook's URL, or the way to it"))
	}
	return checks
}

// checkPrograms looks for the programs of a step, and of its undo.
func (r *runner) checkPrograms(step string, e *scaling.Exec) []scaling.Check {
	var checks []scaling.Check
	for _, command := range [][]string{e.Command, e.Undo, e.Read} {
		if len(command) == 0 {
			continue
		}
		if _, err := exec.LookPath(command[0]); err != nil {
			checks = append(checks, r.check("program "+command[0]+" of step "+step, "", err, "install it, or mend PATH"))
		}
	}
	return checks
}

// The free space that a folder of reports should have, and must have.
const (
	amplySpace = 1 << 30
	leastSpace = 64 << 20
)

// checkFolder tries to write where the report will be, and looks at the space.
func checkFolder(dir string) scaling.Check {
	c := writable(dir)
	if c.State != scaling.CheckOK {
		return c
	}
	there := dir
	for there != filepath.Dir(there) {
		if _, err := os.Stat(there); err == nil {
			break
		}
		there = filepath.Dir(there)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(there, &fs); err != nil {
		c.State, c.Detail = scaling.CheckWarning, fmt.Sprintf("the report can be written; its disk's space is unknown: %v", err)
		return c
	}
	free := float64(fs.Bavail) * float64(fs.Bsize)
	c.Detail = "the report can be written; free: " + unit.Format(free, unit.Bytes)
	switch {
	case free < leastSpace:
		c.State, c.Mend = scaling.CheckFault, "free some space, or name another folder by --out"
	case free < amplySpace:
		c.State, c.Mend = scaling.CheckWarning, "free some space, or name another folder by --out"
	}
	return c
}

func writable(dir string) scaling.Check {
	c := scaling.Check{Name: "folder " + dir, State: scaling.CheckOK}
	existed := true
	if _, err := os.Stat(dir); err != nil {
		existed = false
	}
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".doctor-*"); err == nil {
			f.Close()
			err = os.Remove(f.Name())
		}
	}
	if !existed {
		_ = os.Remove(dir) // empty, and not there before
	}
	if err != nil {
		c.State, c.Detail, c.Mend = scaling.CheckFault, err.Error(), "name another folder by --out, or mend its rights"
	}
	return c
}
