package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"scaleproof/internal/live"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/internal/validation"
	"scaleproof/loadgen"
	"scaleproof/reports"
)

func (a *app) loadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "load URL...",
		Short: "Load a service, and say whether the figures can be trusted",
		Long: `load sends HTTP requests to one or more URLs and measures three times: the
response time from when a request was due, the service time from when it was
sent, and the lateness between the two. A target that stalls shows in the first,
whatever the generator was doing meanwhile.

Exit codes: 0 measured (and --slo held), 1 --slo did not hold, 3 the figures
don't tell, 4 nothing was measured, or the generator was the limit of a load with
--slo or with workers, 130 interrupted; what was measured until then is printed.`,
		Example: `  scaleproof load http://localhost:8000/health --rate 500/s --duration 30s
  scaleproof load 'http://localhost:8000/incidents?organization_id={{random 1 200}}' --rate max --connections 64
  scaleproof load http://localhost:8000/health --find-capacity --slo 'p99<50ms,errors<0.1%'`,
	}
	flags := addLoadFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := flags.read(cmd, args)
		if err != nil {
			return err
		}
		source, err := loadgen.NewSource(cfg)
		if err != nil {
			return &usageError{err}
		}
		if err := loadgen.Guard(cfg, source, nil); err != nil && !flags.yes {
			return usagef("%w: say --yes if that is meant", err)
		}
		return a.load(cmd.Context(), flags, cfg, source)
	}
	return cmd
}

// load runs a load and says what it measured.
func (a *app) load(ctx context.Context, flags *loadFlags, cfg loadgen.Config, source loadgen.Source) error {
	interrupts := a.interrupts(ctx, "Interrupted: ending the load. Press Ctrl-C again to leave without its figures.")
	defer interrupts.stop()
	leaving := context.AfterFunc(interrupts.second, func() {
		if ctx.Err() == nil && interrupts.first.Err() != nil {
			os.Exit(reports.Interrupted.ExitCode())
		}
	})
	defer leaving()
	if flags.calibrate {
		if err := a.sayCeiling(interrupts.first, cfg); err != nil {
			return &validation.EnvironmentError{Err: err}
		}
	}
	fleet, err := a.startWorkers(interrupts.first, cfg)
	if err != nil {
		if interrupts.first.Err() != nil {
			return verdict(reports.Interrupted)
		}
		return &validation.EnvironmentError{Err: err}
	}
	result, err := a.measureLoad(interrupts.first, flags, cfg, source, fleet)
	if err = errors.Join(err, fleet.close()); err != nil {
		if interrupts.first.Err() != nil {
			return verdict(reports.Interrupted)
		}
		return &validation.EnvironmentError{Err: err}
	}
	if err := a.writeLoad(flags, result); err != nil {
		return err
	}
	if interrupts.first.Err() != nil {
		return verdict(reports.Interrupted)
	}
	return a.judgeLoad(cfg, result)
}

// measureLoad runs a load with its view and its files.
func (a *app) measureLoad(ctx context.Context, flags *loadFlags, cfg loadgen.Config, source loadgen.Source, fleet *loadFleet) (*loadgen.Result, error) {
	outputs, err := openOutputs(flags, cfg, source)
	if err != nil {
		return nil, err
	}
	view := a.liveView(cfg)
	opts := loadgen.Options{Source: source, Engine: flags.engine, OnHit: outputs.onHit(), Fleet: fleet.Fleet}
	opts.OnSecond = func(s loadgen.Second, response *stats.Histogram) {
		view.Second(s)
		outputs.onSecond(s, response)
	}
	opts.OnProbe = func(p loadgen.CurvePoint) { view.Note(probeText(p)) }
	result, err := loadgen.Run(ctx, cfg, opts)
	view.Clear()
	if err == nil && outputs.hlog != nil {
		outputs.hlog.Finish(result.Histograms.Response)
	}
	return result, errors.Join(err, outputs.close())
}

// noSuccess says what to look at where no request succeeded.
func noSuccess(r *loadgen.Result) string {
	switch {
	case r.Requests == 0:
		return "none was sent"
	case r.Errors["status"]+r.Errors["check"] == r.Requests:
		return "it answers, but as above: mend the request, or say by --check what counts as a success"
	}
	return "see that the target runs, and that its address is right"
}

// judgeLoad turns a result into the exit code. Where a service level is given
// the load is a gate, and a generator that was the limit proves nothing.
func (a *app) judgeLoad(cfg loadgen.Config, r *loadgen.Result) error {
	if r.Successes == 0 {
		fmt.Fprintln(a.err, "scaleproof: no request succeeded, so that nothing was measured:", noSuccess(r))
		return verdict(reports.Broken)
	}
	if r.Validity == loadgen.Invalid {
		fmt.Fprintln(a.err, "scaleproof: the run is invalid:", r.ValidityReason)
		return verdict(reports.Broken)
	}
	if cfg.SLO == (loadgen.SLO{}) {
		return nil
	}
	if r.Validity == loadgen.GeneratorLimited || r.Capacity != nil && r.Capacity.Limit == "generator" {
		fmt.Fprintln(a.err, "scaleproof: the generator was the limit: this says nothing about the target's service level")
		return verdict(reports.Broken)
	}
	if r.Validity == loadgen.Inconclusive {
		return verdict(reports.Unsure)
	}
	if fault := cfg.SLO.Fault(r); fault != "" {
		fmt.Fprintln(a.err, "scaleproof: the service level does not hold:", fault)
		return verdict(reports.Fail)
	}
	return nil
}

func (a *app) writeLoad(flags *loadFlags, r *loadgen.Result) error {
	if flags.output == "text" {
		return reports.WriteLoad(a.out, r, a.style())
	}
	short := *r
	short.Histograms = nil // --hlog has them, in a form that others read
	encoder := json.NewEncoder(a.out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(&short); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	return nil
}

// liveView shows the load on stderr.
func (a *app) liveView(cfg loadgen.Config) *live.View {
	width := 0
	if file, ok := a.err.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		width, _, _ = term.GetSize(int(file.Fd()))
	}
	length := cfg.Duration.Std()
	offered := "of " + unit.Format(float64(cfg.Rate), unit.RequestsPerSecond)
	for _, s := range cfg.Stages {
		length += s.Ramp.Std() + s.Duration.Std()
	}
	if cfg.Rate == 0 {
		offered = ""
	}
	return live.New(a.err, width, length, offered)
}

func probeText(p loadgen.CurvePoint) string {
	outcome := "held"
	if !p.Held {
		outcome = "failed: " + p.Reason
	}
	return fmt.Sprintf("  %s: p99 %s, %s errors, %s", unit.Format(p.Offered, unit.RequestsPerSecond), unit.Format(p.P99, unit.Seconds), unit.Format(p.Errors, unit.Ratio), outcome)
}

func (a *app) sayCeiling(ctx context.Context, cfg loadgen.Config) error {
	ceiling, err := loadgen.Ceiling(ctx, cfg)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("This machine sends at most %s of these requests to a server that answers at once", unit.Format(ceiling, unit.RequestsPerSecond))
	if cfg.Rate > 0 {
		text += fmt.Sprintf(", %.1f times what is asked for", ceiling/float64(cfg.Rate))
	}
	fmt.Fprintln(a.err, text+".")
	return nil
}

// loadOutputs are the files that a load writes while it runs.
type loadOutputs struct {
	resultsFile, hlogFile *os.File
	results               *loadgen.ResultStream
	hlog                  *loadgen.HdrLog
}

func openOutputs(flags *loadFlags, cfg loadgen.Config, source loadgen.Source) (o *loadOutputs, err error) {
	o = &loadOutputs{}
	if o.resultsFile, err = create(flags.results); err != nil {
		return nil, fmt.Errorf("creating the file of results: %w", err)
	}
	if o.resultsFile != nil {
		if o.results, err = loadgen.NewResultStream(o.resultsFile, flags.encoding, cfg.Name, source); err != nil {
			return nil, err
		}
	}
	if o.hlogFile, err = create(flags.hlog); err != nil {
		return nil, fmt.Errorf("creating the histogram log: %w", err)
	}
	if o.hlogFile != nil {
		if o.hlog, err = loadgen.NewHdrLog(o.hlogFile, time.Now()); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// onHit is nil where nothing wants hits: they cost.
func (o *loadOutputs) onHit() func(*loadgen.Hit) {
	if o.results == nil {
		return nil
	}
	return o.results.Add
}

func (o *loadOutputs) onSecond(s loadgen.Second, response *stats.Histogram) {
	if o.hlog != nil {
		o.hlog.Add(s, response)
	}
}

func (o *loadOutputs) close() error {
	var faults []error
	if o.results != nil {
		faults = append(faults, o.results.Close(), o.resultsFile.Close())
	}
	if o.hlog != nil {
		faults = append(faults, o.hlog.Err(), o.hlogFile.Close())
	}
	return errors.Join(faults...)
}
