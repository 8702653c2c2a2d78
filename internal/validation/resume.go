package validation

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"scaleproof/internal/plan"
	"scaleproof/internal/snapshot"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// beforeFile is where a run keeps its first snapshot until there is a report.
const beforeFile = "before.json"

// keepBefore writes the first snapshot beside the journal: without it a run that
// was killed could not be resumed.
func (r *runner) keepBefore(s *snapshot.Snapshot) error {
	if r.opts.JournalDir == "" {
		return nil
	}
	if err := snapshot.WriteFileOrKeep(filepath.Join(r.opts.JournalDir, beforeFile), s); err != nil {
		return &EnvironmentError{err}
	}
	return nil
}

// ErrNothingToResume is that a run had not come to its action.
var ErrNothingToResume = errors.New("the run had not come to its action, and changed nothing: run it anew")

// ErrNotMeasured is that a run has no first snapshot to judge by, as one of scale
// apply.
var ErrNotMeasured = errors.New("the run has changed something and has no first snapshot to go on from: undo it by scale rollback")

// ErrUndone is that a run was being undone when it ended, or has been since: to make its
// steps again is not to go on.
var ErrUndone = errors.New("the run was being undone: finish that by scale rollback, and run it anew")

// Resume goes on with the run opts.ID that was killed, from the journal and the
// first snapshot that it kept in opts.JournalDir: steps that had worked are left
// alone, the one that had begun is made again, and then all goes on as in Run.
func Resume(ctx context.Context, p *plan.Plan, opts Options) (*reports.Report, error) {
	r := newRunner(p, opts)
	defer r.endWorkers()
	if err := r.consented(); err != nil {
		return nil, err
	}
	journal, records, err := reopenJournal(filepath.Join(opts.JournalDir, JournalName(r.id)))
	if err != nil {
		return nil, err
	}
	defer journal.Close()
	report := r.newReport()
	report.Before, err = snapshot.ReadFile(filepath.Join(opts.JournalDir, beforeFile))
	switch {
	case errors.Is(err, fs.ErrNotExist) && slices.ContainsFunc(records, func(r scaling.Record) bool { return r.Run == nil }):
		return nil, ErrNotMeasured
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNothingToResume
	case err != nil:
		return nil, &EnvironmentError{err}
	}
	if reason, ok := scaling.Undoing(records); ok {
		return nil, fmt.Errorf("%w (%s)", ErrUndone, reason)
	}
	r.before = report.Before
	if report.Before.WorkloadHash != workloadHash(p.Measure) {
		return nil, fmt.Errorf("resuming: the plan measures another workload than the run did: %w", scaling.ErrOtherSteps)
	}
	if err := r.preflight(ctx); err != nil {
		return nil, err
	}
	x := r.executor(nil, func(scaling.Event) {})
	done, err := x.Recall(r.id, p.Action.Steps, records)
	if err != nil {
		return nil, err
	}
	if err := r.endLeftovers(ctx, x, done); err != nil {
		return nil, err
	}
	ctx, unlock, err := r.lock(ctx, true)
	if err != nil {
		return nil, err
	}
	defer unlock()
	report.StartedAt = report.Before.StartedAt
	report.Warnings = append(report.Warnings, "the run was resumed: the first process died within the action")
	if records == nil {
		records = []scaling.Record{} // it had not begun with the first step
	}
	return r.actAndJudge(ctx, report, journal, records), nil
}

// reopenJournal opens the journal of a run that is dead, and reads it. It is locked
// first: what a process that lives may still write would be missed.
func reopenJournal(path string) (*scaling.Journal, []scaling.Record, error) {
	journal, err := scaling.ReopenJournal(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err // there is no such run
	}
	if err != nil {
		return nil, nil, &EnvironmentError{err}
	}
	records, err := scaling.ReadJournal(path)
	if err != nil {
		return nil, nil, errors.Join(err, journal.Close())
	}
	return journal, records, nil
}

// endLeftovers ends what the process that had begun a run has left running.
func (r *runner) endLeftovers(ctx context.Context, x *scaling.Executor, done *scaling.Outcome) error {
	ended, err := x.EndLeftovers(ctx, done)
	if ended > 0 {
		r.event(Preflight, "ended %d processes that the dead run had left", ended)
	}
	if err != nil {
		return &EnvironmentError{err}
	}
	return nil
}
