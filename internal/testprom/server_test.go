package testprom

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// A server does not outlive a test that is killed.
func TestAServerEndsWithItsTest(t *testing.T) {
	const inside = "SCALEPROOF_TESTPROM_INSIDE"
	if os.Getenv(inside) != "" {
		url := Start(t, []byte("# TYPE a gauge\na 1 1700000000\n# EOF\n"))
		_, _ = os.Stdout.WriteString("url " + url + "\n")
		select {} // until it is killed
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), inside+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	url := ""
	for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "--- SKIP") {
			_ = child.Wait()
			t.Skip("Prometheus is not installed")
		}
		url, _ = strings.CutPrefix(lines.Text(), "url ")
		if url == lines.Text() {
			url = ""
		}
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	if url == "" {
		t.Fatal("the child started no server")
	}
	deadline := time.Now().Add(time.Minute)
	for ticker := time.NewTicker(50 * time.Millisecond); ; <-ticker.C {
		answer, err := http.Get(url + "/-/ready")
		if err != nil {
			return
		}
		answer.Body.Close()
		if time.Now().After(deadline) {
			t.Fatalf("%s still answers", url)
		}
	}
}
