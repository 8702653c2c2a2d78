package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/workers"
	"scaleproof/loadgen"
)

// apiPatience is how long a cluster's API server may be away.
const apiPatience = time.Minute

// A loadFleet is the workers of a load, where it has any.
type loadFleet struct {
	loadgen.Fleet // nil: this process makes the load
	started       *workers.Fleet
}

// startWorkers starts the workers that cfg names, and says so.
func (a *app) startWorkers(ctx context.Context, cfg loadgen.Config) (*loadFleet, error) {
	w := cfg.Workers
	if w.Count == 0 {
		return &loadFleet{}, nil
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	opts := workers.Options{Program: program, Build: a.version, Err: a.err, ID: strings.ToLower(rand.Text()[:8])}
	place := "processes of this machine"
	if !w.Local {
		place = fmt.Sprintf("pods in namespace %s of %s", w.Namespace, w.Context)
		opts.Client = &kubectl.Client{
			Context: w.Context, Namespace: w.Namespace, Run: kubectl.Program("kubectl", os.Environ()), Patience: apiPatience,
		}
	}
	fmt.Fprintf(a.err, "Starting %d workers: %s.\n", w.Count, place)
	fleet, err := workers.Start(ctx, cfg, opts)
	if err != nil {
		return nil, err
	}
	return &loadFleet{fleet, fleet}, nil
}

// close ends the workers and removes what was made for them.
func (f *loadFleet) close() error {
	if f.started == nil {
		return nil
	}
	if err := f.started.Close(); err != nil {
		return fmt.Errorf("ending the workers: %w", err)
	}
	return nil
}
