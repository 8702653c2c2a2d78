package validation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// An Approval is a question that a step of a run asks a person, and the answer.
type Approval struct {
	Step     string    `json:"step"`
	Question string    `json:"question"`
	Asked    time.Time `json:"asked"`
	Answer   *Answer   `json:"answer,omitempty"`
}

// An Answer is a person's.
type Answer struct {
	Yes bool      `json:"yes"`
	By  string    `json:"by"`
	At  time.Time `json:"at"`
}

// The files of an approval in the folder of a run.
const (
	questionFile = "question-"
	answerFile   = "answer-"
)

// approvalInterval is the time between looks for an answer.
const approvalInterval = 300 * time.Millisecond

// ErrRefused is that a person has said no.
var ErrRefused = errors.New("a person has refused to approve")

// approve asks a step's question at the terminal, where there is one, and by a file
// in the run's folder, which Approve answers; the first answer counts.
func (r *runner) approve(ctx context.Context, step, question string) (by string, err error) {
	if r.opts.JournalDir == "" && r.opts.Ask == nil {
		return "", errors.New("nobody can be asked for an approval here")
	}
	question = r.plan.Secrets.String(question)
	r.event(Acting, "step %s waits for an approval: %s (scaleproof scale approve %s%s)", step, question, r.id, r.place())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan Answer, 1)
	if r.opts.Ask != nil {
		go func() {
			if a, err := r.opts.Ask(ctx, question); err == nil {
				answers <- a
			}
		}()
	}
	path := func(kind string) string {
		return filepath.Join(r.opts.JournalDir, kind+url.PathEscape(step)+".json")
	}
	if r.opts.JournalDir != "" {
		_ = os.Remove(path(answerFile)) // to a process that was killed: a resumed run asks again
		if err := writeJSON(path(questionFile), Approval{Step: step, Question: question, Asked: r.now()}); err != nil {
			return "", err
		}
		defer func() { _ = os.Remove(path(questionFile)) }() // an answered question is only noise
	}
	ticker := time.NewTicker(approvalInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("nobody has approved: %w", context.Cause(ctx))
		case a := <-answers:
			return settled(a)
		case <-ticker.C:
		}
		var a Answer
		if r.opts.JournalDir != "" && readJSON(path(answerFile), &a) == nil {
			_ = os.Remove(path(answerFile)) // it is no answer to the next question
			return settled(a)
		}
	}
}

// place is the flag that tells commands on this run where its folder is.
func (r *runner) place() string {
	if r.opts.JournalDir == "" {
		return ""
	}
	return " --runs " + r.opts.JournalDir
}

func settled(a Answer) (string, error) {
	if !a.Yes {
		return "", fmt.Errorf("%w: %s", ErrRefused, a.By)
	}
	return a.By, nil
}

// ErrNoQuestion is that no step of a run waits for an approval.
var ErrNoQuestion = errors.New("no step of this run waits for an approval")

// Approve answers every question that the run with that folder asks, and returns
// them.
func Approve(dir string, a Answer) ([]Approval, error) {
	paths, err := filepath.Glob(filepath.Join(dir, questionFile+"*.json"))
	if err != nil {
		return nil, fmt.Errorf("looking for questions: %w", err)
	}
	var answered []Approval
	for _, path := range paths {
		var q Approval
		if err := readJSON(path, &q); errors.Is(err, fs.ErrNotExist) {
			continue // it has just been answered
		} else if err != nil {
			return answered, err
		}
		name := strings.TrimPrefix(filepath.Base(path), questionFile)
		if err := writeJSON(filepath.Join(dir, answerFile+name), a); err != nil {
			return answered, err
		}
		q.Answer = &a
		answered = append(answered, q)
	}
	if len(answered) == 0 {
		return nil, ErrNoQuestion
	}
	return answered, nil
}

// writeJSON writes a file that nobody sees half written.
func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(path), err)
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing an approval: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing an approval: %w", err)
	}
	return nil
}

func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading an approval: %w", err)
	}
	if err := json.Unmarshal(data, value); err != nil {
		return fmt.Errorf("reading %s: %w", filepath.Base(path), err)
	}
	return nil
}
