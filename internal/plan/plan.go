// Package plan reads plan files: one file says what is measured, what is done,
// what counts as success, and how to go back. The sections are the
// configurations of the packages that act on them.
package plan

import (
	"scaleproof/capacity"
	"scaleproof/dbbench"
	"scaleproof/internal/expr"
	"scaleproof/internal/redact"
	"scaleproof/internal/unit"
	"scaleproof/loadgen"
	"scaleproof/reports"
	"scaleproof/scaling"
	"scaleproof/scaling/shard"
)

// Version is the version of plan files that this package reads.
const Version = 1

// A Plan is a plan file, read and found valid.
type Plan struct {
	Version int    `yaml:"version"`
	Name    string `yaml:"name"`
	// Variables are what ${NAME} stands for where the environment has no NAME.
	Variables   map[string]string  `yaml:"variables"`
	Hypothesis  string             `yaml:"hypothesis"`
	Environment Environment        `yaml:"environment"`
	Measure     Measure            `yaml:"measure"`
	Shard       *shard.Config      `yaml:"shard"`
	Action      Action             `yaml:"action"`
	Objectives  []expr.Condition   `yaml:"objectives"`
	Gates       []reports.GateSpec `yaml:"gates"`
	// Controls are metrics that the action can't touch: where one moves, something
	// else has changed, and the run proves nothing.
	Controls []reports.GateSpec `yaml:"controls"`
	// MinChange is the smallest change that matters where a gate names none;
	// zero: 5 %.
	MinChange unit.Fraction `yaml:"min_change"`
	// Calibration is a file of scaleproof calibrate: gates that can't see what
	// they look for are warned of before a run.
	Calibration string           `yaml:"calibration"`
	Guardrails  []expr.Condition `yaml:"guardrails"`
	Rollback    Rollback         `yaml:"rollback"`
	Checklist   []ChecklistItem  `yaml:"checklist"`
	// Capacity says what the nightly job collects and projects.
	Capacity capacity.Config `yaml:"capacity"`

	// Path is the file, Source its text as it was written, with ${...} and so
	// without what the environment put there, and Hash the SHA-256 of Source.
	Path   string `yaml:"-"`
	Source string `yaml:"-"`
	Hash   string `yaml:"-"`
	// StepsHash is the SHA-256 of the steps and the variables alone: neither of their
	// comments and order of keys, nor of what the environment puts there.
	StepsHash string `yaml:"-"`
	// Secrets are the passwords and tokens that the plan took from anywhere.
	Secrets *redact.Secrets `yaml:"-"`
}

// Environment names what the plan measures and changes.
type Environment struct {
	Kubernetes Kubernetes `yaml:"kubernetes"`
	Postgres   Postgres   `yaml:"postgres"`
	Prometheus Prometheus `yaml:"prometheus"`
	// Hosts are those that load may go to at any rate. Beyond loadgen's
	// guarded rate others need a consent.
	Hosts []string `yaml:"hosts"`
}

// Kubernetes pins the cluster: context and namespace are needed for any step on
// it.
type Kubernetes struct {
	Context   string `yaml:"context"`
	Namespace string `yaml:"namespace"`
	// UID is that of the cluster's namespace kube-system; where it is given, a
	// context that leads to another cluster is refused.
	UID string `yaml:"uid"`
	// Image has scaleproof in its PATH: that of the pods of loads that name none.
	Image string `yaml:"image"`
}

// Postgres names the servers. The primary has no name of its own: it is
// "primary".
type Postgres struct {
	Primary Primary        `yaml:"primary"`
	Nodes   []dbbench.Node `yaml:"nodes"`
}

// Primary is the server that takes writes.
type Primary struct {
	DSN string `yaml:"dsn"`
}

// All returns the primary, if there is one, and the other nodes.
func (p Postgres) All() []dbbench.Node {
	if p.Primary.DSN == "" {
		return p.Nodes
	}
	return append([]dbbench.Node{{Name: "primary", DSN: p.Primary.DSN}}, p.Nodes...)
}

// Prometheus is a server of metrics.
type Prometheus struct {
	URL string `yaml:"url"`
	// Token is sent as a bearer's; from the environment only.
	Token string `yaml:"token"`
}

// Measure says what a snapshot measures.
type Measure struct {
	// Trials is how often everything is measured, before and after; zero: 6.
	// Fewer than 4 can never give a verdict on a change.
	Trials    int              `yaml:"trials"`
	Design    Design           `yaml:"design"`
	Load      []loadgen.Config `yaml:"load"`
	Database  *dbbench.Config  `yaml:"database"`
	Scrape    []Scrape         `yaml:"scrape"`
	Resources Resources        `yaml:"resources"`
}

// Design says when a run measures.
type Design string

// The designs.
const (
	BeforeAfter Design = "before-after" // the default
	// ABA measures before, after, and once more when the action is undone: what
	// does not come back was not the action's doing. A run that passes applies
	// the action again.
	ABA Design = "a-b-a"
)

// Scrape reads metrics of a Prometheus text page, after each trial.
type Scrape struct {
	URL string `yaml:"url"`
	// Match is a part of the names of the series to keep.
	Match string `yaml:"match"`
}

// Resources says whose usage is sampled through each trial.
type Resources struct {
	Host bool `yaml:"host"`
	Pods bool `yaml:"pods"`
}

// Action is what is done between the snapshots.
type Action struct {
	// LoadThrough names the load that is kept on while the steps run.
	LoadThrough string         `yaml:"load_through"`
	Steps       []scaling.Step `yaml:"steps"`
}

// RollbackWhen says when an action is undone.
type RollbackWhen string

// The conditions of a rollback. An action that failed, or broke a guardrail, is
// undone under each of them but Never.
const (
	ObjectiveFailed RollbackWhen = "objective_failed" // the default
	ActionFailed    RollbackWhen = "action_failed"
	Always          RollbackWhen = "always" // a rehearsal
	Never           RollbackWhen = "never"
)

// Rollback says when and for how long.
type Rollback struct {
	When    RollbackWhen  `yaml:"when"`
	Timeout unit.Duration `yaml:"timeout"` // zero: 5 m
	// Rehearse undoes the action once it is applied, verifies the prior state and
	// applies it again, before anything is measured.
	Rehearse bool `yaml:"rehearse"`
}

// ChecklistItem is one line of the definition of done.
type ChecklistItem struct {
	ID       string   `yaml:"id"`
	Text     string   `yaml:"text"`
	Evidence Evidence `yaml:"evidence"`
}

// Evidence shows that an item is done. At most one field is set; none leaves the
// item unknown, or to what the run itself measures.
type Evidence struct {
	Link    string   `yaml:"link"`    // a page, which is asked whether it is there
	Step    string   `yaml:"step"`    // a step of the action that must have worked
	Command []string `yaml:"command"` // must exit 0
	Query   string   `yaml:"query"`   // PromQL that environment.prometheus must answer with a sample
	Rule    string   `yaml:"rule"`    // an alerting or recording rule that environment.prometheus must have
	// Signed is who has to sign: the item is unknown until scaleproof sign.
	Signed string `yaml:"signed"`
}

// count is how many fields are set.
func (e Evidence) count() (n int) {
	for _, set := range []bool{e.Link != "", e.Step != "", len(e.Command) > 0, e.Query != "", e.Rule != "", e.Signed != ""} {
		if set {
			n++
		}
	}
	return n
}

// Load returns the load of that name.
func (p *Plan) Load(name string) (loadgen.Config, bool) {
	for _, l := range p.Measure.Load {
		if l.Name == name {
			return l, true
		}
	}
	return loadgen.Config{}, false
}
