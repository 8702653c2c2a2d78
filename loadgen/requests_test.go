package loadgen

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"scaleproof/internal/unit"
)

func source(t *testing.T, cfg Config) Source {
	t.Helper()
	s, err := NewSource(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wire reads request k as a server does.
func wire(t *testing.T, s Source, k int64) (*http.Request, string) {
	t.Helper()
	r, err := s.Request(k, nil)
	if err != nil {
		t.Fatal(err)
	}
	return readWire(t, r.Wire)
}

func TestPlaceholdersAreDrawnFromTheNumberAndTheSeed(t *testing.T) {
	cfg := Config{
		Targets: []string{"POST http://user:secret@host/o/{{random 1 500}}/{{row.name}}?q={{row.name}}&k={{seq 10}}"},
		Headers: []string{"X-Id: {{uuid}}", "X-Kind: {{pick a b c}}"},
		Body:    `{"id": {{random -5 5}}, "name": "{{row.name}}"}`,
		Feeder:  file(t, "f.csv", "id,name\n1,plain\n2,a&b c/d\n3,\"é\"\"\"\n"),
		Seed:    7,
	}
	s, again := source(t, cfg), source(t, cfg)
	cfg.Seed++
	other := source(t, cfg)
	differs := 0
	for k := range int64(200) {
		r, body := wire(t, s, k)
		if r.ContentLength != int64(len(body)) {
			t.Fatalf("request %d: Content-Length %d of %q", k, r.ContentLength, body)
		}
		name := []string{"plain", "a&b c/d", `é"`}[k%3]
		parts := strings.SplitN(r.URL.Path, "/", 4)
		if parts[1] != "o" || parts[3] != name || r.URL.Query().Get("q") != name || r.URL.Query().Get("k") != fmt.Sprint(10+k) {
			t.Fatalf("request %d goes to %s", k, r.URL)
		}
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(r.Header.Get("X-Id")) ||
			!strings.Contains("abc", r.Header.Get("X-Kind")) {
			t.Fatalf("request %d has the header %v", k, r.Header)
		}
		if !regexp.MustCompile(`^\{"id": -?[0-5], "name": "`).MatchString(body) {
			t.Fatalf("request %d has the body %s", k, body)
		}
		first, _ := s.Request(k, nil)
		second, _ := again.Request(k, make([]byte, 0, 4096))
		third, _ := other.Request(k, nil)
		if !bytes.Equal(first.Wire, second.Wire) {
			t.Fatalf("request %d is not the same twice", k)
		}
		if !bytes.Equal(first.Wire, third.Wire) {
			differs++
		}
	}
	if differs != 200 {
		t.Errorf("another seed changes %d of 200 requests", differs)
	}
	if s.Workload() != again.Workload() || s.Workload() == other.Workload() {
		t.Error("the workload does not tell the seeds apart")
	}
	if name := s.Targets()[0].Name; strings.Contains(name, "secret") || !strings.Contains(name, "{{random 1 500}}") {
		t.Errorf("the target is called %s", name)
	}
}

// A random number takes each value of its range about as often as any other.
func TestRandomNumbersFillTheirRange(t *testing.T) {
	s := source(t, Config{Targets: []string{"http://host/{{random 1 10}}"}})
	seen := map[string]int{}
	for k := range int64(10_000) {
		r, _ := wire(t, s, k)
		seen[r.URL.Path]++
	}
	for path, n := range seen {
		if n < 850 || n > 1150 {
			t.Errorf("%s comes %d times of 10000", path, n)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d values", len(seen))
	}
}

func TestWeightsSpreadEvenly(t *testing.T) {
	s := source(t, Config{Targets: []string{"http://host/a", "http://host/b", "http://host/c"}, Weights: []int{5, 3, 2}})
	counts := make([]float64, 3)
	for k := range int64(1000) {
		r, err := s.Request(k, nil)
		if err != nil {
			t.Fatal(err)
		}
		counts[r.Target]++
		for i, share := range []float64{.5, .3, .2} {
			if off := counts[i] - share*float64(k+1); off > 1 || off < -1 {
				t.Fatalf("after %d requests target %d has %v", k+1, i, counts[i])
			}
		}
	}
}

func TestTargetFilesOfVegeta(t *testing.T) {
	body := file(t, "body.json", `{"from": "file"}`)
	for name, text := range map[string]string{
		"http": "GET http://host/a\nX-A: 1\n\n# a comment\nPOST http://host/b?id={{seq}}\nContent-Type: application/json\n@" + body + "\n",
		"json": `{"method":"GET","url":"http://host/a","header":{"X-A":["1"]}}` + "\n" +
			`{"method":"POST","url":"http://host/b?id={{seq}}","body":"eyJmcm9tIjogImZpbGUifQ==","header":{"Content-Type":["application/json"]}}` + "\n",
	} {
		s := source(t, Config{TargetsFile: file(t, "targets", text), Headers: []string{"X-All: yes"}})
		if len(s.Targets()) != 2 {
			t.Fatalf("%s: %d targets", name, len(s.Targets()))
		}
		a, _ := wire(t, s, 0)
		b, got := wire(t, s, 1)
		if a.Method != "GET" || a.URL.Path != "/a" || a.Header.Get("X-A") != "1" || a.Header.Get("X-All") != "yes" {
			t.Errorf("%s: the first is %s %s %v", name, a.Method, a.URL, a.Header)
		}
		if b.Method != "POST" || b.URL.RequestURI() != "/b?id=1" || got != `{"from": "file"}` || b.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: the second is %s %s %v %q", name, b.Method, b.URL, b.Header, got)
		}
	}
}

func TestFaultsOfRequestsAreNamed(t *testing.T) {
	feeder := file(t, "f.csv", "id\n1\n")
	for want, cfg := range map[string]Config{
		"has no column \"name\": it has id":  {Targets: []string{"http://host/{{row.name}}"}, Feeder: feeder},
		"there is no feeder":                 {Targets: []string{"http://host/{{row.id}}"}},
		"has no }}":                          {Targets: []string{"http://host/{{seq"}},
		"it is none of seq":                  {Targets: []string{"http://host/"}, Body: "{{now}}"},
		"500 to 1 is not a range":            {Targets: []string{"http://host/{{random 500 1}}"}},
		"a host can't be a placeholder":      {Targets: []string{"http://{{pick a b}}/"}},
		"no such file":                       {Targets: []string{"http://host/"}, Feeder: "/nonexistent.csv"},
		"it names no target":                 {TargetsFile: file(t, "empty", "\n")},
		"it has no row":                      {Targets: []string{"http://host/"}, Feeder: file(t, "e.csv", "id\n")},
		"there are 1 weights for 2 targets":  {Targets: []string{"http://host/", "http://host/b"}, Weights: []int{1}},
		"no target has a weight above 0":     {Targets: []string{"http://host/"}, Weights: []int{0}},
		"a body is given already":            {Targets: []string{"http://host/"}, Body: "x", BodyFile: feeder},
		"is not an http or https URL":        {Targets: []string{"ftp://host/"}},
		"bad target":                         {TargetsFile: file(t, "bad", "hello\n")},
		"connect_to: other:80 is no target":  {Targets: []string{"http://host/"}, ConnectTo: map[string]string{"other:80": "127.0.0.1:80"}},
		"connect_to: host:80: address x: mi": {Targets: []string{"http://host/"}, ConnectTo: map[string]string{"host:80": "x"}},
		"\"http\" is not a port":             {Targets: []string{"http://host/"}, ConnectTo: map[string]string{"host:80": "x:http"}},
		"\"99999\" is not a port":            {Targets: []string{"http://host:99999/"}},
		"a host can't be a placeholder, nor": {Targets: []string{"http://{{pick a b}}:secret@host/"}},
		"it begins with none of status, hea": {Targets: []string{"http://host/"}, Checks: []string{"code 200"}},
	} {
		_, err := NewSource(cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestALineBreakInAHeaderFailsTheRequest(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) {})
	res := loadOf(t, 10, Config{
		Targets: []string{url}, Headers: []string{"X: {{row.v}}"}, Rate: 50,
		Feeder: file(t, "f.csv", "v\n\"a\nHost: evil\"\nok\n"),
	}, Options{})
	if res.Errors["request"] != 5 || res.Successes != 5 {
		t.Errorf("%d successes, errors %v", res.Successes, res.Errors)
	}
}

// A closed model none of whose requests can be made ends all the same.
func TestRequestsThatCanNotBeMadeEnd(t *testing.T) {
	t.Parallel()
	for _, engine := range engines() {
		res := load(t, Config{
			Targets: []string{"http://127.0.0.1/"}, Headers: []string{"X: {{row.v}}"}, Connections: 2,
			Duration: unit.Duration(100 * time.Millisecond), Feeder: file(t, "f.csv", "v\n\"a\nb\"\n"),
		}, Options{Engine: engine})
		if n := res.Errors["request"]; n == 0 || n != res.Requests || n > 1000 {
			t.Errorf("%s: %d requests, errors %v", engine, res.Requests, res.Errors)
		}
	}
}

func TestTemplatesOverTheWire(t *testing.T) {
	t.Parallel()
	for _, engine := range append(engines(), engineHTTP2) {
		var mu sync.Mutex
		seen := map[string]int{}
		url := serveHTTP2(t, func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			seen[r.URL.RawQuery]++
			mu.Unlock()
		})
		res := loadOf(t, 200, Config{Targets: []string{url + "/?n={{seq}}"}, Rate: 500}, Options{Engine: engine})
		mu.Lock()
		if res.Successes != 200 || len(seen) != 200 || seen["n=199"] != 1 {
			t.Errorf("%s: %d successes of %d different requests, errors %v", engine, res.Successes, len(seen), res.Errors)
		}
		mu.Unlock()
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add("http://h/{{seq}}", "X: {{uuid}}", "{{pick a}}")
	f.Add("http://h/~scaleproof-1~", "X: y", "{{random 1 9223372036854775807}}")
	f.Fuzz(func(t *testing.T, address, header, body string) {
		cfg := Config{Targets: []string{address}, Headers: []string{header}, Body: body}
		s, err := NewSource(cfg)
		if err != nil {
			return
		}
		buf := make([]byte, 0, 64)
		for k := range int64(3) {
			r, err := s.Request(k, buf)
			if err != nil {
				continue
			}
			if _, _, ok := bytes.Cut(r.Wire, []byte("\r\n\r\n")); !ok {
				t.Fatalf("%q is no request", r.Wire)
			}
			if bytes.Contains(r.Wire, []byte(mark)) {
				t.Fatalf("%q holds a mark", r.Wire)
			}
		}
	})
}

func BenchmarkTemplate(b *testing.B) {
	s, err := NewSource(Config{Targets: []string{"http://host/o/{{random 1 500}}?k={{seq}}"}, Headers: []string{"X-Id: {{uuid}}"}, Body: "{{pick a b}}"})
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for k := int64(0); b.Loop(); k++ {
		if _, err := s.Request(k, buf); err != nil {
			b.Fatal(err)
		}
	}
}
