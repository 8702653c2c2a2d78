package capacity

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"
)

func files(texts map[string]string) fstest.MapFS {
	all := fstest.MapFS{}
	for name, text := range texts {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

func TestCgroups(t *testing.T) {
	v2 := map[string]string{
		"proc/self/cgroup":                "0::/\n",
		"sys/fs/cgroup/memory.current":    "1000000\n",
		"sys/fs/cgroup/memory.stat":       "anon 500000\ninactive_file 300000\n",
		"sys/fs/cgroup/memory.max":        "2000000\n",
		"sys/fs/cgroup/cpu.max":           "150000 100000\n",
		"sys/fs/cgroup/cpu.stat":          "usage_usec 2500000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 5\n",
		"sys/fs/cgroup/unrelated.garbage": "\x00\xff",
	}
	with := func(changed map[string]string) map[string]string {
		all := map[string]string{}
		for _, m := range []map[string]string{v2, changed} {
			for k, v := range m {
				all[k] = v
			}
		}
		return all
	}
	whole := cgroup{seconds: 2.5, periods: 10, throttled: 4, cpuLimit: 1.5, memory: 700000, memoryLimit: 2000000}
	open := whole
	open.cpuLimit, open.memoryLimit = 0, 0
	for name, c := range map[string]struct {
		files map[string]string
		want  cgroup
		ok    bool
	}{
		"version 2":               {v2, whole, true},
		"version 2 without limit": {with(map[string]string{"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}), open, true},
		"a service of the host": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/cron.service\n", "sys/fs/cgroup/system.slice/cron.service/memory.current": "5\n",
			"sys/fs/cgroup/system.slice/cron.service/memory.max": "max\n",
		}, cgroup{memory: 5}, false},
		"the host's root": {map[string]string{"proc/self/cgroup": "0::/\n"}, cgroup{}, false},
		"version 1": {map[string]string{
			"proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "1000000\n",
			"sys/fs/cgroup/memory/memory.stat": "total_inactive_file 300000\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu/cpu.stat": "nr_periods 10\nnr_throttled 4\n", "sys/fs/cgroup/cpuacct/cpuacct.usage": "2500000000\n",
		}, whole, true},
		"version 1 of the host": {map[string]string{
			"proc/self/cgroup": "5:memory:/\n", "sys/fs/cgroup/memory/memory.usage_in_bytes": "7\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n", "sys/fs/cgroup/cpuacct/cpuacct.usage": "0\n",
		}, cgroup{memory: 7}, false},
		"no files": {nil, cgroup{}, false},
		"garbage":  {map[string]string{"proc/self/cgroup": "x\n0::/\n", "sys/fs/cgroup/memory.current": "many\n"}, cgroup{}, false},
	} {
		if got, ok := readCgroup(files(c.files)); ok != c.ok || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}

// In a real control group with a limit, of whichever version the machine has, the
// sampler has its figures.
func TestARealCgroup(t *testing.T) {
	const mount = "/sys/fs/cgroup"
	name := "scaleproof-test-" + filepath.Base(filepath.Dir(t.TempDir()))
	controllers, limit, line := []string{"memory", "cpu", "cpuacct"}, "memory.limit_in_bytes", "4:memory:/"+name+"\n"
	if _, err := os.Stat(mount + "/cgroup.controllers"); err == nil {
		controllers, limit, line = []string{""}, "memory.max", "0::/"+name+"\n"
	}
	join := ""
	for _, c := range controllers {
		dir := filepath.Join(mount, c, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skip("no control group can be made here: ", err)
		}
		defer os.Remove(dir)
		join += "echo $$ > " + dir + "/cgroup.procs; "
	}
	if err := os.WriteFile(filepath.Join(mount, controllers[0], name, limit), []byte("268435456"), 0o600); err != nil {
		t.Skip("the group has no controller of memory: ", err)
	}
	spin := exec.Command("sh", "-c", join+"while :; do :; done")
	if err := spin.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = spin.Process.Kill(); _ = spin.Wait() }()
	real := overlay{files(map[string]string{"proc/self/cgroup": line}), os.DirFS("/")}
	s, err := StartSampler(t.Context(), SamplerConfig{Interval: 10 * time.Millisecond, Root: real})
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Second) // time itself is what is measured here
	c := s.Stop().Container
	if c == nil || c.CPU < 0.1 || c.CPU > 1.2 || c.MemoryLimit != 256<<20 || c.Memory <= 0 || c.Memory > c.MemoryLimit {
		t.Errorf("%+v", c)
	}
}

// An overlay takes a file from the first of two systems that has it.
type overlay struct{ over, under fs.FS }

func (o overlay) Open(name string) (fs.File, error) {
	if f, err := o.over.Open(name); err == nil {
		return f, nil
	}
	return o.under.Open(name)
}
