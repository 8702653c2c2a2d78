package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/reports"
)

func service(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			time.Sleep(50 * time.Millisecond) // the service's slowness
		case "/fail":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestLoadExitCodes(t *testing.T) {
	url := service(t)
	// A closed model of slow requests is within the reach of any machine.
	short := []string{"--rate", "max", "--connections", "4", "--duration", "200ms"}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"measured":             {[]string{url}, 0, "response time"},
		"held":                 {[]string{url + "/slow", "--slo", "p99<5s,errors<1%"}, 0, "200: "},
		"too slow":             {[]string{url + "/slow", "--slo", "p50<10ms"}, 1, "p50 of the response time is"},
		"errors":               {[]string{url + "/slow", url + "/fail", "--slo", "errors<1%"}, 1, "of the requests failed"},
		"beyond the generator": {append(costly(t), url, "--rate", "1000000/s", "--duration", "100ms", "--slo", "p99<1h,errors<99%"), 4, "the generator was the limit"},
		"failed check":         {[]string{url, "--check", "header X exists", "--slo", "errors<1%"}, 4, "header X exists"},
		"nothing answers":      {[]string{"http://127.0.0.1:1/"}, 4, "see that the target runs"},
		"only errors":          {[]string{url + "/fail"}, 4, "say by --check what counts as a success"},
		"a search for nothing": {[]string{url, "--find-capacity"}, 2, "--slo 'p99<80ms,errors<0.1%'"},
		"no target":            {nil, 2, "no target"},
		"bad URL":              {[]string{"ftp://x/"}, 2, "http or https"},
		"bad rate":             {[]string{url, "--rate", "fast"}, 2, "--rate"},
		"no rate":              {[]string{url, "--rate", "0"}, 2, "max"},
		"bad SLO":              {[]string{url, "--slo", "p98<1s"}, 2, "p999"},
		"SLO of another sense": {[]string{url, "--slo", "p99>1s"}, 2, "upper bound"},
		"SLO of nothing":       {[]string{url + "/fail", "--slo", "errors<=0"}, 2, "above 0"},
		"search without SLO":   {[]string{url, "--find-capacity"}, 2, "service level"},
		"bad stages":           {[]string{url, "--stages", "50/s"}, 2, "RATE@DURATION"},
		"a stage of max":       {[]string{url, "--stages", "max@10s"}, 2, "a stage needs a rate"},
		"bad engine":           {[]string{url, "--engine", "fast"}, 2, "epoll, goroutines, http2"},
		"minus one process":    {[]string{url, "--workers-local", "-1"}, 2, "--workers-local"},
		"minus one pod":        {[]string{url, "--workers", "-1"}, 2, "workers.count"},
		"workers' ceiling":     {[]string{url, "--workers-local", "2", "--calibrate"}, 2, "--calibrate"},
		"a search's results":   {[]string{url, "--find-capacity", "--slo", "p99<1s", "--results", "r"}, 2, "--find-capacity makes many runs"},
		"a search's log":       {[]string{url, "--find-capacity", "--slo", "p99<1s", "--hlog", "r"}, 2, "--find-capacity makes many runs"},
		"nobody's address":     {[]string{url, "--connect-to", "other:80=127.0.0.1:1"}, 2, "is no target's address"},
		"recycled HTTP/2":      {[]string{url, "--http2", "--recycle", "5"}, 2, "are not recycled"},
		"bad recycle":          {[]string{url, "--recycle", "often"}, 2, "--recycle"},
		"bad output":           {[]string{url, "--output", "xml"}, 2, "text or json"},
		"bad encoding":         {[]string{url, "--results", filepath.Join(t.TempDir(), "r"), "--encoding", "xml"}, 4, "gob, json and csv"},
		"a stranger's host":    {[]string{"http://example.com/", "--rate", "max"}, 2, "--yes"},
		"missing file":         {[]string{url, "--feeder", "/nonexistent.csv"}, 2, "no such file"},
		"no folder":            {[]string{url, "--results", "/nonexistent/r"}, 4, "no such file"},
	} {
		args := append([]string{"load"}, c.args...)
		if !strings.Contains(strings.Join(c.args, " "), "--rate") && c.code != 2 {
			args = append(args, short...)
		}
		got := runCommand(t, nil, args...)
		if got.code != c.code || !strings.Contains(got.out+got.err, c.says) {
			t.Errorf("%s: exit code %d, want %d\n%s%s", name, got.code, c.code, got.out, got.err)
		}
	}
}

// costly are flags for requests that take a tenth of a millisecond to write.
func costly(t *testing.T) []string {
	t.Helper()
	body := writeFile(t, "body", strings.Repeat("{{row.empty}}", 20_000))
	return []string{"--feeder", writeFile(t, "empty.csv", "empty,id\n,1\n"), "--body", "@" + body}
}

// What a search found is no answer where the generator has ended it.
func TestASearchThatTheGeneratorEndedIsNoGate(t *testing.T) {
	cfg := loadgen.Config{FindCapacity: true, SLO: loadgen.SLO{Errors: .5}}
	for limit, want := range map[string]error{"target": nil, "bound": nil, "generator": verdict(reports.Broken)} {
		var said strings.Builder
		r := &loadgen.Result{Validity: loadgen.Valid, Requests: 10, Successes: 10, Capacity: &loadgen.Capacity{Rate: 100, Limit: limit}}
		err := (&app{streams: streams{err: &said}}).judgeLoad(cfg, r)
		if fmt.Sprint(err) != fmt.Sprint(want) || strings.Contains(said.String(), "the generator was the limit") != (want != nil) {
			t.Errorf("%s: %v, %q", limit, err, said.String())
		}
	}
}

// watched is a service that is slow, counts, and knows how many connections it has.
type watched struct {
	*httptest.Server
	requests, open atomic.Int64
	first          chan struct{} // closed at the first request
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{first: make(chan struct{})}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if w.requests.Add(1) == 1 {
			close(w.first)
		}
		time.Sleep(10 * time.Millisecond) // the service's slowness
	}))
	w.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			w.open.Add(1)
		case http.StateClosed:
			w.open.Add(-1)
		}
	}
	w.Start()
	t.Cleanup(w.Close)
	return w
}

func TestProcessesShareALoad(t *testing.T) {
	w := newWatched(t)
	var out, errs bytes.Buffer
	cmd := exec.Command(program(t), "load", w.URL, "--rate", "max", "--connections", "4", "--duration", "500ms", "--workers-local", "2", "--output", "json")
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	var r loadgen.Result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Requests != w.requests.Load() || len(r.Workers) != 2 || r.Workers[0].Requests+r.Workers[1].Requests != r.Requests || r.Connections != 4 {
		t.Errorf("%d requests, the target had %d; %+v", r.Requests, w.requests.Load(), r.Workers)
	}
}

// Processes that share a load end with the one that started them.
func TestProcessesEndWithTheirParent(t *testing.T) {
	w := newWatched(t)
	cmd := exec.Command(program(t), "load", w.URL, "--rate", "max", "--connections", "4", "--duration", "1h", "--workers-local", "2")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-w.first
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for deadline := time.Now().Add(time.Minute); w.open.Load() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open still", w.open.Load())
		}
	}
}

func TestLoadAsJSON(t *testing.T) {
	url := service(t)
	dir := t.TempDir()
	got := runCommand(t, nil, "load", url, "--stages", ">100/s@500ms,100/s@500ms", "--arrivals", "poisson", "--seed", "3", "--output", "json",
		"--results", filepath.Join(dir, "r.json"), "--encoding", "json", "--hlog", filepath.Join(dir, "r.hlog"))
	if got.code != 0 {
		t.Fatalf("%+v", got)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(got.out), &fields); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"requests", "rate", "offered_rate", "duration_seconds", "status", "errors", "bytes_in", "bytes_out",
		"response_time", "service_time", "lateness", "validity", "validity_reason", "backends", "workload_hash",
	} {
		if fields[name] == nil {
			t.Errorf("the field %s is missing", name)
		}
	}
	var r loadgen.Result
	if err := json.Unmarshal([]byte(got.out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Requests < 50 || r.Requests > 110 || r.Status["200"] != r.Requests {
		t.Errorf("%d requests, status %v: half a second of a ramp to 100/s and half a second at it", r.Requests, r.Status)
	}
	lines, err := os.ReadFile(filepath.Join(dir, "r.json"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(lines), "\n"); int64(n) != r.Requests {
		t.Errorf("%d results of %d requests", n, r.Requests)
	}
}

func TestLoadFindsTheCapacity(t *testing.T) {
	slots := make(chan struct{}, 5)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		slots <- struct{}{}
		time.Sleep(20 * time.Millisecond) // the service's work
		<-slots
	}))
	defer s.Close()
	got := runCommand(t, nil, "load", s.URL, "--find-capacity", "--slo", "p99<150ms,errors<1%", "--duration", "1s", "--warmup", "200ms", "--output", "json")
	if got.code == 4 && strings.Contains(got.err, "the generator was the limit") {
		return // this machine is too busy to tell, and the command says so
	}
	var r loadgen.Result
	err := json.Unmarshal([]byte(got.out), &r)
	if err != nil || got.code != 0 {
		t.Fatalf("exit code %d, %v\n%s", got.code, err, got.err)
	}
	if c := r.Capacity; c == nil || c.Rate < 200 || c.Rate > 260 || len(c.Curve) < 5 {
		t.Errorf("capacity %+v, want about 240/s", c)
	}
	if !strings.Contains(got.err, "failed:") || !strings.Contains(got.err, "held") {
		t.Errorf("the probes are not told: %s", got.err)
	}
}

// Ctrl-C ends a load and prints what was measured.
func TestAnInterruptedLoadPrintsWhatItMeasured(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		after int64 // requests
		says  string
	}{
		"a load": {[]string{"--rate", "100/s", "--duration", "1h"}, 1, "response time"},
		// One probe holds before the next is interrupted.
		"a search": {[]string{"--find-capacity", "--slo", "errors<50%", "--rate", "100/s", "--duration", "400ms", "--warmup", "100ms"}, 120, "until the search was interrupted"},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int64
			begun := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
				if requests.Add(1) == c.after {
					close(begun)
				}
			}))
			defer s.Close()
			cmd := exec.Command(program(t), append([]string{"load", s.URL}, c.args...)...)
			var out, errs strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &errs
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-begun
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if cmd.ProcessState.ExitCode() != 130 || !strings.Contains(out.String(), c.says) || !strings.Contains(errs.String(), "Interrupted") {
				t.Errorf("%v\n%s%s", cmd.ProcessState, out.String(), errs.String())
			}
		})
	}
}

func TestParseStages(t *testing.T) {
	got, err := parseStages("10/s@1m, >200/s@30s,200/s@5s")
	if err != nil {
		t.Fatal(err)
	}
	want := []loadgen.Stage{
		{Rate: 10, Duration: unit.Duration(time.Minute)},
		{Rate: 200, Ramp: unit.Duration(30 * time.Second)},
		{Rate: 200, Duration: unit.Duration(5 * time.Second)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
