package loadgen

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// splitTarget reads "METHOD URL", or a URL alone, which is got.
func splitTarget(text string) (method, address string, err error) {
	method, address, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok || strings.Contains(method, "://") {
		method, address = "GET", strings.TrimSpace(text)
	}
	if method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
		return "", "", fmt.Errorf("%q is not a method: write a target as GET http://host/path", method)
	}
	return method, strings.TrimSpace(address), nil
}

// parseURL reads the address of a target.
func parseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not an http or https URL", u.Redacted())
	}
	if u.Host == "" || u.Hostname() == "" {
		return nil, fmt.Errorf("%q names no host", u.Redacted())
	}
	if _, _, err := splitAddress(addressOf(u)); err != nil {
		return nil, fmt.Errorf("%q: %w", u.Redacted(), err)
	}
	return u, nil
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
