package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"scaleproof/capacity"
	"scaleproof/dbbench"
	"scaleproof/internal/expr"
	"scaleproof/internal/invalid"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/stats"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/reports"
)

// GuardrailMetrics are what a guardrail can watch of a load while it runs, by the
// part of their names after load.<name>.
func GuardrailMetrics() map[string]unit.Base {
	return map[string]unit.Base{
		"errors": unit.Ratio, "throughput": unit.RequestsPerSecond, "service.p99": unit.Seconds,
		"response.p50": unit.Seconds, "response.p90": unit.Seconds, "response.p95": unit.Seconds, "response.p99": unit.Seconds,
		"response.p999": unit.Seconds, "response.mean": unit.Seconds, "response.max": unit.Seconds,
	}
}

// longNames puts the whole name for each short one of a response time.
func (p *Plan) longNames() {
	for _, list := range [][]expr.Condition{p.Objectives, p.Guardrails} {
		for i := range list {
			list[i].Metric = loadgen.LongName(list[i].Metric)
		}
	}
	for _, list := range [][]reports.GateSpec{p.Gates, p.Controls} {
		for i := range list {
			list[i].Metric = loadgen.LongName(list[i].Metric)
		}
	}
}

func (p *Plan) validateConditions() error {
	var faults []error
	for i, c := range p.Objectives {
		faults = append(faults, invalid.In(fmt.Sprintf("objectives[%d]", i), p.validateObjective(c)))
	}
	for i, c := range p.Guardrails {
		faults = append(faults, invalid.In(fmt.Sprintf("guardrails[%d]", i), p.validateGuardrail(c)))
	}
	for _, list := range []struct {
		field string
		specs []reports.GateSpec
	}{{"gates", p.Gates}, {"controls", p.Controls}} {
		for i, g := range list.specs {
			_, err := p.unitOf(g.Metric)
			if name, _, isCase := reports.CaseGate(g.Metric); isCase && list.field == "gates" && p.Measure.Database != nil {
				err = p.unknownCase(g.Metric, name)
			}
			if err != nil {
				faults = append(faults, invalid.Field(fmt.Sprintf("%s[%d].metric", list.field, i), "%v", err))
			}
		}
	}
	for i, c := range p.Controls {
		if slices.ContainsFunc(p.Gates, func(g reports.GateSpec) bool { return g.Metric == c.Metric }) {
			faults = append(faults, invalid.Field(fmt.Sprintf("controls[%d].metric", i), "%s is a gate: a control is what the action can't touch", c.Metric))
		}
	}
	return errors.Join(faults...)
}

func (p *Plan) validateObjective(c expr.Condition) error {
	base, err := p.unitOf(c.Metric)
	if err != nil || base == "" {
		return err
	}
	return c.Fits(base)
}

func (p *Plan) validateGuardrail(c expr.Condition) error {
	load := p.Action.LoadThrough
	name, watched := strings.CutPrefix(c.Metric, "load."+load+".")
	if load == "" || !watched {
		return fmt.Errorf("a guardrail watches the load named by action.load_through (%q)", load)
	}
	if c.Relative {
		return fmt.Errorf("a guardrail watches the load while it runs, and needs an absolute bound")
	}
	known := GuardrailMetrics()
	base, ok := known[name]
	if !ok {
		return unknownMetric("a guardrail can't watch "+c.Metric, "load."+load+".", name, known)
	}
	return c.Fits(base)
}

// unitOf returns the unit of a metric, empty where only measuring tells, or says why
// nothing in the plan measures it.
func (p *Plan) unitOf(metric string) (unit.Base, error) {
	family, rest, _ := strings.Cut(metric, ".")
	name, figure, _ := strings.Cut(rest, ".")
	switch family {
	case "load":
		return p.unitOfLoad(metric, name, figure)
	case "db":
		if p.Measure.Database == nil {
			return "", fmt.Errorf("metric %s: the plan has no measure.database", metric)
		}
		return p.unitOfDatabase(metric, name, figure)
	case "pg":
		if p.Measure.Database == nil || p.Measure.Database.Statistics != "all" {
			return "", fmt.Errorf("metric %s: needs measure.database with statistics: all", metric)
		}
	case "host":
		if !p.Measure.Resources.Host {
			return "", fmt.Errorf("metric %s: needs measure.resources with host: true", metric)
		}
		if name == "cgroup" || name == "core" {
			return "", nil // there where the host has them
		}
		return figureOf(metric, "host.", rest, (&capacity.Usage{}).Samples())
	case "k8s":
		if !p.Measure.Resources.Pods {
			return "", fmt.Errorf("metric %s: needs measure.resources with pods: true", metric)
		}
	case "scrape":
		if len(p.Measure.Scrape) == 0 {
			return "", fmt.Errorf("metric %s: the plan has no measure.scrape", metric)
		}
	default:
		return "", fmt.Errorf("metric %s: names begin with load, db, pg, host, k8s or scrape", metric)
	}
	return "", nil
}

func (p *Plan) unitOfLoad(metric, name, figure string) (unit.Base, error) {
	load, ok := p.Load(name)
	if !ok {
		return "", fmt.Errorf("metric %s: no load of measure.load is named %q", metric, name)
	}
	result := loadgen.Result{Name: name, Capacity: &loadgen.Capacity{}}
	base, err := figureOf(metric, "load."+name+".", figure, result.Samples())
	if err == nil && figure == "capacity" && !load.FindCapacity {
		return "", fmt.Errorf("metric %s: needs find_capacity: true of the load", metric)
	}
	return base, err
}

func (p *Plan) unitOfDatabase(metric, name, figure string) (unit.Base, error) {
	if name == "load" {
		if p.Measure.Database.Load == nil {
			return "", fmt.Errorf("metric %s: the plan has no measure.database.load", metric)
		}
		return figureOf(metric, "db.load.", figure, (&dbbench.LoadResult{Transactions: 1, Histogram: stats.NewHistogram()}).Samples())
	}
	if err := p.unknownCase(metric, name); err != nil {
		return "", err
	}
	one := dbbench.Result{Cases: []dbbench.CaseResult{{Name: name, Generic: &dbbench.PlanResult{}}}}
	return figureOf(metric, "db."+name+".", figure, one.Samples())
}

// unknownCase says that no query of the plan gives a case of that name, or returns nil.
// Cases that are drawn from the database are known by the query's name alone.
func (p *Plan) unknownCase(metric, name string) error {
	queries, err := p.Measure.Database.AllQueries()
	if err != nil || len(queries) == 0 {
		return nil // which is told elsewhere
	}
	known := map[string]unit.Base{}
	for _, q := range queries {
		drawn := q.ArgsFrom != "" || q.Organizations != ""
		if name == q.Name && !drawn || drawn && strings.HasPrefix(name, q.Name+"-") {
			return nil
		}
		if drawn {
			known[q.Name+"-..."] = ""
		} else {
			known[q.Name] = ""
		}
	}
	return unknownMetric("metric "+metric+": no query gives the case "+name, "db.", name, known)
}

// figureOf looks for a metric, prefix and figure, among what is measured.
func figureOf(metric, prefix, figure string, samples []snapshot.Sample) (unit.Base, error) {
	known := map[string]unit.Base{}
	for _, s := range samples {
		if name, ok := strings.CutPrefix(s.Name, prefix); ok {
			known[name] = s.Unit
		}
	}
	if base, ok := known[figure]; ok {
		return base, nil
	}
	return "", unknownMetric("metric "+metric+": there is none of that name", prefix, figure, known)
}

// unknownMetric says which of those that are known is nearest to what was written.
func unknownMetric(what, prefix, figure string, known map[string]unit.Base) error {
	best, distance := "", len(figure)
	for name := range known {
		d := editDistance(figure, name)
		if d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	if best == "" || distance > max(2, len(figure)/2) {
		return fmt.Errorf("%s: of %s there is %s", what, strings.TrimSuffix(prefix, "."), strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	return fmt.Errorf("%s; did you mean %s?", what, prefix+best)
}

// editDistance is how many bytes must be put in, left out or replaced to make one
// text of the other (Levenshtein).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
