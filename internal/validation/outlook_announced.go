package validation

import (
	"context"
	"fmt"
	"slices"
	"time"

	"scaleproof/capacity"
	"scaleproof/internal/history"
	"scaleproof/reports"
)

const (
	// announcedSection is the section of a collection's snapshot with the projections
	// that a report has announced.
	announcedSection = "outlook"
	// announcedSteps is how many steps of them are kept: two months.
	announcedSteps = 62
	// announcedTries is in how many collections announced projections are looked for.
	announcedTries = 20
)

// Announced returns the projections of limits that a report announced a month before
// the newest collection, of one plan or, where that is empty, of any; none where no
// report was made then.
func Announced(ctx context.Context, store history.Store, entries []history.Entry, planName string) ([]*capacity.Projection, error) {
	var last time.Time
	tries := 0
	for _, e := range slices.Backward(entries) {
		switch {
		case !isCollection(e, planName):
			continue
		case last.IsZero():
			last = e.StartedAt
		}
		age := last.Sub(e.StartedAt)
		if age < aMonth-sameNight {
			continue
		}
		if tries++; age > 2*aMonth || tries > announcedTries {
			return nil, nil
		}
		s, err := store.Read(ctx, e.ID)
		if err != nil {
			return nil, fmt.Errorf("looking for the projections of a month ago: %w", err)
		}
		var announced []*capacity.Projection
		if there, err := s.Section(announcedSection, &announced); there || err != nil {
			return announced, err
		}
	}
	return nil, nil
}

func isCollection(e history.Entry, planName string) bool {
	return e.Phase == string(Collecting) && (planName == "" || e.Plan == planName)
}

// Announce keeps the projections of the most urgent limits with the newest collection,
// so that they can be scored when their time has come. What was announced of it
// before stays.
func Announce(ctx context.Context, store history.Store, entries []history.Entry, planName string, o *reports.Outlook) error {
	var announced []*capacity.Projection
	for _, d := range o.Limits {
		if len(d.Steps) == 0 || d.Status != capacity.Projected {
			continue
		}
		p := *d.Projection
		p.Steps, p.Shifts, p.Backtest, p.Warnings = p.Steps[:min(len(p.Steps), announcedSteps)], nil, nil, nil
		announced = append(announced, &p)
	}
	for _, e := range slices.Backward(entries) {
		if !isCollection(e, planName) || len(announced) == 0 {
			continue
		}
		s, err := store.Read(ctx, e.ID)
		if err != nil {
			return fmt.Errorf("keeping what is announced: %w", err)
		}
		if _, there := s.Sections[announcedSection]; there {
			return nil
		}
		if err := s.PutSection(announcedSection, announced); err != nil {
			return err
		}
		if err := store.Add(ctx, s, e.Labels); err != nil {
			return fmt.Errorf("keeping what is announced: %w", err)
		}
		return nil
	}
	return nil
}
