package validation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"scaleproof/internal/nap"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/scaling"
)

// A probe is a little of the plan's load on the service after a rollback: a state
// that reads as before is of no use where the service does not answer.
const (
	probeRate    = 20 // requests per second
	probeLength  = time.Second
	probeTimeout = time.Minute // of a service that comes back
)

// probe loads the service until it answers no worse than before, and notes in the
// outcome what it found. Without a measurement before, all requests must be
// answered. Where pods made the load they probe too, since this machine may not reach
// the service; without them nothing is said of it.
func (r *runner) probe(ctx context.Context, o *scaling.Outcome) {
	load, ok := r.probed()
	if !ok || o.Rollback == nil {
		return
	}
	var fleet loadgen.Fleet
	if r.workersClient(load) != nil {
		f := r.fleets[load.Name]
		if f == nil {
			r.notProbed(o, load, "only its workers reach the service, and there are none now")
			return
		}
		fleet = f
	}
	r.event(Undoing, "probing the service by load %s", load.Name)
	allowed := errorsBefore(r.before, load.Name)
	ctx, cancel := context.WithTimeout(ctx, r.probeFor)
	defer cancel()
	last := ""
	for {
		result, err := loadgen.Run(ctx, load, loadgen.Options{Fleet: fleet})
		if err != nil && fleet != nil {
			r.notProbed(o, load, err.Error())
			return
		}
		fault := probeFault(result, err, allowed)
		if fault == "" {
			o.Rollback.Probe = fmt.Sprintf("load %s: %d of %d requests were answered", load.Name, result.Successes, result.Requests)
			return
		}
		if ctx.Err() == nil {
			last = fault
			nap.Pause(ctx, probeLength) // a service that refuses is asked again at leisure
		} else if last != "" {
			fault = last // one that was cut short says less
		}
		if ctx.Err() != nil {
			o.Rollback.Probe = r.plan.Secrets.String(fmt.Sprintf("load %s: the service does not answer as before: %s", load.Name, fault))
			o.Rollback.Verified, o.Status = false, scaling.Unverified
			o.Rollback.Differences = append(o.Rollback.Differences, o.Rollback.Probe)
			r.event(Undoing, "%s", o.Rollback.Probe)
			return
		}
	}
}

// notProbed notes why there was no probe, which is nothing against the service.
func (r *runner) notProbed(o *scaling.Outcome, load loadgen.Config, reason string) {
	o.Rollback.Probe = r.plan.Secrets.String(fmt.Sprintf("load %s: the service was not probed: %s", load.Name, reason))
	r.event(Undoing, "warning: %s", o.Rollback.Probe)
}

// probed is the load that probes the service: the one through the action, or else
// the first.
func (r *runner) probed() (loadgen.Config, bool) {
	load, ok := r.plan.Load(r.plan.Action.LoadThrough)
	if !ok && len(r.plan.Measure.Load) > 0 {
		load, ok = r.plan.Measure.Load[0], true
	}
	return little(load), ok
}

// little is a second of a load at no more than probeRate.
func little(load loadgen.Config) loadgen.Config {
	load.Duration, load.Warmup, load.FindCapacity, load.Stages = unit.Duration(probeLength), 0, false, nil
	if load.Rate == 0 || load.Rate > probeRate {
		load.Rate = probeRate
	}
	return load
}

// errorsBefore is the greatest fraction of failures that a trial had before the
// action.
func errorsBefore(before *snapshot.Snapshot, load string) float64 {
	worst := 0.0
	if before != nil {
		if m := before.Metric("load." + load + ".errors"); m != nil {
			for _, v := range m.Values.Observed() {
				worst = max(worst, v)
			}
		}
	}
	return worst
}

func probeFault(result *loadgen.Result, err error, allowed float64) string {
	switch {
	case err != nil:
		return err.Error()
	case result.Requests == 0:
		return "no request was answered"
	case float64(result.Requests-result.Successes) > allowed*float64(result.Requests):
		return fmt.Sprintf("%d of %d requests failed (%s)", result.Requests-result.Successes, result.Requests, kinds(result.Errors))
	}
	return ""
}

// kinds writes counts by kind of failure.
func kinds(counts map[string]int64) string {
	var texts []string
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		texts = append(texts, fmt.Sprintf("%d %s", counts[kind], kind))
	}
	return strings.Join(texts, ", ")
}
