//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"scaleproof/internal/snapshot"
)

// mount gives a file system of its own in memory.
func mount(t *testing.T, options string, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Skip("mounting needs root")
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// kept returns the folder in which an output says that something was kept.
func kept(t *testing.T, said string) string {
	t.Helper()
	m := regexp.MustCompile(`kept in ([^)\s]+)\)`).FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("no place is named in %q", said)
	}
	t.Cleanup(func() { os.RemoveAll(m[1]) })
	return m[1]
}

func TestNothingMeasuredIsLostToADisk(t *testing.T) {
	var delay atomic.Int64
	delay.Store(1)
	plan := gatePlan(t, slowService(t, &delay), "")
	full, readOnly := mount(t, "size=16k", 0), mount(t, "", syscall.MS_RDONLY)
	if err := os.WriteFile(filepath.Join(full, "filler"), make([]byte, 12<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	baseline := filepath.Join(t.TempDir(), "baseline.json")
	if got := runCommand(t, nil, "snapshot", "-f", plan, "-o", baseline); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	whole := func(path string) {
		t.Helper()
		if s, err := snapshot.ReadFile(path); err != nil || s.Trials != 5 {
			t.Errorf("what was kept: %+v, %v", s, err)
		}
	}
	got := runCommand(t, nil, "snapshot", "-f", plan, "-o", filepath.Join(full, "s.json"))
	if got.code != 4 || !strings.Contains(got.err, "no space left") {
		t.Errorf("a full disk: %+v", got)
	}
	whole(filepath.Join(kept(t, got.err), "s.json"))

	got = runCommand(t, nil, "run", "-f", plan, "--out", filepath.Join(full, "run"))
	if got.code != 4 || !strings.Contains(got.err, "no space left") {
		t.Errorf("a full disk for a run: %+v", got)
	}
	whole(filepath.Join(kept(t, got.err), "before.json"))

	got = runCommand(t, nil, "gate", "-f", plan, "--baseline", baseline, "--history", filepath.Join(full, "history"))
	if got.code != 4 || !strings.Contains(got.err, "no space left") {
		t.Errorf("a full disk for the history: %+v", got)
	}
	if names, _ := filepath.Glob(filepath.Join(kept(t, got.err), "*.json")); len(names) == 1 {
		whole(names[0])
	} else {
		t.Errorf("kept are %v", names)
	}

	// What can be known before measuring is said before it.
	for name, args := range map[string][]string{
		"a folder that is read only":          {"snapshot", "-f", plan, "-o", filepath.Join(readOnly, "s.json")},
		"a run into one":                      {"run", "-f", plan, "--out", filepath.Join(readOnly, "run")},
		"a report into one":                   {"gate", "-f", plan, "--baseline", baseline, "--out", filepath.Join(readOnly, "report"), "--history", t.TempDir()},
		"a calibration into one":              {"calibrate", "-f", plan, "--out", filepath.Join(readOnly, "c.json")},
		"a folder in place of a file":         {"snapshot", "-f", plan, "-o", t.TempDir()},
		"a folder in place of a calibration":  {"calibrate", "-f", plan, "--out", t.TempDir()},
		"a file in place of a report's place": {"gate", "-f", plan, "--baseline", baseline, "--out", baseline, "--history", t.TempDir()},
	} {
		got := runCommand(t, nil, args...)
		if got.code != 4 || strings.Contains(got.err, "trial 1") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if left, _ := os.ReadDir(full); slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.HasPrefix(e.Name(), ".") }) {
		t.Errorf("left on the full disk: %v", left)
	}
}

// A pipe or a terminal that is gone must not cost the measurement.
func TestASnapshotThatStdoutDoesNotTakeIsKept(t *testing.T) {
	var delay atomic.Int64
	plan := gatePlan(t, slowService(t, &delay), "")
	device, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer device.Close()
	var errs strings.Builder
	code := run(t.Context(), []string{"snapshot", "-f", plan}, streams{strings.NewReader(""), device, &errs}, os.LookupEnv)
	if code != 4 || !strings.Contains(errs.String(), "no space left") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if names, _ := filepath.Glob(filepath.Join(kept(t, errs.String()), "*.json")); len(names) != 1 {
		t.Errorf("kept are %v", names)
	}
}

// A summary that can't be printed must not hide where the measurements were kept.
func TestASummaryThatStdoutDoesNotTake(t *testing.T) {
	var delay atomic.Int64
	delay.Store(1)
	plan := gatePlan(t, slowService(t, &delay), "")
	full := mount(t, "size=16k", 0)
	if err := os.WriteFile(filepath.Join(full, "filler"), make([]byte, 12<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	device, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer device.Close()
	baseline := filepath.Join(t.TempDir(), "baseline.json")
	if got := runCommand(t, nil, "snapshot", "-f", plan, "-o", baseline); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	for _, args := range [][]string{
		{"run", "-f", plan, "--out", filepath.Join(full, "run")},
		{"gate", "-f", plan, "--baseline", baseline, "--history", filepath.Join(full, "history")},
	} {
		var errs strings.Builder
		code := run(t.Context(), args, streams{strings.NewReader(""), device, &errs}, os.LookupEnv)
		if code != 4 {
			t.Errorf("%s: exit code %d: %s", args[0], code, errs.String())
		}
		if names, _ := filepath.Glob(filepath.Join(kept(t, errs.String()), "*.json")); len(names) == 0 {
			t.Errorf("%s: nothing was kept", args[0])
		}
	}
}
