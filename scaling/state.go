package scaling

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"scaleproof/internal/kubectl"
)

// A ClusterState is what a namespace looks like at one moment: the part of it that
// tells whether an action has worked.
type ClusterState struct {
	At          time.Time         `json:"at"`
	Workloads   []WorkloadState   `json:"workloads,omitempty"`
	Pods        []PodState        `json:"pods,omitempty"`
	Autoscalers []AutoscalerState `json:"autoscalers,omitempty"`
	Services    []ServiceState    `json:"services,omitempty"`
	// Events are those since the moment that was asked for, the oldest first.
	Events []ClusterEvent `json:"events,omitempty"`
	// Warnings say what could not be read.
	Warnings []string `json:"warnings,omitempty"`
}

// WorkloadState is a Deployment, a StatefulSet or a DaemonSet.
type WorkloadState struct {
	Target  string `json:"target"` // deployment/app
	Wanted  int64  `json:"wanted"`
	Ready   int64  `json:"ready"`
	Updated int64  `json:"updated"`
}

// PodState is a pod, with its usage where metrics-server tells it.
type PodState struct {
	Name       string           `json:"name"`
	Target     string           `json:"target"` // what it belongs to
	Phase      string           `json:"phase"`
	Ready      bool             `json:"ready"`
	Restarts   int64            `json:"restarts"`
	Reason     string           `json:"reason,omitempty"` // why it is not ready, or why it has restarted
	Containers []ContainerState `json:"containers"`
}

// ContainerState is the usage of a container beside its requests and limits. CPU is
// in cores and Memory in bytes; nil where it is unknown or not set.
type ContainerState struct {
	Name          string   `json:"name"`
	CPU           *float64 `json:"cpu,omitempty"`
	CPURequest    *float64 `json:"cpu_request,omitempty"`
	CPULimit      *float64 `json:"cpu_limit,omitempty"`
	Memory        *float64 `json:"memory,omitempty"`
	MemoryRequest *float64 `json:"memory_request,omitempty"`
	MemoryLimit   *float64 `json:"memory_limit,omitempty"`
}

// AutoscalerState is a HorizontalPodAutoscaler.
type AutoscalerState struct {
	Name       string      `json:"name"`
	Target     string      `json:"target"`
	Min        int64       `json:"min"`
	Max        int64       `json:"max"`
	Current    int64       `json:"current"`
	Desired    int64       `json:"desired"`
	Metrics    []string    `json:"metrics,omitempty"` // "cpu 54 % of 70 %", "requests 12 each of 10 each"
	Conditions []Condition `json:"conditions,omitempty"`
	// Behavior is the object's own, as it stands there.
	Behavior any `json:"behavior,omitempty"`
}

// Condition is one of an object's status.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// ServiceState is how many addresses a Service leads to.
type ServiceState struct {
	Name     string `json:"name"`
	Ready    int    `json:"ready"`
	NotReady int    `json:"not_ready"`
}

// ClusterEvent is an event of the namespace.
type ClusterEvent struct {
	At      time.Time `json:"at"` // the last time
	Type    string    `json:"type"`
	Reason  string    `json:"reason"`
	Object  string    `json:"object"` // pod/app-1
	Message string    `json:"message"`
	Count   int64     `json:"count"`
}

// maxEvents bounds a state: a broken namespace has events without end.
const maxEvents = 500

// CaptureState reads the state of a namespace, with the events since a moment. What
// can't be read is a warning.
func CaptureState(ctx context.Context, client *kubectl.Client, since, now time.Time) *ClusterState {
	s := &ClusterState{At: now}
	list := func(kinds string) []kubectl.Object {
		objects, err := client.List(ctx, kinds, "")
		if err != nil {
			s.Warnings = append(s.Warnings, err.Error())
		}
		return objects
	}
	for _, o := range list("deployments,statefulsets,daemonsets") {
		s.Workloads = append(s.Workloads, workloadState(o))
	}
	usage, err := podUsage(ctx, client)
	if err != nil {
		s.Warnings = append(s.Warnings, err.Error())
	}
	for _, o := range list("pods") {
		s.Pods = append(s.Pods, podState(o, usage[o.Name()]))
	}
	for _, o := range list(horizontal) {
		s.Autoscalers = append(s.Autoscalers, autoscalerState(o))
	}
	s.Services = serviceStates(list("endpointslices.discovery.k8s.io"))
	for _, o := range list("events") {
		if e := clusterEvent(o); !e.At.Before(since.Truncate(time.Second)) { // events are kept to the second
			s.Events = append(s.Events, e)
		}
	}
	slices.SortStableFunc(s.Events, func(a, b ClusterEvent) int { return a.At.Compare(b.At) })
	s.Events = s.Events[max(0, len(s.Events)-maxEvents):]
	return s
}

func workloadState(o kubectl.Object) WorkloadState {
	w := WorkloadState{Target: o.Target()}
	if o.Kind() == "DaemonSet" {
		w.Wanted, _ = o.Int("status", "desiredNumberScheduled")
		w.Ready, _ = o.Int("status", "numberReady")
		w.Updated, _ = o.Int("status", "updatedNumberScheduled")
		return w
	}
	w.Wanted = wantedReplicas(o)
	w.Ready, _ = o.Int("status", "readyReplicas")
	w.Updated, _ = o.Int("status", "updatedReplicas")
	return w
}

// podTarget is the workload that a pod belongs to, or the pod itself.
func podTarget(pod kubectl.Object) string {
	owners := pod.List("metadata", "ownerReferences")
	if len(owners) == 0 {
		return "pod/" + pod.Name()
	}
	kind, name := owners[0].Text("kind"), owners[0].Text("name")
	if hash := pod.Text("metadata", "labels", "pod-template-hash"); kind == "ReplicaSet" && hash != "" {
		kind, name = "Deployment", strings.TrimSuffix(name, "-"+hash)
	}
	return strings.ToLower(kind) + "/" + name
}

func podState(o kubectl.Object, usage map[string]containerUsage) PodState {
	ready, _, _ := o.Condition("Ready")
	p := PodState{Name: o.Name(), Target: podTarget(o), Phase: o.Text("status", "phase"), Ready: ready == "True", Reason: unready(o)}
	if o.Text("metadata", "deletionTimestamp") != "" {
		p.Phase = "Terminating"
	}
	for _, c := range o.List("status", "containerStatuses") {
		restarts, _ := c.Int("restartCount")
		p.Restarts += restarts
		if last := c.Text("lastState", "terminated", "reason"); p.Reason == "" && last != "" {
			p.Reason = fmt.Sprintf("container %s was restarted: %s", c.Text("name"), last)
		}
	}
	for _, c := range o.List("spec", "containers") {
		state := ContainerState{
			Name:       c.Text("name"),
			CPURequest: quantity(c, "resources", "requests", "cpu"), CPULimit: quantity(c, "resources", "limits", "cpu"),
			MemoryRequest: quantity(c, "resources", "requests", "memory"), MemoryLimit: quantity(c, "resources", "limits", "memory"),
		}
		if u, ok := usage[state.Name]; ok {
			state.CPU, state.Memory = u.cpu, u.memory
		}
		p.Containers = append(p.Containers, state)
	}
	return p
}

func autoscalerState(o kubectl.Object) AutoscalerState {
	a := AutoscalerState{
		Name: o.Name(), Behavior: o.At("spec", "behavior"),
		Target: scaledBy(o),
	}
	a.Min, _ = o.Int("spec", "minReplicas")
	a.Max, _ = o.Int("spec", "maxReplicas")
	a.Current, _ = o.Int("status", "currentReplicas")
	a.Desired, _ = o.Int("status", "desiredReplicas")
	current := map[string]string{}
	for _, m := range o.List("status", "currentMetrics") {
		name, source := autoscalerMetric(m)
		current[name] = metricValue(source.At("current"))
	}
	for _, m := range o.List("spec", "metrics") {
		name, source := autoscalerMetric(m)
		if target := metricValue(source.At("target")); target != "" {
			a.Metrics = append(a.Metrics, fmt.Sprintf("%s %s of %s", name, orDefault(current[name], "unknown"), target))
		}
	}
	for _, c := range o.List("status", "conditions") {
		a.Conditions = append(a.Conditions, Condition{c.Text("type"), c.Text("status"), c.Text("reason"), c.Text("message")})
	}
	return a
}

// autoscalerMetric returns what a metric of an autoscaler is called, and what it is
// computed from.
func autoscalerMetric(m kubectl.Object) (name string, source kubectl.Object) {
	kind := m.Text("type")
	key := strings.ToLower(kind[:min(1, len(kind))]) + kind[min(1, len(kind)):] // ContainerResource is at containerResource
	below, _ := m.At(key).(map[string]any)
	source = below
	switch kind {
	case "Resource":
		return source.Text("name"), source
	case "ContainerResource":
		return source.Text("name") + " in container " + source.Text("container"), source
	case "Object":
		described := strings.ToLower(source.Text("describedObject", "kind")) + "/" + source.Text("describedObject", "name")
		return source.Text("metric", "name") + " of " + described, source
	}
	return source.Text("metric", "name"), source // Pods and External
}

// metricValue writes the target of a metric, or what it has: of the requests, each
// pod's on average, or all together.
func metricValue(value any) string {
	m, _ := value.(map[string]any)
	o := kubectl.Object(m)
	percent, isPercent := o.Int("averageUtilization")
	switch {
	case isPercent:
		return fmt.Sprintf("%d %%", percent)
	case o.Text("averageValue") != "":
		return o.Text("averageValue") + " each"
	}
	return o.Text("value")
}

// serviceStates adds up the slices of each Service.
func serviceStates(endpoints []kubectl.Object) []ServiceState {
	var all []ServiceState
	for _, o := range endpoints {
		name := o.Text("metadata", "labels", "kubernetes.io/service-name")
		i := slices.IndexFunc(all, func(s ServiceState) bool { return s.Name == name })
		if i < 0 {
			all, i = append(all, ServiceState{Name: name}), len(all)
		}
		for _, e := range o.List("endpoints") {
			addresses, _ := e.At("addresses").([]any)
			// A condition that is not set means ready.
			if ready, isSet := e.At("conditions", "ready").(bool); ready || !isSet {
				all[i].Ready += len(addresses)
			} else {
				all[i].NotReady += len(addresses)
			}
		}
	}
	return all
}

func clusterEvent(o kubectl.Object) ClusterEvent {
	e := ClusterEvent{
		Type: o.Text("type"), Reason: o.Text("reason"), Message: o.Text("message"),
		Object: strings.ToLower(o.Text("involvedObject", "kind")) + "/" + o.Text("involvedObject", "name"),
	}
	if e.Count, _ = o.Int("count"); e.Count == 0 {
		e.Count = 1
	}
	for _, field := range [][]string{{"series", "lastObservedTime"}, {"lastTimestamp"}, {"eventTime"}, {"firstTimestamp"}} {
		if at, err := time.Parse(time.RFC3339, o.Text(field...)); err == nil {
			e.At = at
			break
		}
	}
	return e
}
