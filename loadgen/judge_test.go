package loadgen

import (
	"strings"
	"testing"
	"time"

	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen/internal/arrival"
)

// judged is a run of a second in which late of 1,000 requests were sent ms
// milliseconds late, served in a millisecond each.
func judged(open bool, late int, ms int64, used Generator, starved int64, change func(*Result)) (Validity, string) {
	r := &run{cfg: &Config{Connections: 8}, workers: 2, limit: 8}
	if open {
		r.stages = []arrival.Stage{{From: 1000, To: 1000, Length: time.Second}}
	}
	lateness := stats.NewHistogram()
	for i := range 1000 {
		if i < late {
			lateness.RecordNanos(ms * 1e6)
		} else {
			lateness.RecordNanos(1000)
		}
	}
	res := &Result{
		Requests: 1000, Successes: 1000, DurationSeconds: 1, Errors: map[string]int64{},
		ServiceTime: stats.Summary{P99: .001}, Lateness: lateness.Summary(), Histograms: &Histograms{Lateness: lateness},
	}
	if change != nil {
		change(res)
	}
	return r.judge(res, &window{requests: res.Requests, starved: starved}, used)
}

func TestARunIsJudgedBeforeItsFiguresAre(t *testing.T) {
	flatOut := Generator{CPUs: 2, CPUSeconds: 1.99, GCPauseSeconds: .03}
	for name, c := range map[string]struct {
		open    bool
		late    int
		ms      int64
		used    Generator
		starved int64
		change  func(*Result)
		want    Validity
		says    string
	}{
		"in time":                     {open: true, want: Valid, says: "within"},
		"ten late ones of a thousand": {open: true, late: 10, ms: 50, want: Valid},
		"late":                        {open: true, late: 30, ms: 50, used: flatOut, want: GeneratorLimited, says: "1.99 of 2 CPUs, and its garbage collector paused it for 30 ms"},
		"late by nothing that matters": {open: true, late: 1000, ms: 8, want: Valid, change: func(r *Result) {
			r.ServiceTime.P99 = .1
		}},
		"late for want of connections": {open: true, late: 30, ms: 50, starved: 20, want: TargetLimited, says: "all 8 were waiting"},
		"never sent": {open: true, want: GeneratorLimited, says: "never sent", change: func(r *Result) {
			r.Unsent = 100
		}},
		"never sent for want of connections": {open: true, starved: 500, want: TargetLimited, change: func(r *Result) {
			r.Unsent = 100
		}},
		"none sent": {open: true, used: Generator{CPUs: 2, CPUSeconds: 3}, want: GeneratorLimited, says: "none of 100 scheduled requests was sent: the generator used 2.00 of 2 CPUs", change: func(r *Result) {
			*r = Result{DurationSeconds: 1, Unsent: 100}
		}},
		"none ended, and some not sent": {open: true, want: Inconclusive, says: "no request ended", change: func(r *Result) {
			*r = Result{DurationSeconds: 1, Unsent: 100, Unfinished: 8}
		}},
		"no descriptors": {open: true, want: GeneratorLimited, says: "raise the limits", change: func(r *Result) {
			r.Errors["files"], r.Successes = 500, 500
		}},
		"no ports": {want: GeneratorLimited, says: "local port", change: func(r *Result) {
			r.Errors["ports"], r.Successes = 500, 500
		}},
		"nothing succeeded":        {open: true, want: Inconclusive, says: "none of 1000", change: func(r *Result) { r.Successes = 0 }},
		"nothing ended":            {open: true, want: Inconclusive, says: "no request ended", change: func(r *Result) { *r = Result{DurationSeconds: 1} }},
		"the closed model":         {want: Valid, used: Generator{CPUs: 2, CPUSeconds: 1}, says: "1.00 of 2 CPUs"},
		"the closed model at most": {want: GeneratorLimited, used: flatOut, says: "measured itself"},
	} {
		got, reason := judged(c.open, c.late, c.ms, c.used, c.starved, c.change)
		if got != c.want || !strings.Contains(reason, c.says) {
			t.Errorf("%s: %s (%s), want %s with %q", name, got, reason, c.want, c.says)
		}
	}
}

func TestTheCeilingIsAboveWhatIsEasy(t *testing.T) {
	t.Parallel()
	// The requests go to the null server, whatever they name.
	ceiling, err := Ceiling(t.Context(), Config{Targets: []string{"POST http://192.0.2.1/x"}, Body: "hello"})
	if err != nil || ceiling < 100 {
		t.Errorf("%v requests a second, %v", ceiling, err)
	}
}

func TestLoadOnOtherMachinesIsGuarded(t *testing.T) {
	for name, c := range map[string]struct {
		cfg   Config
		hosts []string
		ok    bool
	}{
		"loopback":           {cfg: Config{Targets: []string{"http://127.0.0.1/", "http://[::1]:80/", "http://localhost/", "http://a.localhost./"}}, ok: true},
		"little":             {cfg: Config{Targets: []string{"http://host/"}, Rate: GuardedRate}, ok: true},
		"much":               {cfg: Config{Targets: []string{"http://host/"}, Rate: GuardedRate + 1}},
		"much, named":        {cfg: Config{Targets: []string{"http://host/"}, Rate: 2 * GuardedRate}, hosts: []string{"host"}, ok: true},
		"one of two named":   {cfg: Config{Targets: []string{"http://host/", "http://other/"}, Rate: 2 * GuardedRate}, hosts: []string{"host"}},
		"flat out":           {cfg: Config{Targets: []string{"http://host/"}}},
		"a search":           {cfg: Config{Targets: []string{"http://host/"}, Rate: 1, FindCapacity: true, SLO: SLO{Errors: .01}}},
		"a stage of much":    {cfg: Config{Targets: []string{"http://host/"}, Stages: []Stage{{Rate: 1}, {Rate: 2 * GuardedRate}}}},
		"sent to loopback":   {cfg: Config{Targets: []string{"http://host/"}, ConnectTo: map[string]string{"host:80": "127.0.0.1:80"}}, ok: true},
		"loopback sent away": {cfg: Config{Targets: []string{"http://127.0.0.1/"}, ConnectTo: map[string]string{"127.0.0.1:80": "host:80"}}},
		"a socket":           {cfg: Config{Targets: []string{"http://host/"}, UnixSocket: "/run/s"}, ok: true},
	} {
		for i := range c.cfg.Stages {
			c.cfg.Stages[i].Duration = unit.Duration(time.Second)
		}
		if err := Guard(c.cfg, source(t, c.cfg), c.hosts); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
