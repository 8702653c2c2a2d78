package validation

import (
	"bufio"
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v3/process"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/internal/workers"
	"scaleproof/loadgen"
	"scaleproof/loadgen/fleet"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// workerMain is scaleproof worker.
func workerMain(args []string) int {
	flags := flag.NewFlagSet("worker", flag.ExitOnError)
	address, index := flags.String("connect", "", ""), flags.Int("index", 0, "")
	_ = flags.Parse(args) // it exits
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return 1
	}
	secret, err := hex.DecodeString(strings.TrimSpace(line))
	if err != nil {
		return 1
	}
	if err := fleet.Work(context.Background(), fleet.WorkerOptions{Addresses: []string{*address}, Secret: secret, Index: *index, Build: "test"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A plan's load, its trials and the one through the action, goes by its workers.
func TestTheLoadThroughAnActionGoesByItsWorkers(t *testing.T) {
	s := newTarget(t)
	opts, events := options(t)
	opts.Program, opts.Tool = os.Args[0], "scaleproof test"
	p := planFor(t, s, 5, "  load_through: api\nobjectives: [scrape.app_delay_seconds.a_b <= 0.5x]\n")
	p.Measure.Load[0].Workers = loadgen.Workers{Count: 2, Local: true}
	r, err := Run(t.Context(), p, opts)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict.Word != reports.Pass || len(r.Through.Workers) != 2 || r.Through.Transition == nil || r.Through.Transition.Before == nil {
		t.Errorf("verdict %+v, through %+v, events\n%s", r.Verdict, r.Through, events())
	}
	if strings.Count(events(), "starting 2 workers") != 1 || len(r.Through.BackendsSince) != 1 {
		t.Errorf("backends since %v, events\n%s", r.Through.BackendsSince, events())
	}
}

// Where pods make the load this machine may not reach the service: they probe it, and
// where they can't, that is nothing against the rollback.
func TestPodsProbeAfterARollback(t *testing.T) {
	s := newTarget(t)
	opts, _ := options(t)
	p := planFor(t, s, 5, "")
	load := &p.Measure.Load[0]
	load.Workers = loadgen.Workers{Count: 2, Image: "pods"}
	pods, err := workers.Local(t.Context(), workers.LocalOptions{Program: os.Args[0], Count: 2, Build: "test", Err: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	defer pods.Close()
	r := newRunner(p, opts)
	r.probeFor = 2 * probeLength
	probe := func() *scaling.Rollback {
		o := &scaling.Outcome{Rollback: &scaling.Rollback{Verified: true}}
		r.probe(t.Context(), o)
		return o.Rollback
	}
	if b := probe(); !b.Verified || !strings.Contains(b.Probe, "was not probed: only its workers reach the service") {
		t.Errorf("without pods: %+v", b)
	}
	r.fleets = map[string]*workers.Fleet{load.Name: pods}
	if b := probe(); !b.Verified || !strings.Contains(b.Probe, "requests were answered") {
		t.Errorf("by pods: %+v", b)
	}
	s.failing.Store(true)
	if b := probe(); b.Verified {
		t.Errorf("a service that fails: %+v", b)
	}
	if err := pods.Close(); err != nil {
		t.Fatal(err)
	}
	if b := probe(); !b.Verified || !strings.Contains(b.Probe, "was not probed: ") || !strings.Contains(b.Probe, "lost") {
		t.Errorf("without its pods: %+v", b)
	}
}

// What ran a worker knows why it is lost: here, this machine.
func TestAKilledWorkerIsToldAsKilled(t *testing.T) {
	s := newTarget(t)
	load := planFor(t, s, 5, "").Measure.Load[0]
	load.Duration, load.Workers = unit.Duration(time.Minute), loadgen.Workers{Count: 2, Local: true}
	crew, err := workers.Local(t.Context(), workers.LocalOptions{Program: os.Args[0], Count: 2, Build: "test", Err: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	defer crew.Close()
	var kill sync.Once
	onSecond := func(loadgen.Second, *stats.Histogram) { kill.Do(func() { killWorker(t, 1) }) }
	r, err := loadgen.Run(t.Context(), load, loadgen.Options{Fleet: crew, OnSecond: onSecond})
	if err != nil {
		t.Fatal(err)
	}
	const why = "worker 1: it was lost: its connection ended: worker 1 ended: signal: killed"
	if r.Validity != loadgen.Invalid || r.ValidityReason != why {
		t.Errorf("%s: %s, want %s", r.Validity, r.ValidityReason, why)
	}
	if _, err := loadgen.Run(t.Context(), load, loadgen.Options{Fleet: crew}); err == nil || err.Error() != why {
		t.Errorf("the next run: %v", err)
	}
}

// killWorker kills the process of this one's that is the worker of an index.
func killWorker(t *testing.T, index int) {
	t.Helper()
	self, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		t.Error(err)
		return
	}
	children, err := self.Children()
	if err != nil {
		t.Error(err)
	}
	for _, child := range children {
		args, err := child.CmdlineSlice()
		if err == nil && slices.Contains(args, "worker") && args[len(args)-1] == strconv.Itoa(index) {
			if err := child.Kill(); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Errorf("no worker %d among %d processes", index, len(children))
}
