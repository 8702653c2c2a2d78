package scaling

import (
	"scaleproof/internal/unit"
)

// A Step is one change and the way back from it. Exactly one of the kinds
// (Exec, SQL, HTTP, Wait, Scale, ...) is set. Its YAML form stands in plans under
// action.steps.
type Step struct {
	Name    string        `yaml:"name" json:"name,omitempty"`
	Timeout unit.Duration `yaml:"timeout" json:"timeout,omitempty"` // zero: 5 m
	Retry   int           `yaml:"retry" json:"retry,omitempty"`     // further attempts
	// Irreversible consents to a step that can't be undone.
	Irreversible bool `yaml:"irreversible" json:"irreversible,omitempty"`
	// Parallel names a group: neighbouring steps of one group run at the same time.
	Parallel string `yaml:"parallel" json:"parallel,omitempty"`
	// When is what an earlier step must have come to; else the step is skipped.
	When *When `yaml:"when" json:"when,omitempty"`
	// MayFail lets the action go on where the step fails: it is undone at once.
	MayFail bool `yaml:"may_fail" json:"may_fail,omitempty"`

	Exec *Exec `yaml:"exec" json:"exec,omitempty"`
	SQL  *SQL  `yaml:"sql" json:"sql,omitempty"`
	HTTP *HTTP `yaml:"http" json:"http,omitempty"`
	Wait *Wait `yaml:"wait" json:"wait,omitempty"`
	// Notify tells people, Pause asks one.
	Notify *Notify `yaml:"notify" json:"notify,omitempty"`
	Pause  *Pause  `yaml:"pause" json:"pause,omitempty"`
	// Shard is a phase of the environment's move.
	Shard *Shard `yaml:"shard" json:"shard,omitempty"`

	// These act on the environment's Kubernetes; see kubeaction.go.
	Scale     *Scale     `yaml:"scale" json:"scale,omitempty"`
	Resources *Resources `yaml:"resources" json:"resources,omitempty"`
	Apply     *Apply     `yaml:"apply" json:"apply,omitempty"`
	Patch     *Patch     `yaml:"patch" json:"patch,omitempty"`
	ConfigMap *ConfigMap `yaml:"configmap" json:"configmap,omitempty"`
	Restart   *Restart   `yaml:"restart" json:"restart,omitempty"`
}

// Exec runs a command, without a shell.
type Exec struct {
	Command []string `yaml:"command" json:"command"`
	// Undo undoes it. The command true says that there is nothing to undo.
	Undo []string          `yaml:"undo" json:"undo,omitempty"`
	Env  map[string]string `yaml:"env" json:"env,omitempty"`
	// Read prints the state that Command changes: before, as the prior state
	// (given to Undo in SCALEPROOF_PRIOR); after an undo, to verify it.
	Read []string `yaml:"read" json:"read,omitempty"`
	// Expect is what Read prints once Command has worked.
	Expect string `yaml:"expect" json:"expect,omitempty"`
}

// SQL runs statements on a node of the plan's environment.
type SQL struct {
	Node string   `yaml:"node" json:"node,omitempty"` // zero: primary
	Up   []string `yaml:"up" json:"up,omitempty"`
	Down []string `yaml:"down" json:"down,omitempty"`
	// Transaction runs all of Up, and all of Down, in one transaction each.
	Transaction bool `yaml:"transaction" json:"transaction,omitempty"`
	// Read is a query of one value: the state that Up changes. Where Expect is
	// set, Read must give it once Up has worked. Statements that each make or drop
	// an index need neither: whether it is there, and valid, is read.
	Read   string `yaml:"read" json:"read,omitempty"`
	Expect string `yaml:"expect" json:"expect,omitempty"`
}

// HTTP sends a request to a control plane.
type HTTP struct {
	Method  string            `yaml:"method" json:"method,omitempty"` // zero: POST
	URL     string            `yaml:"url" json:"url"`
	Headers map[string]string `yaml:"headers" json:"-"`
	Body    string            `yaml:"body" json:"body,omitempty"`
	// Read is a URL whose answer to GET is the state that the request changes.
	// The undo request sends UndoBody, or where that is empty the state read
	// before, to URL by UndoMethod (zero: Method).
	Read       string `yaml:"read" json:"read,omitempty"`
	UndoMethod string `yaml:"undo_method" json:"undo_method,omitempty"`
	UndoURL    string `yaml:"undo_url" json:"undo_url,omitempty"`
	UndoBody   string `yaml:"undo_body" json:"undo_body,omitempty"`
	// Expect is what Read answers once the request has worked.
	Expect string `yaml:"expect" json:"expect,omitempty"`
}

// Wait holds until a condition is met, or fails at the step's timeout. Exactly
// one of its conditions is set.
type Wait struct {
	HTTP *WaitHTTP `yaml:"http" json:"http,omitempty"`
	SQL  *WaitSQL  `yaml:"sql" json:"sql,omitempty"`
	Exec []string  `yaml:"exec" json:"exec,omitempty"` // until it exits 0
	// For is "converged": until the workload or autoscaler Target is as its
	// specification says. Its generation is observed, all its pods are updated,
	// ready and available, and none is left over.
	For    string `yaml:"for" json:"for,omitempty"`
	Target string `yaml:"target" json:"target,omitempty"`
	// Interval is the time between attempts; zero: 250 ms.
	Interval unit.Duration `yaml:"interval" json:"interval,omitempty"`
}

// WaitHTTP holds until a URL answers as expected.
type WaitHTTP struct {
	URL    string `yaml:"url" json:"url"`
	Status int    `yaml:"status" json:"status,omitempty"` // zero: any 2xx
	Body   string `yaml:"body" json:"body,omitempty"`     // a part of the body
}

// WaitSQL holds until a query gives a value.
type WaitSQL struct {
	Node   string `yaml:"node" json:"node,omitempty"` // zero: primary
	Query  string `yaml:"query" json:"query"`
	Expect string `yaml:"expect" json:"expect"`
}
