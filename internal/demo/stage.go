// Package demo sets up what the demo's plans measure and change: a PostgreSQL
// server with the runbook's data, and the sample application on it.
package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"scaleproof/internal/sample"
	"scaleproof/internal/testpg"
)

// Options say how large the stage is. The zero value of a field is the demo's
// default.
type Options struct {
	Program       string // the scaleproof binary, which holds the application
	Organizations int    // 200
	Incidents     int    // 500,000
	Replicas      int    // 1
	Seed          uint64
	Now           time.Time
	// OnStep is told what is being done.
	OnStep func(text string)
}

// A Stage is a running database and application.
type Stage struct {
	postgres *testpg.Server
	proxy    *sample.Process
}

// database is the name of the runbook's database.
const database = "brownie_metadata"

// Start sets up the stage. On error nothing is left behind.
func Start(ctx context.Context, o Options) (_ *Stage, err error) {
	s := &Stage{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	o.OnStep("starting PostgreSQL in a temporary folder")
	if s.postgres, err = testpg.Start(ctx, testpg.Options{}); err != nil {
		return nil, err
	}
	if err := s.prepareDatabase(ctx, o); err != nil {
		return nil, err
	}
	replicas := max(o.Replicas, 1)
	o.OnStep(fmt.Sprintf("starting the sample service behind a proxy, replicas: %d", replicas))
	s.proxy, err = sample.StartProcess(ctx, o.Program,
		[]string{"sample", "proxy", fmt.Sprint("--replicas=", replicas)}, []string{"DATABASE_URL=" + s.DSN()})
	return s, err
}

func (s *Stage) prepareDatabase(ctx context.Context, o Options) error {
	data := sample.Data{Organizations: o.Organizations, Incidents: o.Incidents, Seed: o.Seed, Now: o.Now}
	if data.Organizations == 0 {
		data.Organizations = 200
	}
	if data.Incidents == 0 {
		data.Incidents = 500_000
	}
	if err := s.postgres.Execute(ctx, "postgres", "CREATE DATABASE "+database); err != nil {
		return err
	}
	if s.postgres.HasStatements {
		if err := s.postgres.Execute(ctx, database, "CREATE EXTENSION pg_stat_statements"); err != nil {
			return err
		}
	}
	o.OnStep(fmt.Sprintf("loading %d organisations and %d incidents", data.Organizations, data.Incidents))
	return sample.Load(ctx, s.DSN(), data)
}

// DSN returns the connection string of the database. It holds a password.
func (s *Stage) DSN() string { return s.postgres.DSN(database) }

// Variables are what the demo's plans refer to.
func (s *Stage) Variables() map[string]string {
	return map[string]string{
		"DATABASE_URL":   s.DSN(),
		"DEMO_URL":       s.proxy.URLs[0],
		"DEMO_ADMIN_URL": s.proxy.URLs[1],
	}
}

// Close ends the application and the server and removes the server's folder.
func (s *Stage) Close() error {
	if s.proxy != nil {
		s.proxy.Stop()
	}
	if s.postgres != nil {
		return s.postgres.Stop()
	}
	return nil
}
