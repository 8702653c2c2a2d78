package plan

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"scaleproof/internal/invalid"
	"scaleproof/reports"
	"scaleproof/scaling"
)

// nameForm is the form of names that become parts of metric names and files.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// validate returns the faults of the plan as joined *invalid.FieldErrors.
func (p *Plan) validate() error {
	return errors.Join(
		p.validateHead(),
		invalid.In("environment.postgres", p.Environment.Postgres.validate()),
		invalid.In("measure", p.Measure.validate()),
		p.validatePlacements(),
		invalid.In("shard", p.validateShard()),
		p.validateWorkers(),
		invalid.In("action", p.validateAction()),
		p.validateConditions(),
		invalid.In("rollback", p.Rollback.validate()),
		p.validateDesign(),
		p.validateChecklist(),
		p.validateCapacity(),
	)
}

func (p *Plan) validateHead() error {
	var faults []error
	if p.Version != Version {
		faults = append(faults, invalid.Field("version", "must be %d", Version))
	}
	if !nameForm.MatchString(p.Name) {
		faults = append(faults, invalid.Field("name", "must be letters, digits, - and _, and is %q", p.Name))
	}
	if k := p.Environment.Kubernetes; p.Measure.Resources.Pods && (k.Context == "" || k.Namespace == "") {
		faults = append(faults, invalid.Field("measure.resources.pods", "needs environment.kubernetes with a context and a namespace"))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Variables)) {
		if !variableForm.MatchString(name) {
			faults = append(faults, invalid.Field("variables."+name, "is no name of a variable: letters, digits and _, such as REPLICAS"))
		}
	}
	return errors.Join(faults...)
}

// variableForm is the form of the names that ${NAME} takes.
var variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (p Postgres) validate() error {
	var faults []error
	seen := map[string]bool{"primary": true}
	for i, node := range p.Nodes {
		at := fmt.Sprintf("nodes[%d]", i)
		switch {
		case !nameForm.MatchString(node.Name):
			faults = append(faults, invalid.Field(at+".name", "must be letters, digits, - and _, and is %q", node.Name))
		case seen[node.Name]:
			faults = append(faults, invalid.Field(at+".name", "%q stands twice, or is the primary's", node.Name))
		case node.DSN == "":
			faults = append(faults, invalid.Field(at+".dsn", "is missing"))
		}
		seen[node.Name] = true
	}
	return errors.Join(faults...)
}

// names returns those of all nodes.
func (p Postgres) names() []string {
	var names []string
	for _, node := range p.All() {
		names = append(names, node.Name)
	}
	return names
}

// checkNode returns the fault of a field that names a node which is not there, or nil.
// What is said of the field, if anything, leads.
func (p Postgres) checkNode(field, of, node string) error {
	names := p.names()
	if slices.Contains(names, node) {
		return nil
	}
	there := "no other"
	if len(names) > 0 {
		there = strings.Join(names, ", ")
	}
	return invalid.Field(field, "%senvironment.postgres has no node %q, but %s", of, node, there)
}

// validatePlacements finds the nodes that queries run on.
func (p *Plan) validatePlacements() error {
	database := p.Measure.Database
	if database == nil || len(p.Environment.Postgres.All()) == 0 { // which measuring tells
		return nil
	}
	var faults []error
	for _, named := range database.NamedNodes() {
		of := ""
		if named.Query != "" {
			of = "of the query " + named.Query + ": "
		}
		faults = append(faults, p.Environment.Postgres.checkNode(named.Field, of, named.Node))
	}
	return invalid.In("measure.database", errors.Join(faults...))
}

// maxTrials bounds a typing error, not a use.
const maxTrials = 1000

func (m Measure) validate() error {
	var faults []error
	if m.Trials < 0 || m.Trials > maxTrials {
		faults = append(faults, invalid.Field("trials", "must be 1 to %d (0 or absent: 6), and is %d", maxTrials, m.Trials))
	}
	seen := map[string]bool{}
	for i, l := range m.Load {
		at := fmt.Sprintf("load[%d]", i)
		switch {
		case !nameForm.MatchString(l.Name):
			faults = append(faults, invalid.Field(at+".name", "must be letters, digits, - and _, and is %q", l.Name))
		case seen[l.Name]:
			faults = append(faults, invalid.Field(at+".name", "%q stands twice", l.Name))
		}
		seen[l.Name] = true
		if l.Duration == 0 && len(l.Stages) == 0 && !l.FindCapacity {
			faults = append(faults, invalid.Field(at+".duration", "is missing: a trial must end"))
		}
		faults = append(faults, invalid.In(at, l.Validate()))
	}
	if m.Database != nil {
		faults = append(faults, invalid.In("database", m.Database.Validate()))
		if m.Database.Suite != "" {
			if _, err := m.Database.AllQueries(); err != nil {
				faults = append(faults, invalid.Field("database.suite", "%v", err))
			}
		}
	}
	for i, s := range m.Scrape {
		if !strings.HasPrefix(s.URL, "http://") && !strings.HasPrefix(s.URL, "https://") {
			faults = append(faults, invalid.Field(fmt.Sprintf("scrape[%d].url", i), "must be an http or https URL"))
		}
	}
	return errors.Join(faults...)
}

// validateWorkers finds the cluster of each load's pods.
func (p *Plan) validateWorkers() error {
	var faults []error
	k := p.Environment.Kubernetes
	for i, l := range p.Measure.Load {
		w := l.Workers
		if w.Count > 0 && !w.Local && (w.Context == "" && k.Context == "" || w.Namespace == "" && k.Namespace == "") {
			faults = append(faults, invalid.Field(fmt.Sprintf("measure.load[%d].workers", i), "pods need a context and a namespace: name them here or under environment.kubernetes"))
		}
	}
	return errors.Join(faults...)
}

func (p *Plan) validateAction() error {
	var faults []error
	if name := p.Action.LoadThrough; name != "" {
		switch load, ok := p.Load(name); {
		case !ok:
			faults = append(faults, invalid.Field("load_through", "no load of measure.load is named %q", name))
		case load.FindCapacity && load.Rate == 0:
			faults = append(faults, invalid.Field("load_through", "load %s searches for its rate, which through an action must be known: give it a rate, or name another load", name))
		}
	}
	faults = append(faults, invalid.In("steps", scaling.ValidateSteps(p.Action.Steps)))
	for i, step := range p.Action.Steps {
		at := fmt.Sprintf("steps[%d]", i)
		if k := p.Environment.Kubernetes; step.OnKubernetes() && (k.Context == "" || k.Namespace == "") {
			faults = append(faults, invalid.Field(at, "acts on Kubernetes, and environment.kubernetes lacks a context or a namespace"))
		}
		if step.Shard != nil && p.Shard == nil {
			faults = append(faults, invalid.Field(at+".shard", "the plan has no section shard, which says what moves"))
		}
		faults = append(faults, invalid.In(at, p.validateArguments(step)))
		if step.SQL != nil {
			faults = append(faults, p.Environment.Postgres.checkNode(at+".sql", "", orPrimary(step.SQL.Node)))
		}
		if step.Wait != nil && step.Wait.SQL != nil {
			faults = append(faults, p.Environment.Postgres.checkNode(at+".wait.sql", "", orPrimary(step.Wait.SQL.Node)))
		}
	}
	return errors.Join(faults...)
}

func (p *Plan) validateShard() error {
	if p.Shard == nil {
		return nil
	}
	faults := []error{p.Shard.Validate()}
	for _, end := range []struct{ field, node string }{{"source", p.Shard.SourceNode()}, {"target", p.Shard.Target}} {
		if end.node != "" {
			faults = append(faults, p.Environment.Postgres.checkNode(end.field, "", end.node))
		}
	}
	if k := p.Environment.Kubernetes; p.Shard.Routing.ConfigMap != "" && (k.Context == "" || k.Namespace == "") {
		faults = append(faults, invalid.Field("routing.configmap", "is on Kubernetes, and environment.kubernetes lacks a context or a namespace"))
	}
	return errors.Join(faults...)
}

// validateArguments keeps secrets out of the arguments of children.
func (p *Plan) validateArguments(s scaling.Step) error {
	commands := map[string][]string{}
	if s.Exec != nil {
		commands["exec.command"], commands["exec.undo"], commands["exec.read"] = s.Exec.Command, s.Exec.Undo, s.Exec.Read
	}
	if s.Wait != nil {
		commands["wait.exec"] = s.Wait.Exec
	}
	var faults []error
	for _, field := range slices.Sorted(maps.Keys(commands)) {
		faults = append(faults, p.secretArguments(field, commands[field], "hand it over by exec.env"))
	}
	return errors.Join(faults...)
}

func (p *Plan) secretArguments(field string, command []string, mend string) error {
	var faults []error
	for i, argument := range command {
		if p.Secrets.String(argument) != argument {
			faults = append(faults, invalid.Field(fmt.Sprintf("%s[%d]", field, i),
				"holds a secret, and everyone on the machine sees the arguments of a process: %s", mend))
		}
	}
	return errors.Join(faults...)
}

func orPrimary(node string) string {
	if node == "" {
		return "primary"
	}
	return node
}

func (p *Plan) validateCapacity() error {
	fault := p.Capacity.Validate()
	if url := p.Environment.Prometheus.URL; len(p.Capacity.Prometheus) > 0 && url == "" {
		fault = errors.Join(fault, invalid.Field("prometheus", "needs environment.prometheus.url"))
	}
	return invalid.In("capacity", fault)
}

func (r Rollback) validate() error {
	switch r.When {
	case "", ObjectiveFailed, ActionFailed, Always, Never:
		return nil
	}
	return invalid.Field("when", "must be objective_failed, action_failed, always or never, and is %q", r.When)
}

// validateDesign holds that what must be undone may be.
func (p *Plan) validateDesign() error {
	switch d := p.Measure.Design; {
	case d != "" && d != BeforeAfter && d != ABA:
		return invalid.Field("measure.design", "must be before-after or a-b-a, and is %q", d)
	case d == ABA && p.Rollback.When == Never:
		return invalid.Field("measure.design", "a-b-a undoes the action, and rollback.when is never")
	case d == ABA && len(p.Action.Steps) == 0:
		return invalid.Field("measure.design", "a-b-a needs an action")
	case p.Rollback.Rehearse && p.Rollback.When == Never:
		return invalid.Field("rollback.rehearse", "undoes the action, and rollback.when is never")
	}
	return nil
}

func (p *Plan) validateChecklist() error {
	var faults []error
	steps, seen := map[string]bool{}, map[string]bool{}
	for _, s := range p.Action.Steps {
		steps[s.Name] = true
	}
	for i, item := range p.Checklist {
		at := fmt.Sprintf("checklist[%d]", i)
		if item.ID == "" || item.Text == "" && !reports.IsStandardItem(item.ID) {
			faults = append(faults, invalid.Field(at, "needs an id and a text"))
		}
		if seen[item.ID] {
			faults = append(faults, invalid.Field(at+".id", "%q stands twice", item.ID))
		}
		seen[item.ID] = true
		if item.Evidence.count() > 1 {
			faults = append(faults, invalid.Field(at+".evidence", "is of one kind: link, step, command, query, rule or signed"))
		}
		if (item.Evidence.Query != "" || item.Evidence.Rule != "") && p.Environment.Prometheus.URL == "" {
			faults = append(faults, invalid.Field(at+".evidence", "asks Prometheus, and environment.prometheus has no url"))
		}
		faults = append(faults, p.secretArguments(at+".evidence.command", item.Evidence.Command, "let the command take it from the environment"))
		if link := item.Evidence.Link; link != "" && !strings.HasPrefix(link, "http://") && !strings.HasPrefix(link, "https://") {
			faults = append(faults, invalid.Field(at+".evidence.link", "must be an http or https URL"))
		}
		if step := item.Evidence.Step; step != "" && !steps[step] {
			faults = append(faults, invalid.Field(at+".evidence.step", "the action has no step named %q", step))
		}
	}
	return errors.Join(faults...)
}
