package dbbench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"scaleproof/internal/unit"
)

// A laboratory tries indexes without touching the tables themselves.
type laboratory interface {
	// build makes an index; its name is how plans call it, its size is in
	// bytes.
	build(ctx context.Context, c candidate) (index builtIndex, err error)
	drop(ctx context.Context, index builtIndex) error
	// measure plans, or runs, a case with the indexes that there are.
	measure(ctx context.Context, c advisedCase) (labResult, error)
	// words compares two measurements of one case for a person.
	words(before, after labResult) string
	method() string
	// unreached returns those of a candidate's cases that do not read what its
	// index is built on, so that they tell nothing of it.
	unreached(c candidate) (cases []string)
}

type builtIndex struct {
	name  string
	bytes float64
}

// A labResult is what a case costs, in the laboratory's own unit.
type labResult struct {
	cost    float64
	time    float64 // seconds; 0 where nothing was run
	indexes []string
}

// leastGain is the share of a case's cost without any of them that an index must
// save for it.
const leastGain = 0.1

// mostCandidates bounds the indexes that are tried.
const mostCandidates = 30

// A finding is what an index did for the cases, those that it did nothing for left
// out.
type finding struct {
	candidate
	index  builtIndex
	saved  float64 // the sum of the shares of their cost
	before map[string]labResult
	after  map[string]labResult
	worse  []string
}

// search picks indexes one after the other, each time the one that saves most on
// top of those picked before, until none saves enough. What saves nothing by
// itself is not tried again. A candidate that can't be tried stays a guess.
func (a *adviser) search(ctx context.Context, lab laboratory, candidates []candidate) ([]Advice, error) {
	if len(candidates) > mostCandidates {
		a.note("%d of %d indexes that might be missing were tried", mostCandidates, len(candidates))
		candidates = candidates[:mostCandidates]
	}
	original, err := a.measureAll(ctx, lab)
	if err != nil {
		return nil, err
	}
	base := original
	var found, guesses []Advice
	candidates = slices.DeleteFunc(candidates, func(c candidate) bool {
		none := len(lab.unreached(c)) == len(c.cases)
		if none {
			guesses = append(guesses, untried(lab, c))
		}
		return none
	})
	for first := true; ; first = false {
		best, useful, err := a.round(ctx, lab, candidates, original, base)
		if err != nil {
			return nil, err
		}
		if first {
			guesses = append(guesses, a.reject(lab, candidates, useful)...)
		}
		if best == nil {
			return append(found, guesses...), nil
		}
		if best.index, err = lab.build(ctx, best.candidate); err != nil {
			return nil, fmt.Errorf("building %s: %w", best.key(), err)
		}
		found = append(found, best.advice(lab))
		if base, err = a.measureAll(ctx, lab); err != nil {
			return nil, err
		}
		candidates = slices.DeleteFunc(useful, func(c candidate) bool { return c.key() == best.key() })
	}
}

// round tries each candidate by itself, and returns the best, and those that any
// case has a use for.
func (a *adviser) round(ctx context.Context, lab laboratory, candidates []candidate, original, base map[string]labResult) (best *finding, useful []candidate, err error) {
	for _, c := range candidates {
		f, err := a.try(ctx, lab, c, original, base)
		if err != nil {
			return nil, nil, fmt.Errorf("trying %s: %w", c.key(), err)
		}
		if f.saved < leastGain {
			continue
		}
		useful = append(useful, c)
		// Of two that save as much, the narrower is cheaper to keep.
		if worth := func(f *finding) float64 { return f.saved * (1 - 0.02*float64(len(f.columns))) }; best == nil || worth(f) > worth(best) {
			best = f
		}
	}
	return best, useful, nil
}

// try measures all cases with one more index, and drops it again. One that the server
// refuses to build, for the type or the length of its values, saves nothing.
func (a *adviser) try(ctx context.Context, lab laboratory, c candidate, original, base map[string]labResult) (f *finding, err error) {
	index, err := lab.build(ctx, c)
	var refused *pgconn.PgError
	switch {
	case err != nil && ctx.Err() == nil && errors.As(err, &refused):
		a.unbuilt[c.key()] = err
		return &finding{candidate: c}, nil
	case err != nil:
		return nil, err
	}
	defer func() { err = errors.Join(err, lab.drop(ctx, index)) }()
	f = &finding{candidate: c, index: index, before: map[string]labResult{}, after: map[string]labResult{}}
	f.cases = nil
	for _, one := range a.cases {
		was, known := base[one.Name]
		if !known {
			continue
		}
		is, err := lab.measure(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.Name, err)
		}
		gain := (was.cost - is.cost) / max(original[one.Name].cost, 1)
		switch uses := slices.Contains(is.indexes, index.name); {
		case uses && gain >= leastGain:
			f.cases, f.saved = append(f.cases, one.Name), f.saved+gain
			f.before[one.Name], f.after[one.Name] = was, is
		case uses && gain < -leastGain:
			f.worse = append(f.worse, one.Name+" got worse by it: "+lab.words(was, is))
			f.saved += gain
		}
	}
	return f, nil
}

// measureAll measures the cases with the indexes picked so far.
func (a *adviser) measureAll(ctx context.Context, lab laboratory) (map[string]labResult, error) {
	all := map[string]labResult{}
	for _, c := range a.cases {
		r, err := lab.measure(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		all[c.Name] = r
	}
	return all, nil
}

func (f *finding) advice(lab laboratory) Advice {
	advice := f.candidate.advice()
	advice.Evidence = []string{f.why}
	advice.Bytes = f.index.bytes
	for _, name := range f.cases {
		advice.Evidence = append(advice.Evidence, fmt.Sprintf("%s: %s", name, lab.words(f.before[name], f.after[name])))
	}
	advice.Evidence = append(advice.Evidence, fmt.Sprintf("it takes %s; %s", unit.Format(f.index.bytes, unit.Bytes), lab.method()))
	advice.Doubts = f.worse
	return advice
}

// reject keeps the candidates that no case had a use for, and returns those that
// not all of their cases could try.
func (a *adviser) reject(lab laboratory, candidates, useful []candidate) (guesses []Advice) {
	for _, c := range candidates {
		switch {
		case slices.ContainsFunc(useful, func(u candidate) bool { return u.key() == c.key() }):
		case a.unbuilt[c.key()] == nil && len(lab.unreached(c)) > 0:
			guesses = append(guesses, untried(lab, c))
		default:
			doubt := "no case of the suite gets a tenth cheaper by it; " + lab.method()
			if err := a.unbuilt[c.key()]; err != nil {
				doubt = "it can't be built: " + err.Error()
			}
			advice := c.advice()
			advice.Doubts = append(advice.Doubts, doubt)
			a.result.Rejected = append(a.result.Rejected, advice)
		}
	}
	return guesses
}

// untried is the advice of a candidate whose cases do not read the copy.
func untried(lab laboratory, c candidate) Advice {
	return c.guess(fmt.Sprintf("it could not be tried for %s, which reads the table itself and not its copy: the statement names its schema, or reaches it by a view or a partitioned table. HypoPG, or a restored backup, would tell",
		strings.Join(lab.unreached(c), ", ")))
}
