// Package capacity samples what a machine and its processes use, and projects
// how long it will last.
package capacity

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/mem"
	"github.com/shirou/gopsutil/v3/net"
	"github.com/shirou/gopsutil/v3/process"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// SamplerConfig says what to sample. The zero value samples the host.
type SamplerConfig struct {
	Interval time.Duration // between readings; zero: 250 ms
	// Processes are sampled beside the host: those of one name are added up. What
	// they share, such as the buffers of Postgres, counts for each.
	Processes map[string][]int32
	// Root has the system's files, for the control group; nil: those of this
	// machine.
	Root fs.FS
}

// Usage is what was used between the start and the stop of a Sampler.
type Usage struct {
	Seconds float64 `json:"seconds"`
	// CPU is the fraction of all cores that was busy, 0 to 1; PerCore that of
	// each.
	CPU     float64   `json:"cpu"`
	PerCore []float64 `json:"per_core"`
	// MemoryUsed is the highest reading of what was neither free nor reclaimable,
	// in bytes.
	MemoryUsed  float64 `json:"memory_used"`
	MemoryTotal float64 `json:"memory_total"`
	// Rates are bytes per second over the whole time.
	DiskRead        float64                 `json:"disk_read"`
	DiskWrite       float64                 `json:"disk_write"`
	NetworkReceived float64                 `json:"network_received"`
	NetworkSent     float64                 `json:"network_sent"`
	Processes       map[string]ProcessUsage `json:"processes,omitempty"`
	// Container is nil outside of one.
	Container *ContainerUsage `json:"container,omitempty"`
	Warnings  []string        `json:"warnings,omitempty"`
}

// ProcessUsage is what one process used.
type ProcessUsage struct {
	CPU    float64 `json:"cpu"`    // cores, the mean
	Memory float64 `json:"memory"` // resident bytes, the highest reading
}

// A Sampler reads usage until it is stopped.
type Sampler struct {
	config  SamplerConfig
	started time.Time
	first   counters
	cancel  context.CancelFunc
	done    sync.WaitGroup

	mu       sync.Mutex
	memory   float64
	resident map[string]float64
	group    float64 // memory of the control group
}

// counters are readings that only grow.
type counters struct {
	cores           []cpu.TimesStat
	read, written   uint64
	received, sent  uint64
	processSeconds  map[string]map[int32]float64
	processWarnings []string
	group           cgroup
	grouped         bool
}

// StartSampler takes the first reading and goes on until ctx ends or Stop is
// called.
func StartSampler(ctx context.Context, config SamplerConfig) (*Sampler, error) {
	if config.Interval <= 0 {
		config.Interval = 250 * time.Millisecond
	}
	if config.Root == nil {
		config.Root = os.DirFS("/")
	}
	first, err := readCounters(ctx, config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Sampler{config: config, started: time.Now(), first: first, cancel: cancel, resident: map[string]float64{}}
	s.readMemory(ctx)
	s.done.Go(func() {
		ticker := time.NewTicker(config.Interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				s.readMemory(ctx)
			}
		}
	})
	return s, nil
}

// readMemory takes a reading of what can fall as well as rise. A reading that
// fails is left out: the next one comes soon.
func (s *Sampler) readMemory(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		s.memory = max(s.memory, float64(m.Total-m.Available))
	}
	if g, ok := readCgroup(s.config.Root); ok {
		s.group = max(s.group, g.memory)
	}
	for name, pids := range s.config.Processes {
		sum := 0.0
		for _, pid := range pids {
			p, err := process.NewProcessWithContext(ctx, pid)
			if err != nil {
				continue
			}
			if info, err := p.MemoryInfoWithContext(ctx); err == nil {
				sum += float64(info.RSS)
			}
		}
		s.resident[name] = max(s.resident[name], sum)
	}
}

// Stop takes the last reading and returns what was used since the first.
func (s *Sampler) Stop() *Usage {
	s.cancel()
	s.done.Wait()
	ctx := context.Background()
	u := &Usage{Seconds: time.Since(s.started).Seconds(), MemoryUsed: s.memory, Processes: map[string]ProcessUsage{}}
	if m, err := mem.VirtualMemoryWithContext(ctx); err == nil {
		u.MemoryTotal = float64(m.Total)
	}
	last, err := readCounters(ctx, s.config)
	if err != nil {
		u.Warnings = append(u.Warnings, err.Error())
		return u
	}
	u.Warnings = last.processWarnings
	u.CPU, u.PerCore = busy(s.first.cores, last.cores)
	rate := func(first, last uint64) float64 {
		if last < first || u.Seconds == 0 {
			return 0 // an interface or a disk went away
		}
		return float64(last-first) / u.Seconds
	}
	u.DiskRead, u.DiskWrite = rate(s.first.read, last.read), rate(s.first.written, last.written)
	u.NetworkReceived, u.NetworkSent = rate(s.first.received, last.received), rate(s.first.sent, last.sent)
	for name, pids := range last.processSeconds {
		seconds := 0.0
		for pid, now := range pids {
			if before, known := s.first.processSeconds[name][pid]; known {
				seconds += now - before
			}
		}
		u.Processes[name] = ProcessUsage{CPU: seconds / u.Seconds, Memory: s.resident[name]}
	}
	u.Container = s.container(last, u.Seconds)
	return u
}

// container returns what the control group used, nil outside of a container.
func (s *Sampler) container(last counters, seconds float64) *ContainerUsage {
	if !s.first.grouped || !last.grouped {
		return nil
	}
	g := last.group
	c := &ContainerUsage{CPU: max(0, g.seconds-s.first.group.seconds) / seconds, CPULimit: g.cpuLimit, Memory: max(s.group, g.memory), MemoryLimit: g.memoryLimit}
	if periods := g.periods - s.first.group.periods; periods > 0 {
		c.Throttled = max(0, g.throttled-s.first.group.throttled) / periods
	}
	return c
}

// busy returns the fraction of the time in which the cores were not idle.
func busy(first, last []cpu.TimesStat) (all float64, cores []float64) {
	var work, total float64
	for i := range min(len(first), len(last)) {
		idle := last[i].Idle + last[i].Iowait - first[i].Idle - first[i].Iowait
		passed := sumTimes(last[i]) - sumTimes(first[i])
		if passed <= 0 {
			cores = append(cores, 0)
			continue
		}
		cores = append(cores, min(max(1-idle/passed, 0), 1))
		work += passed - idle
		total += passed
	}
	if total == 0 {
		return 0, cores
	}
	return min(max(work/total, 0), 1), cores
}

// sumTimes adds up the kinds of time; guest time is part of user time.
func sumTimes(t cpu.TimesStat) float64 {
	return t.User + t.System + t.Idle + t.Nice + t.Iowait + t.Irq + t.Softirq + t.Steal
}

func readCounters(ctx context.Context, config SamplerConfig) (c counters, err error) {
	if c.cores, err = cpu.TimesWithContext(ctx, true); err != nil {
		return c, fmt.Errorf("reading the CPU times: %w", err)
	}
	// Containers and some systems lack the following: their rates are then 0.
	if disks, err := disk.IOCountersWithContext(ctx); err == nil {
		for _, name := range hardware(config.Root, "block", slices.Sorted(maps.Keys(disks))) {
			c.read, c.written = c.read+disks[name].ReadBytes, c.written+disks[name].WriteBytes
		}
	}
	if all, err := net.IOCountersWithContext(ctx, true); err == nil {
		interfaces := map[string]net.IOCountersStat{}
		for _, i := range all {
			interfaces[i.Name] = i
		}
		for _, name := range hardware(config.Root, "class/net", slices.Sorted(maps.Keys(interfaces))) {
			c.received, c.sent = c.received+interfaces[name].BytesRecv, c.sent+interfaces[name].BytesSent
		}
	}
	c.group, c.grouped = readCgroup(config.Root)
	c.processSeconds = map[string]map[int32]float64{}
	for _, name := range slices.Sorted(maps.Keys(config.Processes)) {
		seconds := map[int32]float64{}
		for _, pid := range config.Processes[name] {
			p, err := process.NewProcessWithContext(ctx, pid)
			if err != nil {
				c.processWarnings = append(c.processWarnings, fmt.Sprintf("process %s (%d): %v", name, pid, err))
				continue
			}
			if t, err := p.TimesWithContext(ctx); err == nil {
				seconds[pid] = t.User + t.System
			}
		}
		if len(seconds) > 0 {
			c.processSeconds[name] = seconds
		}
	}
	return c, nil
}

// hardware returns those of a class of devices whose traffic counts: what is a part
// of another or built upon it (partitions, RAID, the device mapper, bridges, the
// pairs of containers) would count the same bytes again. Where none is hardware,
// as within a container, all but loopback are taken.
func hardware(root fs.FS, class string, names []string) []string {
	var own, others []string
	for _, name := range names {
		if _, err := fs.Stat(root, path.Join("sys", class, name, "device")); err == nil {
			own = append(own, name)
		} else if !strings.HasPrefix(name, "lo") {
			others = append(others, name)
		}
	}
	if len(own) == 0 {
		return others
	}
	return own
}

// Samples returns the usage as metrics: host.* and, per process, proc.<name>.*.
func (u *Usage) Samples() []snapshot.Sample {
	samples := []snapshot.Sample{
		{Name: "host.cpu", Unit: unit.Ratio, Better: snapshot.Neutral, Value: u.CPU},
		{Name: "host.memory.used", Unit: unit.Bytes, Better: snapshot.Neutral, Value: u.MemoryUsed},
		{Name: "host.disk.read", Unit: unit.BytesPerSecond, Better: snapshot.Neutral, Value: u.DiskRead},
		{Name: "host.disk.write", Unit: unit.BytesPerSecond, Better: snapshot.Neutral, Value: u.DiskWrite},
		{Name: "host.network.received", Unit: unit.BytesPerSecond, Better: snapshot.Neutral, Value: u.NetworkReceived},
		{Name: "host.network.sent", Unit: unit.BytesPerSecond, Better: snapshot.Neutral, Value: u.NetworkSent},
	}
	for _, name := range slices.Sorted(maps.Keys(u.Processes)) {
		p := u.Processes[name]
		samples = append(samples,
			snapshot.Sample{Name: "proc." + name + ".cpu", Unit: unit.Cores, Better: snapshot.Neutral, Value: p.CPU},
			snapshot.Sample{Name: "proc." + name + ".memory", Unit: unit.Bytes, Better: snapshot.Neutral, Value: p.Memory})
	}
	if c := u.Container; c != nil {
		samples = append(samples, c.samples()...)
	}
	return samples
}

// samples are host.cgroup.*, with the limits that there are.
func (c *ContainerUsage) samples() []snapshot.Sample {
	samples := []snapshot.Sample{
		{Name: "host.cgroup.cpu", Unit: unit.Cores, Better: snapshot.Neutral, Value: c.CPU},
		{Name: "host.cgroup.throttled", Unit: unit.Ratio, Better: snapshot.Lower, Value: c.Throttled},
		{Name: "host.cgroup.memory", Unit: unit.Bytes, Better: snapshot.Neutral, Value: c.Memory},
	}
	if c.CPULimit > 0 {
		samples = append(samples, snapshot.Sample{Name: "host.cgroup.cpu" + LimitSuffix, Unit: unit.Cores, Better: snapshot.Neutral, Value: c.CPULimit})
	}
	if c.MemoryLimit > 0 {
		samples = append(samples, snapshot.Sample{Name: "host.cgroup.memory" + LimitSuffix, Unit: unit.Bytes, Better: snapshot.Neutral, Value: c.MemoryLimit})
	}
	return samples
}

// CoreSamples returns the busy part of each core as host.core.<n>.cpu.
func (u *Usage) CoreSamples() []snapshot.Sample {
	var samples []snapshot.Sample
	for i, part := range u.PerCore {
		samples = append(samples, snapshot.Sample{Name: fmt.Sprintf("host.core.%d.cpu", i), Unit: unit.Ratio, Better: snapshot.Neutral, Value: part})
	}
	return samples
}
