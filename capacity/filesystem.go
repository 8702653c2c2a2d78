package capacity

import (
	"context"
	"fmt"
	"strings"

	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/mem"

	"scaleproof/internal/snapshot"
	"scaleproof/internal/unit"
)

// LimitSuffix ends the name of a metric that is the limit of its namesake.
const LimitSuffix = "_limit"

// Occupancy returns how much of this machine's memory and file systems is in use:
// host.memory and host.filesystem.<mount>, each with its limit under the same name
// with _limit behind. The root is called root; other mounts by their path with
// underscores.
func Occupancy(ctx context.Context) ([]snapshot.Sample, error) {
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the use of memory: %w", err)
	}
	samples := occupied("host.memory", float64(memory.Total-memory.Available), float64(memory.Total))
	partitions, err := disk.PartitionsWithContext(ctx, false)
	if err != nil {
		return nil, fmt.Errorf("listing the file systems: %w", err)
	}
	mounts := []string{"/"}
	for _, p := range partitions {
		if p.Mountpoint != "/" {
			mounts = append(mounts, p.Mountpoint)
		}
	}
	seen := map[string]bool{}
	for _, mount := range mounts {
		usage, err := disk.UsageWithContext(ctx, mount)
		name := mountName(mount)
		if err != nil || usage.Total == 0 || seen[name] {
			continue // one that went away, or holds nothing
		}
		seen[name] = true
		samples = append(samples, occupied("host.filesystem."+name, float64(usage.Used), float64(usage.Used+usage.Free))...)
	}
	return samples, nil
}

// mountName makes a mount's path a part of a metric's name.
func mountName(mount string) string {
	if mount == "/" {
		return "root"
	}
	return metricPart(strings.Trim(mount, "/"))
}

func occupied(name string, used, limit float64) []snapshot.Sample {
	return []snapshot.Sample{
		{Name: name, Unit: unit.Bytes, Better: snapshot.Neutral, Value: used},
		{Name: name + LimitSuffix, Unit: unit.Bytes, Better: snapshot.Neutral, Value: limit},
	}
}
