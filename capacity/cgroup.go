package capacity

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// ContainerUsage is what the control group of this process used, where that is a
// container's: the host's figures are then those of a machine that others share.
type ContainerUsage struct {
	CPU float64 `json:"cpu"` // cores, the mean
	// CPULimit is in cores, 0 for none.
	CPULimit float64 `json:"cpu_limit,omitempty"`
	// Throttled is the part of the scheduler's periods in which it was held back
	// by its limit, 0 to 1.
	Throttled float64 `json:"throttled"`
	// Memory is the highest reading of what can't be reclaimed at once, in bytes:
	// without the files that were not used lately.
	Memory float64 `json:"memory"`
	// MemoryLimit is in bytes, 0 for none.
	MemoryLimit float64 `json:"memory_limit,omitempty"`
}

// A cgroup is a reading of a control group.
type cgroup struct {
	seconds            float64 // of CPU, so far
	periods, throttled float64 // of the scheduler, so far
	cpuLimit           float64 // cores, 0 for none
	memory             float64
	memoryLimit        float64 // 0 for none
}

// readCgroup reads the control group of this process from a system's files, of
// version 2 or 1. ok is false where there is none, or none that bounds or
// encloses a container.
func readCgroup(root fs.FS) (g cgroup, ok bool) {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return g, false
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if parts[0] == "0" && parts[1] == "" {
			if g, ok = readCgroup2(cgroupFiles{root, path.Join("sys/fs/cgroup", parts[2])}, parts[2] == "/"); ok {
				return g, true
			}
		}
		if parts[1] == "memory" {
			return readCgroup1(root, parts[2])
		}
	}
	return g, false
}

// cgroupFiles are the files of one control group.
type cgroupFiles struct {
	root fs.FS
	dir  string
}

// number reads a file of one number; NaN where there is none, +Inf for "max".
func (f cgroupFiles) number(name string) float64 {
	text, err := fs.ReadFile(f.root, path.Join(f.dir, name))
	if err != nil {
		return math.NaN()
	}
	return cgroupNumber(strings.TrimSpace(string(text)))
}

func cgroupNumber(text string) float64 {
	if text == "max" {
		return math.Inf(1)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// table reads a file of names and numbers; it is empty where there is none.
func (f cgroupFiles) table(name string) map[string]float64 {
	text, _ := fs.ReadFile(f.root, path.Join(f.dir, name))
	figures := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 {
			figures[fields[0]] = cgroupNumber(fields[1])
		}
	}
	return figures
}

// readCgroup2 reads a group of version 2. alone tells that the process sees no
// group above its own, as in a container: the machine's root has no memory.current.
func readCgroup2(f cgroupFiles, alone bool) (g cgroup, ok bool) {
	current := f.number("memory.current")
	if math.IsNaN(current) {
		return g, false
	}
	cpu := f.table("cpu.stat")
	g = cgroup{
		seconds: cpu["usage_usec"] / 1e6, periods: cpu["nr_periods"], throttled: cpu["nr_throttled"],
		memory: max(0, current-f.table("memory.stat")["inactive_file"]), memoryLimit: limited(f.number("memory.max")),
	}
	text, _ := fs.ReadFile(f.root, path.Join(f.dir, "cpu.max"))
	if fields := strings.Fields(string(text)); len(fields) == 2 {
		g.cpuLimit = limited(cgroupNumber(fields[0]) / cgroupNumber(fields[1]))
	}
	return g, alone || g.cpuLimit > 0 || g.memoryLimit > 0
}

// readCgroup1 reads groups of version 1, which have a folder for each controller.
// Within a container they are mounted without the path that the machine knows.
func readCgroup1(root fs.FS, at string) (g cgroup, ok bool) {
	files := func(controller string) cgroupFiles {
		f := cgroupFiles{root, path.Join("sys/fs/cgroup", controller, at)}
		if _, err := fs.Stat(root, f.dir); err != nil {
			f.dir = path.Join("sys/fs/cgroup", controller)
		}
		return f
	}
	memory, cpu := files("memory"), files("cpu")
	usage := memory.number("memory.usage_in_bytes")
	if math.IsNaN(usage) {
		return g, false
	}
	stat := cpu.table("cpu.stat")
	g = cgroup{
		seconds: files("cpuacct").number("cpuacct.usage") / 1e9, periods: stat["nr_periods"], throttled: stat["nr_throttled"],
		memory: max(0, usage-memory.table("memory.stat")["total_inactive_file"]), memoryLimit: limited(memory.number("memory.limit_in_bytes")),
		cpuLimit: limited(cpu.number("cpu.cfs_quota_us") / cpu.number("cpu.cfs_period_us")),
	}
	return g, g.cpuLimit > 0 || g.memoryLimit > 0
}

// limited returns a limit, 0 for none: version 1 writes a page short of 2^63 for
// no limit of memory, and -1 for none of CPU.
func limited(v float64) float64 {
	if !(v > 0) || v > 1<<60 {
		return 0
	}
	return v
}
