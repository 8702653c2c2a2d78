package validation

import (
	"fmt"
	"math"
	"strings"
	"time"

	"scaleproof/capacity"
)

// moreReplicas carries factor times what the replicas carried with which the limit
// was found, in proportion.
func (w *outlookWork) moreReplicas(s *metricSeries, rule capacity.LimitRule, factor float64) remedy {
	kind, name, _ := strings.Cut(rule.Target, "/")
	metric := "k8s." + kind + "." + strings.Map(pathRune, name) + ".pods"
	pods := w.past.anywhere(s, metric)
	if pods == nil {
		return remedy{action: fmt.Sprintf("give %s %.2g times the replicas; the history does not know how many there are", rule.Target, factor)}
	}
	now, carried, when := pods.newest(), pods.newest(), ""
	if from := w.past.anywhere(s, rule.From); from != nil {
		carried = w.podsAt(from, pods)
		when = fmt.Sprintf(" (%.0f carried the limit on %s)", carried, from.end().Format(time.DateOnly))
	}
	replicas := math.Ceil(carried * factor)
	if replicas <= now {
		return remedy{action: fmt.Sprintf("measure the capacity of %s anew: there are %.0f replicas%s, and in proportion %.0f would do", rule.Target, now, when, replicas)}
	}
	owner, note := "", ""
	if most := w.past.beside(pods, metric+capacity.LimitSuffix); most != nil && !most.lapsedBy(pods.end()) {
		owner = ", owner: adjust"
		note = "\nAn HPA owns the replicas: its minimum is raised, and its maximum where it is below."
	}
	return remedy{
		action: fmt.Sprintf("scale %s from %.0f to %.0f replicas%s", rule.Target, now, replicas, when),
		note:   "The number is in proportion to what the replicas carried. A load sweep and\nscaleproof capacity usl tell what more of them really bring." + note,
		step:   fmt.Sprintf("    - name: replicas\n      scale: {target: %s, replicas: %.0f%s}\n", rule.Target, replicas, owner) + converged(rule.Target),
	}
}

// converged is the step that waits for a workload.
func converged(target string) string {
	return fmt.Sprintf("    - name: replicas-serve\n      wait: {for: converged, target: %s}\n      timeout: 5m\n", target)
}

// podsAt is how many pods there were when the newest value of a metric was
// measured: as that run counted them, else the collection before it did.
func (w *outlookWork) podsAt(measured, pods *metricSeries) float64 {
	for _, e := range w.past.entries {
		if !e.StartedAt.Equal(measured.end()) {
			continue
		}
		_, measures := e.Figure(measured.metric)
		if f, counted := e.Figure(pods.metric); measures && counted {
			return f.Median
		}
	}
	known := before(pods.Series, measured.end().Add(1))
	if len(known.Values) == 0 {
		return pods.Values[0]
	}
	return known.Values[len(known.Values)-1]
}

// inCluster tells whether a part of a metric's name is the name in the cluster: one
// with a dot has become another.
func inCluster(name string) bool { return !strings.Contains(name, "_") }

// containerRemedy is that of k8s.<kind>.<name>.<container>.<cpu|memory>.
func containerRemedy(parts []string, needed float64) remedy {
	target, container, resource := parts[1]+"/"+parts[2], parts[3], parts[4]
	amount := capacity.Decimal(math.Ceil(needed*10) / 10).String()
	if resource == "memory" {
		amount = fmt.Sprintf("%.0fMi", math.Ceil(needed/(1<<20)))
	}
	r := remedy{action: fmt.Sprintf("give container %s of %s a limit of %s of %s", container, target, amount, resource)}
	if inCluster(parts[2]) && inCluster(container) {
		r.note = "The request stays what it is: scaleproof vpa recommend says what it should be.\nWhere a VPA owns the resources, what it allows is raised."
		r.step = resourcesStep(target, container, fmt.Sprintf("limits: {%s: \"%s\"}", resource, amount))
	}
	return r
}

// resourcesStep sets a container's resources, given as YAML, and waits.
func resourcesStep(target, container, resources string) string {
	return fmt.Sprintf("    - name: resources\n      resources: {target: %s, container: %s, %s, owner: adjust}\n", target, container, resources) + converged(target)
}

// higherMaximum raises the maximum of the HPA of a workload.
func (w *outlookWork) higherMaximum(pods *metricSeries, target string, limit, needed float64) remedy {
	most, why := math.Ceil(needed), ""
	if most <= limit {
		most, why = limit+math.Ceil(limit/4), "; as they stand at the maximum, what they would need is not known: this is a quarter more"
	}
	r := remedy{action: fmt.Sprintf("raise maxReplicas of the HPA of %s to %.0f, and make sure that the nodes have room%s", target, most, why)}
	prefix := strings.TrimSuffix(pods.metric, "pods") + "hpa."
	for _, s := range w.past.series {
		hpa, found := strings.CutPrefix(s.metric, prefix)
		if found && s.source == pods.source && s.fresh() && inCluster(hpa) {
			r.note = "The nodes must have room for so many pods, and what they connect to as well."
			r.step = fmt.Sprintf("    - name: maximum\n      patch: {target: hpa/%s, type: merge, patch: {spec: {maxReplicas: %.0f}}}\n", hpa, most)
		}
	}
	return r
}
