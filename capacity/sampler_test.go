package capacity

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/shirou/gopsutil/v3/disk"
)

// A process that spins shows in the host's and in its own usage.
func TestASpinningProcessIsSeen(t *testing.T) {
	cmd := exec.Command("sh", "-c", "while :; do :; done")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	s, err := StartSampler(t.Context(), SamplerConfig{Interval: 10 * time.Millisecond, Processes: map[string][]int32{"spin": {int32(cmd.Process.Pid)}, "self": {int32(os.Getpid()), int32(os.Getppid())}}})
	if err != nil {
		t.Fatal(err)
	}
	// Time itself is what is measured here.
	<-time.After(1500 * time.Millisecond)
	found, err := FindProcesses(t.Context(), []string{"sh", "no-such-program"})
	if err != nil || !slices.Contains(found["sh"], int32(cmd.Process.Pid)) || found["no-such-program"] != nil {
		t.Errorf("found %v, %v", found, err)
	}
	u := s.Stop()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	used := (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() // how much a busy machine let it have
	if u.CPU < 0.3/float64(runtime.NumCPU()) || u.CPU > 1 || len(u.PerCore) != runtime.NumCPU() {
		t.Errorf("host: %+v", u)
	}
	if p := u.Processes["spin"]; p.CPU*u.Seconds < 0.3*used || p.CPU*u.Seconds > used+0.1 || used < 0.05 || p.Memory < 100_000 {
		t.Errorf("spin: %+v of %.2f s in %.2f s", p, used, u.Seconds)
	}
	if u.Processes["self"].Memory < 1e6 || u.MemoryUsed < 1e6 || u.MemoryUsed > u.MemoryTotal {
		t.Errorf("%+v", u)
	}
	names := map[string]bool{}
	for _, sample := range u.Samples() {
		names[sample.Name] = true
	}
	if !names["host.cpu"] || !names["proc.spin.cpu"] || len(u.CoreSamples()) != runtime.NumCPU() {
		t.Errorf("samples %v", names)
	}
}

func TestAProcessThatIsNotThereIsAWarning(t *testing.T) {
	s, err := StartSampler(t.Context(), SamplerConfig{Processes: map[string][]int32{"ghost": {1 << 30}}})
	if err != nil {
		t.Fatal(err)
	}
	if u := s.Stop(); len(u.Warnings) != 1 || len(u.Processes) != 0 {
		t.Errorf("%+v", u)
	}
}

// Bytes count once, where the hardware is: not for the partition, the volume and
// the bridge again.
func TestTrafficCountsOnce(t *testing.T) {
	system := fstest.MapFS{"sys/block/sda/device": {}, "sys/block/dm-0/dm": {}, "sys/class/net/eth0/device": {}, "sys/class/net/docker0/bridge": {}}
	for _, c := range []struct {
		class       string
		names, want []string
	}{
		{"block", []string{"dm-0", "loop0", "sda", "sda1"}, []string{"sda"}},
		{"class/net", []string{"docker0", "eth0", "lo", "veth12"}, []string{"eth0"}},
		{"class/net", []string{"eth1", "lo"}, []string{"eth1"}}, // in a container
		{"block", nil, nil},
	} {
		if got := hardware(system, c.class, c.names); !slices.Equal(got, c.want) {
			t.Errorf("of %v count %v, want %v", c.names, got, c.want)
		}
	}
}

func TestOnlyFileSystemsThatFillAreWatched(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []disk.PartitionStat
		want  []string
	}{
		{"a machine", []disk.PartitionStat{
			{Device: "/dev/sda1", Mountpoint: "/", Fstype: "ext4", Opts: []string{"rw"}},
			{Device: "/dev/loop3", Mountpoint: "/snap/core/1", Fstype: "squashfs", Opts: []string{"ro"}},
			{Device: "/dev/sr0", Mountpoint: "/media/cd", Fstype: "iso9660", Opts: []string{"rw"}},
			{Device: "/dev/sdb1", Mountpoint: "/srv/chroot/data", Fstype: "xfs", Opts: []string{"rw", "bind"}},
			{Device: "/dev/sdb1", Mountpoint: "/var/lib/postgresql", Fstype: "xfs", Opts: []string{"rw"}},
			{Device: "/dev/sdc1", Mountpoint: "/archive", Fstype: "ext4", Opts: []string{"ro"}},
		}, []string{"/", "/var/lib/postgresql"}},
		{"a container", []disk.PartitionStat{
			{Device: "/dev/vdb", Mountpoint: "/data", Fstype: "ext4", Opts: []string{"rw"}},
			{Device: "/dev/vda", Mountpoint: "/etc/hosts", Fstype: "ext4", Opts: []string{"rw", "bind"}},
			{Device: "/dev/vda", Mountpoint: "/etc/resolv.conf", Fstype: "ext4", Opts: []string{"rw", "bind"}},
		}, []string{"/", "/data"}},
		{"a root that is read-only", []disk.PartitionStat{
			{Device: "/dev/sda1", Mountpoint: "/", Fstype: "ext4", Opts: []string{"ro"}}, {Device: "/dev/sda2", Mountpoint: "/var", Fstype: "ext4", Opts: []string{"rw"}},
		}, []string{"/var"}},
	} {
		folder := func(path string) bool { return !strings.HasPrefix(path, "/etc/") }
		if got := mountsThatFill(c.parts, folder); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
