package loadgen

import (
	"fmt"
	"time"

	"scaleproof/internal/unit"
)

// The bounds of a valid run.
const (
	// tolerableLateness is the lateness that matters to no one; beyond it, a
	// tenth of the service time is allowed.
	tolerableLateness = time.Millisecond
	// tolerableShare is the share of arrivals that may be missed.
	tolerableShare = 0.005
	// busy is the share of its CPUs above which a generator in the closed
	// model measures itself.
	busy = 0.95
)

// GeneratorLate reports whether the requests of a second were late for the
// generator's sake: what they waited is not the target's doing.
func (s Second) GeneratorLate() bool {
	return s.LatenessP99 > allowedLateness(s.ServiceP99) && !waited(s.Starved, s.Requests)
}

// allowedLateness is how late requests may be sent whose service takes so long, in
// seconds.
func allowedLateness(service float64) float64 {
	return max(tolerableLateness.Seconds(), service/10)
}

// waited reports whether connections are the cause where requests were late: of
// the late ones at least one in a hundred is late, and as many waited for one.
func waited(starved, requests int64) bool {
	return starved > 0 && float64(starved) >= 0.01*float64(requests)
}

// judge says whether the figures of res speak about the target.
func (r *run) judge(res *Result, t *window, used Generator) (Validity, string) {
	cpu := used.CPUSeconds / (res.DurationSeconds + r.cfg.Warmup.Seconds())
	if res.Requests+res.Unfinished == 0 && res.Unsent > 0 {
		return GeneratorLimited, fmt.Sprintf("none of %d scheduled requests was sent: %s", res.Unsent, used.told(cpu))
	}
	if res.Requests == 0 {
		return Inconclusive, "no request ended within the measured window"
	}
	if n := res.Errors[kindFiles.String()] + res.Errors[kindPorts.String()]; float64(n) > tolerableShare*float64(res.Requests) {
		return GeneratorLimited, fmt.Sprintf("%d requests found no free file descriptor or local port: raise the limits of this machine, or open fewer connections", n)
	}
	if res.Successes == 0 {
		return Inconclusive, fmt.Sprintf("none of %d requests succeeded: there is no response time to speak of", res.Requests)
	}
	if len(r.stages) == 0 {
		if cpu >= busy*float64(used.CPUs) {
			return GeneratorLimited, fmt.Sprintf("the generator used %.2f CPUs of the %d that it runs on: it measured itself", cpu, used.CPUs)
		}
		return Valid, fmt.Sprintf("the closed model kept its connections busy on %.2f of %d CPUs", cpu, used.CPUs)
	}
	return r.judgeOpen(res, t, used, cpu)
}

func (r *run) judgeOpen(res *Result, t *window, used Generator, cpu float64) (Validity, string) {
	of := float64(res.Requests + res.Unsent + res.Unfinished)
	unsent := float64(res.Unsent) / of
	allowed := allowedLateness(res.ServiceTime.P99)
	// Where there are few requests, one or two late ones are no pattern.
	quantile := 1 - max(0.01, 3/float64(max(res.Requests, 3)))
	late := res.Histograms.Lateness.Quantile(quantile) > allowed
	if unsent <= tolerableShare && !late {
		return Valid, fmt.Sprintf("99 %% of requests were sent within %s of their time", round(res.Lateness.P99))
	}
	fault := fmt.Sprintf("99 %% of requests were sent within %s of their time, where %s would do", round(res.Lateness.P99), round(allowed))
	if unsent > tolerableShare {
		fault = fmt.Sprintf("%.1f %% of the scheduled requests were never sent", 100*unsent)
	}
	if waited(t.starved, t.requests) {
		return TargetLimited, fmt.Sprintf("%s, since they waited for a connection: all %d were waiting for answers, or hundreds to be accepted: the target is slower than the schedule (its response times are right, those of the schedule were not reached), or more connections are needed", fault, r.limit)
	}
	return GeneratorLimited, fmt.Sprintf("%s: %s", fault, used.told(cpu))
}

// told says what held the generator up, which used so many CPUs.
func (g Generator) told(cpu float64) string {
	// A window that ended late has more of its CPU's time than it is long.
	return fmt.Sprintf("the generator used %.2f of %d CPUs, and its garbage collector paused it for %s", min(cpu, float64(g.CPUs)), g.CPUs, round(g.GCPauseSeconds))
}

func round(seconds float64) string { return unit.Format(seconds, unit.Seconds) }
