package scaling

// Scale sets the replicas of a Deployment or a StatefulSet.
type Scale struct {
	Target   string `yaml:"target" json:"target"` // deployment/app or statefulset/db
	Replicas *int   `yaml:"replicas" json:"replicas"`
	// Owner says what to do where a HorizontalPodAutoscaler owns the replicas;
	// zero: Refuse. Adjust makes Replicas its minimum, and raises its maximum
	// where that is lower.
	Owner Owner `yaml:"owner" json:"owner,omitempty"`
	// Behavior, with Adjust, is what the autoscaler's becomes where there is one: how
	// fast it scales up and down, in Kubernetes' own words.
	Behavior map[string]any `yaml:"behavior" json:"behavior,omitempty"`
}

// Resources sets requests and limits of a container, by the name of the resource
// (cpu, memory) in Kubernetes' quantities. What is not named stays.
type Resources struct {
	Target    string            `yaml:"target" json:"target"`
	Container string            `yaml:"container" json:"container"`
	Requests  map[string]string `yaml:"requests" json:"requests,omitempty"`
	Limits    map[string]string `yaml:"limits" json:"limits,omitempty"`
	// Owner says what to do where a VerticalPodAutoscaler owns the resources;
	// zero: Refuse. Adjust makes Requests the least and Limits the most that it
	// may allow the container.
	Owner Owner `yaml:"owner" json:"owner,omitempty"`
}

// Apply applies the objects of a manifest by server-side apply, and makes those
// that are not there. Undoing restores the fields that it changed, and deletes
// what it made. Secrets are refused: their prior values would stand in the
// journal.
type Apply struct {
	File string `yaml:"file" json:"file"`
	// Force takes over fields that a controller or a deployment tool manages.
	Force bool `yaml:"force" json:"force,omitempty"`
}

// Patch patches an object.
type Patch struct {
	Target string `yaml:"target" json:"target"`         // kind/name
	Type   string `yaml:"type" json:"type,omitempty"`   // strategic (the default), merge or json
	Patch  any    `yaml:"patch" json:"patch,omitempty"` // a map, or for json a list of operations
}

// ConfigMap sets keys of a ConfigMap, which it makes where there is none. Keys
// that are not named stay.
type ConfigMap struct {
	Name string            `yaml:"name" json:"name"`
	Data map[string]string `yaml:"data" json:"data"`
}

// Restart replaces the pods of a workload one after another by equal ones, as its
// strategy says. Undoing restarts them again, last of all, where a step before it is
// undone that pods read at their start, such as a ConfigMap.
type Restart struct {
	Target string `yaml:"target" json:"target"`
}
