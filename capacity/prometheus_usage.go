package capacity

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// usageStep is the distance of samples that a recommender of resources expects.
const usageStep = time.Minute

// Usage returns what a container used over a span until to, a sample a minute, by a
// query for its CPU in cores and one for its memory in bytes, of which one may be
// empty. Each must give one series. It fails where the server does, or has nothing.
func (p *Prometheus) Usage(ctx context.Context, cpu, memory string, to time.Time, span time.Duration) ([]UsageSample, error) {
	samples := map[int64]*UsageSample{}
	for _, q := range []struct {
		what, query string
		of          func(*UsageSample) *float64
	}{
		{"CPU", cpu, func(s *UsageSample) *float64 { return &s.CPU }},
		{"memory", memory, func(s *UsageSample) *float64 { return &s.Memory }},
	} {
		if q.query == "" {
			continue
		}
		err := p.stream(ctx, q.query, to.Add(-span), to, func(at time.Time, v float64) {
			s := samples[at.UnixMilli()]
			if s == nil {
				s = &UsageSample{Time: at, CPU: math.NaN(), Memory: math.NaN()}
				samples[at.UnixMilli()] = s
			}
			*q.of(s) = v
		})
		if err != nil {
			return nil, fmt.Errorf("asking Prometheus for the use of %s: %w", q.what, err)
		}
	}
	if len(samples) == 0 {
		return nil, errors.New("asking Prometheus for the use of a container: it has nothing of that time")
	}
	var all []UsageSample
	for _, at := range slices.Sorted(maps.Keys(samples)) {
		all = append(all, *samples[at])
	}
	return all, nil
}

// stream gives take the values of a query that has one series, asked for in pieces of
// a day, which the server can answer.
func (p *Prometheus) stream(ctx context.Context, query string, from, to time.Time, take func(time.Time, float64)) error {
	for begin, end := range pieces(from, to, promDay) {
		m, _, err := p.matrix(ctx, query, begin, end, usageStep)
		if err != nil {
			return err
		}
		if len(m) > 1 {
			return fmt.Errorf("%s gives %d series: let it be of one container, by sum or max", query, len(m))
		}
		for _, stream := range m {
			for _, v := range stream.Values {
				if value := float64(v.Value); value >= 0 && !math.IsInf(value, 0) {
					take(v.Timestamp.Time(), value)
				}
			}
		}
	}
	return nil
}
