//go:build cluster

package clustertest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/testcluster"
	"scaleproof/internal/unit"
	"scaleproof/internal/workers"
	"scaleproof/loadgen"
)

var oddProgram = sync.OnceValues(func() (string, error) { return build("scaleproof/internal/clustertest/oddworker", "-tags=cluster") })

// odd makes an image of workers with an oddity, and returns workers of it.
func odd(s *stage, count int, name string, oddity any) loadgen.Workers {
	s.t.Helper()
	program, err := oddProgram()
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := json.Marshal(oddity)
	if err != nil {
		s.t.Fatal(err)
	}
	file := filepath.Join(s.t.TempDir(), "oddworker.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		s.t.Fatal(err)
	}
	image := testcluster.Image{Name: name, Files: map[string]string{"usr/local/bin/scaleproof": program, "etc/oddworker.json": file}}
	if err := cluster.LoadImage(s.t.Context(), image); err != nil {
		s.t.Fatal(err)
	}
	w := small(count)
	w.Image = "docker.io/local/" + name + ":1"
	return w
}

// collector takes the response times that workers hand in.
type collector struct {
	url string
	all chan *stats.Histogram // one for each worker
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{all: make(chan *stats.Histogram, 16)}
	c.url = "http://" + serveOnMachine(t, func(_ http.ResponseWriter, r *http.Request) {
		h := stats.NewHistogram()
		for {
			var nanos int64
			err := binary.Read(r.Body, binary.BigEndian, &nanos)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Error(err)
				break
			}
			h.RecordNanos(nanos)
		}
		c.all <- h
	})
	return c
}

// one returns what one process would have recorded of the samples of count workers.
func (c *collector) one(t *testing.T, count int) *stats.Histogram {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sum := stats.NewHistogram()
	for range count {
		select {
		case h := <-c.all:
			sum.Merge(h)
		case <-ctx.Done():
			t.Fatal("a worker has not handed in its samples")
		}
	}
	return sum
}

// What four pods measure is what one process would have recorded, to the last bin.
func TestPodsMeasureWhatOneProcessWould(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	target, samples := countedService(s), newCollector(t)
	load := loadgen.Config{
		Targets: []string{"GET " + target.url}, Rate: 200, Arrivals: "poisson", Seed: 11, Duration: unit.Duration(3 * time.Second),
		Workers: odd(s, 4, "samples", map[string]any{"samples": samples.url}),
	}
	f, r := s.loadBy(load)
	if err := f.Coordinator.Close(); err != nil { // the workers go, and hand in what they have
		t.Error(err)
	}
	one := samples.one(t, 4)
	if incomplete(r) || r.Requests == 0 || one.Count() != r.Successes || r.ResponseTime != one.Summary() || !slices.Equal(r.Histograms.Response.Bins(), one.Bins()) {
		t.Errorf("%s (%s): merged %+v, one process %+v", r.Validity, r.ValidityReason, r.ResponseTime, one.Summary())
	}
}

func TestAWrongClockMakesTheRunInvalid(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	target := countedService(s)
	load := loadgen.Config{
		Targets: []string{"GET " + target.url}, Rate: 50, Duration: unit.Duration(time.Second),
		Workers: odd(s, 3, "clock", map[string]any{"ahead": map[int]time.Duration{2: 5 * time.Second}}),
	}
	_, r := s.loadBy(load)
	if r.Validity != loadgen.Invalid || !strings.Contains(r.ValidityReason, "worker 2: its clock") || r.Workers[2].ClockOffset < 4.9 || r.Workers[1].ClockOffset > 1 {
		t.Errorf("%s: %s", r.Validity, r.ValidityReason)
	}
	// It has begun with the others all the same: the offset is known.
	if r.Workers[2].Requests == 0 || r.Requests != target.count.Load() {
		t.Errorf("%d requests, %d of them by the worker; the target had %d", r.Requests, r.Workers[2].Requests, target.count.Load())
	}
}

// A pod for which there is no room at first is waited for, and has its whole share.
func TestAPodThatStartsLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	imaged(t)
	s := newStage(t)
	target := countedService(s)
	s.run("", "create", "quota", "few", "--hard=pods=2")
	await(t, func() error {
		if s.field("resourcequota/few", ".status.hard.pods") != "2" {
			return errors.New("the quota does not count yet")
		}
		return nil
	})
	load := loadgen.Config{Targets: []string{"GET " + target.url}, Rate: 100, Duration: unit.Duration(2 * time.Second), Workers: small(3)}
	type started struct {
		*workers.Fleet
		error
	}
	starting := make(chan started, 1)
	go func() {
		f, err := s.workers(load)
		starting <- started{f, err}
	}()
	await(t, func() error {
		if running := s.run("", "get", "pods", "-o=jsonpath={.items[*].status.phase}"); running != "Running Running" {
			return fmt.Errorf("the pods are %q", running)
		}
		return nil
	})
	if target.count.Load() > 0 {
		t.Error("the load has begun without the third")
	}
	s.run("", "delete", "quota", "few")
	f := <-starting
	if f.error != nil {
		t.Fatal(f.error)
	}
	r, err := loadgen.Run(t.Context(), load, loadgen.Options{Fleet: f.Fleet})
	if err != nil {
		t.Fatal(err)
	}
	if incomplete(r) || len(r.Workers) != 3 || r.Workers[2].Requests == 0 || r.Requests != target.count.Load() {
		t.Errorf("%s (%s): %d requests of %d workers, the target had %d", r.Validity, r.ValidityReason, r.Requests, len(r.Workers), target.count.Load())
	}
}
