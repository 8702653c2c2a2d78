package loadgen

import (
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

// TestTooFewFileDescriptors runs itself again in a process that may open few.
func TestTooFewFileDescriptors(t *testing.T) {
	t.Parallel()
	const variable = "LOADGEN_TEST_FEW_FILES"
	if url := os.Getenv(variable); url != "" {
		limit := syscall.Rlimit{Cur: 40, Max: 40}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		for _, engine := range engines() {
			res := load(t, Config{Targets: []string{url}, Connections: 200, Duration: unit.Duration(300 * time.Millisecond)}, Options{Engine: engine})
			if res.Errors["files"] == 0 || res.Successes == 0 || res.Validity != GeneratorLimited {
				data, _ := json.Marshal(res.Errors)
				t.Errorf("%s: %d successes, errors %s, %s: %s", engine, res.Successes, data, res.Validity, res.ValidityReason)
			}
		}
		return
	}
	url := hostileServer(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	cmd := exec.Command(os.Args[0], "-test.run=^TestTooFewFileDescriptors$")
	cmd.Env = append(os.Environ(), variable+"="+url)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
