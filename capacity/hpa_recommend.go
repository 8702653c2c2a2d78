package capacity

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"scaleproof/internal/unit"
)

// RankHPA returns the indices of timelines of the same trace in the order of their
// unmet demand, then of their cost: the best first.
func RankHPA(timelines []*HPATimeline) []int {
	order := make([]int, len(timelines))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := timelines[i].Summary, timelines[j].Summary
		return cmp.Or(cmp.Compare(a.UnmetFraction, b.UnmetFraction), cmp.Compare(a.ReplicaHours, b.ReplicaHours))
	})
	return order
}

// An HPAObjective is what an HPA is to reach at the least cost.
type HPAObjective struct {
	// UnmetFraction is the part of the demand that may find no capacity; zero:
	// none at all.
	UnmetFraction float64 `json:"unmet_fraction"`
	// LongestUnmet is how long it may last; zero: as long as the fraction allows.
	LongestUnmet unit.Duration `json:"longest_unmet,omitempty"`
	// MaxReplicas bounds the cost of the worst moment; zero: no bound.
	MaxReplicas int32 `json:"max_replicas,omitempty"`
}

func (o HPAObjective) met(s HPASummary) bool {
	return s.UnmetFraction <= o.UnmetFraction && (o.LongestUnmet == 0 || s.LongestUnmet <= o.LongestUnmet)
}

// An HPARecommendation is the cheapest HPA found that meets an objective.
type HPARecommendation struct {
	HPA     *HPA         `json:"hpa"`
	Summary HPASummary   `json:"summary"` // of the simulation of it
	Now     HPASummary   `json:"now"`     // of that of the manifest that was given
	Met     bool         `json:"met"`     // false: nothing met it, and this came nearest
	Tried   int          `json:"tried"`
	Reason  string       `json:"reason"`
	Goal    HPAObjective `json:"objective"`
}

// RecommendHPA looks for min, max, CPU target and behavior that meet an objective
// on a trace with the fewest replica hours. The target of h and what it scales
// are kept; its metrics are replaced by CPU utilisation. A trace is one past or
// one forecast: what it does not have in it, the recommendation does not know.
// It stops when ctx ends.
func RecommendHPA(ctx context.Context, h *HPA, trace Series, w Workload, goal HPAObjective) (*HPARecommendation, error) {
	now, err := SimulateHPA(h, trace, w)
	if err != nil {
		return nil, err
	}
	search := hpaSearch{base: h, trace: trace, w: w.withDefaults(), goal: goal}
	search.w.Initial = w.Initial
	for _, behavior := range hpaBehaviors() {
		for _, least := range search.minimums() {
			if err := search.steepest(ctx, behavior, least); err != nil {
				return nil, fmt.Errorf("recommending an HPA: %w", err)
			}
		}
	}
	r := &HPARecommendation{HPA: search.best, Summary: search.summary, Now: now.Summary, Met: search.met, Tried: search.tried, Goal: goal}
	if r.HPA == nil {
		return nil, errors.New("recommending an HPA: none could be simulated")
	}
	r.Reason = fmt.Sprintf("the fewest replica hours of %d that were simulated on the trace: %.4g, against %.4g now", r.Tried, r.Summary.ReplicaHours, now.Summary.ReplicaHours)
	if !r.Met {
		r.Reason = fmt.Sprintf("none of %d met the objective: this one leaves the least demand unmet", r.Tried)
	}
	return r, nil
}

// hpaBehaviors are the behaviors that are tried, from slow to fast growth.
func hpaBehaviors() []*Behavior {
	rules := func(window int32, policies ...ScalingPolicy) *ScalingRules {
		return &ScalingRules{StabilizationWindowSeconds: &window, SelectPolicy: "Max", Policies: policies}
	}
	slow := rules(300, ScalingPolicy{"Percent", 100, 15})
	patient := rules(900, ScalingPolicy{"Percent", 20, 60})
	up := rules(0, ScalingPolicy{"Pods", 4, 15}, ScalingPolicy{"Percent", 100, 15})
	fast := rules(0, ScalingPolicy{"Pods", 20, 15}, ScalingPolicy{"Percent", 400, 15})
	return []*Behavior{nil, {ScaleUp: up, ScaleDown: patient}, {ScaleUp: fast, ScaleDown: slow}, {ScaleUp: fast, ScaleDown: patient}}
}

// An hpaSearch keeps the best so far.
type hpaSearch struct {
	base    *HPA
	trace   Series
	w       Workload
	goal    HPAObjective
	best    *HPA
	summary HPASummary
	met     bool
	tried   int
}

// minimums are the values of minReplicas that are tried: what quantiles of the
// demand need.
func (s *hpaSearch) minimums() []int32 {
	sorted := slices.Sorted(slices.Values(s.trace.Values))
	var all []int32
	for _, q := range []float64{0, 0.1, 0.25, 0.5, 0.75, 0.95, 1} {
		needed := replicasOf(sorted[int(q*float64(len(sorted)-1))] / s.w.CapacityPerReplica)
		all = append(all, max(1, needed))
	}
	if bound := s.goal.MaxReplicas; bound > 0 {
		for i := range all {
			all[i] = min(all[i], bound)
		}
	}
	return slices.Compact(all)
}

// steepest finds the highest target that meets the goal, of those from 30 to 95 %
// of what a replica uses at capacity: the higher the target, the fewer replicas.
func (s *hpaSearch) steepest(ctx context.Context, behavior *Behavior, least int32) error {
	low, high := 6, 20 // in steps of 5 %; the low one is tried as well
	for low < high {
		if err := ctx.Err(); err != nil {
			return err
		}
		middle := (low + high) / 2
		met, err := s.try(behavior, least, middle*5)
		if err != nil {
			return err
		}
		if met {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return nil
}

// try simulates a candidate and keeps it if it is better than the best.
func (s *hpaSearch) try(behavior *Behavior, least int32, percent int) (met bool, err error) {
	target := max(1, int32(math.Round(float64(percent)*s.w.UtilisationAtCapacity)))
	most := s.goal.MaxReplicas
	if most == 0 {
		peak := slices.Max(s.trace.Values) / s.w.CapacityPerReplica
		most = max(least, replicasOf(1.2*peak/(float64(percent)/100)))
	}
	h := &HPA{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler", Metadata: s.base.Metadata, Spec: HPASpec{
		ScaleTargetRef: s.base.Spec.ScaleTargetRef, MinReplicas: &least, MaxReplicas: most, Behavior: behavior,
		Metrics: []MetricSpec{{Type: ResourceMetric, Resource: &MetricField{Name: "cpu", Target: MetricTarget{Type: "Utilization", AverageUtilization: &target}}}},
	}}
	t, err := SimulateHPA(h, s.trace, s.w)
	if err != nil {
		return false, err
	}
	s.tried++
	met = s.goal.met(t.Summary)
	better := s.best == nil || (met && !s.met)
	switch {
	case met && s.met:
		better = better || t.Summary.ReplicaHours < s.summary.ReplicaHours
	case !met && !s.met:
		better = better || t.Summary.UnmetFraction < s.summary.UnmetFraction
	}
	if better {
		s.best, s.summary, s.met = h, t.Summary, met
	}
	return met, nil
}
