package validation

import (
	"fmt"
	"math"
	"strings"

	"scaleproof/capacity"
	"scaleproof/internal/unit"
	"scaleproof/reports"
)

// recommend says what to do about each limit that may be reached.
func recommend(w *outlookWork) []reports.Recommendation {
	var all []reports.Recommendation
	for _, d := range w.result.Limits {
		if d.Limit.Status == capacity.NotReached || d.Limit.Below {
			continue
		}
		r := reports.Recommendation{
			Resource: d.Series, Unit: d.Unit, Now: d.Last, Limit: d.Limit.Limit, By: d.Limit, Confidence: d.Confidence, Why: whyOf(d),
		}
		most := needed(d)
		if !strings.Contains(d.Series, ".sequence.") && !strings.HasSuffix(d.Series, ".transaction_ids") {
			r.Needed = &most
		}
		remedy := w.remedyFor(d, most)
		r.Action = remedy.action
		if remedy.step != "" {
			r.File = "capacity-" + fileName(d.Series) + ".yaml"
			r.Plan = w.planOf(d, remedy)
		}
		all = append(all, r)
	}
	return all
}

// needed is the limit that nine of ten futures stay below, to the horizon.
func needed(d *reports.Dated) float64 {
	most := d.Last
	for _, s := range d.Steps {
		most = max(most, s.High80)
	}
	return most
}

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
	step         string // YAML of one step, indented by four
}

// remedyFor knows the remedies by the names of metrics.
func (w *outlookWork) remedyFor(d *reports.Dated, needed float64) remedy {
	parts := strings.Split(d.Series, ".")
	for _, rule := range w.config.Limits {
		if rule.Target != "" && capacity.Named(d.Series, rule.Metric) {
			return w.moreReplicas(rule.Target, needed/d.Limit.Limit)
		}
	}
	switch {
	case parts[0] == "pg" && len(parts) > 2:
		return postgresRemedy(parts[1], parts[2:], d, needed)
	case parts[0] == "k8s" && len(parts) == 5:
		return containerRemedy(parts, needed)
	case parts[0] == "k8s" && parts[len(parts)-1] == "pods":
		return remedy{action: fmt.Sprintf("raise maxReplicas of the HPA of %s/%s to %.0f, and make sure that the nodes have room", parts[1], parts[2], math.Ceil(needed))}
	case strings.HasPrefix(d.Series, "host.filesystem."):
		return remedy{action: fmt.Sprintf("give the file system %s, or remove what is not needed", unit.Format(needed, unit.Bytes))}
	case strings.HasPrefix(d.Series, "host.memory"), strings.HasPrefix(d.Series, "host.cgroup.memory"):
		return remedy{action: fmt.Sprintf("give this machine, or the container, %s of memory", unit.Format(needed, unit.Bytes))}
	}
	return remedy{action: fmt.Sprintf("raise the limit to %s, or bring the growth down", unit.Format(needed, d.Unit))}
}

// moreReplicas carries factor times what the present replicas carry, in
// proportion.
func (w *outlookWork) moreReplicas(target string, factor float64) remedy {
	kind, name, _ := strings.Cut(target, "/")
	now, ok := w.past.newest("k8s." + kind + "." + strings.Map(pathRune, name) + ".pods")
	if !ok {
		return remedy{action: fmt.Sprintf("give %s %.2g times the replicas; the history does not know how many there are", target, factor)}
	}
	replicas := int(math.Ceil(now * factor))
	return remedy{
		action: fmt.Sprintf("scale %s from %.0f to %d replicas", target, now, replicas),
		note:   "The number is in proportion to what the replicas carry now. A load sweep and\nscaleproof capacity usl tell what more of them really bring.",
		step:   fmt.Sprintf("    - name: replicas\n      scale: {target: %s, replicas: %d}\n    - name: replicas-serve\n      wait: {for: converged, target: %s}\n      timeout: 5m\n", target, replicas, target),
	}
}

// containerRemedy is that of k8s.<kind>.<name>.<container>.<cpu|memory>.
func containerRemedy(parts []string, needed float64) remedy {
	target, container, resource := parts[1]+"/"+parts[2], parts[3], parts[4]
	amount := capacity.Decimal(math.Ceil(needed*10) / 10).String()
	if resource == "memory" {
		amount = fmt.Sprintf("%.0fMi", math.Ceil(needed/(1<<20)))
	}
	return remedy{
		action: fmt.Sprintf("give container %s of %s a limit of %s of %s", container, target, amount, resource),
		note:   "The request stays what it is: scaleproof vpa recommend says what it should be.",
		step: fmt.Sprintf("    - name: resources\n      resources: {target: %s, container: %s, limits: {%s: \"%s\"}}\n    - name: replicas-serve\n      wait: {for: converged, target: %s}\n      timeout: 5m\n",
			target, container, resource, amount, target),
	}
}

// postgresRemedy is that of pg.<node>.<what>.
func postgresRemedy(node string, what []string, d *reports.Dated, needed float64) remedy {
	name := strings.Join(what[1:], ".")
	switch what[0] {
	case "connections", "replication_slots":
		setting := map[string]string{"connections": "max_connections", "replication_slots": "max_replication_slots"}[what[0]]
		n := int(math.Ceil(needed/10)) * 10
		if what[0] == "connections" {
			n += 10 // for superusers
		}
		return remedy{
			action: fmt.Sprintf("ALTER SYSTEM SET %s = %d and restart, or put a pooler in front", setting, n),
			note:   "It takes effect when the server is restarted. A pooler may serve better:\nscaleproof capacity pool says how many connections the load needs.",
			step: sqlStep(setting, node, []string{fmt.Sprintf("ALTER SYSTEM SET %s = %d", setting, n)}, []string{"ALTER SYSTEM RESET " + setting},
				fmt.Sprintf("SELECT setting FROM pg_file_settings WHERE name = '%s' ORDER BY seqno DESC LIMIT 1", setting)),
		}
	case "transaction_ids":
		return remedy{
			action: "VACUUM (FREEZE) the database, and find what holds its oldest transaction: a prepared transaction, a slot, or a session that is idle in one",
			note:   "Vacuuming freezes rows and holds no lock that stops reads or writes.",
			step:   sqlStep("freeze", node, []string{"VACUUM (FREEZE)"}, nil, ""),
		}
	case "sequence":
		return remedy{
			action: fmt.Sprintf("make the column that %s feeds a bigint", name),
			note:   "This rewrites the table under a lock that stops reads and writes: rehearse it on a\ncopy. For a large table add a bigint column, fill it in pieces, and swap the two.",
			step:   sqlStep("bigint", node, []string{widen(name)}, nil, ""),
		}
	case "slots":
		return remedy{action: "find the consumer of the slot that lags most (pg_replication_slots), and mend or drop it before it fills the disk"}
	}
	return remedy{action: fmt.Sprintf("raise the limit to %s, or bring the growth down", unit.Format(needed, d.Unit))}
}

// widen makes the column of a sequence a bigint, whichever column that is.
func widen(sequence string) string {
	return `DO $$ DECLARE r record; BEGIN
            SELECT d.refobjid::regclass AS tab, a.attname AS col INTO STRICT r FROM pg_depend d
              JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
              WHERE d.objid = '` + sequence + `'::regclass AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i');
            EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE bigint', r.tab, r.col);
            EXECUTE 'ALTER SEQUENCE ` + sequence + ` AS bigint';
            END $$`
}

func sqlStep(name, node string, up, down []string, read string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "    - name: %s\n", name)
	if len(down) == 0 {
		b.WriteString("      irreversible: true\n")
	}
	fmt.Fprintf(&b, "      sql:\n        node: %s\n", node)
	for _, list := range []struct {
		key        string
		statements []string
	}{{"up", up}, {"down", down}} {
		if len(list.statements) > 0 {
			fmt.Fprintf(&b, "        %s:\n", list.key)
		}
		for _, s := range list.statements {
			fmt.Fprintf(&b, "          - |-\n            %s\n", s)
		}
	}
	if read != "" {
		fmt.Fprintf(&b, "        read: %s\n", read)
	}
	return b.String()
}

// planOf is the plan file of a remedy.
func (w *outlookWork) planOf(d *reports.Dated, r remedy) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s.\n", d.Series, d.Limit)
	for line := range strings.SplitSeq(r.note, "\n") {
		fmt.Fprintf(&b, "# %s\n", line)
	}
	name := "capacity-" + fileName(d.Series)
	fmt.Fprintf(&b, "# Look at it: scaleproof run -f FILE --dry-run. Do it: scaleproof scale apply -f FILE.\nversion: 1\nname: %s\n", name[:min(len(name), 63)])
	b.WriteString(w.environmentText(d.Series))
	fmt.Fprintf(&b, "action:\n  steps:\n%s", r.step)
	return b.String()
}

// environmentText is the section environment of the nightly plan as it was
// written, without what the process's environment put there; without a plan one
// with variables.
func (w *outlookWork) environmentText(series string) string {
	if w.opts.Plan != nil {
		if text := w.opts.Plan.SourceOf("environment"); text != "" {
			return text
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

func fileName(series string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r == '.' || r == '_' {
			return '-'
		}
		return r
	}, series), "-")
}
