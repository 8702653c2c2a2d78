package capacity

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
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
// underscores. What can't fill up, as an image or what is read-only, is left out.
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
	seen := map[string]bool{}
	for _, mount := range mountsThatFill(partitions, isFolder) {
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

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// mountsThatFill returns where the file systems are mounted that can fill up, each
// once and the root first. Images and what is read-only are always full. The same
// device again is a bind mount, such as /etc/hosts of a container.
func mountsThatFill(partitions []disk.PartitionStat, isFolder func(string) bool) []string {
	bound := func(p disk.PartitionStat) bool { return slices.Contains(p.Opts, "bind") }
	partitions = slices.Clone(partitions)
	slices.SortStableFunc(partitions, func(a, b disk.PartitionStat) int {
		switch {
		case bound(a) == bound(b):
			return cmp.Compare(len(a.Mountpoint), len(b.Mountpoint))
		case bound(b):
			return -1
		}
		return 1
	})
	mounts := []string{"/"} // a container's is not among those of devices
	devices := map[string]bool{}
	for _, p := range partitions {
		fixed := slices.Contains(p.Opts, "ro") || slices.Contains([]string{"squashfs", "iso9660", "udf", "erofs", "cramfs", "romfs"}, p.Fstype)
		switch {
		case fixed && p.Mountpoint == "/":
			mounts = mounts[1:]
		case fixed || devices[p.Device]:
		case p.Mountpoint == "/":
			devices[p.Device] = true
		case isFolder(p.Mountpoint):
			devices[p.Device] = true
			mounts = append(mounts, p.Mountpoint)
		}
	}
	return mounts
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
