package loadgen

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"scaleproof/internal/unit"
)

// The real vegeta reads what a run has streamed, and finds the same figures.
func TestVegetaReadsTheResults(t *testing.T) {
	t.Parallel()
	vegeta := filepath.Join(t.TempDir(), "vegeta")
	if out, err := exec.Command("go", "build", "-o", vegeta, "github.com/tsenart/vegeta/v12").CombinedOutput(); err != nil {
		t.Fatalf("building vegeta: %v\n%s", err, out)
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fail" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	for _, encoding := range []string{"gob", "json", "csv"} {
		path := filepath.Join(t.TempDir(), "results")
		res := streamed(t, Config{
			Name: "attack", Targets: []string{url + "/", url + "/", url + "/", url + "/fail"},
			Rate: 200, Duration: unit.Duration(time.Second), Warmup: unit.Duration(200 * time.Millisecond),
		}, encoding, path)
		out, err := exec.Command(vegeta, "report", "-type=json", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		var report struct {
			Requests    int64
			Success     float64
			Latencies   struct{ Max, Mean float64 }
			StatusCodes map[string]int64 `json:"status_codes"`
		}
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatal(err)
		}
		if report.Requests != res.Requests || math.Abs(report.Success-float64(res.Successes)/float64(res.Requests)) > 1e-9 || report.StatusCodes["500"] != res.Status["500"] {
			t.Errorf("%s: vegeta reports %s of %d requests, status %v", encoding, out, res.Requests, res.Status)
		}
		longest := max(res.ResponseTime.Max, res.Histograms.Failures.Max())
		if off := report.Latencies.Max/1e9 - longest; off > .01*longest || off < -.01*longest {
			t.Errorf("%s: the longest latency is %v for vegeta, %v here", encoding, report.Latencies.Max/1e9, longest)
		}
		plot, err := exec.Command(vegeta, "plot", path).Output()
		if err != nil || !bytes.Contains(plot, []byte("<html")) {
			t.Errorf("%s: vegeta plot: %v, %d bytes", encoding, err, len(plot))
		}
	}
}

// streamed runs a load and writes its results to path.
func streamed(t *testing.T, cfg Config, encoding, path string) *Result {
	t.Helper()
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := source(t, cfg)
	stream, err := NewResultStream(out, encoding, cfg.Name, s)
	if err != nil {
		t.Fatal(err)
	}
	res := load(t, cfg, Options{Source: s, OnHit: stream.Add})
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	return res
}

func TestStreamsSayWhatTheyCouldNotWrite(t *testing.T) {
	s := source(t, Config{Targets: []string{"http://host/"}})
	if _, err := NewResultStream(nil, "xml", "", s); err == nil {
		t.Error("there is no encoding xml")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full here")
	}
	defer full.Close()
	stream, err := NewResultStream(full, "csv", "", s)
	if err != nil {
		t.Fatal(err)
	}
	stream.Add(&Hit{})
	if err := stream.Close(); err == nil || !strings.Contains(err.Error(), "writing the results") {
		t.Errorf("a full disk gives %v", err)
	}
}

func TestTheHistogramLogHoldsAllSuccesses(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) { time.Sleep(20 * time.Millisecond) }) // some end after the last second
	var b bytes.Buffer
	log, err := NewHdrLog(&b, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	const warmup = time.Second
	res := load(t, Config{
		Targets: []string{url}, Rate: 100, Warmup: unit.Duration(warmup), Duration: unit.Duration(1500 * time.Millisecond),
	}, Options{OnSecond: log.Add})
	log.Finish(res.Histograms.Response)
	if err := log.Err(); err != nil {
		t.Fatal(err)
	}
	begun := int64(0)
	var count, longest int64
	for r := hdr.NewHistogramLogReader(&b); ; {
		h, err := r.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		if begun == 0 {
			begun = h.StartTimeMs()
		}
		count += h.TotalCount()
		longest = max(longest, h.Max())
	}
	if early := res.StartedAt.Add(warmup).UnixMilli() - begun; early < -2 || early > 2 {
		t.Errorf("the first interval begins %d ms before the warm-up's end", early)
	}
	if count != res.Successes || float64(longest)/1e9 > res.ResponseTime.Max*1.01 {
		t.Errorf("%d of %d values, the longest %v of %v s", count, res.Successes, float64(longest)/1e9, res.ResponseTime.Max)
	}
}
