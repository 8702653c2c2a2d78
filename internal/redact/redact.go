// Package redact keeps secrets out of everything that scaleproof writes.
package redact

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Mask stands where a secret stood.
const Mask = "xxxxx"

// Secrets replaces known secrets, and passwords in connection strings that it
// has never seen, by Mask. The zero value knows no secret and is ready to use.
// It must not be copied or added to while it is in use by others.
type Secrets struct {
	known []string
}

// minSecret is the length below which a secret is not searched for: replacing
// every "a" would destroy the text and betray the secret at once.
const minSecret = 4

// Add makes s replace each secret, as written and as URLs, JSON, Go's %q, YAML,
// shells and HTML escape it, and as JSON and %q escape a text that holds it so.
func (s *Secrets) Add(secrets ...string) {
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		for _, form := range forms(secret) {
			if !slices.Contains(s.known, form) {
				s.known = append(s.known, form)
			}
		}
	}
	// The longest first, so that no tail of a secret outlives a shorter one
	// that it begins with.
	sort.Slice(s.known, func(i, j int) bool { return len(s.known[i]) > len(s.known[j]) })
}

// forms returns a secret as it may stand in a text. Most have only one form.
func forms(secret string) []string {
	all := append(escaped(secret),
		secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret),
		strings.ReplaceAll(secret, "'", "''"), strings.ReplaceAll(secret, "'", `'\''`))
	for _, once := range slices.Clone(all) {
		all = append(all, escaped(once)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// escaped returns what JSON, with < > & escaped and without, and %q make of a text,
// without the quotes around it.
func escaped(text string) []string {
	forms := []string{strconv.Quote(text)}
	for _, escapeHTML := range []bool{false, true} {
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(escapeHTML)
		_ = encoder.Encode(text) // a string always can be
		forms = append(forms, strings.TrimSuffix(b.String(), "\n"))
	}
	for i, form := range forms {
		forms[i] = form[1 : len(form)-1]
	}
	return forms
}

// AddDSN adds the password of a Postgres connection string, URL or keywords.
func (s *Secrets) AddDSN(dsn string) {
	if u, err := url.Parse(dsn); err == nil && u.User != nil {
		password, _ := u.User.Password()
		s.Add(password)
	}
	if u, err := url.Parse(dsn); err == nil {
		s.Add(u.Query().Get("password"))
	}
	for _, m := range keywordPassword.FindAllStringSubmatch(dsn, -1) {
		s.Add(strings.Trim(m[2], `'"`))
	}
}

var (
	urlPassword     = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@?#]*:)([^\s/?#"']*)@`)
	keywordPassword = regexp.MustCompile(`(?i)\b((?:password|sslpassword)\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&"']+)`)
	bearerToken     = regexp.MustCompile(`(?i)\b(bearer\s+)([A-Za-z0-9._~+/=-]{8,})`)
)

// String returns text without secrets.
func (s *Secrets) String(text string) string {
	if s != nil {
		for _, secret := range s.known {
			text = strings.ReplaceAll(text, secret, Mask)
		}
	}
	text = urlPassword.ReplaceAllString(text, "${1}"+Mask+"@")
	text = keywordPassword.ReplaceAllString(text, "${1}"+Mask)
	return bearerToken.ReplaceAllString(text, "${1}"+Mask)
}

// maxGuesses bounds Unmask.
const maxGuesses = 500

// Unmask puts known secrets back into a text that String has masked, and returns the
// first text of which is says that it was that one.
func (s *Secrets) Unmask(masked string, is func(text string) bool) (string, bool) {
	if s == nil {
		return "", false
	}
	parts := strings.Split(masked, Mask)
	at := make([]int, len(parts)-1) // the secret in each place, by its index
	build := func() string {
		var b strings.Builder
		b.WriteString(parts[0])
		for i, k := range at {
			b.WriteString(s.known[k] + parts[i+1])
		}
		return b.String()
	}
	if len(s.known) == 0 || len(at) == 0 {
		return "", false
	}
	guesses := 0
	for k := range s.known { // most texts have one secret, if more than once
		for i := range at {
			at[i] = k
		}
		if text := build(); is(text) {
			return text, true
		}
		guesses++
	}
	for clear(at); guesses < maxGuesses; guesses++ {
		if text := build(); is(text) {
			return text, true
		}
		i := 0
		for i < len(at) && at[i] == len(s.known)-1 {
			at[i] = 0
			i++
		}
		if i == len(at) {
			return "", false
		}
		at[i]++
	}
	return "", false
}

// DSN returns a connection string without its password.
func DSN(dsn string) string {
	var s Secrets
	s.AddDSN(dsn)
	return s.String(dsn)
}
