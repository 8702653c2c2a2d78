package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// A requestSpec is one request as the configuration or a file of targets gives
// it; its texts may hold placeholders.
type requestSpec struct {
	method, address string
	headers         []string // "Name: value"
	body            string
}

// requestSpecs lists what cfg asks for: its targets and those of its file.
func requestSpecs(cfg *Config) ([]requestSpec, error) {
	body := cfg.Body
	if cfg.BodyFile != "" {
		data, err := cfg.readFile(cfg.BodyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the body: %w", err)
		}
		body = string(data)
	}
	var specs []requestSpec
	for i, text := range cfg.Targets {
		method, address, err := splitTarget(text)
		if err != nil {
			return nil, fmt.Errorf("target %d: %w", i, err)
		}
		specs = append(specs, requestSpec{orText(cfg.Method, method), address, cfg.Headers, body})
	}
	if cfg.TargetsFile == "" {
		return specs, nil
	}
	data, err := cfg.readFile(cfg.TargetsFile)
	if err != nil {
		return nil, fmt.Errorf("reading the targets: %w", err)
	}
	listed, err := readTargets(data)
	if err != nil {
		return nil, fmt.Errorf("reading the targets of %s: %w", cfg.TargetsFile, err)
	}
	for _, t := range listed {
		t.headers = append(slices.Clone(cfg.Headers), t.headers...)
		if t.body == "" {
			t.body = body
		}
		specs = append(specs, t)
	}
	return specs, nil
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// readTargets reads a file of targets.
func readTargets(data []byte) ([]requestSpec, error) {
	targets, err := vegetaTargets(data)
	if err != nil {
		return nil, err
	}
	specs := make([]requestSpec, len(targets))
	for i, t := range targets {
		specs[i] = requestSpec{t.Method, t.URL, headerLines(t.Header), string(t.Body)}
	}
	return specs, nil
}

// vegetaTargets reads a file of targets in vegeta's http or json format, told
// apart by its first character. Paths of bodies are relative to the working
// directory, as vegeta has it.
func vegetaTargets(data []byte) ([]vegeta.Target, error) {
	targeter := vegeta.NewHTTPTargeter(bytes.NewReader(data), nil, nil)
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		targeter = vegeta.NewJSONTargeter(bytes.NewReader(data), nil, nil)
	}
	targets, err := vegeta.ReadAllTargets(targeter)
	if errors.Is(err, vegeta.ErrNoTargets) || err == nil && len(targets) == 0 {
		return nil, errors.New("it names no target: write lines such as GET http://host/path, or one JSON object a line")
	}
	return targets, err
}

// headerLines returns headers in an order that does not change.
func headerLines(h http.Header) (lines []string) {
	for name, values := range h {
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	slices.SortFunc(lines, strings.Compare)
	return lines
}
