package shard

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A Verification is what a comparison of both sides came to.
type Verification struct {
	Equal  bool                `json:"equal"` // and whole: no difference and no fault
	Tables []TableVerification `json:"tables"`
	Rows   int64               `json:"rows"` // compared, of the source
	// Live is that the source takes writes: rows that they have changed since a fenced
	// copy differ, until the cut-over copies them again.
	Live bool `json:"live,omitempty"`
	// Differences are the first of the rows that are not alike.
	Differences []Difference `json:"differences,omitempty"`
	// Faults are what is wrong on the target apart from differing rows.
	Faults           []string `json:"faults,omitempty"`
	Seconds          float64  `json:"seconds"`
	ChecksumSeconds  float64  `json:"checksum_seconds"`
	IntegritySeconds float64  `json:"integrity_seconds"`
}

// A TableVerification is what a comparison of one table came to.
type TableVerification struct {
	Table     string `json:"table"`
	Source    int64  `json:"source"` // rows
	Target    int64  `json:"target"`
	Buckets   int    `json:"buckets"`
	Differing int    `json:"differing"` // buckets
	// Changing are rows that the source changed whenever they were looked at, so that
	// nothing can be said of them before the cut-over.
	Changing int `json:"changing,omitempty"`
}

// LiveNote says why rows of a copy may differ though nothing is wrong.
const LiveNote = "the source takes writes: rows that they have changed since the copy differ, and the cut-over copies them again and proves them all"

// Count returns the rows compared; of nil none.
func (v *Verification) Count() int64 {
	if v == nil {
		return 0
	}
	return v.Rows
}

// Summary says in a line or two what is not equal, or that all is.
func (v *Verification) Summary() string {
	var parts []string
	for _, t := range v.Tables {
		if t.Differing > 0 {
			parts = append(parts, fmt.Sprintf("%s differs (%d rows on the source, %d on the target)", t.Table, t.Source, t.Target))
		}
	}
	for _, d := range v.Differences[:min(len(v.Differences), 5)] {
		parts = append(parts, fmt.Sprintf("%s (%s) %s", d.Table, d.Key, d.What))
	}
	if len(parts) > 0 && v.Live {
		parts = append(parts, LiveNote)
	}
	parts = append(parts, v.Faults...)
	if len(parts) == 0 {
		return "all is equal"
	}
	return strings.Join(parts, "; ")
}

// Verify compares every row of the organisations on both sides and looks whether
// the target is whole. It changes nothing. Rows that the source has changed since a
// fenced copy differ; those that follow online are waited for.
func (j *Job) Verify(ctx context.Context) (*Verification, error) {
	defer j.release()
	c, err := j.catalog(ctx)
	if err != nil {
		return nil, err
	}
	s, err := j.state(ctx)
	if err != nil {
		return nil, err
	}
	if s.Phase == None {
		return nil, &PhaseError{s.Phase, "copy the rows first: scaleproof shard move"}
	}
	switch s.Phase {
	case Copying:
		return nil, &PhaseError{s.Phase, "let scaleproof shard move come to its end first"}
	case Cleaning, Cleaned:
		return nil, &PhaseError{s.Phase, "the source has been cleaned up: there is nothing to compare with"}
	}
	v, err := j.verify(ctx, c, s.Phase)
	if err != nil || v.Live {
		return v, err // the cut-over raises the sequences
	}
	err = j.target.with(ctx, func(conn *pgx.Conn) error {
		found, err := sequenceFaults(ctx, conn, c)
		v.Faults = append(v.Faults, found...)
		v.Equal = v.Equal && len(found) == 0
		return err
	})
	return v, err
}

// verify compares both sides, and looks whether the target is whole.
func (j *Job) verify(ctx context.Context, c *Catalog, phase Phase) (*Verification, error) {
	began := j.opts.Now()
	v := &Verification{Live: phase == Copied || phase == Following}
	k, err := j.comparer(ctx, c, side{node: j.source}, side{node: j.target})
	if err != nil {
		return nil, err
	}
	if phase == Following || phase == Copied {
		if err := j.checkPartitions(ctx, c, j.source, j.target); err != nil {
			return nil, err
		}
	}
	if phase == Following {
		k.catchUp = func(ctx context.Context) error { return j.catchUp(ctx, c) }
		if err := k.catchUp(ctx); err != nil {
			return nil, err
		}
	}
	if err := j.verifyRows(ctx, k, v); err != nil {
		return nil, err
	}
	v.ChecksumSeconds = j.opts.Now().Sub(began).Seconds()
	if v.Faults, err = j.integrity(ctx, c, j.source, j.target); err != nil {
		return nil, err
	}
	v.Seconds = j.opts.Now().Sub(began).Seconds()
	v.IntegritySeconds = v.Seconds - v.ChecksumSeconds
	v.Equal = len(v.Differences) == 0 && len(v.Faults) == 0
	for _, t := range v.Tables {
		v.Rows += t.Source
		v.Equal = v.Equal && t.Differing == 0
	}
	return v, nil
}

func (j *Job) verifyRows(ctx context.Context, k *comparer, v *Verification) error {
	m, total := &meter{}, int64(0)
	estimates := map[*Table]int64{}
	for _, t := range k.catalog.moved() {
		estimate, err := k.estimate(ctx, t)
		if err != nil {
			return err
		}
		estimates[t] = estimate
		total += 2 * estimate
	}
	k.progress = func(rows int64) { m.rows.Add(rows) }
	stop := j.watch(ctx, "comparing", total, m, newGate().waiting)
	defer stop()
	for _, t := range k.catalog.moved() {
		r, err := k.compare(ctx, t, estimates[t])
		if err != nil {
			return err
		}
		var found []Difference
		switch {
		case len(r.differing) == 0:
		case k.catchUp != nil && t.owned():
			if found, r.changing, err = k.followed(ctx, r); err == nil && len(found) == 0 {
				r.differing = nil
			}
		case len(v.Differences) < maxDifferences:
			found, err = k.drill(ctx, r)
		}
		if err != nil {
			return err
		}
		v.Tables = append(v.Tables, r.verification())
		v.Differences = append(v.Differences, found...)
	}
	return nil
}

// integrity says what is wrong on b beside rows that differ from a's, and
// sequences.
func (j *Job) integrity(ctx context.Context, c *Catalog, a, b Node) (faults []string, err error) {
	var definitions []string
	if err := a.with(ctx, func(conn *pgx.Conn) (err error) {
		definitions, err = readDefinitions(ctx, conn, c)
		return err
	}); err != nil {
		return nil, err
	}
	err = b.with(ctx, func(conn *pgx.Conn) error {
		for _, check := range []func(context.Context, *pgx.Conn, *Catalog) ([]string, error){
			func(ctx context.Context, conn *pgx.Conn, c *Catalog) ([]string, error) {
				return orphans(ctx, conn, c, nil)
			},
			invalidObjects, outOfRange,
			func(ctx context.Context, conn *pgx.Conn, c *Catalog) ([]string, error) {
				return missingDefinitions(ctx, conn, c, definitions)
			},
		} {
			found, err := check(ctx, conn, c)
			if err != nil {
				return fmt.Errorf("checking %s: %w", b.Name, err)
			}
			faults = append(faults, found...)
		}
		return nil
	})
	return faults, err
}
