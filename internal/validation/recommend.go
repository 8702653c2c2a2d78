package validation

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"scaleproof/capacity"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

// recommend says what to do about each limit that may be reached, and about what
// has no limit and should.
func recommend(w *outlookWork) []reports.Recommendation {
	var all []reports.Recommendation
	files := map[string]bool{}
	add := func(r reports.Recommendation, remedy remedy) {
		r.Action = remedy.action
		if remedy.step != "" && collectedName.MatchString(r.Resource) {
			name := planName(r.Resource, files)
			r.File = name + ".yaml"
			r.Plan = w.planOf(name, r, remedy)
		}
		all = append(all, r)
	}
	for _, d := range w.result.Limits {
		if d.Limit.Status == capacity.NotReached {
			continue
		}
		r := reports.Recommendation{
			Resource: d.Series, Unit: d.Unit, Now: d.Last, Limit: &d.Limit.Limit, By: d.Limit, Confidence: d.Confidence, Why: whyOf(d),
		}
		if metric := w.projected[d.Series].metric; !strings.Contains(metric, ".sequence.") && !strings.HasSuffix(metric, ".transaction_ids") {
			r.Needed = &d.Limit.Needed
		}
		add(r, w.remedyFor(d))
	}
	for _, s := range w.past.series {
		if node, ok := w.unboundedSlot(s); ok {
			add(reports.Recommendation{
				Resource: s.Name, Unit: s.Unit, Now: s.newest(), Confidence: capacity.High,
				Why: "an inactive slot keeps the log until somebody reads it, and max_slot_wal_keep_size sets no limit: it fills the disk",
			}, boundSlots(node, max(2*s.newest(), leastSlotLog)))
		}
	}
	return all
}

// collectedName is the form of what a collection names. Another name, which a history that
// is shared may hold, could be a step of the plan that it stands in, or a statement.
var collectedName = regexp.MustCompile(`^[A-Za-z0-9_.@-]+$`)

func whyOf(d *reports.Dated) string {
	why := fmt.Sprintf("grows by %s a day (%s to %s); %s to reach the limit by %s",
		unit.Format(d.Growth.Value, d.Unit), unit.Format(d.Growth.Low, d.Unit), unit.Format(d.Growth.High, d.Unit), unit.Format(d.Limit.Probability, unit.Ratio), d.Limit.Horizon.Format("2006-01-02"))
	if d.Limit.Status == capacity.Exceeded {
		why = fmt.Sprintf("is at %s, which is beyond the limit", unit.Format(d.Last, d.Unit))
	}
	if b := d.Backtest; b != nil {
		why += fmt.Sprintf("; in the backtest %s of what came lay in the 80 %% interval", unit.Format(b.Coverage80, unit.Ratio))
	}
	return why
}

// A remedy is what to do: in words, and as the step of a plan where there is one.
// note is what the plan's reader must know.
type remedy struct {
	action, note string
	step         string // YAML of steps, indented by four
}

// remedyFor knows the remedies by the names of metrics.
func (w *outlookWork) remedyFor(d *reports.Dated) remedy {
	s, needed := w.projected[d.Series], d.Limit.Needed
	if d.Limit.Below {
		return remedy{action: fmt.Sprintf("make sure of %s more: it falls to %s in one of ten futures", unit.Format(d.Limit.Limit-needed, d.Unit), unit.Format(needed, d.Unit))}
	}
	for _, rule := range w.config.Limits {
		if rule.Target != "" && capacity.Named(d.Series, rule.Metric) {
			return w.moreReplicas(s, rule, needed/d.Limit.Limit)
		}
	}
	parts := strings.Split(s.metric, ".")
	switch {
	case parts[0] == "pg" && len(parts) > 2:
		return w.postgresRemedy(s, parts[1], parts[2:], needed)
	case parts[0] == "k8s" && len(parts) == 5:
		return containerRemedy(parts, needed)
	case parts[0] == "k8s" && parts[len(parts)-1] == "pods":
		return w.higherMaximum(s, parts[1]+"/"+parts[2], d.Limit.Limit, needed)
	case strings.HasPrefix(s.metric, "host.filesystem."):
		return remedy{action: fmt.Sprintf("give the file system %s, or remove what is not needed; no plan can do either", unit.Format(needed, unit.Bytes))}
	case strings.HasPrefix(s.metric, "host.memory"), strings.HasPrefix(s.metric, "host.cgroup.memory"):
		return remedy{action: fmt.Sprintf("give this machine, or the container, %s of memory; no plan can: it takes another machine, or another limit of the container", unit.Format(needed, unit.Bytes))}
	}
	return remedy{action: raiseTheLimit(needed, d.Unit)}
}

func raiseTheLimit(needed float64, base unit.Base) string {
	return fmt.Sprintf("raise the limit to %s, or bring the growth down", unit.Format(needed, base))
}

// planOf is the plan file of a remedy.
func (w *outlookWork) planOf(name string, r reports.Recommendation, remedy remedy) string {
	var b strings.Builder
	when := r.Why
	if r.By != nil {
		when = r.By.String()
	}
	fmt.Fprintf(&b, "# %s: %s.\n", r.Resource, when)
	for line := range strings.SplitSeq(remedy.note, "\n") {
		fmt.Fprintf(&b, "# %s\n", line)
	}
	fmt.Fprintf(&b, "# Look at it: scaleproof run -f FILE --dry-run. Do it: scaleproof scale apply -f FILE.\nversion: 1\nname: %s\n", name)
	b.WriteString(w.environmentText(r.Resource))
	fmt.Fprintf(&b, "action:\n  steps:\n%s", remedy.step)
	return b.String()
}

// environmentText is the sections variables and environment of the nightly plan as
// they were written, without what the process's environment put there; without a
// plan one with variables.
func (w *outlookWork) environmentText(series string) string {
	if w.opts.Plan != nil {
		if text := w.opts.Plan.SourceOf("environment"); text != "" {
			return w.opts.Plan.SourceOf("variables") + text
		}
	}
	if strings.HasPrefix(series, "pg.") {
		node := strings.Split(series, ".")[1]
		if node == "primary" {
			return "environment:\n  postgres:\n    primary: {dsn: \"${DATABASE_URL}\"}\n"
		}
		return fmt.Sprintf("environment:\n  postgres:\n    nodes: [{name: %s, dsn: \"${DATABASE_URL}\"}]\n", node)
	}
	return "environment:\n  kubernetes: {context: \"${KUBE_CONTEXT}\", namespace: \"${KUBE_NAMESPACE}\"}\n"
}

// longestPlanName is that of the names of plans.
const longestPlanName = 63

// planName names the plan of a resource, and its file. What would have the name of
// another resource's, or is cut, is told apart by a hash, the same every night.
func planName(resource string, taken map[string]bool) string {
	name := "capacity-" + strings.Trim(strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r == '@' {
			return '-'
		}
		return r
	}, resource), "-")
	if len(name) > longestPlanName || taken[name] {
		hash := fnv.New32a()
		hash.Write([]byte(resource))
		suffix := fmt.Sprintf("-%08x", hash.Sum32())
		name = name[:min(len(name), longestPlanName-len(suffix))] + suffix
	}
	taken[name] = true
	return name
}
