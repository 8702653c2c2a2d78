// Package testprom starts a real Prometheus for tests, with data that they write.
package testprom

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"scaleproof/internal/guardian"
)

// pidFile has the server's process id, for the guardian.
const pidFile = "pid"

// TB is the part of testing.TB that this package needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Cleanup(func())
	Context() context.Context
}

// Start starts a server that holds samples in the OpenMetrics format and has rules,
// each a file of them, and returns its URL. The server ends with the test, however
// that ends. A test on a machine without Prometheus is skipped.
func Start(t TB, openMetrics []byte, rules ...string) string {
	t.Helper()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: Debian's package prometheus has it", program)
		}
	}
	dir, err := os.MkdirTemp("", "scaleproof-prometheus-")
	if err != nil {
		t.Fatalf("making the folder of Prometheus: %v", err)
	}
	keeper, err := guardian.Watch(dir, pidFile)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatalf("removing the folder of Prometheus: %v", err)
		}
		keeper.Dismiss()
	})
	data, blocks, settings := filepath.Join(dir, "data.txt"), filepath.Join(dir, "blocks"), filepath.Join(dir, "prometheus.yml")
	files := map[string][]byte{data: openMetrics, settings: []byte("rule_files: [rules-*.yml]\n")}
	for i, text := range rules {
		files[filepath.Join(dir, fmt.Sprintf("rules-%d.yml", i))] = []byte(text)
	}
	for path, content := range files {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatalf("writing what Prometheus reads: %v", err)
		}
	}
	// Blocks of two hours, the default, would make thousands of a year, where a
	// server that has run for that long has joined them.
	write := exec.CommandContext(t.Context(), "promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=720h", data, blocks)
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("writing blocks: %v: %s", err, out)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("finding a port: %v", err)
	}
	address := listener.Addr().String()
	listener.Close()
	server := exec.Command("prometheus", "--config.file="+settings, "--storage.tsdb.path="+blocks,
		"--storage.tsdb.retention.time=100y", "--web.listen-address="+address, "--log.level=error")
	var log bytes.Buffer
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatalf("starting Prometheus: %v", err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	if err := os.WriteFile(filepath.Join(dir, pidFile), fmt.Appendln(nil, server.Process.Pid), 0o600); err != nil {
		t.Fatalf("writing the process id of Prometheus: %v", err)
	}
	if err := ready(t.Context(), "http://"+address); err != nil {
		t.Fatalf("Prometheus is not ready: %v: %s", err, log.String())
	}
	return "http://" + address
}

// ready asks until the server answers.
func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/-/ready", nil)
		if err != nil {
			return fmt.Errorf("asking whether it is ready: %w", err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			err = fmt.Errorf("it answers %s", answer.Status)
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}
