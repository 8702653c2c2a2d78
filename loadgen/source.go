package loadgen

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// A Source makes the requests of a run. Request k is a pure function of k:
// whatever varies (random values, sequences, rows of a file) is drawn from k
// and the run's seed, so that a run can be repeated whatever the number of
// workers. Its methods are called by several goroutines at once.
type Source interface {
	// Targets are where requests go and how their answers are judged. There
	// is at least one, and the slice never changes.
	Targets() []Target
	// Request returns request k, from 0. It may write the bytes of the
	// request into buf (length 0, to be grown as needed), or return bytes of
	// its own, which must then never change. An error fails that one request,
	// under the kind "request".
	Request(k int64, buf []byte) (Request, error)
	// Workload names all that the requests are made from, for the hash that
	// tells whether two runs asked the same.
	Workload() string
}

// A Target is where requests go.
type Target struct {
	// Name is the target's in results: "GET http://host/path".
	Name string
	// URL is the scheme and the address to connect to.
	URL *url.URL
}

// A Request is one request, ready for the wire.
type Request struct {
	Target int    // index of Targets
	Wire   []byte // the HTTP/1.1 request: head and body
	// Head says that the method is HEAD, whose answers have no body.
	Head bool
}

// staticSource takes its requests, made once, in turn.
type staticSource struct {
	targets  []Target
	requests []Request
}

func (s *staticSource) Targets() []Target { return s.targets }

func (s *staticSource) Request(k int64, _ []byte) (Request, error) {
	return s.requests[k%int64(len(s.requests))], nil
}

func (s *staticSource) Workload() string {
	var b strings.Builder
	for i, r := range s.requests {
		fmt.Fprintf(&b, "%s://%s\n%s\n", s.targets[i].URL.Scheme, s.targets[i].URL.Host, r.Wire)
	}
	return b.String()
}

// newStaticSource makes the requests that cfg lists.
func newStaticSource(cfg *Config) (*staticSource, error) {
	s := &staticSource{}
	for i, text := range cfg.Targets {
		method, u, err := parseTarget(text)
		if err != nil {
			return nil, fmt.Errorf("target %d: %w", i, err)
		}
		if cfg.Method != "" {
			method = cfg.Method
		}
		s.targets = append(s.targets, Target{Name: method + " " + u.Redacted(), URL: u})
		s.requests = append(s.requests, Request{Target: i, Wire: AppendRequest(nil, method, u, cfg.Headers, []byte(cfg.Body)), Head: method == "HEAD"})
	}
	return s, nil
}

// parseTarget reads "METHOD URL", or a URL alone, which is got.
func parseTarget(text string) (method string, u *url.URL, err error) {
	method, address, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok {
		method, address = "GET", method
	}
	if method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return "", nil, fmt.Errorf("%q is not a method: write a target as GET http://host/path", method)
	}
	u, err = url.Parse(strings.TrimSpace(address))
	if err != nil {
		return "", nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "", nil, fmt.Errorf("%q is not an http or https URL", u.Redacted())
	}
	if u.Host == "" || u.Hostname() == "" {
		return "", nil, fmt.Errorf("%q names no host", u.Redacted())
	}
	return method, u, nil
}

// AppendRequest appends an HTTP/1.1 request to buf. Headers are "Name: value"
// and take precedence over those that it sets by itself: Host, User-Agent,
// Accept and Content-Length. A user in the URL becomes basic authentication.
func AppendRequest(buf []byte, method string, u *url.URL, headers []string, body []byte) []byte {
	buf = append(buf, method...)
	buf = append(buf, ' ')
	buf = append(buf, u.RequestURI()...)
	buf = append(buf, " HTTP/1.1\r\n"...)
	has := map[string]bool{}
	for _, h := range headers {
		name, _, _ := strings.Cut(h, ":")
		has[strings.ToLower(strings.TrimSpace(name))] = true
	}
	add := func(name, value string) {
		if !has[strings.ToLower(name)] {
			buf = append(buf, name...)
			buf = append(buf, ": "...)
			buf = append(buf, value...)
			buf = append(buf, "\r\n"...)
		}
	}
	add("Host", u.Host)
	add("User-Agent", "scaleproof")
	add("Accept", "*/*")
	if u.User != nil {
		password, _ := u.User.Password()
		add("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	if len(body) > 0 || method == "POST" || method == "PUT" || method == "PATCH" {
		add("Content-Length", strconv.Itoa(len(body)))
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ":")
		buf = append(buf, strings.TrimSpace(name)...)
		buf = append(buf, ": "...)
		buf = append(buf, strings.TrimSpace(value)...)
		buf = append(buf, "\r\n"...)
	}
	buf = append(buf, "\r\n"...)
	return append(buf, body...)
}
