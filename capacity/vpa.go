package capacity

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// A UsageSample is what one container used at one time.
type UsageSample struct {
	Time   time.Time
	CPU    float64 // cores; NaN: not measured
	Memory float64 // bytes; NaN: not measured
	// OOM says that the container was killed for its memory, of which it had used
	// Memory.
	OOM bool
}

// VPAOptions say whose recommendation it is. The zero value is of a pod with one
// container and no request.
type VPAOptions struct {
	Containers int     // of the pod, which share the minimum; zero: 1
	CPURequest float64 // cores: samples weigh as much, at least 0.1
}

// A ResourceAmount is CPU in cores and memory in bytes.
type ResourceAmount struct {
	CPU    float64 `json:"cpu"`
	Memory float64 `json:"memory"`
}

// A VPARecommendation is what the recommender of the Vertical Pod Autoscaler says
// of a container: outside the bounds its updater would act.
type VPARecommendation struct {
	Target     ResourceAmount `json:"target"`
	LowerBound ResourceAmount `json:"lower_bound"`
	// UpperBound is nil where there is none yet, as with a single sample.
	UpperBound *ResourceAmount `json:"upper_bound"`
	// Confidence is in days of history: with little of it the bounds are wide.
	Confidence float64  `json:"confidence"`
	Samples    int      `json:"samples"`
	Days       float64  `json:"days"`
	Warnings   []string `json:"warnings,omitempty"`
}

// The parameters of the recommender, version 1, by default.
const (
	vpaHistory     = 8 * 24 * time.Hour
	vpaHalfLife    = 24 * time.Hour
	vpaInterval    = 24 * time.Hour // of memory peaks
	vpaMargin      = 1.15
	vpaLeastWeight = 0.1
	vpaOOMFactor   = 1.2
	vpaOOMBump     = 100 << 20
	// The least that a pod is recommended, shared by its containers.
	vpaLeastCPU    = 0.025
	vpaLeastMemory = 250 << 20
	// samplesPerDay is one a minute.
	samplesPerDay = 24 * 60
)

// RecommendVPA returns what the Vertical Pod Autoscaler would recommend after these
// samples, which need not be in order. It knows no weekly cycle: a peak that comes
// once a week fades by half each day. It fails without a sample.
func RecommendVPA(samples []UsageSample, o VPAOptions) (*VPARecommendation, error) {
	samples = slices.Clone(samples)
	slices.SortStableFunc(samples, func(a, b UsageSample) int { return a.Time.Compare(b.Time) })
	if len(samples) == 0 {
		return nil, errors.New("recommending resources: there is no sample")
	}
	last := samples[len(samples)-1].Time
	first := slices.IndexFunc(samples, func(s UsageSample) bool { return last.Sub(s.Time) <= vpaHistory })
	samples = samples[first:]
	cpu, memory := newDecaying(.01, 1000), newDecaying(1e7, 1e12)
	weight := max(o.CPURequest, vpaLeastWeight)
	for _, s := range samples {
		if s.CPU >= 0 {
			cpu.add(s.CPU, weight, last.Sub(s.Time))
		}
	}
	for _, p := range memoryPeaks(samples) {
		memory.add(p.Memory, 1, last.Sub(p.Time))
	}
	if cpu.total == 0 && memory.total == 0 {
		return nil, errors.New("recommending resources: no sample has CPU or memory")
	}
	r := &VPARecommendation{Samples: len(samples), Days: last.Sub(samples[0].Time).Hours() / 24}
	r.Confidence = min(r.Days, float64(r.Samples)/samplesPerDay)
	containers := float64(max(o.Containers, 1))
	estimate := func(quantile, factor float64) ResourceAmount {
		return ResourceAmount{
			CPU:    max(cpu.quantile(quantile)*vpaMargin*factor, vpaLeastCPU/containers),
			Memory: max(memory.quantile(quantile)*vpaMargin*factor, vpaLeastMemory/containers),
		}
	}
	r.Target = estimate(.9, 1)
	r.LowerBound = estimate(.5, math.Pow(1+.001/r.Confidence, -2))
	if r.Confidence > 0 {
		upper := estimate(.95, 1+1/r.Confidence)
		r.UpperBound = &upper
	}
	if cpu.total == 0 {
		r.Warnings = append(r.Warnings, "CPU was not measured: what stands for it is the least that a pod gets")
	}
	if memory.total == 0 {
		r.Warnings = append(r.Warnings, "memory was not measured: what stands for it is the least that a pod gets")
	}
	if r.Confidence < 1 {
		history := fmt.Sprintf("there is %.2g of a day of history", r.Days)
		if r.Confidence < r.Days {
			history = fmt.Sprintf("%d samples count for %.2g of a day of history, since a day should have %d", r.Samples, r.Confidence, samplesPerDay)
		}
		r.Warnings = append(r.Warnings, history+": the bounds are wide")
	}
	return r, nil
}

// memoryPeaks returns the highest memory of each interval, counted from the first
// sample, at the end of the interval. A kill for memory counts as more than what
// was used then.
func memoryPeaks(samples []UsageSample) (peaks []UsageSample) {
	for _, s := range samples {
		if !(s.Memory >= 0) {
			continue
		}
		if s.OOM {
			s.Memory = max(s.Memory+vpaOOMBump, s.Memory*vpaOOMFactor)
		}
		interval := s.Time.Sub(samples[0].Time) / vpaInterval
		s.Time = samples[0].Time.Add((interval + 1) * vpaInterval)
		if n := len(peaks); n == 0 || !peaks[n-1].Time.Equal(s.Time) {
			peaks = append(peaks, s)
		} else {
			peaks[n-1].Memory = max(peaks[n-1].Memory, s.Memory)
		}
	}
	return peaks
}

// vpaRatio is how much wider each bucket of a histogram is than the one before.
const vpaRatio = 1.05

// A decaying histogram has buckets that grow exponentially, of which older samples
// weigh less.
type decaying struct {
	first   float64 // size of the first bucket
	weights []float64
	total   float64
}

func newDecaying(first, highest float64) *decaying {
	buckets := int(math.Ceil(math.Log(highest*(vpaRatio-1)/first+1)/math.Log(vpaRatio))) + 1
	return &decaying{first: first, weights: make([]float64, buckets)}
}

// start is where a bucket begins.
func (d *decaying) start(bucket int) float64 {
	return d.first * (math.Pow(vpaRatio, float64(bucket)) - 1) / (vpaRatio - 1)
}

func (d *decaying) add(value, weight float64, age time.Duration) {
	bucket := int(math.Log(value*(vpaRatio-1)/d.first+1) / math.Log(vpaRatio))
	weight *= math.Exp2(-age.Hours() / vpaHalfLife.Hours())
	d.weights[min(max(bucket, 0), len(d.weights)-1)] += weight
	d.total += weight
}

// quantile returns the end of the bucket in which a quantile lies, 0 without a
// sample.
func (d *decaying) quantile(q float64) float64 {
	if d.total == 0 {
		return 0
	}
	sum, bucket := 0.0, 0
	for ; bucket < len(d.weights)-1; bucket++ {
		if sum += d.weights[bucket]; sum >= q*d.total*(1-1e-12) {
			break
		}
	}
	if bucket == len(d.weights)-1 {
		return d.start(bucket)
	}
	return d.start(bucket + 1)
}

// ReadUsageCSV reads the usage of a container with the column time (see
// ReadSeriesCSV), and cpu (or value) in cores, memory in bytes, or both; in the
// column oom, which may be missing, 1 or true is a kill for memory.
func ReadUsageCSV(r io.Reader) (samples []UsageSample, err error) {
	err = readTable(r, []string{"time"}, []string{"cpu", "value", "memory", "oom"}, func(row map[string]string) error {
		s := UsageSample{CPU: math.NaN(), Memory: math.NaN()}
		if s.Time, err = parseTime(row["time"]); err != nil {
			return err
		}
		for _, c := range []struct {
			name string
			to   *float64
		}{{"cpu", &s.CPU}, {"value", &s.CPU}, {"memory", &s.Memory}} {
			text, ok := row[c.name]
			if !ok {
				continue
			}
			if *c.to, err = parseNumber(c.name, text); err != nil {
				return err
			}
			if *c.to < 0 || math.IsInf(*c.to, 0) {
				return fmt.Errorf("%s is %s", c.name, text)
			}
		}
		switch row["oom"] {
		case "", "0", "false":
		case "1", "true":
			s.OOM = true
		default:
			return fmt.Errorf("oom is %q, and neither 1 nor 0", row["oom"])
		}
		samples = append(samples, s)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the usage of a container: %w", err)
	}
	return samples, nil
}
