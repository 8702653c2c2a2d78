package capacity

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"
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
	u := s.Stop()
	if u.CPU < 0.3/float64(runtime.NumCPU()) || u.CPU > 1 || len(u.PerCore) != runtime.NumCPU() {
		t.Errorf("host: %+v", u)
	}
	if p := u.Processes["spin"]; p.CPU < 0.2 || p.CPU > 1.2 || p.Memory < 100_000 {
		t.Errorf("spin: %+v", p)
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
	found, err := FindProcesses(t.Context(), []string{"sh", "no-such-program"})
	if err != nil || !slices.Contains(found["sh"], int32(cmd.Process.Pid)) || found["no-such-program"] != nil {
		t.Errorf("found %v, %v", found, err)
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
