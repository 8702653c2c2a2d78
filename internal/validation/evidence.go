package validation

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"scaleproof/reports"
)

// maxAnswer bounds an answer that is looked at for evidence.
const maxAnswer = 8 << 20

// linkEvidence asks whether a page is there. One that wants a login is there; one
// that can't be reached from here is unknown.
func (r *runner) linkEvidence(ctx context.Context, link string) (reports.ItemState, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, link, nil)
	if err != nil {
		return reports.ItemFailed, err.Error()
	}
	answer, err := r.opts.HTTP.Do(request)
	if err != nil {
		return reports.ItemUnknown, fmt.Sprintf("%s can't be reached from here: %v", link, err)
	}
	defer answer.Body.Close()
	switch code := answer.StatusCode; {
	case code < 300:
		return reports.ItemDone, link + " is there"
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return reports.ItemUnknown, fmt.Sprintf("%s wants a login (%s): let someone sign for it", link, answer.Status)
	case code == http.StatusNotFound, code == http.StatusGone:
		return reports.ItemFailed, fmt.Sprintf("%s is not there (%s)", link, answer.Status)
	}
	return reports.ItemUnknown, fmt.Sprintf("%s answers %s", link, answer.Status)
}

// queryEvidence asks Prometheus, which must answer with at least one sample.
func (r *runner) queryEvidence(ctx context.Context, query string) (reports.ItemState, string) {
	var data struct {
		ResultType string            `json:"resultType"`
		Result     []json.RawMessage `json:"result"`
	}
	if err := r.askPrometheus(ctx, "query?query="+url.QueryEscape(query), &data); err != nil {
		return reports.ItemUnknown, err.Error()
	}
	if len(data.Result) == 0 {
		return reports.ItemFailed, fmt.Sprintf("the query %s finds nothing", query)
	}
	if data.ResultType == "scalar" || data.ResultType == "string" {
		return reports.ItemDone, fmt.Sprintf("the query %s is answered", query)
	}
	return reports.ItemDone, fmt.Sprintf("the query %s finds %d series", query, len(data.Result))
}

// ruleEvidence looks for a rule that Prometheus has loaded and can evaluate.
func (r *runner) ruleEvidence(ctx context.Context, name string) (reports.ItemState, string) {
	var data struct {
		Groups []struct {
			Name  string `json:"name"`
			Rules []struct {
				Name      string `json:"name"`
				Type      string `json:"type"`
				Health    string `json:"health"`
				LastError string `json:"lastError"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := r.askPrometheus(ctx, "rules", &data); err != nil {
		return reports.ItemUnknown, err.Error()
	}
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			if rule.Name != name {
				continue
			}
			if rule.Health == "err" {
				return reports.ItemFailed, fmt.Sprintf("the %s rule %s can't be evaluated: %s", rule.Type, name, rule.LastError)
			}
			return reports.ItemDone, fmt.Sprintf("Prometheus has the %s rule %s in the group %s", rule.Type, name, group.Name)
		}
	}
	return reports.ItemFailed, "Prometheus has no rule " + name
}

// askPrometheus calls the HTTP API of the plan's Prometheus and decodes its data.
func (r *runner) askPrometheus(ctx context.Context, path string, data any) error {
	base := strings.TrimSuffix(r.plan.Environment.Prometheus.URL, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/"+path, nil)
	if err != nil {
		return fmt.Errorf("asking Prometheus: %w", err)
	}
	answer, err := r.opts.HTTP.Do(request)
	if err != nil {
		return fmt.Errorf("asking Prometheus: %w", err)
	}
	defer answer.Body.Close()
	var envelope struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&envelope); err != nil {
		return fmt.Errorf("asking Prometheus: %s answers %s, and nothing that it would say: %w", base, answer.Status, err)
	}
	if envelope.Status != "success" {
		return fmt.Errorf("asking Prometheus: %s", envelope.Error)
	}
	if err := json.Unmarshal(envelope.Data, data); err != nil {
		return fmt.Errorf("asking Prometheus: %w", err)
	}
	return nil
}
