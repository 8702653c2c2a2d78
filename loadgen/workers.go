package loadgen

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"scaleproof/internal/invalid"
	"scaleproof/internal/unit"
)

// Workers say which processes make a load. The zero value is this process.
type Workers struct {
	// Count is how many share the load. Zero: this process makes it.
	Count int `yaml:"count" json:"count"`
	// Local makes them processes of this machine, in place of pods.
	Local bool `yaml:"local" json:"local,omitempty"`
	// Image is the pods' image, which has this program as scaleproof in its PATH.
	Image string `yaml:"image" json:"image,omitempty"`
	// PullPolicy is IfNotPresent (the default), Always or Never.
	PullPolicy string `yaml:"pull_policy" json:"pull_policy,omitempty"`
	// Context and Namespace are the pods'. In a plan, where they are empty, those
	// of environment.kubernetes.
	Context   string `yaml:"context" json:"context,omitempty"`
	Namespace string `yaml:"namespace" json:"namespace,omitempty"`
	// Advertise is the address at which pods reach this process, HOST or
	// HOST:PORT. Empty: each address of this machine, of which a pod takes the first
	// that answers, and any port.
	Advertise string `yaml:"advertise" json:"advertise,omitempty"`
	// Through is PortForward where pods can't dial this machine. Empty: they do.
	Through string `yaml:"through" json:"through,omitempty"`
	// ServiceAccount, NodeSelector and Tolerations are the pods', as Kubernetes
	// has them.
	ServiceAccount string            `yaml:"service_account" json:"service_account,omitempty"`
	NodeSelector   map[string]string `yaml:"node_selector" json:"node_selector,omitempty"`
	Tolerations    []map[string]any  `yaml:"tolerations" json:"tolerations,omitempty"`
	// Requests and Limits are each pod's resources. Where they have none: one CPU
	// and 256Mi, and at most 512Mi.
	Requests map[string]string `yaml:"requests" json:"requests,omitempty"`
	Limits   map[string]string `yaml:"limits" json:"limits,omitempty"`
	// Avoid are labels of the target's pods, from whose nodes the workers are kept
	// off where there is a choice. Empty: those that the target's Service selects.
	Avoid map[string]string `yaml:"avoid" json:"avoid,omitempty"`
	// Deadline ends the pods whatever happens. Zero: six hours.
	Deadline unit.Duration `yaml:"deadline" json:"deadline,omitempty"`
}

// PortForward is the way through the API server: a pod of its own takes the workers'
// connections, and this process reaches it by kubectl port-forward.
const PortForward = "port-forward"

// UnmarshalYAML decodes a number, which is the count, or all of the fields.
func (w *Workers) UnmarshalYAML(node ast.Node) error {
	if _, ok := node.(*ast.IntegerNode); ok {
		return yaml.NodeToValue(node, &w.Count)
	}
	type fields Workers // without this method
	return yaml.NodeToValue(node, (*fields)(w), yaml.Strict())
}

// maxWorkers bounds a typing error, not a use.
const maxWorkers = 10_000

// validate returns what is wrong with the workers of c.
func (c *Config) validateWorkers() error {
	w := c.Workers
	var faults []error
	add := func(path, format string, args ...any) {
		faults = append(faults, invalid.Field("workers."+path, format, args...))
	}
	switch {
	case w.Count < 0 || w.Count > maxWorkers:
		add("count", "must be 0 to %d, and is %d", maxWorkers, w.Count)
	case w.Count > 0 && !w.Local && w.Image == "":
		add("image", "is missing: name an image that has scaleproof in its PATH, or say local: true for processes of this machine")
	case w.Count > 0 && !w.Local && c.UnixSocket != "":
		add("count", "a Unix socket is of this machine, and can't be reached by pods")
	// A search without a rate probes at rates that it finds itself.
	case w.Count > 0 && (!c.open() && !c.FindCapacity || c.Connections > 0) && c.connections() < w.Count:
		add("count", "%d workers can't share %d connections: give at least one to each", w.Count, c.connections())
	}
	switch w.PullPolicy {
	case "", "IfNotPresent", "Always", "Never":
	default:
		add("pull_policy", "must be IfNotPresent, Always or Never, and is %q", w.PullPolicy)
	}
	switch {
	case w.Through != "" && w.Through != PortForward:
		add("through", "must be %s, or left out where pods can dial this machine, and is %q", PortForward, w.Through)
	case w.Through != "" && w.Advertise != "":
		add("advertise", "has no use with through: %s, where pods dial no address of this machine", PortForward)
	case w.Through != "" && w.Local:
		add("through", "has no use with processes of this machine")
	}
	return errors.Join(faults...)
}
