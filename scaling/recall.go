package scaling

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// maxRecord bounds a line of a journal: a manifest's prior state fits.
const maxRecord = 16 << 20

// ReadJournal reads a journal. A last line that is cut, since the process died
// while it wrote, is left out: what it would have told had not begun.
func ReadJournal(path string) ([]Record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	var records []Record
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, maxRecord)
	for n := 1; lines.Scan(); n++ {
		var r Record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			if !bytes.HasSuffix(data, []byte("\n")) && !lines.Scan() {
				break
			}
			return nil, fmt.Errorf("reading the journal: line %d of %s is damaged: %w", n, path, err)
		}
		records = append(records, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the journal %s: %w", path, err)
	}
	return records, nil
}

// Recall makes the executor know what another one, whose journal it is, has done
// with the same steps, so that Rollback can undo it and Resume can go on. A step
// that had begun and not ended may have changed something: it counts as failed. It
// fails with ErrOtherSteps where the steps are not those of the journal, and with
// ErrOtherTarget where they would act elsewhere. A prior
// state that holds a secret is put together from the secrets that are known; where
// it can't be, its step can't be undone, and the others can.
func (x *Executor) Recall(id string, steps []Step, records []Record) (*Outcome, error) {
	x.take(id, steps)
	o := x.pending(id, steps)
	o.Status = Failed
	for _, r := range records {
		if r.Run != nil {
			if err := r.Run.sameAs(x.identity()); err != nil {
				return nil, fmt.Errorf("recalling run %s: %w", id, err)
			}
			continue
		}
		if r.Event == eventRollback {
			continue
		}
		if r.Step < 0 || r.Step >= len(steps) || steps[r.Step].Title() != r.Name {
			return nil, fmt.Errorf("recalling step %d, %q: %w", r.Step, r.Name, ErrOtherSteps)
		}
		if err := x.recall(r, &o.Steps[r.Step]); err != nil {
			return nil, err
		}
		if o.StartedAt.IsZero() || r.At.Before(o.StartedAt) {
			o.StartedAt = r.At
		}
	}
	for i := range o.Steps {
		if s := &o.Steps[i]; s.Status == Pending && !s.StartedAt.IsZero() {
			s.Status, s.Error = Failed, interrupted
		}
	}
	return o, nil
}

// Undoing tells whether a run was being undone when its journal ended, or had been, and
// why: no step has begun since.
func Undoing(records []Record) (reason string, ok bool) {
	for _, r := range slices.Backward(records) {
		switch r.Event {
		case eventBegin:
			return "", false
		case eventRollback:
			return r.Error, true
		}
	}
	return "", false
}

// interrupted is why a step has failed whose process died within it.
const interrupted = "it had begun when the run ended"

// recall takes one record.
func (x *Executor) recall(r Record, s *StepOutcome) error {
	was, seals := &x.states[r.Step], &x.seals[r.Step]
	switch r.Event {
	case eventBegin:
		s.Status, s.StartedAt, s.Before = Pending, r.At, r.Before
		was.before, seals.before = x.unseal(r.Before, r.BeforeSeal)
		was.after, seals.after = x.unseal(r.Intended, r.IntendedSeal)
		x.known[r.Step] = true
	case string(Applied):
		s.Status, s.FinishedAt, s.After = Applied, r.At, r.After
		if r.After != "" {
			was.after, seals.after = x.unseal(r.After, r.AfterSeal)
		}
	case string(Failed), string(Skipped), string(RolledBack), string(Unverified):
		failure := ""
		if r.Event == string(RolledBack) && s.Status == Failed {
			failure = s.Error // why it was undone, while the action went on
		}
		s.Status, s.FinishedAt, s.Error = Status(r.Event), r.At, orDefault(r.Error, failure)
		switch s.Status {
		case Unverified:
			if s.Status = Failed; r.LeftAlone { // what could not be undone is tried again
				s.Status = Applied // and what is someone else's stays so
			}
		case RolledBack, Skipped:
			x.known[r.Step] = false // the step is as if it had never begun
		}
	default:
		return fmt.Errorf("recalling step %s: the journal has the unknown event %q", r.Name, r.Event)
	}
	return nil
}
