package scaling

import (
	"encoding/json"
	"maps"
	"slices"
)

// A ReplicaChange is what an action did to the replicas of a workload.
type ReplicaChange struct {
	Target   string // kind/name
	From, To float64
}

// ReplicaChanges returns the workloads whose replicas the steps of an action set to
// another number, by what they captured, in the order of their names. What an
// autoscaler was given is its bounds and no number of replicas.
func (o *Outcome) ReplicaChanges() []ReplicaChange {
	found := map[string]ReplicaChange{}
	for _, step := range o.Steps {
		before, errBefore := parseState(step.Before)
		after, errAfter := parseState(step.After)
		if errBefore != nil || errAfter != nil {
			continue // no step of Kubernetes, or one that was not applied
		}
		for target := range after {
			from, known := replicasIn(before, target)
			to, set := replicasIn(after, target)
			if !known || !set {
				continue
			}
			if earlier, twice := found[target]; twice {
				from = earlier.From
			}
			found[target] = ReplicaChange{target, from, to}
		}
	}
	var all []ReplicaChange
	for _, target := range slices.Sorted(maps.Keys(found)) {
		if c := found[target]; c.From != c.To {
			all = append(all, c)
		}
	}
	return all
}

func replicasIn(s fieldState, target string) (float64, bool) {
	n, ok := s[target]["/spec/replicas"].(json.Number)
	if !ok {
		return 0, false
	}
	v, err := n.Float64()
	return v, err == nil
}
