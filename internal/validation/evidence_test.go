package validation

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"scaleproof/internal/plan"
	"scaleproof/internal/testprom"
	"scaleproof/reports"
	"scaleproof/scaling"
)

func checked(t *testing.T, url string, e plan.Evidence, r *reports.Report) reports.ChecklistItem {
	t.Helper()
	opts, _ := options(t)
	p := &plan.Plan{Environment: plan.Environment{Prometheus: plan.Prometheus{URL: url}}, Checklist: []plan.ChecklistItem{{ID: "monitoring", Evidence: e}}}
	r.Checklist = newRunner(p, opts).checklist(t.Context(), r)
	return itemOf(r, "monitoring")
}

func TestPrometheusAnswersForTheMonitoring(t *testing.T) {
	url := testprom.Start(t, []byte("# TYPE up gauge\nup 1 1700000000\n# EOF\n"), "groups: [{name: brownie, rules: [{alert: ApiSlow, expr: vector(0) > 1}]}]\n")
	for name, c := range map[string]struct {
		evidence plan.Evidence
		want     reports.ItemState
	}{
		"an answered query": {plan.Evidence{Query: "vector(1)"}, reports.ItemDone},
		"a scalar":          {plan.Evidence{Query: "scalar(vector(1))"}, reports.ItemDone},
		"an empty query":    {plan.Evidence{Query: `up{job="none"}`}, reports.ItemFailed},
		"a broken query":    {plan.Evidence{Query: "sum("}, reports.ItemUnknown},
		"a rule":            {plan.Evidence{Rule: "ApiSlow"}, reports.ItemDone},
		"no such rule":      {plan.Evidence{Rule: "DbSlow"}, reports.ItemFailed},
	} {
		if item := checked(t, url, c.evidence, &reports.Report{}); item.State != c.want || item.Evidence == "" {
			t.Errorf("%s: %+v, want %s", name, item, c.want)
		}
	}
	if item := checked(t, "http://127.0.0.1:1", plan.Evidence{Rule: "ApiSlow"}, &reports.Report{}); item.State != reports.ItemUnknown {
		t.Errorf("an unreachable Prometheus: %+v", item)
	}
}

func TestEvidence(t *testing.T) {
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusOK
		fmt.Sscanf(r.URL.Path, "/%d", &code)
		w.WriteHeader(code)
	}))
	t.Cleanup(pages.Close)
	report := &reports.Report{Action: &scaling.Outcome{Steps: []scaling.StepOutcome{
		{Name: "notify", Status: scaling.Applied, Output: "200 OK: posted to #ops\n"}, {Name: "other", Status: scaling.Failed},
	}}}
	for name, c := range map[string]struct {
		evidence plan.Evidence
		want     reports.ItemState
		known    reports.Known
	}{
		"a page":                 {plan.Evidence{Link: pages.URL + "/200"}, reports.ItemDone, reports.Commanded},
		"a page behind a login":  {plan.Evidence{Link: pages.URL + "/403"}, reports.ItemUnknown, ""},
		"no page":                {plan.Evidence{Link: pages.URL + "/404"}, reports.ItemFailed, reports.Commanded},
		"a server that is ill":   {plan.Evidence{Link: pages.URL + "/500"}, reports.ItemUnknown, ""},
		"no server":              {plan.Evidence{Link: "http://127.0.0.1:1/"}, reports.ItemUnknown, ""},
		"a step":                 {plan.Evidence{Step: "notify"}, reports.ItemDone, reports.Commanded},
		"a step that failed":     {plan.Evidence{Step: "other"}, reports.ItemFailed, reports.Commanded},
		"a command":              {plan.Evidence{Command: []string{"true"}}, reports.ItemDone, reports.Commanded},
		"a command that fails":   {plan.Evidence{Command: []string{"false"}}, reports.ItemFailed, reports.Commanded},
		"a command that is none": {plan.Evidence{Command: []string{"no-such-program"}}, reports.ItemFailed, reports.Commanded},
		"someone's signature":    {plan.Evidence{Signed: "Jane"}, reports.ItemUnknown, ""},
		"nothing":                {plan.Evidence{}, reports.ItemUnknown, ""},
	} {
		item := checked(t, "", c.evidence, report)
		if item.State != c.want || item.Known != c.known || item.Evidence == "" || item.Text != "Monitoring and alerting updated" {
			t.Errorf("%s: %+v, want %s", name, item, c.want)
		}
	}
}

// What a command has started ends with it, and it with its time.
func TestACommandOfEvidenceEndsInTime(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	var pid string
	started := func() bool {
		text, err := os.ReadFile(pidFile)
		pid = strings.TrimSpace(string(text))
		return err == nil && pid != ""
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		await(t, "the command starts", started)
	}()
	state, evidence := commandEvidence(ctx, []string{"sh", "-c", "sleep 600 & echo $! > " + pidFile + "; wait"})
	if state != reports.ItemUnknown {
		t.Errorf("%s, %s", state, evidence)
	}
	await(t, "its child ends", func() bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// await returns once something holds, within half a minute.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Errorf("it did not come to this: %s", what)
			return
		}
	}
}
