package scaling

import (
	"fmt"
	"net/http"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/redact"
	"scaleproof/scaling/shard"
)

// Environment is what steps act in. Its zero value serves to describe steps, not
// to run them.
type Environment struct {
	// DSNs are the connection strings of the Postgres nodes by name.
	DSNs map[string]string
	// Environ is the environment of children, as os.Environ gives it.
	Environ []string
	HTTP    *http.Client
	// Kubernetes is the namespace that steps act in; nil: none.
	Kubernetes *kubectl.Client
	// StepsHash and ServerUID tell a journal of these steps on this cluster from
	// others; empty: not known.
	StepsHash, ServerUID string
	// Approve asks a person; nil: there is none.
	Approve Approver
	// Origin is the plan and the run, for whoever reads a message of theirs.
	Origin string
	// Move is what steps of the kind shard work on; nil: nothing.
	Move *shard.Config
	// OnMove is told what a step of the kind shard does, in a line, and OnProgress
	// about once a second how far it is; nil tells nobody.
	OnMove     func(step, text string)
	OnProgress func(step string, p shard.Progress)
	Now        func() time.Time
	// Secrets go from everything that steps print and read. Nil knows none.
	Secrets *redact.Secrets
	// step is the title of the step that acts, and mark that of its children.
	step, mark string
}

// primary is the node that a step means when it names none.
const primary = "primary"

func (e Environment) dsn(node string) (string, error) {
	if node == "" {
		node = primary
	}
	dsn, ok := e.DSNs[node]
	if !ok {
		return "", fmt.Errorf("the environment has no Postgres node %q", node)
	}
	return dsn, nil
}
