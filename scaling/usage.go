package scaling

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"scaleproof/internal/kubectl"
	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// containerUsage is what metrics-server tells of a container.
type containerUsage struct {
	cpu, memory *float64 // cores and bytes
	at          time.Time
}

// podUsage asks metrics-server for the usage of each container, by pod and by name.
func podUsage(ctx context.Context, client *kubectl.Client) (map[string]map[string]containerUsage, error) {
	answer, err := client.Raw(ctx, "/apis/metrics.k8s.io/v1beta1/namespaces/"+client.Namespace+"/pods")
	if err != nil {
		return nil, err
	}
	usage := map[string]map[string]containerUsage{}
	for _, pod := range answer.List("items") {
		at, _ := time.Parse(time.RFC3339, pod.Text("timestamp"))
		containers := map[string]containerUsage{}
		for _, c := range pod.List("containers") {
			containers[c.Text("name")] = containerUsage{quantity(c, "usage", "cpu"), quantity(c, "usage", "memory"), at}
		}
		usage[pod.Name()] = containers
	}
	return usage, nil
}

// quantity returns the quantity at a path, or nil.
func quantity(o kubectl.Object, path ...string) *float64 {
	value, err := unit.ParseKubernetes(o.Text(path...))
	if err != nil {
		return nil
	}
	return &value
}

// usageInterval is the time between readings; metrics-server has new figures every
// 15 s at most often, by default.
const usageInterval = 5 * time.Second

// A PodSampler reads the usage of a namespace's pods until it is stopped. Its
// readings are its goroutine's until then.
type PodSampler struct {
	client  *kubectl.Client
	started time.Time
	cancel  context.CancelFunc
	ended   chan struct{}

	readings []podReading
	fault    error // of the last reading
}

// A podReading is what was read at one moment.
type podReading struct {
	pods  []PodState
	usage map[string]map[string]containerUsage
}

// StartPodSampler begins to read. An error of the first reading is returned.
func StartPodSampler(ctx context.Context, client *kubectl.Client, now time.Time) (*PodSampler, error) {
	s := &PodSampler{client: client, started: now, ended: make(chan struct{})}
	s.read(ctx)
	if s.fault != nil {
		return nil, s.fault
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.ended)
		ticker := time.NewTicker(usageInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				s.read(ctx)
			}
		}
	}()
	return s, nil
}

// readPods reads the pods of a namespace, and what they use: where that is unknown the
// pods are returned without it, and why.
func readPods(ctx context.Context, client *kubectl.Client) (r podReading, unknown, err error) {
	objects, err := client.List(ctx, "pods", "")
	if err != nil {
		return r, nil, err
	}
	r.usage, unknown = podUsage(ctx, client)
	for _, o := range objects {
		r.pods = append(r.pods, podState(o, r.usage[o.Name()]))
	}
	return r, unknown, nil
}

// Pods returns the pods of a namespace, with figures of the last minute or so, from
// metrics-server, of what their containers use. Where that can't be read, unknown says
// why.
func Pods(ctx context.Context, client *kubectl.Client) (pods []PodState, unknown, err error) {
	r, unknown, err := readPods(ctx, client)
	return r.pods, unknown, err
}

// read takes a reading. One that fails is left out: the next one comes soon.
func (s *PodSampler) read(ctx context.Context) {
	reading, unknown, err := readPods(ctx, s.client)
	if s.fault = errors.Join(err, unknown); s.fault == nil {
		s.readings = append(s.readings, reading)
	}
}

// Stop takes the last reading and returns one sample for each metric of each
// workload, and a warning where there are no figures of the sampler's own time.
//
//	k8s.deployment.app.cpu              cores, all pods together, the mean over the figures
//	k8s.deployment.app.memory           bytes, all pods together, the highest
//	k8s.deployment.app.cpu_limit        what they may use together, where all
//	k8s.deployment.app.memory_limit     their containers have such a limit
//	k8s.deployment.app.cpu_utilization  of the requests, as a HorizontalPodAutoscaler has it
//	k8s.deployment.app.memory_pressure  of its limit, in the fullest container
//	k8s.deployment.app.ready            pods, the mean
//	k8s.deployment.app.restarts         of containers, through the time
func (s *PodSampler) Stop(ctx context.Context) (samples []snapshot.Sample, warning string) {
	s.cancel()
	<-s.ended
	s.read(ctx)
	return s.samples()
}

// samples adds the readings up.
func (s *PodSampler) samples() (samples []snapshot.Sample, warning string) {
	targets := map[string]*targetUsage{}
	fresh := false
	for _, r := range s.readings {
		for name, sum := range r.sums() {
			t := targets[name]
			if t == nil {
				t = &targetUsage{seen: s.started, first: map[string]int64{}, last: map[string]int64{}}
				targets[name] = t
			}
			fresh = t.add(sum) || fresh
		}
	}
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		samples = append(samples, targets[name].samples("k8s."+strings.ReplaceAll(name, "/", "."))...)
	}
	if !fresh {
		warning = "the usage of pods is unknown: metrics-server had no new figures through a trial (it has some every 15 s, or as --metric-resolution says)"
	}
	return samples, warning
}

// usageSum is one reading of one workload, all pods together.
type usageSum struct {
	cpu, memory float64
	// Sums of the containers'; NaN where one has none.
	cpuRequest, cpuLimit, memoryLimit float64
	fullest                           float64   // container's memory, of its limit
	at                                time.Time // of the newest figures
	ready                             float64
	restarts                          map[string]int64 // by pod
}

// sums adds the reading up by workload.
func (r podReading) sums() map[string]*usageSum {
	all := map[string]*usageSum{}
	for _, pod := range r.pods {
		sum := all[pod.Target]
		if sum == nil {
			sum = &usageSum{restarts: map[string]int64{}}
			all[pod.Target] = sum
		}
		sum.restarts[pod.Name] = pod.Restarts
		if pod.Ready {
			sum.ready++
		}
		for _, c := range pod.Containers {
			sum.add(c, r.usage[pod.Name][c.Name].at)
		}
	}
	return all
}

func (s *usageSum) add(c ContainerState, at time.Time) {
	if c.CPU == nil || c.Memory == nil {
		return // its pod has just begun
	}
	if at.After(s.at) {
		s.at = at
	}
	s.cpu += *c.CPU
	s.memory += *c.Memory
	s.cpuRequest += orUnknown(c.CPURequest)
	s.cpuLimit += orUnknown(c.CPULimit)
	s.memoryLimit += orUnknown(c.MemoryLimit)
	if c.MemoryLimit != nil && *c.MemoryLimit > 0 {
		s.fullest = max(s.fullest, *c.Memory / *c.MemoryLimit)
	}
}

func orUnknown(value *float64) float64 {
	if value == nil {
		return math.NaN()
	}
	return *value
}

// targetUsage gathers the readings of one workload.
type targetUsage struct {
	// One for each reading with new figures, but ready: one for each.
	cpu, utilization, memory, pressure []float64
	ready                              []float64
	cpuLimit, memoryLimit              float64          // at the last
	first, last                        map[string]int64 // restarts by pod
	seen                               time.Time        // figures up to then don't count
}

// add takes a reading, and reports whether its figures are new.
func (t *targetUsage) add(s *usageSum) (fresh bool) {
	t.ready = append(t.ready, s.ready)
	for pod, n := range s.restarts {
		if _, known := t.first[pod]; !known {
			t.first[pod] = n
		}
		t.last[pod] = n
	}
	if !s.at.After(t.seen) {
		return false
	}
	t.seen = s.at
	t.cpu, t.memory = append(t.cpu, s.cpu), append(t.memory, s.memory)
	t.cpuLimit, t.memoryLimit = s.cpuLimit, s.memoryLimit
	if s.cpuRequest > 0 {
		t.utilization = append(t.utilization, s.cpu/s.cpuRequest)
	}
	if s.fullest > 0 {
		t.pressure = append(t.pressure, s.fullest)
	}
	return true
}

func (t *targetUsage) samples(name string) []snapshot.Sample {
	restarted := 0.0
	for pod, n := range t.last {
		restarted += float64(max(n-t.first[pod], 0))
	}
	samples := []snapshot.Sample{
		{Name: name + ".ready", Unit: unit.Count, Better: snapshot.Neutral, Value: mean(t.ready)},
		{Name: name + ".restarts", Unit: unit.Count, Better: snapshot.Lower, Value: restarted},
	}
	for _, m := range []struct {
		name   string
		base   unit.Base
		values []float64
		of     func([]float64) float64
	}{
		{".cpu", unit.Cores, t.cpu, mean},
		{".cpu_utilization", unit.Ratio, t.utilization, mean},
		{".cpu_limit", unit.Cores, limit(t.cpuLimit), mean},
		{".memory", unit.Bytes, t.memory, slices.Max[[]float64]},
		{".memory_limit", unit.Bytes, limit(t.memoryLimit), mean},
		{".memory_pressure", unit.Ratio, t.pressure, slices.Max[[]float64]},
	} {
		if len(m.values) > 0 {
			samples = append(samples, snapshot.Sample{Name: name + m.name, Unit: m.base, Better: snapshot.Neutral, Value: m.of(m.values)})
		}
	}
	return samples
}

// limit is a limit as the value of a metric, none where it is not known.
func limit(value float64) []float64 {
	if value > 0 {
		return []float64{value}
	}
	return nil
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
