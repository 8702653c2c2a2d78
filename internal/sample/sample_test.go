package sample

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"scaleproof/internal/testpg"
)

func TestMain(m *testing.M) { testpg.Main(m) }

func small() Data {
	return Data{Organizations: 20, Incidents: 2000, Seed: 7, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func loaded(t *testing.T, d Data) string {
	t.Helper()
	dsn := testpg.ForTest(t).NewDatabase(t)
	if err := Load(t.Context(), dsn, d); err != nil {
		t.Fatal(err)
	}
	return dsn
}

func TestTheSameSeedGivesTheSameRows(t *testing.T) {
	other := small()
	other.Seed++
	digests := map[string]string{}
	for name, d := range map[string]Data{"first": small(), "again": small(), "other": other} {
		// Each database lives as long as its test, whose name it bears.
		t.Run(name, func(t *testing.T) { digests[name] = digest(t, d) })
	}
	if digests["first"] == "" || digests["again"] != digests["first"] {
		t.Errorf("the same seed gave %q and %q", digests["first"], digests["again"])
	}
	if digests["other"] == digests["first"] {
		t.Error("another seed gave the same rows")
	}
}

func digest(t *testing.T, d Data) (text string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), loaded(t, d))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), `SELECT string_agg(d, ' ') FROM (
		SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) d FROM incidents t
		UNION ALL SELECT md5(string_agg(t::text, '|' ORDER BY t.id)) FROM users t
		UNION ALL SELECT count(*)::text FROM teams) x`).Scan(&text); err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSizesAreSkewedAndComplete(t *testing.T) {
	d := Data{Organizations: 200, Incidents: 500_000}
	sum, sizes := 0, d.Sizes()
	for _, n := range sizes {
		sum += n
	}
	if sum != d.Incidents || len(sizes) != 200 || sizes[0] < 20*sizes[100] || sizes[199] == 0 {
		t.Errorf("sum %d, first %d, middle %d, last %d", sum, sizes[0], sizes[100], sizes[199])
	}
}

func TestServiceAnswers(t *testing.T) {
	s, err := NewService(t.Context(), loaded(t, small()), ServiceOptions{Workers: 2, Work: time.Millisecond, Connections: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	if code, body := get("/health"); code != 200 || body != "ok\n" {
		t.Errorf("/health: %d %q", code, body)
	}
	var list []incident
	if code, body := get("/incidents?organization_id=1"); code != 200 || json.Unmarshal([]byte(body), &list) != nil || len(list) != 20 {
		t.Errorf("/incidents: %d %q", code, body)
	}
	if code, body := get("/users?email=user3@example.com"); code != 200 || !strings.Contains(body, `"id":3`) {
		t.Errorf("/users: %d %q", code, body)
	}
	if code, _ := get("/users?email=nobody@example.com"); code != 404 {
		t.Errorf("an unknown user: %d", code)
	}
	if code, _ := get("/incidents?organization_id=x"); code != 400 {
		t.Errorf("a wrong organisation: %d", code)
	}
	_, metrics := get("/metrics")
	for _, want := range []string{`db_connections{state="max"} 2`, `http_request_duration_seconds_count{path="/incidents"} 2`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s:\n%s", want, metrics)
		}
	}
}

// counted starts backends in this process that answer with their number.
func counted(t *testing.T) (start func(context.Context) (*Backend, error), running *atomic.Int64) {
	running = new(atomic.Int64)
	var number atomic.Int64
	return func(context.Context) (*Backend, error) {
		n := number.Add(1)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, n) }))
		running.Add(1)
		u, err := url.Parse(server.URL)
		return &Backend{URL: u, Stop: func() { server.Close(); running.Add(-1) }}, err
	}, running
}

func TestProxySharesAndScalesWithoutLosingARequest(t *testing.T) {
	start, running := counted(t)
	p := NewProxy(start)
	if err := p.Scale(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	front, admin := httptest.NewServer(p), httptest.NewServer(p.Admin(t.Context()))
	defer front.Close()
	defer admin.Close()

	stop := make(chan struct{})
	var clients sync.WaitGroup
	var failed atomic.Int64
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				answer, err := http.Get(front.URL)
				if err != nil || answer.StatusCode != 200 {
					failed.Add(1)
				}
				if err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
			}
		})
	}
	for _, n := range []int{4, 1, 3, 2} {
		put(t, admin.URL+"/replicas", fmt.Sprint(n))
		awaitOK(t, fmt.Sprintf("%s/ready?replicas=%d", admin.URL, n))
	}
	close(stop)
	clients.Wait()
	if failed.Load() != 0 {
		t.Errorf("%d requests failed while scaling", failed.Load())
	}
	if err := p.Scale(t.Context(), 0); err != nil || running.Load() != 0 {
		t.Errorf("scaled to 0: %v, %d run", err, running.Load())
	}
	if answer, err := http.Get(front.URL); err != nil || answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without replicas: %v, %v", answer, err)
	}
}

func TestAdminRefusesNonsense(t *testing.T) {
	start, _ := counted(t)
	admin := httptest.NewServer(NewProxy(start).Admin(t.Context()))
	defer admin.Close()
	for _, body := range []string{"", "many", "-1", "1000"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, admin.URL+"/replicas", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %s", body, answer.Status)
		}
	}
}

func put(t *testing.T, url, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("PUT %s: %s", url, answer.Status)
	}
}

func awaitOK(t *testing.T, url string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		answer, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("%s is not OK in time", url)
}
