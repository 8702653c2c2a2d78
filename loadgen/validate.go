package loadgen

import (
	"errors"
	"strings"
	"time"

	"scaleproof/internal/invalid"
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
		if _, _, err := parseTarget(text); err != nil {
			faults = append(faults, invalid.In(indexed("targets", i), err))
		}
	}
	for i, h := range c.Headers {
		if name, _, ok := strings.Cut(h, ":"); !ok || strings.TrimSpace(name) == "" || strings.ContainsAny(h, "\r\n") {
			add(indexed("headers", i), "%q is not a header: write it as Name: value", h)
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
	switch c.Arrivals {
	case "", "constant", "poisson":
	default:
		add("arrivals", "%q is neither constant nor poisson", c.Arrivals)
	}
	faults = append(faults, c.validateLoad()...)
	return errors.Join(faults...)
}

func (c *Config) validateLoad() (faults []error) {
	add := func(path, format string, args ...any) {
		faults = append(faults, invalid.Field(path, format, args...))
	}
	if len(c.Stages) > 0 && (c.Rate > 0 || c.Duration > 0) {
		add("stages", "stages take the place of rate and duration: give the one or the other")
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

// open reports whether the load follows a schedule.
func (c *Config) open() bool { return c.Rate > 0 || len(c.Stages) > 0 }

func (c *Config) timeout() time.Duration {
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
