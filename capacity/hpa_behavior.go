package capacity

import (
	"math"
	"time"
)

// A recommendation is what the metrics asked for at a time.
type recommendation struct {
	at       time.Time
	replicas int32
}

// A scaleEvent is how many replicas were added, or removed, at a time.
type scaleEvent struct {
	at     time.Time
	change int32
}

// limitPlain is what the controller does without behavior: the highest
// recommendation of the window, and at most twice the present replicas.
func (c *hpaController) limitPlain(now time.Time, current, wanted int32) int32 {
	highest := wanted
	for _, r := range c.recommendations {
		if !r.at.Before(now.Add(-c.config.DownscaleWindow)) {
			highest = max(highest, r.replicas)
		}
	}
	c.remember(now, wanted, c.config.DownscaleWindow)
	most := min(c.spec.MaxReplicas, max(2*current, 4))
	return max(min(highest, most), min(c.spec.Min(), most))
}

// limitByBehavior is what it does with behavior: recommendations are stabilised
// in both directions, and the rate of change is bounded by the policies.
func (c *hpaController) limitByBehavior(now time.Time, current, wanted int32, b Behavior) int32 {
	up := time.Duration(*b.ScaleUp.StabilizationWindowSeconds) * time.Second
	down := time.Duration(*b.ScaleDown.StabilizationWindowSeconds) * time.Second
	lowest, highest := wanted, wanted
	for _, r := range c.recommendations {
		if r.at.After(now.Add(-up)) {
			lowest = min(lowest, r.replicas)
		}
		if r.at.After(now.Add(-down)) {
			highest = max(highest, r.replicas)
		}
	}
	c.remember(now, wanted, max(up, down))
	stable := min(max(current, lowest), highest)
	switch {
	case stable > current:
		limit := max(current, upLimit(now, current, c.ups, c.downs, *b.ScaleUp))
		return min(stable, limit, c.spec.MaxReplicas)
	case stable < current:
		limit := min(current, downLimit(now, current, c.ups, c.downs, *b.ScaleDown))
		return max(stable, limit, c.spec.Min())
	}
	return stable
}

// remember keeps a recommendation and forgets those before the window.
func (c *hpaController) remember(now time.Time, replicas int32, window time.Duration) {
	kept := c.recommendations[:0]
	for _, r := range c.recommendations {
		if !r.at.Before(now.Add(-window)) {
			kept = append(kept, r)
		}
	}
	c.recommendations = append(kept, recommendation{now, replicas})
}

// changed is how many replicas events have changed within the last seconds.
func changed(now time.Time, seconds int32, events []scaleEvent) int32 {
	cutoff := now.Add(-time.Duration(seconds) * time.Second)
	var sum int32
	for _, e := range events {
		if e.at.After(cutoff) {
			sum += e.change
		}
	}
	return sum
}

// upLimit is how many replicas the policies allow at most.
func upLimit(now time.Time, current int32, ups, downs []scaleEvent, r ScalingRules) int32 {
	if r.SelectPolicy == "Disabled" {
		return current
	}
	limit := int32(math.MinInt32)
	if r.SelectPolicy == "Min" {
		limit = math.MaxInt32
	}
	for _, p := range r.Policies {
		start := current - changed(now, p.PeriodSeconds, ups) + changed(now, p.PeriodSeconds, downs)
		proposed := replicasOf(float64(start) + float64(p.Value))
		if p.Type == "Percent" {
			// Rounded up, or one replica could never grow.
			proposed = replicasOf(float64(start) * (1 + float64(p.Value)/100))
		}
		if r.SelectPolicy == "Min" {
			limit = min(limit, proposed)
		} else {
			limit = max(limit, proposed)
		}
	}
	return limit
}

// downLimit is how many replicas the policies leave at least.
func downLimit(now time.Time, current int32, ups, downs []scaleEvent, r ScalingRules) int32 {
	if r.SelectPolicy == "Disabled" {
		return current
	}
	limit := int32(math.MaxInt32)
	if r.SelectPolicy == "Min" {
		limit = math.MinInt32
	}
	for _, p := range r.Policies {
		start := current - changed(now, p.PeriodSeconds, ups) + changed(now, p.PeriodSeconds, downs)
		proposed := start - p.Value
		if p.Type == "Percent" {
			proposed = int32(float64(start) * (1 - float64(p.Value)/100))
		}
		if r.SelectPolicy == "Min" {
			limit = max(limit, proposed)
		} else {
			limit = min(limit, proposed)
		}
	}
	return limit
}
