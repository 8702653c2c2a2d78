package validation

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/plan"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

// Doctor looks at everything that a plan and its rollback need, and changes
// nothing.
func Doctor(ctx context.Context, p *plan.Plan, opts Options) []scaling.Check {
	r := newRunner(p, opts)
	checks := []scaling.Check{checkFolder(opts.JournalDir)}
	for _, load := range p.Measure.Load {
		checks = append(checks, r.check("load "+load.Name, "its targets answer", loadgen.Reach(ctx, load), "start the target, or mend its URL"))
	}
	for _, s := range p.Measure.Scrape {
		checks = append(checks, r.check("scrape "+s.URL, "it answers", reach(ctx, s.URL), "start it, or mend the URL"))
	}
	for _, node := range p.Environment.Postgres.All() {
		checks = append(checks, r.checkPostgres(ctx, node.Name, node.DSN)...)
	}
	checks = append(checks, r.checkMove(ctx)...)
	onKubernetes := p.Action.Steps
	if p.Shard != nil && p.Shard.Routing.ConfigMap != "" {
		// The routing needs what a step on the same ConfigMap would.
		onKubernetes = append(slices.Clone(onKubernetes), scaling.Step{Name: "routing", ConfigMap: &scaling.ConfigMap{Name: p.Shard.Routing.ConfigMap}})
	}
	if slices.ContainsFunc(onKubernetes, scaling.Step.OnKubernetes) {
		checks = append(checks, scaling.CheckKubernetes(ctx, r.kubernetes(), onKubernetes)...)
	}
	for _, s := range r.executor(nil, func(scaling.Event) {}).Preview(ctx, p.Action.Steps) {
		if s.Undo == "can't be undone" {
			checks = append(checks, scaling.Check{Name: "step " + s.Name, State: scaling.CheckWarning, Detail: "it can't be undone", Mend: "give it an undo, or be sure"})
		}
	}
	if warnings, err := r.calibrationWarnings(); err != nil {
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

// checkFolder tries to write where the report will be.
func checkFolder(dir string) scaling.Check {
	c := scaling.Check{Name: "folder " + dir, State: scaling.CheckOK, Detail: "the report can be written"}
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

// checkPostgres looks at a node's reach, its rights and extensions.
func (r *runner) checkPostgres(ctx context.Context, name, dsn string) []scaling.Check {
	title := "postgres " + name
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return []scaling.Check{r.check(title, "", err, "start it, or mend its connection string")}
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version, role string
	var monitors, statements, timing bool
	err = conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_user, pg_has_role('pg_monitor', 'USAGE'),
		EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements'), current_setting('track_io_timing')::bool`).
		Scan(&version, &role, &monitors, &statements, &timing)
	if err != nil {
		return []scaling.Check{r.check(title, "", err, "")}
	}
	checks := []scaling.Check{{Name: title, State: scaling.CheckOK, Detail: fmt.Sprintf("PostgreSQL %s as %s", version, role)}}
	for _, c := range []struct {
		ok           bool
		detail, mend string
	}{
		{monitors, "the role sees only its own activity", "GRANT pg_monitor TO " + pgx.Identifier{role}.Sanitize()},
		{statements, "pg_stat_statements is missing", "add it to shared_preload_libraries, restart, and run CREATE EXTENSION pg_stat_statements"},
		{timing, "track_io_timing is off: plans don't tell the time of reads", "ALTER SYSTEM SET track_io_timing = on"},
	} {
		if !c.ok {
			checks = append(checks, scaling.Check{Name: title, State: scaling.CheckWarning, Detail: c.detail, Mend: c.mend})
		}
	}
	return checks
}
