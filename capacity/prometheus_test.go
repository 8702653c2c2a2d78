package capacity

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"scaleproof/internal/testprom"
	"scaleproof/internal/unit"
)

// promEnd is the end of the last day that the test's Prometheus knows.
var promEnd = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// promData writes days of samples every five minutes: requests by two services,
// of which day d peaks at 100+d and at half of it, and a limit. The 10th day from
// the start has no samples, the 20th only a few hours of them, and two of the
// 30th are no numbers.
func promData(days int) []byte {
	var b bytes.Buffer
	type family struct {
		name  string
		value func(day, sample int) (float64, bool)
	}
	peak := func(factor float64) func(int, int) (float64, bool) {
		return func(day, sample int) (float64, bool) {
			v := factor * (100 + float64(day)) * (0.5 + 0.5*float64(sample%288)/287)
			if day == 30 && sample%288 < 2 {
				v = math.NaN()
			}
			return v, day != 10 && (day != 20 || sample%288 < 40)
		}
	}
	for _, f := range []family{
		{`requests{service="api",zone="a b"}`, peak(1)},
		{`requests{service="web",zone="a b"}`, peak(0.5)},
		{`quota`, func(int, int) (float64, bool) { return 500, true }},
	} {
		head, _, _ := strings.Cut(f.name, "{")
		if head == "requests" && strings.Contains(f.name, "web") {
			head = ""
		}
		if head != "" {
			fmt.Fprintf(&b, "# TYPE %s gauge\n", head)
		}
		for i := range 288 * days {
			if v, ok := f.value(i/288, i); ok {
				at := promEnd.Add(time.Duration(i+1-288*days) * 5 * time.Minute)
				fmt.Fprintf(&b, "%s %v %d\n", f.name, v, at.Unix())
			}
		}
	}
	b.WriteString("# EOF\n")
	return b.Bytes()
}

func asked(t *testing.T, address string) *Prometheus {
	t.Helper()
	p, err := NewPrometheus(address, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func valueOf(d PrometheusDay, name string) float64 {
	for _, s := range d.Samples {
		if s.Name == name {
			return s.Value
		}
	}
	return math.NaN()
}

func noted(notes []string, text string) bool {
	return slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, text) })
}

func TestAYearOfPrometheusIsAYearOfHistory(t *testing.T) {
	const days = 60
	p := asked(t, testprom.Start(t, promData(days)))
	queries := []PrometheusQuery{
		{Name: "requests", Query: "sum by (service) (requests)", Unit: unit.RequestsPerSecond, Limit: "quota"},
		{Name: "median", Query: `requests{service="api"}`, Daily: DailyP50},
		{Name: "p99", Query: `sum(requests{service="api"})`, Daily: DailyP99},
		{Name: "mean", Query: `sum(requests{service="api"})`, Daily: DailyMean},
		{Name: "low", Query: `sum(requests{service="api"})`, Daily: DailyLow},
	}
	got, notes, err := p.Days(t.Context(), queries, promEnd, days+5)
	if err != nil || len(got) != days+5 {
		t.Fatal(len(got), err)
	}
	for i, d := range got {
		at := i - 5
		full := 100 + float64(at)
		if at < 0 || at == 10 || at == 20 {
			full = math.NaN()
		}
		for name, want := range map[string]float64{
			"prom.requests.api": full, "prom.requests.web": full / 2, "prom.median.api.a_b": full * (0.5 + 0.5*143/287),
			"prom.p99": full * (0.5 + 0.5*285/287), "prom.mean": full * 0.75, "prom.low": full * 0.5,
		} {
			if at == 30 && name != "prom.requests.api" && name != "prom.requests.web" {
				continue // of a day with NaN the percentiles are of the others
			}
			if v := valueOf(d, name); math.Abs(v-want) > 0.5 || math.IsNaN(v) != math.IsNaN(want) {
				t.Errorf("day %d: %s is %v, want %v", at, name, v, want)
			}
		}
		if v := valueOf(d, "prom.requests_limit"); at >= 0 && v != 500 {
			t.Errorf("day %d: the limit is %v", at, v)
		}
	}
	// Of the empty day Prometheus gives one sample: it looks back over five minutes.
	for _, text := range []string{"query requests has no samples on 5 of 65 days", "has fewer than half of its samples on 2 days, such as " + day(promEnd.AddDate(0, 0, 10-days))} {
		if !noted(notes, text) {
			t.Errorf("%q is not among %q", text, notes)
		}
	}
	// The history that it makes is projected as any other.
	s := Series{Name: "prom.requests.api", Unit: unit.RequestsPerSecond}
	for _, d := range got {
		s.Times, s.Values = append(s.Times, d.End), append(s.Values, valueOf(d, s.Name))
	}
	projection := project(t, s, ProjectOptions{Limit: limitAt(180), Now: promEnd})
	if l := projection.Limit; l.P50 == nil || l.P50.Sub(promEnd) < 19*24*time.Hour || l.P50.Sub(promEnd) > 23*24*time.Hour {
		t.Errorf("it grows by 1 a day from 159: %+v", l)
	}
}

func TestWhatPrometheusRefusesIsSaid(t *testing.T) {
	p := asked(t, testprom.Start(t, promData(3)))
	_, _, err := p.Days(t.Context(), []PrometheusQuery{{Name: "broken", Query: "sum(requests"}}, promEnd, 3)
	if err == nil || !strings.Contains(err.Error(), "query broken from 2026-02-26") || !strings.Contains(err.Error(), "bad_data") {
		t.Errorf("a query that can't be parsed: %v", err)
	}
	got, notes, err := p.Days(t.Context(), []PrometheusQuery{{Name: "requests", Query: "sum(requests)"}, {Name: "broken", Query: "sum(requests"}, {Name: "nothing", Query: "no_such_metric"}}, promEnd, 3)
	if err != nil || len(got[2].Samples) != 1 || !noted(notes, "query broken") || !noted(notes, "query nothing has no samples on 3 of 3 days") {
		t.Errorf("one query of three: %+v, %q, %v", got, notes, err)
	}
	_, notes, err = p.Days(t.Context(), []PrometheusQuery{{Name: "clash", Query: `label_replace(label_replace(requests, "zone", "a.b", "service", "web"), "service", "x", "", "")`}}, promEnd, 3)
	if err != nil || !noted(notes, "several series of the name prom.clash.x.a_b") {
		t.Errorf("two series of one name: %q, %v", notes, err)
	}
}

// faulty answers like a Prometheus whose answers fault spoils, from the second
// piece on.
func faulty(t *testing.T, fault http.HandlerFunc) *Prometheus {
	t.Helper()
	pieces := atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil { // only then does the server see the client go
			t.Error(err)
		}
		if pieces.Add(1) > 1 && fault != nil {
			fault(w, r)
			return
		}
		var start, end float64
		if _, err := fmt.Sscan(r.Form.Get("start")+" "+r.Form.Get("end"), &start, &end); err != nil {
			t.Error(err)
		}
		var values []string
		for at := start; at <= end; at += 300 {
			values = append(values, fmt.Sprintf(`[%.0f,"7"]`, at))
		}
		fmt.Fprintf(w, `{"status":"success","warnings":["a store did not answer"],"data":{"resultType":"matrix","result":[{"metric":{},"values":[%s]}]}}`, strings.Join(values, ","))
	}))
	t.Cleanup(server.Close)
	p := asked(t, server.URL)
	p.patience = 200 * time.Millisecond
	return p
}

func TestAPrometheusThatAnswersInPartLosesOnlyThatPart(t *testing.T) {
	for name, c := range map[string]struct {
		fault http.HandlerFunc
		says  string
	}{
		"times out": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "deadline exceeded"},
		"is overloaded": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			fmt.Fprint(w, `{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}`)
		}, "query timed out in expression evaluation"},
		"is cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[17`)
		}, "unexpected EOF"},
		"is no Prometheus": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello</html>") }, "bad_response"},
		"gives no matrix": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`)
		}, "a scalar, not with series"},
	} {
		got, notes, err := faulty(t, c.fault).Days(t.Context(), []PrometheusQuery{{Name: "load", Query: "x"}}, promEnd, 14)
		if err != nil || len(got) != 14 || valueOf(got[6], "prom.load") != 7 || !math.IsNaN(valueOf(got[7], "prom.load")) {
			t.Errorf("a Prometheus that %s: %+v, %v", name, got, err)
		}
		for _, text := range []string{c.says, "query load from 2026-02-22 to 2026-03-01", "no samples on 7 of 14 days", "a store did not answer"} {
			if !noted(notes, text) {
				t.Errorf("a Prometheus that %s: %q is not in %q", name, text, notes)
			}
		}
	}
	gone, err := NewPrometheus("http://127.0.0.1:1", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := gone.Days(t.Context(), []PrometheusQuery{{Name: "load", Query: "x"}}, promEnd, 1); err == nil || !strings.Contains(err.Error(), "asking Prometheus") {
		t.Errorf("a Prometheus that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := gone.Days(ctx, []PrometheusQuery{{Name: "load", Query: "x"}}, promEnd, 1); err == nil {
		t.Error("an interrupt gave no error")
	}
}

func TestATokenIsSent(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case got <- r.Header.Get("Authorization"):
		default:
		}
	}))
	defer server.Close()
	p, err := NewPrometheus(server.URL, "secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, _ = p.Days(t.Context(), []PrometheusQuery{{Name: "load", Query: "x"}}, promEnd, 1)
	if header := <-got; header != "Bearer secret" {
		t.Errorf("it was sent %q", header)
	}
}

func TestAQueryIsChecked(t *testing.T) {
	for name, q := range map[string]PrometheusQuery{
		"name": {Name: "a b", Query: "x"}, "query": {Name: "a"}, "unit": {Name: "a", Query: "x", Unit: "furlongs"},
		"daily": {Name: "a", Query: "x", Daily: "p42"}, "step": {Name: "a", Query: "x", Step: 1},
	} {
		if err := q.Validate(); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
