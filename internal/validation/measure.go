package validation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"scaleproof/capacity"
	"scaleproof/dbbench"
	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/loadgen"
	"scaleproof/reports"
)

// defaultTrials is how often everything is measured where the plan does not say.
const defaultTrials = 6

// trials are those of one snapshot.
func (r *runner) trials() int { return orDefault(r.plan.Measure.Trials, defaultTrials) }

// sides are how many trials will be compared: in the design A-B-A those before the
// action and those after it was undone are one side.
func (r *runner) sides() (before, after int) {
	n := r.trials()
	if r.plan.Measure.Design == plan.ABA {
		return 2 * n, n
	}
	return n, n
}

// A measurement is the work of taking one snapshot.
type measurement struct {
	*runner
	phase   Phase
	builder snapshot.Builder
	loads   map[string][]*loadgen.Result // by name, one per trial
	suites  []*dbbench.Result            // one per trial
	usage   *capacity.Usage              // of the last trial
	// databaseLoad is of the last trial; nil where the plan has none.
	databaseLoad *dbbench.LoadResult
	snap         *snapshot.Snapshot
	// limited are the loads that a generator could not make in one of the trials.
	limited map[string]bool
	// activity samples the database's sessions; nil where the plan does not ask.
	activity *dbbench.ActivitySampler
}

// measure takes the snapshot of one phase. An error leaves no snapshot: one
// that lacks a trial would compare with other weights.
func (r *runner) measure(ctx context.Context, phase Phase) (*snapshot.Snapshot, error) {
	m := &measurement{runner: r, phase: phase, loads: map[string][]*loadgen.Result{}, limited: map[string]bool{}}
	m.snap = &snapshot.Snapshot{
		ID: r.id + "-" + string(phase), Plan: r.plan.Name, Phase: string(phase),
		StartedAt: r.now(), WorkloadHash: workloadHash(r.plan.Measure), Environment: environment(r.opts.Tool),
	}
	bench, err := m.openDatabase(ctx)
	if err != nil {
		return nil, err
	}
	statistics := m.captureStatistics(ctx)
	m.startActivity(ctx, statistics)
	err = errors.Join(m.runTrials(ctx, bench), m.stopActivity())
	if bench != nil {
		// A backend reports the last of what it counted when it ends.
		err = errors.Join(err, bench.Close())
	}
	if err != nil {
		return nil, err
	}
	m.snap.Trials, m.snap.Metrics = m.builder.Build()
	if err := m.addStatistics(ctx, statistics); err != nil {
		return nil, err
	}
	if err := m.addSections(); err != nil {
		return nil, err
	}
	if err := m.addCluster(ctx); err != nil {
		return nil, err
	}
	m.snap.FinishedAt = r.now()
	return m.snap, nil
}

func (m *measurement) runTrials(ctx context.Context, bench *dbbench.Bench) error {
	trials := m.trials()
	for trial := range trials {
		m.event(m.phase, "trial %d of %d", trial+1, trials)
		if err := m.trial(ctx, bench); err != nil {
			return fmt.Errorf("measuring %s, trial %d of %d: %w", m.phase, trial+1, trials, err)
		}
	}
	return nil
}

func (m *measurement) openDatabase(ctx context.Context) (*dbbench.Bench, error) {
	config := m.plan.Measure.Database
	if config == nil {
		return nil, nil
	}
	nodes := m.plan.Environment.Postgres.All()
	if len(nodes) == 0 {
		return nil, errors.New("measure.database needs environment.postgres.primary")
	}
	// What is measured again is measured with the same arguments.
	var earlier dbbench.Result
	if m.before != nil {
		if _, err := m.before.Section("db", &earlier); err != nil {
			return nil, err
		}
	}
	bench, err := dbbench.OpenOn(ctx, nodes, *config, m.moment(), &earlier)
	if err != nil {
		return nil, &EnvironmentError{fmt.Errorf("opening the database benchmark: %w", err)}
	}
	return bench, nil
}

// moment tells where queries go that an action moves to another node.
func (m *measurement) moment() dbbench.Moment {
	if m.phase == After && m.acted {
		return dbbench.AfterAction
	}
	return dbbench.BeforeAction
}

// trial measures everything once.
func (m *measurement) trial(ctx context.Context, bench *dbbench.Bench) error {
	var samples []snapshot.Sample
	sampler, err := m.startSampler(ctx)
	if err != nil {
		return err
	}
	pods, err := m.startPods(ctx)
	if err != nil {
		return err
	}
	for _, config := range m.plan.Measure.Load {
		result, err := m.runLoad(ctx, config)
		if err != nil {
			return err
		}
		m.noteValidity(result)
		m.loads[config.Name] = append(m.loads[config.Name], result)
		samples = append(samples, result.Samples()...)
	}
	if sampler != nil {
		m.usage = sampler.Stop()
		samples = append(samples, m.usage.Samples()...)
	}
	samples = append(samples, m.stopPods(ctx, pods)...)
	if bench != nil {
		measured, err := m.databaseTrial(ctx, bench)
		if err != nil {
			return err
		}
		samples = append(samples, measured...)
	}
	samples = append(samples, m.trialActivity()...)
	if client := m.kubernetes(); client != nil && m.plan.Measure.Resources.Pods {
		pods, notes := PodUsage(ctx, client)
		for _, note := range notes {
			m.warn("%s", note)
		}
		samples = append(samples, pods...)
	}
	for _, s := range m.plan.Measure.Scrape {
		scraped, err := scrape(ctx, m.opts.HTTP, s)
		if err != nil {
			m.warn("%v", err)
		}
		samples = append(samples, scraped...)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return m.builder.AddTrial(samples)
}

// databaseTrial runs the suite once, and then loads the database with many clients
// where the plan asks for it.
func (m *measurement) databaseTrial(ctx context.Context, bench *dbbench.Bench) ([]snapshot.Sample, error) {
	var samples []snapshot.Sample
	if !m.loadOnly {
		suite, err := bench.Trial(ctx)
		if err != nil {
			return nil, &EnvironmentError{fmt.Errorf("database suite: %w", err)}
		}
		m.suites = append(m.suites, suite)
		samples = suite.Samples()
	}
	load := m.plan.Measure.Database.Load
	if load == nil {
		return samples, nil
	}
	var err error
	if m.databaseLoad, err = bench.Load(ctx, *load); err != nil {
		return nil, &EnvironmentError{fmt.Errorf("load of the database: %w", err)}
	}
	for _, c := range m.databaseLoad.Cases {
		if c.Fault != "" {
			m.warn("load of the database: %s, %.0f %% of the mix, can't run: %s", c.Name, 100*c.Share, c.Fault)
		}
	}
	return append(samples, m.databaseLoad.Samples()...), nil
}

// loadAttempts is how often a trial makes a load of which the generator was the
// limit: one hiccup of its machine says nothing.
const loadAttempts = 3

// A generatorError is a load that could not be made: it says nothing of the target.
type generatorError struct{ err error }

func (e *generatorError) Error() string { return e.err.Error() }
func (e *generatorError) Unwrap() error { return e.err }

// runLoad makes one load. Where the generator was the limit it is made again, unless
// the attempts of an earlier trial were in vain. What its workers did not complete is
// no trial, and a *generatorError.
func (m *measurement) runLoad(ctx context.Context, config loadgen.Config) (*loadgen.Result, error) {
	fleet, err := m.fleet(ctx, config)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		result, err := loadgen.Run(ctx, config, loadgen.Options{Fleet: fleet})
		if err != nil && fleet != nil || errors.Is(err, loadgen.ErrGenerator) {
			err = &generatorError{err}
		}
		if err != nil {
			return nil, &EnvironmentError{fmt.Errorf("load %s: %w", config.Name, err)}
		}
		limited := reports.OfTheGenerator(result.Validity)
		vain := m.limited[config.Name] && result.Validity != loadgen.Invalid
		if limited && attempt < loadAttempts && !vain && !config.FindCapacity && ctx.Err() == nil {
			m.event(m.phase, "load %s is made again, since it was %s: %s", config.Name, result.Validity, result.ValidityReason)
			continue
		}
		m.limited[config.Name] = m.limited[config.Name] || limited
		if result.Validity == loadgen.Invalid {
			return nil, &EnvironmentError{&generatorError{fmt.Errorf("load %s is invalid: %s", config.Name, result.ValidityReason)}}
		}
		return result, nil
	}
}

func (m *measurement) startSampler(ctx context.Context) (*capacity.Sampler, error) {
	if !m.plan.Measure.Resources.Host {
		return nil, nil
	}
	sampler, err := capacity.StartSampler(ctx, capacity.SamplerConfig{})
	if err != nil {
		return nil, &EnvironmentError{fmt.Errorf("sampling resources: %w", err)}
	}
	return sampler, nil
}

// warn adds a warning to the snapshot, once.
func (m *measurement) warn(format string, args ...any) {
	text := m.plan.Secrets.String(fmt.Sprintf(format, args...))
	if !slices.Contains(m.snap.Warnings, text) {
		m.snap.Warnings = append(m.snap.Warnings, text)
	}
}

// noteValidity warns of a load whose figures don't speak of the target.
func (m *measurement) noteValidity(r *loadgen.Result) {
	if !reports.SpeaksOfTarget(r.Validity) {
		m.warn("load %s is %s: %s", r.Name, r.Validity, r.ValidityReason)
	}
}

// noteWarnings passes on what the trials of a load warned of, such as that they were
// not steady: in how many, and the first of them.
func (m *measurement) noteWarnings(load string) {
	first, count := "", 0
	for _, trial := range m.loads[load] {
		if len(trial.Warnings) > 0 {
			count++
			first = orDefault(first, trial.Warnings[0])
		}
	}
	if count > 0 {
		m.warn("load %s, in %d of %d trials: %s", load, count, len(m.loads[load]), first)
	}
}

// addSections puts the rich results beside the metrics.
func (m *measurement) addSections() error {
	for _, name := range slices.Sorted(maps.Keys(m.loads)) {
		m.noteWarnings(name)
		if err := m.snap.PutSection("load."+name, loadgen.MergeTrials(m.loads[name])); err != nil {
			return err
		}
	}
	if len(m.suites) > 0 {
		suite := dbbench.MergeTrials(m.suites)
		for _, warning := range suite.Warnings {
			m.warn("database suite: %s", warning)
		}
		if err := m.snap.PutSection("db", suite); err != nil {
			return err
		}
		for _, node := range suite.Nodes() {
			m.snap.Environment.Facts["postgres."+node.Node+".version"] = node.Version
		}
	}
	if m.databaseLoad != nil {
		if err := m.snap.PutSection("db.load", m.databaseLoad); err != nil {
			return err
		}
		m.snap.Environment.Facts["postgres."+m.databaseLoad.Node+".version"] = m.databaseLoad.Version
	}
	if m.usage != nil {
		return m.snap.PutSection("resources", m.usage)
	}
	return nil
}
