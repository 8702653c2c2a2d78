package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scaleproof/internal/unit"
	"scaleproof/loadgen"
)

// The defaults of `scaleproof load`.
const (
	defaultLoadRate     = "50/s"
	defaultLoadDuration = 10 * time.Second
)

// loadFlags are the flags of a load as they are written.
type loadFlags struct {
	config    loadgen.Config
	rate      string
	stages    string
	recycle   string
	slo       string
	body      string
	connectTo []string
	results   string
	encoding  string
	hlog      string
	output    string
	engine    string
	calibrate bool
	yes       bool
	local     int
}

func addLoadFlags(cmd *cobra.Command) *loadFlags {
	l := &loadFlags{config: loadgen.Config{Duration: unit.Duration(defaultLoadDuration)}}
	c, f := &l.config, cmd.Flags()
	f.StringVar(&l.rate, "rate", defaultLoadRate, "requests per second (open model), or max: each connection sends as soon as it has its answer (closed model)")
	f.IntVar(&c.Connections, "connections", 0, "connections of the closed model (10), or the most that the open model opens (10000)")
	f.Var(&c.Duration, "duration", "length of the measured window (10s), or of each probe of a search (5s)")
	f.Lookup("duration").DefValue = "" // which the text tells
	f.Var(&c.Warmup, "warmup", "load before it that is not measured")
	f.StringVar(&c.Arrivals, "arrivals", "constant", "constant or poisson")
	f.StringVar(&l.stages, "stages", "", "rates over time, 'RATE@DURATION,...'; >RATE@DURATION goes there linearly")
	f.StringVar(&c.TargetsFile, "targets", "", "file of requests in vegeta's http or json format")
	f.IntSliceVar(&c.Weights, "weights", nil, "shares of the targets, in their order")
	f.StringVar(&c.Feeder, "feeder", "", "CSV file whose rows {{row.NAME}} takes in addresses, headers and bodies")
	f.StringArrayVarP(&c.Headers, "header", "H", nil, "'Name: value', sent with each request; may be repeated")
	f.StringVar(&l.body, "body", "", "body of each request, or @FILE")
	f.StringVar(&c.Method, "method", "", "method of each request (GET)")
	f.StringArrayVar(&c.Checks, "check", nil, "what an answer must be, such as 'status 200', 'body contains ok', 'json $.status == \"ok\"'; may be repeated")
	f.Var(&c.Timeout, "timeout", "of a request (30s)")
	f.BoolVar(&c.HTTP2, "http2", false, "HTTP/2: over TLS, or with prior knowledge")
	f.BoolVar(&c.TLS.Insecure, "insecure", false, "accept any certificate")
	f.StringVar(&c.TLS.CA, "cacert", "", "certificate authorities to trust (PEM)")
	f.StringVar(&c.TLS.Cert, "cert", "", "certificate of the client (PEM)")
	f.StringVar(&c.TLS.Key, "key", "", "key of the client (PEM)")
	f.StringVar(&c.UnixSocket, "unix-socket", "", "path of a socket that all connections go to")
	f.StringArrayVar(&l.connectTo, "connect-to", nil, "HOST:PORT=HOST:PORT, connect to another address; may be repeated")
	f.StringVar(&l.recycle, "recycle", "", "close a connection after so many requests, or so long")
	f.StringVar(&l.slo, "slo", "", "service level that decides the exit code, such as 'p99<50ms,errors<0.1%'")
	f.BoolVar(&c.FindCapacity, "find-capacity", false, "search for the highest rate that holds --slo")
	f.BoolVar(&l.calibrate, "calibrate", false, "measure first what this machine could send at most")
	f.Uint64Var(&c.Seed, "seed", 0, "of random arrivals and values")
	f.StringVar(&l.results, "results", "", "file for each single result, in vegeta's --encoding")
	f.StringVar(&l.encoding, "encoding", "gob", "of --results: gob, json or csv")
	f.StringVar(&l.hlog, "hlog", "", "file for the response times of each second, an HdrHistogram log")
	f.StringVar(&l.output, "output", "text", "text or json")
	f.StringVar(&l.engine, "engine", "", "epoll, goroutines or http2 (by default the best that serves the targets)")
	f.IntVar(&c.Workers.Count, "workers", 0, "make the load with so many pods, in --context and --namespace, from --image")
	f.IntVar(&l.local, "workers-local", 0, "make the load with so many processes of this machine")
	f.StringVar(&c.Workers.Context, "context", "", "kubeconfig context of the workers")
	f.StringVar(&c.Workers.Namespace, "namespace", "", "namespace of the workers")
	f.StringVar(&c.Workers.Image, "image", "", "image of the workers, with scaleproof in its PATH")
	f.StringVar(&c.Workers.Advertise, "advertise", "", "HOST or HOST:PORT at which the workers reach this machine (by default each of its addresses is tried)")
	f.StringVar(&c.Workers.Through, "through", "", loadgen.PortForward+", where the workers can't reach this machine: by a pod that kubectl reaches")
	f.BoolVar(&l.yes, "yes", false, fmt.Sprintf("allow more than %d requests a second to another machine", loadgen.GuardedRate))
	return l
}

// read makes the flags a configuration.
func (l *loadFlags) read(cmd *cobra.Command, urls []string) (loadgen.Config, error) {
	c := l.config
	c.Targets = urls
	if len(urls) == 0 && c.TargetsFile == "" {
		return c, usagef("no target: name a URL, or a file by --targets")
	}
	for _, step := range []func(*loadgen.Config) error{l.readWorkers, l.readRate, l.readRecycle, l.readBody, l.readConnectTo} {
		if err := step(&c); err != nil {
			return c, err
		}
	}
	var err error
	if l.slo != "" {
		if c.SLO, err = loadgen.ParseSLO(l.slo); err != nil {
			return c, usagef("--slo: %w", err)
		}
	}
	if c.FindCapacity && l.slo == "" {
		return c, usagef("--find-capacity needs a service level: --slo 'p99<80ms,errors<0.1%%'")
	}
	given := cmd.Flags().Changed
	if c.FindCapacity && !given("duration") || l.stages != "" {
		c.Duration = 0 // the search's own, or that of the stages
	}
	if c.FindCapacity && !given("rate") {
		c.Rate = 0 // the search begins where it sees fit
	}
	if l.stages != "" && (given("rate") || given("duration")) {
		return c, usagef("--stages takes the place of --rate and --duration: give the one or the other")
	}
	if c.FindCapacity && (l.results != "" || l.hlog != "") {
		return c, usagef("--find-capacity makes many runs, and --results and --hlog are of one: load the rate that was found once more for them")
	}
	if l.engine != "" && !slices.Contains(loadgen.Engines(), l.engine) {
		return c, usagef("--engine must be one of %s, and is %q", strings.Join(loadgen.Engines(), ", "), l.engine)
	}
	if l.output != "text" && l.output != "json" {
		return c, usagef("--output is text or json, not %q", l.output)
	}
	return c, nil
}

func (l *loadFlags) readWorkers(c *loadgen.Config) error {
	w := &c.Workers
	switch {
	case w.Count > 0 && l.local > 0:
		return usagef("--workers are pods, and --workers-local processes of this machine: give the one or the other")
	case l.local < 0:
		return usagef("--workers-local must be 1 or more, and is %d", l.local)
	case l.local > 0:
		w.Count, w.Local = l.local, true
	case w.Count > 0 && (w.Context == "" || w.Namespace == "" || w.Image == ""):
		return usagef("--workers needs --context, --namespace and --image: they are never guessed")
	}
	if w.Count > 0 && l.calibrate {
		return usagef("--calibrate tells what this process could send, which the workers send in its place: leave the one or the other out")
	}
	if w.Count > 0 && l.results != "" {
		return usagef("--results are of single requests, which stay with the workers: leave them out, or load from this process")
	}
	return nil
}

func (l *loadFlags) readRate(c *loadgen.Config) (err error) {
	if l.stages != "" {
		if c.Stages, err = parseStages(l.stages); err != nil {
			return usagef("--stages: %w", err)
		}
		return nil
	}
	if l.rate == "max" {
		return nil
	}
	if err := c.Rate.Set(l.rate); err != nil {
		return usagef("--rate: %w; or max", err)
	}
	if c.Rate == 0 {
		return usagef("--rate 0 is no load: write max for as much as the connections carry")
	}
	return nil
}

// parseStages reads RATE@DURATION,>RATE@DURATION.
func parseStages(text string) (stages []loadgen.Stage, err error) {
	for part := range strings.SplitSeq(text, ",") {
		rate, duration, ok := strings.Cut(strings.TrimSpace(part), "@")
		if !ok {
			return nil, fmt.Errorf("%q: write a stage as RATE@DURATION, such as 200/s@30s", part)
		}
		var s loadgen.Stage
		rate, ramp := strings.CutPrefix(rate, ">")
		length := &s.Duration
		if ramp {
			length = &s.Ramp
		}
		if err := s.Rate.Set(rate); err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		if rate == "max" {
			return nil, fmt.Errorf("%q: a stage needs a rate: max is the closed model's, of --rate", part)
		}
		if err := length.Set(duration); err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		stages = append(stages, s)
	}
	return stages, nil
}

func (l *loadFlags) readRecycle(c *loadgen.Config) error {
	if l.recycle == "" {
		return nil
	}
	if n, err := strconv.Atoi(l.recycle); err == nil {
		c.Recycle = n
		return nil
	}
	if err := c.RecycleAfter.Set(l.recycle); err != nil {
		return usagef("--recycle %q is neither a number of requests nor a duration", l.recycle)
	}
	return nil
}

func (l *loadFlags) readBody(c *loadgen.Config) error {
	c.Body = l.body
	if path, ok := strings.CutPrefix(l.body, "@"); ok {
		c.Body, c.BodyFile = "", path
	}
	return nil
}

func (l *loadFlags) readConnectTo(c *loadgen.Config) error {
	for _, text := range l.connectTo {
		from, to, ok := strings.Cut(text, "=")
		if !ok {
			return usagef("--connect-to %q: write it as HOST:PORT=HOST:PORT", text)
		}
		if c.ConnectTo == nil {
			c.ConnectTo = map[string]string{}
		}
		c.ConnectTo[from] = to
	}
	return nil
}

// create opens a file for one of a load's outputs; no path is none.
func create(path string) (*os.File, error) {
	if path == "" {
		return nil, nil
	}
	return os.Create(path)
}
