package loadgen

import (
	"errors"
	"strings"
	"time"

	"scaleproof/internal/invalid"
	"scaleproof/internal/unit"
)

// The defaults of a Config.
const (
	defaultTimeout           = 30 * time.Second
	defaultClosedConnections = 10
	defaultOpenConnections   = 10_000
)

// Validate returns the faults of c, each an *invalid.FieldError, joined.
func (c *Config) Validate() error {
	var faults []error
	add := func(path, format string, args ...any) {
		faults = append(faults, invalid.Field(path, format, args...))
	}
	if len(c.Targets) == 0 && c.TargetsFile == "" {
		add("targets", "there is no target: name at least one, such as GET http://host/path")
	}
	for i, text := range c.Targets {
		if err := c.checkTarget(text); err != nil {
			faults = append(faults, invalid.In(indexed("targets", i), err))
		}
	}
	total := 0
	for i, w := range c.Weights {
		if total += max(w, 0); w < 0 || total > maxWeights {
			add(indexed("weights", i), "weights are whole numbers from 0, %d at most together", maxWeights)
			break
		}
	}
	if len(c.Weights) > 0 && total == 0 {
		add("weights", "no target has a weight above 0")
	}
	if c.TargetsFile == "" && len(c.Weights) > 0 && len(c.Weights) != len(c.Targets) {
		add("weights", "there are %d weights for %d targets", len(c.Weights), len(c.Targets))
	}
	if c.Body != "" && c.BodyFile != "" {
		add("body_file", "a body is given already: keep the one or the other")
	}
	for i, h := range c.Headers {
		if name, _, ok := strings.Cut(h, ":"); !ok || strings.TrimSpace(name) == "" || strings.ContainsAny(h, "\r\n") {
			add(indexed("headers", i), "%q is not a header: write it as Name: value", h)
		}
	}
	for i, text := range c.Checks {
		if _, err := parseCheck(text); err != nil {
			add(indexed("checks", i), "%q: %v", text, err)
		}
	}
	if c.Method != "" && strings.Trim(c.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		add("method", "%q is not a method", c.Method)
	}
	if c.Connections < 0 {
		add("connections", "%d is negative", c.Connections)
	}
	if c.Recycle < 0 {
		add("recycle", "%d is negative", c.Recycle)
	}
	if c.HTTP2 && (c.Recycle > 0 || c.RecycleAfter > 0) {
		add("recycle", "connections of HTTP/2 are shared by requests, and are not recycled: leave it out, or load by HTTP/1.1")
	}
	switch c.Arrivals {
	case "", "constant", "poisson":
	default:
		add("arrivals", "%q is neither constant nor poisson", c.Arrivals)
	}
	faults = append(faults, c.validateLoad()...)
	faults = append(faults, c.validateWorkers())
	return errors.Join(faults...)
}

func (c *Config) validateLoad() (faults []error) {
	add := func(path, format string, args ...any) {
		faults = append(faults, invalid.Field(path, format, args...))
	}
	if len(c.Stages) > 0 && (c.Rate > 0 || c.Duration > 0) {
		add("stages", "stages take the place of rate and duration: give the one or the other")
	}
	if len(c.Stages) > 0 && c.PeakRate() == 0 {
		add("stages", "no stage has a rate above 0")
	}
	for i, s := range c.Stages {
		if s.Ramp == 0 && s.Duration == 0 {
			add(indexed("stages", i), "the stage has neither a ramp nor a duration")
		}
	}
	if c.FindCapacity && c.SLO == (SLO{}) {
		add("slo", "find_capacity needs a service level, such as {p99: 80ms, errors: 0.1%%}")
	}
	if c.SLO.Errors > 1 {
		add("slo.errors", "%v is more than all requests", c.SLO.Errors)
	}
	if c.FindCapacity && len(c.Stages) > 0 {
		add("find_capacity", "a search sets the rate itself: leave the stages out")
	}
	return faults
}

// maxWeights bounds the sum of weights: the order of turns is kept in memory.
const maxWeights = 100_000

// checkTarget checks what can be told of a target without reading files.
func (c *Config) checkTarget(text string) error {
	method, address, err := splitTarget(text)
	if err != nil {
		return err
	}
	if hasPlaceholder(address) {
		return nil // its columns are the feeder's: Run tells
	}
	_, _, err = prepare(requestSpec{method: method, address: address}, nil)
	return err
}

// open reports whether the load follows a schedule.
func (c *Config) open() bool { return c.Rate > 0 || len(c.Stages) > 0 }

// PeakRate is the highest rate of the open model, 0 in the closed one.
func (c *Config) PeakRate() unit.Rate {
	highest := c.Rate
	for _, s := range c.Stages {
		highest = max(highest, s.Rate)
	}
	return highest
}

// RequestTimeout bounds a request from its sending to its end.
func (c *Config) RequestTimeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout.Std()
	}
	return defaultTimeout
}

func (c *Config) connections() int {
	switch {
	case c.Connections > 0:
		return c.Connections
	case c.open():
		return defaultOpenConnections
	}
	return defaultClosedConnections
}
