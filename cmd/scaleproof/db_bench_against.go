package main

import (
	"context"
	"errors"

	"scaleproof/dbbench"
	"scaleproof/internal/validation"
	"scaleproof/reports"
)

// pairFiles are where the snapshots of two databases go; empty: nowhere.
type pairFiles struct{ first, second string }

// benchAgainst measures a suite on two databases in turns, and judges each query of
// the second against the first. No trials: as many as can find one query to be slower.
func (a *app) benchAgainst(ctx context.Context, node dbbench.Node, variable string, config dbbench.Config, trials int, files pairFiles, output string) error {
	dsn, _ := a.lookup(variable)
	if dsn == "" {
		return usagef("no second database: set %s to its connection string", variable)
	}
	if trials == 0 {
		queries, err := config.AllQueries()
		if err != nil {
			return &usageError{err}
		}
		trials = reports.LeastPairs(len(queries))
	}
	p := benchPlan(node, config, trials)
	p.Secrets.AddDSN(dsn)
	interrupts := a.interrupts(ctx, "Interrupted: stopping the measurement. Nothing was changed.")
	defer interrupts.stop()
	before, after, err := validation.MeasurePair(interrupts.first, p, dbbench.Node{Name: "against", DSN: dsn}, a.options(interrupts.second))
	if err != nil {
		return err
	}
	if err := errors.Join(writeSnapshot(files.first, before), writeSnapshot(files.second, after)); err != nil {
		return err
	}
	criteria := reports.Criteria{AllowDifferences: true}
	var result dbbench.Result
	if _, err := before.Section("db", &result); err != nil {
		return err
	}
	for _, c := range result.Cases {
		criteria.Gates = append(criteria.Gates, reports.GateSpec{Metric: "db." + c.Name})
	}
	report := validation.Compare(before, after, criteria, a.options(interrupts.second))
	if err := a.write(report, output); err != nil {
		return err
	}
	return verdict(report.Verdict.Word)
}
